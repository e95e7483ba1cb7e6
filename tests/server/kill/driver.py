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
from smokestack.engine.records import SUBMISSION, Kind, Op, Status
from smokestack.server.link import GrpcDevice

from .clients import HOSTS, PAGE

_WINDOW_NS: Final = 500_000
_WRITES: Final = 64  # of a window
_WINDOWS_OF_A_SCAN: Final = 20


@dataclass
class Written:
    """Pages by (volume, page): all that were asked for, and when each was answered first."""

    asked: set[tuple[str, int]] = field(default_factory=set)
    answered: dict[tuple[str, int], float] = field(default_factory=dict)
    reached: list[tuple[float, int]] = field(default_factory=list)  # wall time, virtual time
    count: int = 0


class Driver:
    """Drives one array, in one connection after another."""

    def __init__(self, rng: random.Random) -> None:
        self.written = Written()
        self._rng = rng
        self._epoch = self._id = 0

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
                page = asked.pop(int(record["id"]), None)
                if page and record["kind"] == Kind.RESPONSE and record["status"] == Status.GOOD:
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
            nexus = self._rng.choice(usable)
            page = self._rng.randrange(nexus.capacity_bytes // PAGE)
            self._id += 1
            record["id"], record["nexus"], record["lba"] = self._id, nexus.index, page * PAGE // 512
            asked[self._id] = (nexus.volume.partition(".")[2], page)
            self.written.asked.add(asked[self._id])
        return IoBatch(records, count)
