"""A stack that somebody else has started: `smokestack up` in another terminal, or a container."""

from __future__ import annotations

from collections.abc import Mapping

from .remote import Remote
from .server import Closing, ServerRefused
from .source import Source


class Attached(Closing):
    """A running stack, by the address of its hypervisor."""

    def __init__(self, address: str, source: Source | None = None) -> None:
        """Connects; ServerRefused says that nobody answers, or that it has its own scenario."""
        self.source = source or Source()
        if self.source.text:
            raise ServerRefused(
                f"the stack at {address} has a scenario of its own and cannot serve {self.source}: "
                "start it with that scenario, or let the tests start one"
            )
        self._remote = Remote(address)

    @property
    def addresses(self) -> Mapping[str, str]:
        """Where each service is served."""
        return self._remote.addresses

    @property
    def metrics_urls(self) -> Mapping[str, str]:
        """Nothing: who has started it knows."""
        return {}

    def reset(self, seed: int | None = None) -> int:
        """Brings the stack back to time 0."""
        return self._remote.reset(seed)

    def close(self) -> None:
        """Leaves the stack as it is."""
        self._remote.close()
