"""What is known of answers on their way when an array is lost: which get through, and in time.

A host that gives an array up knows of all that reaches it within one lookahead.  It foresees how
that crosses the fabrics, and what becomes of paths meanwhile; nothing later changes it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from smokestack.engine.records import RESET_ATTEMPT, EventCode, Kind
from smokestack.multipath.specs import MultipathSpec
from tests.reference.agenda import Agenda
from tests.reference.array import Array
from tests.reference.checkers import FIRST, awaited
from tests.reference.devices import Device, HostIo, Path
from tests.reference.digest import Completion
from tests.reference.fabric import Fabric
from tests.reference.recovery import Key, key_of


class Landings:
    """The part of multipath that foresees what lands."""

    _agenda: Agenda
    _spec: MultipathSpec
    _ios: dict[int, HostIo]
    _by_index: list[Device]
    _paths: dict[tuple[Array, int], tuple[Device, Path]]
    _crossing: dict[Key, tuple[Path, Completion]]
    _strays: dict[Completion, tuple[Path, int]]
    fabrics: dict[str, Fabric]
    lookahead_ns: int
    hear: Callable[[Array, Completion], None]
    _link_moved: Callable[..., None]
    _hops: Callable[[Path], list[Any]]
    _frames: Callable[[HostIo, Completion], int]
    _waits_for: Callable[[Completion], Path | None]
    _cross_at: Callable[[Path, int, int], int | None]

    def _counting(self, array: Array) -> frozenset[tuple[int, int]]:
        """Which answers of an array that is lost now will land, of those that are on their way."""
        parts = [part for f in self.fabrics.values() for part in (f, f.trunk, *f.links.values())]
        kept = [(part, dict(vars(part))) for part in parts]
        landing = dict(self._crossing)
        crossed: dict[Completion, tuple[Path, int]] = {}
        downs: dict[Path, int] = {}
        for time, action, arguments in self._agenda.planned(1 << 62):
            if action == self._link_moved and arguments[2]:
                self._foresee_link(downs, time, *arguments)
            elif time >= self._agenda.now + self.lookahead_ns:
                continue
            elif action is setattr:
                setattr(*arguments)
            elif action == self.hear:
                self._foresee(downs, landing, crossed, *arguments)
        for part, before in kept:
            vars(part).update(before)
        counted = self._landed(landing, downs)
        for record, (path, frames) in crossed.items():
            if path.array is array and key_of(record) not in counted:
                self._strays[record] = path, frames
        return frozenset(key[:2] for key in counted)

    def _foresee_link(
        self,
        downs: dict[Path, int],
        time: int,
        _: Fabric,
        link: object,
        __: bool,
        since: tuple[int, int],
    ) -> None:
        for device, path in self._paths.values():
            if path in device.paths and link in self._hops(path) and (path.born, 0) <= since:
                downs[path] = min(time, downs.get(path, time))

    def _foresee(
        self,
        downs: dict[Path, int],
        landing: dict[Key, tuple[Path, Completion]],
        crossed: dict[Completion, tuple[Path, int]],
        array: Array,
        record: Completion,
    ) -> None:
        _, path = self._paths.get((array, record.nexus), (None, None))
        if record.kind == Kind.EVENT:
            if path and record.sense == EventCode.PATH_DOWN:
                downs[path] = min(record.time, downs.get(path, record.time))
            return
        path, frames = self._awaits(array, record)
        if path is None or record.time >= downs.get(path, record.time + 1):
            return
        through = self._cross_at(path, frames, record.time)
        if record.kind != Kind.TASK and record.ident >= FIRST:
            return  # no check of a lost array counts
        crossed[record] = path, frames
        if through is None:
            return
        late = record._replace(time=through)
        if self._in_time(late):
            landing[key_of(late)] = path, late

    def _awaits(self, array: Array, record: Completion) -> tuple[Path | None, int]:
        if record.kind == Kind.TASK:
            return self._waits_for(record), 1
        if record.ident >= FIRST:
            _, path = self._paths[array, record.nexus]
            return path if awaited(path, record) else None, 1
        io = self._ios.get(record.ident)
        if io is None or not io.waits_for(record.attempt) or not self._in_time(record):
            return None, 1
        return io.path, self._frames(io, record)

    def _in_time(self, record: Completion) -> bool:
        if record.kind == Kind.TASK:
            return self._waits_for(record) is not None
        io = self._ios[record.ident]
        assert io.sent_ns is not None
        timeout = max(io.timeout_ns, self.lookahead_ns)
        return not io.timeout_ns or record.time < io.sent_ns + timeout

    def _landed(
        self, landing: dict[Key, tuple[Path, Completion]], downs: dict[Path, int]
    ) -> frozenset[Key]:
        """Of what gets through, what finds its path up, and its device not reset."""
        up = {
            key: record
            for key, (path, record) in landing.items()
            if record.time < downs.get(path, record.time + 1)
        }
        resets = {k[0] & 0xFFFFFFFF: r for k, r in up.items() if k[1] == RESET_ATTEMPT}
        found = set()
        for key, record in up.items():
            if key[1] == RESET_ATTEMPT:
                found.add(key)
                continue
            io = self._ios.get(key[0])
            waits = io is not None and io.path is not None and io.attempt == key[1]
            if waits and record.kind != Kind.TASK:
                waits = self._in_time(record) and io.aborting is None
            if waits and not _outrun(resets.get(io.nexus), record):
                found.add(key)
        return frozenset(found)


def _outrun(reset: Completion | None, record: Completion) -> bool:
    """Whether a reset of its device lands before an answer does."""
    if reset is None or reset.time != record.time:
        return reset is not None and reset.time < record.time
    return record.kind != Kind.TASK or reset.ident < record.ident
