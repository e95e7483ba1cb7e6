"""What a policy is: it chooses among paths, and hears what becomes of paths and I/Os.

A policy is made for a device's paths in boot order.  ``by_use`` has them least recently used first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from smokestack.multipath.specs import SelectorSettings


class Candidate(Protocol):
    """What a policy sees of a path."""

    in_flight: int
    in_flight_bytes: int
    relative_throughput: int
    cpus: frozenset[int]

    @property
    def usable(self) -> bool:
        """Whether I/O may be sent on it."""

    @property
    def pulls(self) -> bool:
        """Whether it is not in use, and would pull the volume over."""


@dataclass(frozen=True)
class Choice:
    """What is to be sent, when, and the settings of its device."""

    now: int
    length: int
    vm: int
    preferred: Candidate
    ios_per_path: int
    settings: SelectorSettings
    hint: int = 0  # what the array has told with the answer


class Policy:
    """One device's policy; what one does not need it leaves to this class."""

    def __init__(self, paths: Sequence[Candidate]) -> None:
        self.paths = list(paths)
        self.by_use = list(paths)

    def select(self, choice: Choice) -> Candidate | None:
        """Returns the path to use, None when none is usable."""
        raise NotImplementedError

    def failed(self, path: Candidate) -> None:
        """A path that was usable is not any more."""

    def reinstated(self, path: Candidate) -> None:
        """A path is usable again."""

    def answered(self, path: Candidate, choice: Choice, start_ns: int) -> None:
        """An I/O has got its final answer."""

    def unanswered(self, path: Candidate, start_ns: int) -> None:
        """An I/O was refused, or lost with its path."""

    def used(self, path: Candidate) -> Candidate:
        """Makes a path the most recently used one, and returns it."""
        self.by_use.remove(path)
        self.by_use.append(path)
        return path

    def usable(self) -> list[Candidate]:
        """The usable paths, least recently used first."""
        return [path for path in self.by_use if path.usable]

    def first(self) -> Candidate | None:
        """The first usable path in boot order."""
        return next((path for path in self.paths if path.usable), None)

    def after(self, current: Candidate | None) -> Candidate | None:
        """The next usable path in boot order; the current one comes last, none: the first."""
        place = -1 if current is None else self.paths.index(current)
        turn = self.paths[place + 1 :] + self.paths[: place + 1]
        return next((path for path in turn if path.usable), None)


class LastInTurn(Policy):
    """A policy of dm-multipath, whose reinstated paths are last in the list."""

    def reinstated(self, path: Candidate) -> None:
        """Puts the path behind all others."""
        self.used(path)
