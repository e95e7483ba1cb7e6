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
WIDE_CHUNK: Final = np.dtype(f"V{8 * SUB_COUNT}")  # or u64


def dense(rows: NDArray[Any], chunks: NDArray[Any]) -> NDArray[Any]:
    """Returns rows as dense histograms, shape as given, dtype HISTOGRAM."""
    full = np.zeros(rows.shape, HISTOGRAM)
    for field in ("count", "sum", "max", "min"):
        full[field] = rows[field]
    buckets = _counts(chunks)[rows["chunk"]]  # the first chunk is never written: none is zeros
    full["bucket"] = buckets.reshape(*rows.shape, BUCKETS)
    return full


def chunk_octaves(rows: NDArray[Any], chunks: NDArray[Any]) -> NDArray[np.int64]:
    """Returns a row (count, sum, counts by power of two) for each histogram; such rows add up."""
    found, some = _octaves(rows), rows["chunk"] != 0
    found[:, 2:][some] = _counts(chunks)[rows["chunk"][some]].sum(axis=1, dtype=np.int64)
    return found


def chunk_sums(chunks: NDArray[Any]) -> NDArray[np.int64]:
    """Returns what each chunk counts in all: `octaves_of` needs no more of them."""
    sums: NDArray[np.int64] = _counts(chunks).sum(axis=1, dtype=np.int64)
    return sums


def octaves_of(rows: NDArray[Any], sums: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns what `chunk_octaves` does, from the sums of all chunks."""
    found = _octaves(rows)
    found[:, 2:] = sums[rows["chunk"]]
    return found


def _octaves(rows: NDArray[Any]) -> NDArray[np.int64]:
    found = np.zeros((len(rows), 2 + CHUNKS), np.int64)
    found[:, 0], found[:, 1] = rows["count"], rows["sum"]
    return found


def merged(rows: NDArray[Any], chunks: NDArray[Any]) -> NDArray[Any]:
    """Returns one dense histogram (a table of one row) that counts what all the rows count."""
    whole = np.zeros(1, HISTOGRAM)
    filled = rows[rows["count"] > 0]
    if not len(filled):
        return whole
    for field in ("count", "sum"):
        whole[field] = filled[field].sum()
    whole["max"], whole["min"] = filled["max"].max(), filled["min"].min()
    counts, buckets = _counts(chunks), whole["bucket"].reshape(CHUNKS, SUB_COUNT)
    for octave in np.flatnonzero(filled["chunk"].any(axis=0)):
        buckets[octave] = counts[filled["chunk"][:, octave]].sum(axis=0)
    return whole


def _counts(chunks: NDArray[Any]) -> NDArray[Any]:
    width = chunks.itemsize // SUB_COUNT
    return chunks.view(f"<u{width}").reshape(-1, SUB_COUNT)
