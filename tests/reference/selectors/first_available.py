"""The first usable path in boot order."""

from __future__ import annotations

from .base import Candidate, Choice, Policy


class FirstAvailable(Policy):
    """Knows nothing but the order of the paths."""

    def select(self, _: Choice) -> Candidate | None:
        """Returns the path to use."""
        return self.first()
