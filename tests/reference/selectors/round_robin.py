"""Paths in turn: VMware's round robin by I/Os and by bytes, and dm-multipath's."""

from __future__ import annotations

from .base import Candidate, Choice, LastInTurn, Policy


class RoundRobin(Policy):
    """A number of I/Os on one path, then the next usable one in boot order."""

    _current: Candidate | None = None
    _count = 0  # I/Os sent on it in a row

    def select(self, choice: Choice) -> Candidate | None:
        """Returns the path to use."""
        stays = self._current is not None and self._current.usable
        if stays and self._count < choice.ios_per_path:
            self._count += 1
            return self._current
        found = self.after(self._current)
        if found is not None:
            self._current, self._count = found, 1
        return found


class RoundRobinBytes(Policy):
    """A number of bytes on one path, then the next usable one in boot order."""

    _current: Candidate | None = None
    _bytes = 0

    def select(self, choice: Choice) -> Candidate | None:
        """Returns the path to use."""
        stays = self._current is not None and self._current.usable
        if stays and self._bytes < choice.settings.bytes_per_path:
            self._bytes += choice.length
            return self._current
        found = self.after(self._current)
        if found is not None:
            self._current, self._bytes = found, choice.length
        return found


class DmRoundRobin(LastInTurn):
    """The path used longest ago, a number of I/Os in a row."""

    _current: Candidate | None = None
    _count = 0

    def select(self, choice: Choice) -> Candidate | None:
        """Returns the path to use."""
        stays = self._current is not None and self._current.usable
        if stays and self._count < choice.settings.repeat_count:
            self._count += 1
            return self._current
        usable = self.usable()
        if not usable:
            return None
        self._current, self._count = self.used(usable[0]), 1
        return self._current
