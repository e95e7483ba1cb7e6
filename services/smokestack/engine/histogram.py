"""Log-linear latency histograms as tables: 32 buckets to each power of two (see histogram.h).

A row counts nanoseconds.  Histograms of parts add up to that of the whole, so a device's is the
sum of its paths'.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

SUB_BITS: Final = 5
VALUE_BITS: Final = 44
BUCKETS: Final = (VALUE_BITS - SUB_BITS + 1) << SUB_BITS

HISTOGRAM: Final = np.dtype(
    [
        ("count", "<u8"),
        ("sum", "<u8"),
        ("max", "<u8"),
        ("min", "<u8"),  # meaningless while count is 0
        ("bucket", "<u8", (BUCKETS,)),
    ]
)


def lower_bounds() -> NDArray[np.int64]:
    """Returns each bucket's least value, in ns."""
    index = np.arange(BUCKETS, dtype=np.int64)
    exponent = np.maximum(index >> SUB_BITS, 1) - 1
    mantissa = np.where(index < 1 << SUB_BITS, index, (index & 31) + 32)
    return mantissa << exponent


def merge(rows: NDArray[Any]) -> NDArray[Any]:
    """Returns one histogram (a table of one row) that counts what all the rows count."""
    merged = np.zeros(1, HISTOGRAM)
    if len(rows):
        for field in ("count", "sum", "bucket"):
            merged[field][0] = rows[field].sum(axis=0)
        merged["max"][0] = rows["max"].max()
        filled = rows["count"] > 0
        merged["min"][0] = rows["min"][filled].min() if filled.any() else 0
    return merged


def percentile_ns(row: Any, ratio: float) -> int:
    """Returns the value below which a share of the counts lies, off by at most 1.6 %; 0 if none.

    The middle of the bucket is given, but never more than the greatest value counted.
    """
    count = int(row["count"])
    if count == 0:
        return 0
    rank = min(max(int(np.ceil(ratio * count)), 1), count)
    index = int(np.searchsorted(np.cumsum(row["bucket"]), rank))
    lower = lower_bounds()
    upper = int(lower[index + 1]) if index + 1 < BUCKETS else int(row["max"]) + 1
    return min((int(lower[index]) + upper - 1) // 2, int(row["max"]))
