"""Gives back pages that a volume's hosts say are free, by management and not by their commands.

As by UNMAP only pages that lie whole in a range go, and a thick or full volume keeps all.  It is
made at a border, takes no time, and can be tried first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from smokestack.engine.checks import in_range, multiple_of
from smokestack.engine.errors import InvalidArgument
from smokestack.engine.event_kinds import EventKind
from smokestack.engine.records import BLOCK_BYTES

from .state import PAGE_NUMBER_BITS

if TYPE_CHECKING:
    from .model import ArrayModel

RANGES_MAX: Final = 10_000
_SHARED: Final = np.uint64(1 << 63)
_ONE_VOLUME: Final = np.uint64(1 << 32)


@dataclass(frozen=True)
class Unmapped:
    """What a volume gives up, and what of it nobody else has."""

    unmapped_bytes: int
    freed_bytes: int


def unmap_volume(
    model: ArrayModel, volume_id: str, ranges: Sequence[tuple[int, int]], only_try: bool
) -> Unmapped:
    """Takes from a volume the pages that lie whole in ranges of offset and length, or would."""
    model._present("volumes", model.volumes, volume_id)
    spec = model.volumes[volume_id]
    _check(ranges, spec.capacity_bytes)
    page_bytes = model.pools[spec.pool_id].page_bytes
    rows = _rows(model, volume_id, () if spec.reserves else ranges)
    freed_pages = _alone(model, volume_id, rows)
    told = Unmapped(len(rows) * page_bytes, freed_pages * page_bytes)
    if only_try or not len(rows):
        return told
    numbers = np.sort(rows["key"] & np.uint64((1 << PAGE_NUMBER_BITS) - 1))
    model.state.kernel.unmap(model.row_of("volumes", volume_id), numbers)
    event = model._tell(
        EventKind.VOLUME_UNMAPPED,
        f"volumes/{volume_id}",
        unmapped_bytes=told.unmapped_bytes,
        freed_bytes=told.freed_bytes,
    )
    if told.freed_bytes:
        model._space_gained(spec.pool_id, event)
    return told


def _check(ranges: Sequence[tuple[int, int]], capacity_bytes: int) -> None:
    in_range("ranges", len(ranges), 1, RANGES_MAX)
    for index, (offset_bytes, length_bytes) in enumerate(ranges):
        place = f"ranges[{index}]"
        in_range(f"{place}.offset_bytes", offset_bytes, 0, capacity_bytes - BLOCK_BYTES)
        in_range(f"{place}.length_bytes", length_bytes, BLOCK_BYTES, capacity_bytes - offset_bytes)
        if offset_bytes:
            multiple_of(f"{place}.offset_bytes", offset_bytes, BLOCK_BYTES)
        multiple_of(f"{place}.length_bytes", length_bytes, BLOCK_BYTES)
        if index and offset_bytes < sum(ranges[index - 1]):
            raise InvalidArgument.at(
                f"{place}.offset_bytes", "lies before the end of the range above: put them in order"
            )


def _rows(model: ArrayModel, volume_id: str, ranges: Sequence[tuple[int, int]]) -> NDArray[Any]:
    """Returns the rows of the page map that lie whole in ranges of a volume."""
    spec, table = model.volumes[volume_id], model.state["page"]
    page_bytes = model.pools[spec.pool_id].page_bytes
    number_bits = np.uint64(PAGE_NUMBER_BITS)
    mine = table[table["key"] >> number_bits == model.row_of("volumes", volume_id) + 1]
    number = (mine["key"] & np.uint64((1 << PAGE_NUMBER_BITS) - 1)).astype(np.int64)
    chosen = np.zeros(len(mine), dtype=bool)
    for offset_bytes, length_bytes in ranges:
        end = offset_bytes + length_bytes
        if end == spec.capacity_bytes:  # its last page may be cut short
            end = -(-end // page_bytes) * page_bytes
        first, after = -(-offset_bytes // page_bytes), end // page_bytes
        chosen |= (number >= first) & (number < after)
    found: NDArray[Any] = mine[chosen]
    return found


def _alone(model: ArrayModel, volume_id: str, rows: NDArray[Any]) -> int:
    """Returns how many of a volume's pages nobody else has."""
    shared = (rows["physical"] & _SHARED) != 0
    share = model.state["share"]
    pool = np.uint64(model.row_of("pools", model.volumes[volume_id].pool_id) + 1)
    only = share["key"][(share["key"] != 0) & (share["physical"] == _ONE_VOLUME)]
    keys = (pool << np.uint64(PAGE_NUMBER_BITS)) | (rows["physical"][shared] & ~_SHARED)
    return int(np.count_nonzero(~shared)) + int(np.isin(keys, only).sum())
