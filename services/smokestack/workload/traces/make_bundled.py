"""Makes the bundled trace: ninety seconds of a made-up database VM, the same bytes everywhere.

The database starts and replays its log (0-8 s); then it answers random reads, writes its log at
every commit, and checkpoints every 30 s.  Groups of users come in bursts.  At 60 s the morning's
report scans a table and sorts it in temporary space.  Extents are written before they are read, so
a thin volume has to go to its media for them; and between bursts the load is light, so a latency
hump shows a neighbour rather than the VM itself.

Run ``python -m smokestack.workload.traces.make_bundled`` to write the file anew.  All randomness is
Philox4x64-10 and all arithmetic is on integers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from smokestack.engine.records import BLOCK_BYTES, Op
from smokestack.workload.traces import vscsi1

SEED: Final = 1
DURATION_MS: Final = 90_000
CLOCK_US: Final = 5_000_000_000  # the recording host had been up for a while
SERIAL: Final = 7_000_000
SEGMENT_BYTES: Final = 4096

_KIB: Final = 1 << 10
_MIB: Final = 1 << 20
_GIB: Final = 1 << 30
EXTENT_BYTES: Final = 2 * _MIB
HOT_EXTENTS: Final = 96  # the busy table, scattered over 24 GiB
HOT_START_BYTES: Final = 2 * _GIB
HOT_STRIDE_BYTES: Final = 256 * _MIB
REPORT_EXTENTS: Final = 64  # the table that the report scans, in one piece
REPORT_START_BYTES: Final = 28 * _GIB
LOG_START_BYTES: Final = 32 * _GIB
LOG_BYTES: Final = 64 * _MIB
SORT_START_BYTES: Final = 38 * _GIB

RECOVERY_MS: Final = 8_000
BURSTS_MS: Final = (15_000, 22_500, 38_000, 52_000, 67_000, 81_000)
CHECKPOINTS_MS: Final = (20_000, 50_000, 80_000)
REPORT_MS: Final = 60_000


class Command(NamedTuple):
    """One command; sorted by time, then by who issued it first."""

    time_us: int
    op: Op
    offset_bytes: int
    length_bytes: int


def make() -> bytes:
    """Returns the trace, a file in format vscsi1."""
    parts = (_recovery(), _reads(), _log(), _bursts(), _checkpoints(), _report())
    commands = sorted((command for part in parts for command in part), key=lambda c: c.time_us)
    rows = np.zeros(len(commands), vscsi1.RECORD)
    rows["sn"] = SERIAL + np.arange(len(commands))
    rows["len"] = [c.length_bytes for c in commands]
    rows["nsg"] = [-(-c.length_bytes // SEGMENT_BYTES) for c in commands]
    rows["cmd"] = [c.op for c in commands]
    rows["ver"] = vscsi1.VERSION
    rows["lbn"] = [c.offset_bytes // BLOCK_BYTES for c in commands]
    rows["ts"] = [CLOCK_US + c.time_us for c in commands]
    return rows.tobytes()


def _recovery() -> Iterator[Command]:
    """Every extent is written once, as redo reaches it."""
    extents = [*map(_hot, range(HOT_EXTENTS)), *map(_report_extent, range(REPORT_EXTENTS))]
    step_us = RECOVERY_MS * 1000 // len(extents)
    for number, offset in enumerate(extents):
        time_us = number * step_us + _below(step_us, _words(0, number)[0])
        yield Command(time_us, Op.WRITE, offset, 64 * _KIB)


def _reads() -> Iterator[Command]:
    """Single rows, 25 a second, four in five of them from the warmest eighth of the table."""
    for ms in range(RECOVERY_MS, DURATION_MS):
        words = _words(1, ms)
        if _below(1000, words[0]) < 25:
            yield Command(ms * 1000 + _below(1000, words[1]), Op.READ, _row(words), 8 * _KIB)


def _log() -> Iterator[Command]:
    """Commits: 12 log writes a second, 60 while a burst's transactions end."""
    cursor = 0
    for ms in range(DURATION_MS):
        words = _words(2, ms)
        is_busy = any(start <= ms < start + 500 for start in BURSTS_MS)
        if _below(1000, words[0]) < (60 if is_busy else 12):
            length = (1 + _below(16, words[1])) * BLOCK_BYTES
            if cursor + length > LOG_BYTES:
                cursor = 0
            offset = LOG_START_BYTES + cursor
            cursor += length
            yield Command(ms * 1000 + _below(1000, words[2]), Op.WRITE, offset, length)


def _bursts() -> Iterator[Command]:
    """Eighty reads within a quarter of a second, when a group of users comes back."""
    for burst, start_ms in enumerate(BURSTS_MS):
        for number in range(80):
            words = _words(3, burst * 1000 + number)
            time_us = start_ms * 1000 + _below(250_000, words[1])
            yield Command(time_us, Op.READ, _row(words), 8 * _KIB)


def _checkpoints() -> Iterator[Command]:
    """Two hundred dirty pages in ascending order over four seconds."""
    for checkpoint, start_ms in enumerate(CHECKPOINTS_MS):
        numbers = range(checkpoint * 1000, checkpoint * 1000 + 200)
        offsets = sorted(_row(_words(4, number)) // (16 * _KIB) for number in numbers)
        for number, page in enumerate(offsets):
            time_us = start_ms * 1000 + number * 20_000
            yield Command(time_us, Op.WRITE, page * 16 * _KIB, 16 * _KIB)


def _report() -> Iterator[Command]:
    """A scan of 128 MiB in 12 s, then a sort that writes its runs and reads them back."""
    start_us = REPORT_MS * 1000
    for number in range(REPORT_EXTENTS * 8):
        offset = REPORT_START_BYTES + number * 256 * _KIB
        time_us = start_us + number * 24_000 + _below(4_000, _words(5, number)[0])
        yield Command(time_us, Op.READ, offset, 256 * _KIB)
    for number in range(120):
        op = Op.WRITE if number < 60 else Op.READ
        offset = SORT_START_BYTES + number % 60 * 64 * _KIB
        yield Command(start_us + 12_500_000 + number * 25_000, op, offset, 64 * _KIB)


def _hot(extent: int) -> int:
    return HOT_START_BYTES + extent * HOT_STRIDE_BYTES


def _report_extent(extent: int) -> int:
    return REPORT_START_BYTES + extent * EXTENT_BYTES


def _row(words: tuple[int, int, int, int]) -> int:
    """Returns the offset of a page of the busy table."""
    is_warm = words[2] % 5 < 4
    extent = _below(HOT_EXTENTS // 8 if is_warm else HOT_EXTENTS, words[3])
    page = (words[2] >> 32) * (EXTENT_BYTES // (8 * _KIB)) >> 32
    return _hot(extent) + page * 8 * _KIB


def _below(limit: int, word: int) -> int:
    return word * limit >> 64


def _words(stream: int, number: int) -> tuple[int, int, int, int]:
    """Returns four random words: Philox4x64-10 with key (SEED, 0), counter (number, stream)."""
    mask = (1 << 64) - 1
    k0, k1 = SEED, 0
    c0, c1, c2, c3 = number, stream, 0, 0
    for _ in range(10):
        p0, p1 = 0xD2E7470EE14C6C93 * c0, 0xCA5A826395121157 * c2
        c0, c1, c2, c3 = (p1 >> 64) ^ c1 ^ k0, p1 & mask, (p0 >> 64) ^ c3 ^ k1, p0 & mask
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & mask, (k1 + 0xBB67AE8584CAA73B) & mask
    return c0, c1, c2, c3


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("bundled.vscsi")
    target.write_bytes(make())
