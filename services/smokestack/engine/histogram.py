"""Log-linear latency histograms as tables: 32 buckets to each power of two (see histogram.h).

A row counts nanoseconds.  A bucket is at most 1/32 of its least value wide, so its middle is off
by at most 1.6 %; from 2^44 ns (4.9 hours) on all values share the last bucket.  Histograms of
parts add up to that of the whole, so a device's is the sum of its paths'.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

SUB_BITS: Final = 5
SUB_COUNT: Final = 1 << SUB_BITS
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

# Metrics count below 2^10 ns (1 us) to 2^36 ns (69 s): borders of buckets, so they count exactly.
PROMETHEUS_EXPONENTS: Final = range(10, 37)


def lower_bounds() -> NDArray[np.int64]:
    """Returns each bucket's least value, in ns."""
    index = np.arange(BUCKETS, dtype=np.int64)
    exponent = np.maximum(index >> SUB_BITS, 1) - 1
    mantissa = np.where(index < 1 << SUB_BITS, index, (index & 31) + 32)
    bounds: NDArray[np.int64] = mantissa << exponent
    return bounds


def buckets(rows: NDArray[Any]) -> NDArray[np.int64]:
    """Returns a row (count, sum, counts by bucket) for each histogram; such rows add up."""
    found = np.empty((len(rows), 2 + BUCKETS), np.int64)
    found[:, 0], found[:, 1], found[:, 2:] = rows["count"], rows["sum"], rows["bucket"]
    return found


def percentile_ns(row: Any, ratio: float) -> int:
    """Returns the value below which a share of the counts lies, off by at most 1.6 %; 0 if none.

    It is the nearest-rank percentile.  The middle of the bucket is given, but never less than the
    least or more than the greatest value counted, which ranks 1 and count give exactly.
    """
    count = int(row["count"])
    if count == 0:
        return 0
    least, most = int(row["min"]), int(row["max"])
    rank = -(-Fraction(repr(float(ratio))) * count // 1)  # in decimals as written: 0.07 of 100 is 7
    if rank <= 1:
        return least
    if rank >= count:
        return most
    index = int(np.searchsorted(np.cumsum(row["bucket"]), np.uint64(int(rank))))
    lower = lower_bounds()
    upper = int(lower[index + 1]) if index + 1 < BUCKETS else most + 1
    return max(least, min((int(lower[index]) + upper - 1) // 2, most))
