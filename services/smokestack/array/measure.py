"""How much space volumes have together: a page that several of them have counts once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from .inventory import ArrayInventory

_NUMBER_BITS: Final = np.uint64(40)  # of a page in its volume; pages.h has the same numbers
_SHARED: Final = np.uint64(1 << 63)


def distinct_bytes(
    array: ArrayInventory, volumes: Sequence[str], with_snapshots: bool = False
) -> int:
    """Returns the bytes of the pages that the volumes have; all of them exist."""
    state = array.state
    held = [array.row_of("volumes", volume) for volume in volumes]
    if with_snapshots:
        held += [array.row_of("snapshots", snapshot) for snapshot in array.snapshots]
    rows = np.array(held, dtype=np.int64)
    page = state["page"][: len(state["page"]) if state.row["share_count"] else 0]
    key, physical = page["key"], page["physical"]
    shared = np.flatnonzero((key != 0) & ((physical & _SHARED) != 0))
    owner = (key[shared] >> _NUMBER_BITS).astype(np.int64) - 1
    chosen = np.isin(owner, rows)
    owner, number = owner[chosen], physical[shared[chosen]] & ~_SHARED
    total = 0
    for pool_id in array.pools:
        pool = array.row_of("pools", pool_id)
        mine = rows[state["volume"]["pool"][rows] == pool]
        own = np.isin(owner, mine)
        pages = int(state["volume"]["allocated_pages"][mine].sum()) - int(own.sum())
        pages += len(np.unique(number[own]))
        total += pages * int(state["pool"]["page_bytes"][pool])
    return total
