"""What all services have: a name, a clock, faults, a connection."""

from __future__ import annotations

from .clock import Clock
from .connected import Connected
from .events import Events
from .faults import Faults
from .operations import Way


class Service(Clock[Way], Connected[Way]):
    """One service of a stack."""

    name: str

    @property
    def faults(self) -> Faults[Way]:
        """The rules by which it breaks."""
        return Faults(self._session, self.name)

    @property
    def events(self) -> Events[Way]:
        """What has happened in it."""
        return Events(self._session, self.name)
