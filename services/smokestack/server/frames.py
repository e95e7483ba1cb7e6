"""Batches of records as messages and back: raw bytes behind a header, in parts when they are many.

Nothing here looks at single records in Python; a batch is copied once on its way out and not at all
on its way in, unless it comes in parts.
"""

from __future__ import annotations

import struct
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from smokestack.engine.errors import InvalidArgument
from smokestack.v1 import blockdevice_pb2 as pb

PROTOCOL_VERSION: Final = 1
PART_BYTES: Final = 1 << 20  # well below the 4 MiB that gRPC takes unless told otherwise
_HEADER: Final = struct.Struct("<qqIIII")  # engine.records.HEADER
_CONTINUES: Final = 1  # bit 0 of flags: the batch goes on in the next message
U32: Final = (1 << 32) - 1


class Frame(NamedTuple):
    """The header of a part, or of a whole batch."""

    until_ns: int
    next_ns: int
    epoch: int
    sequence: int
    rows: int
    continues: bool = False


def parts_of(records: NDArray[Any], frame: Frame) -> list[pb.Window]:
    """Returns the messages of a batch, the first ``frame.rows`` records; at least one."""
    until_ns, next_ns, epoch, sequence, rows, _ = frame
    rows_most = PART_BYTES // records.dtype.itemsize
    parts = []
    for start in range(0, max(rows, 1), rows_most):
        end = min(start + rows_most, rows)
        flags = _CONTINUES if end < rows else 0
        header = _HEADER.pack(until_ns, next_ns, epoch, sequence, end - start, flags)
        parts.append(pb.Window(header=header, records=records[start:end].tobytes()))
    return parts


def frame_of(window: pb.Window, itemsize: int) -> Frame:
    """Reads and checks a part's header; InvalidArgument says what is wrong with it."""
    if len(window.header) != _HEADER.size:
        raise InvalidArgument.at(
            "window.header", f"has {len(window.header)} bytes instead of {_HEADER.size}"
        )
    until_ns, next_ns, epoch, sequence, rows, flags = _HEADER.unpack(window.header)
    if flags & ~_CONTINUES:
        raise InvalidArgument.at("window.header", f"flags {flags:#x} has bits that mean nothing")
    if len(window.records) != rows * itemsize:
        raise InvalidArgument.at(
            "window.records",
            f"has {len(window.records)} bytes instead of {rows} records of {itemsize}",
        )
    return Frame(until_ns, next_ns, epoch, sequence, rows, bool(flags & _CONTINUES))


def records_of(parts: list[bytes], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Returns the records of a batch's parts, without a copy if there is one part."""
    return np.frombuffer(parts[0] if len(parts) == 1 else b"".join(parts), dtype)
