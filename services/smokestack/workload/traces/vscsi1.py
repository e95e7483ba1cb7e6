"""Reads vscsiStats traces, version 1: little-endian records of 32 bytes, no header.

Assumes the layout that ESX wrote: lengths in bytes, addresses in 512-byte blocks, times in
microseconds of the host's clock.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from smokestack.workload.traces import vscsi

NAME: Final = "vscsi1"
VERSION: Final = 0x0100
RECORD: Final = np.dtype(
    [
        ("sn", "<u4"),  # serial number
        ("len", "<u4"),
        ("nsg", "<u4"),  # scatter-gather elements
        ("cmd", "<u2"),  # SCSI operation code
        ("ver", "<u2"),
        ("lbn", "<u8"),
        ("ts", "<u8"),
    ]
)
_VERSION_MASK: Final = 0xFFFF


def sniff(head: bytes) -> bool:
    """Returns whether the records of ``head`` have the version where version 1 keeps it."""
    return vscsi.looks_like(head, RECORD, _VERSION_MASK, VERSION)


def read(data: bytes, volume: str = "") -> npt.NDArray[Any]:
    """Returns the trace's commands."""
    return vscsi.read(data, RECORD, _VERSION_MASK, VERSION, volume)
