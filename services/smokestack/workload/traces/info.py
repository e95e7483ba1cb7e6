"""Describes a trace in a few numbers, ready for JSON."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from smokestack.engine.records import BLOCK_BYTES, Op

PAGE_BYTES: Final = 2 << 20  # what thin arrays commonly allocate at once
SIZES_SHOWN: Final = 10
_BLOCKS_PER_PAGE: Final = PAGE_BYTES // BLOCK_BYTES


def trace_info(records: npt.NDArray[Any]) -> dict[str, Any]:
    """Returns counts, bytes, duration, reach and the commonest sizes of a parsed trace."""
    is_read = records["op"] == Op.READ
    lengths = records["length"].astype(np.uint64)
    blocks = lengths // np.uint64(BLOCK_BYTES)
    ends = records["lba"] + blocks
    reads = int(is_read.sum())
    sizes, counts = np.unique(records["length"], return_counts=True)
    top = np.argsort(-counts, kind="stable")[:SIZES_SHOWN]
    return {
        "commands": len(records),
        "reads": reads,
        "writes": len(records) - reads,
        "read_bytes": int(lengths[is_read].sum()),
        "write_bytes": int(lengths[~is_read].sum()),
        "duration_seconds": int(records["time_ns"].max()) / 1e9 if len(records) else 0.0,
        "end_bytes": int(ends.max()) * BLOCK_BYTES if len(records) else 0,
        "sizes": [{"bytes": int(sizes[i]), "commands": int(counts[i])} for i in top],
        "page_bytes": PAGE_BYTES,
        "pages_touched": _pages(records["lba"], ends),
        "pages_written": _pages(records["lba"][~is_read], ends[~is_read]),
    }


def _pages(starts: npt.NDArray[np.uint64], ends: npt.NDArray[np.uint64]) -> int:
    """Returns how many distinct pages block ranges touch, however long the ranges are."""
    if not len(starts):
        return 0
    order = np.argsort(starts, kind="stable")
    first = (starts[order] // np.uint64(_BLOCKS_PER_PAGE)).astype(np.int64)
    behind = ((ends[order] - np.uint64(1)) // np.uint64(_BLOCKS_PER_PAGE)).astype(np.int64) + 1
    reached = np.maximum.accumulate(behind)  # pages below it are counted already
    before = np.concatenate((np.zeros(1, np.int64), reached[:-1]))
    return int(np.maximum(behind - np.maximum(first, before), 0).sum())
