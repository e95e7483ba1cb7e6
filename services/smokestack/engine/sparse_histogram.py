"""Sparse histograms as tables: rows that hold chunks of buckets only where values fell.

The buckets are those of ``histogram``; the C twin is sparse_histogram.h.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .histogram import BUCKETS, HISTOGRAM, SUB_COUNT

CHUNKS: Final = BUCKETS // SUB_COUNT
SPARSE_HISTOGRAM: Final = np.dtype(
    [
        ("count", "<u8"),
        ("sum", "<u8"),
        ("max", "<u8"),
        ("min", "<u8"),  # meaningless while count is 0
        ("chunk", "<u4", (CHUNKS,)),  # rows of the chunk table; 0: none
    ]
)
CHUNK: Final = np.dtype(f"V{4 * SUB_COUNT}")  # so many u32


def dense(rows: NDArray[Any], chunks: NDArray[Any]) -> NDArray[Any]:
    """Returns rows as dense histograms, shape as given, dtype HISTOGRAM."""
    full = np.zeros(rows.shape, HISTOGRAM)
    for field in ("count", "sum", "max", "min"):
        full[field] = rows[field]
    counts = chunks.view("<u4").reshape(-1, SUB_COUNT)
    buckets = counts[rows["chunk"]]  # the first chunk is never written: none is zeros
    full["bucket"] = buckets.reshape(*rows.shape, BUCKETS)
    return full


def chunk_octaves(rows: NDArray[Any], chunks: NDArray[Any]) -> NDArray[np.int64]:
    """Returns what `exposition.octaves` does of the same histograms: a chunk is an octave."""
    found = np.empty((len(rows), 2 + CHUNKS), np.int64)
    found[:, 0], found[:, 1] = rows["count"], rows["sum"]
    if len(rows):
        sums = chunks.view("<u4").reshape(-1, SUB_COUNT).sum(axis=1, dtype=np.int64)
        found[:, 2:] = sums[rows["chunk"]]
    return found
