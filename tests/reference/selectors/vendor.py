"""A vendor's plug-in: it hears how many commands are at the port, whoever sent them."""

from __future__ import annotations

from collections.abc import Sequence

from smokestack.engine.hints import COUNT_MAX, GIVEN, NOT_OWNER

from .base import Candidate, Choice, Policy

ONE = 16  # a command, in the moving average
SILENCE_NS = 10_000_000


class Vendor(Policy):
    """Least commands at the port, ours and others'."""

    def __init__(self, paths: Sequence[Candidate]) -> None:
        super().__init__(paths)
        self._others = {id(path): 0 for path in paths}
        self._heard = {id(path): 0 for path in paths}
        self._foreign = {id(path): False for path in paths}

    def select(self, choice: Choice) -> Candidate | None:
        """Returns the path to use."""
        usable = self.usable()
        silent = [
            path
            for path in usable
            if not path.in_flight and choice.now - self._heard[id(path)] > SILENCE_NS
        ]
        if not usable:
            return None
        return self.used(silent[0] if silent else min(usable, key=self._cost))

    def _cost(self, path: Candidate) -> tuple[bool, int]:
        return self._foreign[id(path)], self._others[id(path)] + ONE * path.in_flight

    def answered(self, path: Candidate, choice: Choice, start_ns: int) -> None:
        """Takes what the array has told."""
        if choice.hint & GIVEN:
            others = max(0, (choice.hint & COUNT_MAX) - path.in_flight)
            self._others[id(path)] = (3 * self._others[id(path)] + ONE * others + 2) // 4
            self._foreign[id(path)] = bool(choice.hint & NOT_OWNER)
            self._heard[id(path)] = choice.now
