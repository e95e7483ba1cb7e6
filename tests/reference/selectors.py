"""Which of a device's usable paths carries the next I/O, policy by policy.

A policy is made for the device's paths in their initial order, and returns one that is usable, or
None if none is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from smokestack.multipath.specs import Selector


class Candidate(Protocol):
    """What a policy sees of a path."""

    in_flight: int

    @property
    def usable(self) -> bool:
        """Whether I/O may be sent on it."""


PathT = TypeVar("PathT", bound=Candidate)


class Fixed:
    """The preferred path while it is usable, else the first usable one."""

    def select(self, paths: Sequence[PathT], preferred: PathT | None, _: int) -> PathT | None:
        """Returns the path to use."""
        if preferred is not None and preferred.usable:
            return preferred
        return next((path for path in paths if path.usable), None)


class RoundRobin:
    """A number of I/Os on one path, then the next usable one in turn."""

    def __init__(self) -> None:
        self._at = -1  # the current path's place; before any I/O: before the first
        self._count = 0  # I/Os sent on it in a row

    def select(self, paths: Sequence[PathT], _: PathT | None, ios_per_path: int) -> PathT | None:
        """Returns the path to use."""
        if self._at >= 0 and paths[self._at].usable and self._count < ios_per_path:
            self._count += 1
            return paths[self._at]
        for step in range(1, len(paths) + 1):  # the last step comes back to the current path
            place = (self._at + step) % len(paths)
            if paths[place].usable:
                self._at, self._count = place, 1
                return paths[place]
        return None


class QueueLength:
    """The path with the fewest I/Os in flight; of equals, the one used longest ago."""

    def __init__(self, path_count: int) -> None:
        self._places = list(range(path_count))  # least recently used first

    def select(self, paths: Sequence[PathT], _: PathT | None, __: int) -> PathT | None:
        """Returns the path to use."""
        usable = [place for place in self._places if paths[place].usable]
        if not usable:
            return None
        place = min(usable, key=lambda place: paths[place].in_flight)  # the first of equals
        self._places.remove(place)
        self._places.append(place)
        return paths[place]


Policy = Fixed | RoundRobin | QueueLength


def make(selector: Selector, path_count: int) -> Policy:
    """Returns a fresh policy for a device of so many paths."""
    if selector is Selector.FIXED:
        return Fixed()
    if selector is Selector.ROUND_ROBIN:
        return RoundRobin()
    return QueueLength(path_count)
