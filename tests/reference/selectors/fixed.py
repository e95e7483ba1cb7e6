"""The preferred path while it is usable, else the first usable one."""

from __future__ import annotations

from .base import Candidate, Choice, Policy


class Fixed(Policy):
    """Fails back as soon as it can."""

    def select(self, choice: Choice) -> Candidate | None:
        """Returns the path to use."""
        preferred = choice.preferred
        return preferred if preferred.usable or preferred.pulls else self.first()
