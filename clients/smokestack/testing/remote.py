"""Resets a stack in another process over its API."""

from __future__ import annotations

from collections.abc import Mapping

from smokestack.client import Stack, connect, errors

from .server import ServerRefused


class Remote:
    """A connection to a stack, which is made ready for tests."""

    def __init__(self, addresses: str | Mapping[str, str]) -> None:
        """Connects; ServerRefused says that nobody answers."""
        try:
            self._stack: Stack = connect(addresses)
            self._seed = self._stack.simulation().seed
        except errors.Error as error:
            raise ServerRefused(f"no stack answers at {addresses}: {error}") from error

    @property
    def addresses(self) -> Mapping[str, str]:
        """Where each service is served, the hypervisor first."""
        found = self._stack.addresses
        return dict(sorted(found.items(), key=lambda item: _HEIGHTS[item[0].partition("/")[0]]))

    def reset(self, seed: int | None = None) -> int:
        """Brings the stack back to time 0, manual with autojump; returns the seed in use."""
        seed = self._seed if seed is None else seed
        try:
            self._stack.reset(seed)
            self._stack.set_clock(mode="MANUAL", autojump=True)
        except errors.FailedPrecondition as error:
            raise ServerRefused(f"the stack cannot be reset between tests: {error}") from error
        return seed

    def close(self) -> None:
        """Closes the connection."""
        self._stack.close()


_HEIGHTS = {"hypervisors": 0, "multipaths": 1, "arrays": 2}
