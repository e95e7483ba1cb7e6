"""Reads vscsiStats traces, version 2: little-endian records of 40 bytes, no header.

Assumes, like the public readers, that the version's high byte decides the layout.  The recorded
response times are not used: a replay finds its own.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from smokestack.workload.traces import vscsi

NAME: Final = "vscsi2"
VERSION: Final = 0x0200
RECORD: Final = np.dtype(
    [
        ("cmd", "<u2"),  # SCSI operation code
        ("ver", "<u2"),
        ("sn", "<u4"),  # serial number
        ("len", "<u4"),
        ("nsg", "<u4"),  # scatter-gather elements
        ("lbn", "<u8"),
        ("ts", "<u8"),
        ("rt", "<u8"),  # response time, microseconds
    ]
)
_VERSION_MASK: Final = 0xFF00


def sniff(head: bytes) -> bool:
    """Returns whether the records of ``head`` have the version where version 2 keeps it."""
    return vscsi.looks_like(head, RECORD, _VERSION_MASK, VERSION)


def read(data: bytes, volume: str = "") -> npt.NDArray[Any]:
    """Returns the trace's commands."""
    return vscsi.read(data, RECORD, _VERSION_MASK, VERSION, volume)
