"""Sparse histograms as tests fill them, value by value."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smokestack.engine.histogram import SUB_COUNT, lower_bounds
from smokestack.engine.sparse_histogram import (
    CHUNK,
    SPARSE_HISTOGRAM,
    WIDE_CHUNK,
    chunk_octaves,
    chunk_sums,
    octaves_of,
)


def filled(
    parts: list[list[int]], chunk: np.dtype[Any] = WIDE_CHUNK
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Returns a row for each list of values, and the chunks of all."""
    rows = np.zeros(len(parts), SPARSE_HISTOGRAM)
    chunks = np.zeros(1 + 40 * len(parts), chunk)
    counts = chunks.view(f"<u{chunk.itemsize // SUB_COUNT}").reshape(-1, SUB_COUNT)
    used = 1
    for row, values in zip(rows, parts, strict=True):
        if values:
            row["min"], row["max"] = min(values), max(values)
        row["count"], row["sum"] = len(values), sum(values) % 2**64
        for value in values:
            bucket = int(np.searchsorted(lower_bounds(), min(value, 2**50), side="right")) - 1
            octave, place = divmod(bucket, SUB_COUNT)
            if not row["chunk"][octave]:
                row["chunk"][octave], used = used, used + 1
            counts[row["chunk"][octave]][place] += 1
    return rows, chunks


def octaves(parts: list[list[int]]) -> NDArray[np.int64]:
    """Returns what each list of values counts by octave, however it is read."""
    rows, chunks = filled(parts, CHUNK)
    found = chunk_octaves(rows, chunks)
    assert (found == octaves_of(*_summed(parts))).all()
    return found


def _summed(parts: list[list[int]]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    rows, chunks = filled(parts)
    return rows, chunk_sums(chunks)
