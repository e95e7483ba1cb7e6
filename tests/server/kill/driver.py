"""The I/O of a kill run: a driver that writes to all that it sees, and notes what was answered."""

from __future__ import annotations

import random
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from smokestack.engine.blockdevice import Attachment, IoBatch, Nexus, PeerLost
from smokestack.engine.errors import Refused
from smokestack.engine.records import (
    COPY_UNIT_BYTES,
    RESET_ATTEMPT,
    SUBMISSION,
    VALUE_MAX,
    Kind,
    Op,
    Sense,
    Status,
    Task,
    compared,
    copy_from,
    copy_lba,
)
from smokestack.server.link import GrpcDevice

from .clients import HOSTS, PAGE

_WINDOW_NS: Final = 500_000
_WRITES: Final = 64  # of a window
_WINDOWS_OF_A_SCAN: Final = 20
_LOCK_PAGES: Final = 16  # at the end of each volume for I/O: nothing else is written there
_BLOCK: Final = 512
_DID_NOTHING: Final = (Status.CHECK_CONDITION, Status.BUSY, Status.TASK_SET_FULL)


@dataclass
class Lock:
    """What COMPARE AND WRITE has given a block: values as asked for, and when each was answered."""

    values: list[int] = field(default_factory=lambda: [0])
    answered: list[float | None] = field(default_factory=lambda: [0.0])

    def allowed(self, safe: float) -> set[int]:
        """The values that it may have after a kill: the last safe one, or one asked for since."""
        kept = [n for n, wall in enumerate(self.answered) if wall is not None and wall <= safe]
        return set(self.values[max(kept, default=0) :])


@dataclass
class Written:
    """Pages by (volume, page): all that were asked for, and when each was answered first."""

    asked: set[tuple[str, int]] = field(default_factory=set)
    answered: dict[tuple[str, int], float] = field(default_factory=dict)
    reached: list[tuple[float, int]] = field(default_factory=list)  # wall time, virtual time
    count: int = 0
    locks: dict[tuple[str, int], Lock] = field(default_factory=dict)  # by volume and block
    missed: int = 0  # that found another value: nobody else gives them any
    locked: int = 0  # COMPARE AND WRITE commands that were answered GOOD


class Driver:
    """Drives one array, in one connection after another."""

    def __init__(self, rng: random.Random) -> None:
        self.written = Written()
        self._rng = rng
        self._epoch = self._id = 0
        self._locking: dict[int, Lock] = {}

    def run(self, address: str, now_ns: int, over: threading.Event) -> None:
        """Writes until the array is gone."""
        with suppress(PeerLost, Refused):
            device = GrpcDevice(address)
            try:
                self._run(device, now_ns, over)
            finally:
                device.close()

    def _run(self, device: GrpcDevice, now_ns: int, over: threading.Event) -> None:
        self._epoch += 1
        start_ns = now_ns + self._rng.choice((0, 1, 10**6))  # its clock catches up
        device.attach(Attachment("tests/kill", self._epoch, 7, start_ns, device.lookahead_ns))
        initiators = [f"{host}-{fabric}" for host in HOSTS for fabric in "ab"]
        asked: dict[int, tuple[str, int]] = {}
        self._locking.clear()
        windows = 0
        nexuses: tuple[Nexus, ...] = ()
        while not over.is_set():
            if windows % _WINDOWS_OF_A_SCAN == 0:
                nexuses = device.report_luns(initiators)
            windows += 1
            batch = self._batch(nexuses, start_ns, asked)
            start_ns += _WINDOW_NS
            reply = device.exchange(start_ns, batch)
            now = time.monotonic()
            self.written.reached.append((now, start_ns))
            for record in reply.records[: reply.count]:
                good = record["kind"] == Kind.RESPONSE and record["status"] == Status.GOOD
                lock = self._locking.pop(int(record["id"]), None)
                if lock and good:
                    lock.answered[-1] = now
                    self.written.locked += 1
                elif lock and record["status"] in _DID_NOTHING:
                    lock.values.pop()
                    lock.answered.pop()
                    self.written.missed += int(record["sense"]) == Sense.MISCOMPARE
                page = asked.pop(int(record["id"]), None)
                if page and good:
                    self.written.answered.setdefault(page, now)
                    self.written.count += 1

    def _batch(
        self, nexuses: tuple[Nexus, ...], start_ns: int, asked: dict[int, tuple[str, int]]
    ) -> IoBatch:
        usable = [nexus for nexus in nexuses if nexus.usable]
        count = _WRITES if usable else 0
        records = np.zeros(count, SUBMISSION)
        records["time"] = start_ns + np.arange(count) * (_WINDOW_NS // _WRITES)
        records["op"], records["length"] = Op.WRITE, PAGE
        for record in records:
            self._id += 1
            record["id"] = self._id
            nexus = self._rng.choice(usable)
            record["nexus"] = nexus.index
            chance = self._rng.random()
            if chance < 0.002:
                self._reset(record)
            elif chance > 0.05 or not self._lock(record, nexus):
                self._write(record, nexus, asked, usable, chance)
        return IoBatch(records, count)

    def _reset(self, record: np.void) -> None:
        """Resets a unit, or all behind a port: what they had goes unanswered."""
        record["op"] = self._rng.choice((Task.LOGICAL_UNIT_RESET, Task.TARGET_RESET))
        record["attempt"], record["length"], record["lba"] = RESET_ATTEMPT, 0, 0

    def _lock(self, record: np.void, nexus: Nexus) -> bool:
        """Gives a block its next value, unless nobody knows what it has."""
        volume = nexus.volume.partition(".")[2]
        if not volume.startswith("io-"):
            return False
        first = nexus.capacity_bytes // _BLOCK - _LOCK_PAGES * PAGE // _BLOCK
        block = first + self._rng.randrange(_LOCK_PAGES * PAGE // _BLOCK)
        lock = self.written.locks.setdefault((volume, block), Lock())
        if lock.answered[-1] is None:
            return False
        old = lock.values[-1]
        new = old % VALUE_MAX + 1
        record["op"], record["lba"], record["length"] = Op.COMPARE_AND_WRITE, block, _BLOCK
        record["flags"] = compared(old, new)
        lock.values.append(new)
        lock.answered.append(None)
        self._locking[int(record["id"])] = lock
        self.written.asked.add((volume, block * _BLOCK // PAGE))
        return True

    def _write(
        self,
        record: np.void,
        nexus: Nexus,
        asked: dict[int, tuple[str, int]],
        usable: list[Nexus],
        chance: float,
    ) -> None:
        volume = nexus.volume.partition(".")[2]
        pages = nexus.capacity_bytes // PAGE
        if volume.startswith("io-"):
            pages -= _LOCK_PAGES
        page = self._rng.randrange(pages)
        record["lba"] = page * PAGE // _BLOCK
        if chance < 0.1 and volume.startswith("io-"):
            page = self._copy(record, page, usable)
        asked[self._id] = (volume, page)
        self.written.asked.add(asked[self._id])

    def _copy(self, record: np.void, page: int, usable: list[Nexus]) -> int:
        """Makes a write a copy of what another volume for I/O has there; returns its page."""
        sources = [nexus for nexus in usable if nexus.volume.startswith("a1.io-")]
        page -= page % (COPY_UNIT_BYTES // PAGE)
        lba = page * PAGE // _BLOCK
        record["op"], record["lba"] = Op.COPY, copy_lba(lba, lba)
        record["vm"] = copy_from(self._rng.choice(sources).index)
        return page
