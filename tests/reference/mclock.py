"""mClock in plain Python: tags by VM, and which of the commands that wait is served."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from smokestack.multipath.specs import WorldShares

SECOND = 10**9


class Waiting(Protocol):
    """A command that waits."""

    vm: int
    attempt: int
    submitted_ns: int


@dataclass
class Tags:
    """What the next command of a VM gets at least."""

    reservation: int = 0
    limit: int = 0
    share: int = 0


class MClock:
    """The worlds of one device."""

    def __init__(self, given: Sequence[WorldShares]) -> None:
        self._given = {each.vm_number: each for each in given}
        self._tags: dict[int, Tags] = {}
        self._virtual_time = 0
        self.wake_ns: int | None = None  # when a limit lets one go, after choose() found none

    def choose(self, queue: Sequence[Waiting], now: int) -> int | None:
        """Returns the place of the command to serve; it has its tags then, unless undone."""
        self._undo = None
        if queue[0].attempt:
            return 0
        reserved: list[tuple[int, int]] = []
        shared: list[tuple[int, int]] = []
        later: list[int] = []
        seen: set[int] = set()
        for place, io in enumerate(queue):
            if io.vm in seen:
                continue
            seen.add(io.vm)
            world, tags = self._of(io.vm)
            if world.reservation_iops:
                tag = max(io.submitted_ns, tags.reservation)
                (reserved if tag <= now else []).append((tag, place))
                if tag > now:
                    later.append(tag)
            limit = max(io.submitted_ns, tags.limit) if world.limit_iops else now
            if limit > now:
                later.append(limit)
            else:
                shared.append((max(self._virtual_time, tags.share), place))
        if not reserved and not shared:
            self.wake_ns = min(later)
            return None
        _, place = min(reserved or shared)  # of equals the one that came first
        self._charge(queue[place], reserved=bool(reserved))
        return place

    def undo(self) -> None:
        """The command waits after all."""
        if self._undo:
            vm, tags, self._virtual_time = self._undo
            self._tags[vm] = tags

    def _of(self, vm: int) -> tuple[WorldShares, Tags]:
        return self._given.get(vm, WorldShares(vm)), self._tags.setdefault(vm, Tags())

    def _charge(self, io: Waiting, *, reserved: bool) -> None:
        world, tags = self._of(io.vm)
        self._undo = io.vm, Tags(**vars(tags)), self._virtual_time
        share = max(self._virtual_time, tags.share)
        if world.limit_iops:
            tags.limit = max(io.submitted_ns, tags.limit) + SECOND // world.limit_iops
        if reserved:
            tag = max(io.submitted_ns, tags.reservation)
            tags.reservation = tag + SECOND // world.reservation_iops
        else:
            self._virtual_time = share
        tags.share = share + (1 << 32) // world.shares

    _undo: tuple[int, Tags, int] | None = None
