"""Reads the block traces of MSR Cambridge: comma-separated, one line per finished I/O.

Times are Windows file times (100 ns) of the issue; offsets and sizes are bytes.  Lines were written
as each CPU's event buffer was flushed, so they may stand out of order by some seconds; they are
sorted, equal times in the file's order.  A volume is named <Hostname>_<DiskNumber>, like the files.
"""

from __future__ import annotations

from typing import Any, Final

import numpy.typing as npt

from smokestack.workload.traces.records import assemble
from smokestack.workload.traces.text import Table, matches

NAME: Final = "msr-cambridge"
COLUMNS: Final = (
    "Timestamp",
    "Hostname",
    "DiskNumber",
    "Type",
    "Offset",
    "Size",
    "ResponseTime",
)
TICK_NS: Final = 100
DISORDER_NS: Final = 60_000_000_000
_LINE: Final = rb"\d+,[^,]*,\d+,(Read|Write),\d+,\d+,\d+"


def sniff(head: bytes) -> bool:
    """Returns whether one of the first lines has the seven fields."""
    return matches(head, _LINE, COLUMNS)


def read(data: bytes, volume: str = "") -> npt.NDArray[Any]:
    """Returns the trace's commands."""
    table = Table(data, COLUMNS)
    table.choose_volume((1, 2), volume)
    ticks = table.integers(0, "timestamp")
    table.integers(2, "disk number")
    is_read = table.equal(3, b"Read")
    table.faults.check(
        ~is_read & ~table.equal(3, b"Write"),
        lambda i: f"the type, {table.text(3, i)}, is neither Read nor Write",
    )
    start_block = table.blocks(4, "offset")
    length_bytes = table.integers(5, "size")
    table.integers(6, "response time")
    return assemble(
        table.faults,
        ticks=ticks,
        tick_ns=TICK_NS,
        start_block=start_block,
        length_bytes=length_bytes,
        is_read=is_read,
        disorder_ns=DISORDER_NS,
    )
