"""What the two binary formats of vscsiStats share: SCSI commands in records of one size.

The recorder stamps commands under a lock as the virtual SCSI adapter receives them, so times never
go back; the time unit is the microsecond.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from smokestack.workload.traces.records import Faults, Mask, assemble

TICK_NS: Final = 1000
READS: Final = (0x08, 0x28, 0x88, 0xA8)  # READ(6), (10), (16), (12)
WRITES: Final = (0x0A, 0x2A, 0x8A, 0xAA)  # WRITE(6), (10), (16), (12)
_NAMES: Final = {
    0x00: "TEST UNIT READY",
    0x03: "REQUEST SENSE",
    0x12: "INQUIRY",
    0x1A: "MODE SENSE(6)",
    0x25: "READ CAPACITY(10)",
    0x2E: "WRITE AND VERIFY(10)",
    0x35: "SYNCHRONIZE CACHE(10)",
    0x41: "WRITE SAME(10)",
    0x42: "UNMAP",
    0x83: "EXTENDED COPY",
    0x89: "COMPARE AND WRITE",
    0x91: "SYNCHRONIZE CACHE(16)",
    0x93: "WRITE SAME(16)",
    0x9E: "SERVICE ACTION IN(16)",
    0xA0: "REPORT LUNS",
}


def looks_like(head: bytes, record: np.dtype[Any], version_mask: int, version: int) -> bool:
    """Returns whether at least half of the records in ``head`` have the version."""
    rows = np.frombuffer(head, record, len(head) // record.itemsize)
    return len(rows) > 0 and 2 * int(((rows["ver"] & version_mask) == version).sum()) >= len(rows)


def read(
    data: bytes, record: np.dtype[Any], version_mask: int, version: int, volume: str
) -> npt.NDArray[Any]:
    """Returns the commands of a file of ``record``s whose masked version is ``version``."""
    size = record.itemsize
    count, rest = divmod(len(data), size)
    rows = np.frombuffer(data, record, count)
    faults = Faults(lambda i: f"offset {i * size}", count + 1)
    if volume:
        faults.note_end(0, f"volume {volume!r}: a vscsi trace holds one disk and does not name it")
        faults.refuse()
    versions = rows["ver"]
    faults.check(
        (versions & version_mask) != version,
        lambda i: f"version 0x{int(versions[i]):04x} is not 0x{version:04x}",
    )
    is_read: Mask = np.isin(rows["cmd"], READS)
    faults.check(
        ~is_read & ~np.isin(rows["cmd"], WRITES),
        lambda i: f"opcode {_opcode(int(rows['cmd'][i]))} is neither a READ nor a WRITE",
    )
    if rest:
        faults.note_end(count, f"the last record is cut short: {rest} of {size} bytes")
    return assemble(
        faults,
        ticks=rows["ts"].astype(np.uint64),
        tick_ns=TICK_NS,
        start_block=rows["lbn"].astype(np.uint64),
        length_bytes=rows["len"].astype(np.uint64),
        is_read=is_read,
    )


def _opcode(code: int) -> str:
    name = _NAMES.get(code)
    return f"0x{code:02x} ({name})" if name else f"0x{code:02x}"
