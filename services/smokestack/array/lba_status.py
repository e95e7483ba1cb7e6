"""GET LBA STATUS: which ranges of a volume are mapped, anchored or deallocated (FACTS 4.4)."""

from __future__ import annotations

from enum import IntEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from smokestack.engine.checks import in_range

from .specs import Provisioning
from .state import PAGE_NUMBER_BITS

if TYPE_CHECKING:
    from .inventory import ArrayInventory

COUNT_MAX: Final = 10_000


class LbaState(IntEnum):
    """What a range is; the standard's numbers plus 1."""

    MAPPED = 1
    DEALLOCATED = 2  # it has no page, and reads as zeros
    ANCHORED = 3  # it was not written, and has space for when it is


class LbaRange(NamedTuple):
    """Bytes of a volume that are alike."""

    offset_bytes: int
    length_bytes: int
    state: LbaState


def lba_status(
    array: ArrayInventory, volume_id: str, offset_bytes: int, count: int
) -> tuple[list[LbaRange], int]:
    """Returns up to so many ranges from an offset on, and where the next one begins; 0: nowhere."""
    spec = array.volumes[volume_id]
    in_range("offset_bytes", offset_bytes, 0, spec.capacity_bytes - 1)
    in_range("page_size", count, 0, COUNT_MAX)
    page = array.pools[spec.pool_id].page_bytes
    keys = array.state["page"]["key"]
    bits = np.uint64(PAGE_NUMBER_BITS)
    mine = keys[keys >> bits == np.uint64(array.row_of("volumes", volume_id) + 1)]
    numbers = np.sort((mine & np.uint64((1 << PAGE_NUMBER_BITS) - 1)).astype(np.int64))
    turns = np.flatnonzero(np.diff(numbers) != 1) + 1
    runs = [run for run in np.split(numbers, turns) if len(run)]
    ends = [0, *(end for run in runs for end in (run[0], run[-1] + 1))]
    edges = [min(int(end) * page, spec.capacity_bytes) for end in ends] + [spec.capacity_bytes]
    thin = spec.provisioning is Provisioning.THIN
    empty = LbaState.DEALLOCATED if thin else LbaState.ANCHORED
    found: list[LbaRange] = []
    for place, (begin, end) in enumerate(pairwise(edges)):
        first = max(begin, offset_bytes)
        if first >= end:
            continue
        if len(found) == (count or 1_000):
            return found, first
        found.append(LbaRange(first, end - first, LbaState.MAPPED if place % 2 else empty))
    return found, 0
