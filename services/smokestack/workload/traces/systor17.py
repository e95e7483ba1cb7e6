"""Reads the SYSTOR '17 traces of a virtual desktop infrastructure: comma-separated, often gzipped.

Times are Unix seconds of the issue with nine decimals; offsets and sizes are bytes.  A line without
an IOType is a transaction whose response the recorder lost; the traces' own description says to
ignore those, and so it is done here.  Commands were written as their responses came, so they may
stand out of order by some seconds; they are sorted, equal times in the file's order.  A volume is
named by its LUN.
"""

from __future__ import annotations

from typing import Any, Final

import numpy.typing as npt

from smokestack.workload.traces.records import assemble
from smokestack.workload.traces.text import Table, matches

NAME: Final = "systor17"
COLUMNS: Final = ("Timestamp", "Response", "IOType", "LUN", "Offset", "Size")
DISORDER_NS: Final = 60_000_000_000
_LINE: Final = rb"\d+(\.\d+)?,[\d.]*,[RW]?,\d+,\d+,\d+"


def sniff(head: bytes) -> bool:
    """Returns whether one of the first lines has the six fields."""
    return matches(head, _LINE, COLUMNS)


def read(data: bytes, volume: str = "") -> npt.NDArray[Any]:
    """Returns the trace's commands."""
    table = Table(data, COLUMNS)
    table.keep(~table.equal(2, b""))
    table.choose_volume((3,), volume)
    ticks = table.nanoseconds(0, "timestamp")
    table.nanoseconds(1, "response time")
    is_read = table.equal(2, b"R")
    table.faults.check(
        ~is_read & ~table.equal(2, b"W"),
        lambda i: f"the I/O type, {table.text(2, i)}, is neither R nor W nor blank",
    )
    table.integers(3, "LUN")
    start_block = table.blocks(4, "offset")
    length_bytes = table.integers(5, "size")
    return assemble(
        table.faults,
        ticks=ticks,
        tick_ns=1,
        start_block=start_block,
        length_bytes=length_bytes,
        is_read=is_read,
        disorder_ns=DISORDER_NS,
    )
