"""The path used last while it is usable, else the first usable one."""

from __future__ import annotations

from .base import Candidate, Choice, Policy


class MostRecentlyUsed(Policy):
    """Never fails back."""

    _current: Candidate | None = None

    def select(self, _: Choice) -> Candidate | None:
        """Returns the path to use."""
        if self._current is None or not self._current.usable:
            self._current = self.first()
        return self._current
