"""Reads the traces of Tencent's cloud block storage: comma-separated, thousands of volumes a file.

Times are Unix seconds without decimals; offsets and sizes count 512-byte sectors; IOType is 0 for
a read and 1 for a write.  A volume is named by its VolumeID, and must be named where a file holds
more than one.  Commands of one second are replayed together at its beginning: nothing in the file
says how they were spread.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from smokestack.engine.records import BLOCK_BYTES
from smokestack.workload.traces.records import END_BYTES_MAX, LENGTH_BYTES_MAX, assemble
from smokestack.workload.traces.text import Table, matches

NAME: Final = "tencent"
COLUMNS: Final = ("Timestamp", "Offset", "Size", "IOType", "VolumeID")
DISORDER_NS: Final = 60_000_000_000
_LINE: Final = rb"\d+,\d+,\d+,[01],\d+"


def sniff(head: bytes) -> bool:
    """Returns whether one of the first lines has the five fields."""
    return matches(head, _LINE, COLUMNS)


def read(data: bytes, volume: str = "") -> npt.NDArray[Any]:
    """Returns the trace's commands."""
    table = Table(data, COLUMNS)
    table.choose_volume((4,), volume)
    ticks = table.integers(0, "timestamp", 9_000_000_000)
    start_block = table.integers(1, "offset", END_BYTES_MAX // BLOCK_BYTES)
    sectors = table.integers(2, "size", LENGTH_BYTES_MAX // BLOCK_BYTES)
    is_read = table.equal(3, b"0")
    table.faults.check(
        ~is_read & ~table.equal(3, b"1"),
        lambda i: f"the I/O type, {table.text(3, i)}, is neither 0 (read) nor 1 (write)",
    )
    table.integers(4, "volume id")
    return assemble(
        table.faults,
        ticks=ticks,
        tick_ns=1_000_000_000,
        start_block=start_block,
        length_bytes=sectors * np.uint64(BLOCK_BYTES),
        is_read=is_read,
        disorder_ns=DISORDER_NS,
    )
