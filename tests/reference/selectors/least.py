"""The path with the least in flight; of equals, the one used longest ago."""

from __future__ import annotations

from .base import Candidate, Choice, LastInTurn, Policy


class QueueLength(LastInTurn):
    """Counts I/Os."""

    def select(self, _: Choice) -> Candidate | None:
        """Returns the path to use."""
        usable = self.usable()
        return self.used(min(usable, key=lambda path: path.in_flight)) if usable else None


class LeastBlocks(Policy):
    """Counts bytes."""

    def select(self, _: Choice) -> Candidate | None:
        """Returns the path to use."""
        usable = self.usable()
        return self.used(min(usable, key=lambda path: path.in_flight_bytes)) if usable else None
