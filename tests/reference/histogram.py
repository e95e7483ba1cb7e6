"""Log-linear histograms in plain Python: exact below 32, then 32 buckets to a power of two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

LAST = 1279


def bucket_of(value: int) -> int:
    """Returns the bucket of a value."""
    if value < 32:
        return value
    exponent = value.bit_length() - 1
    if exponent >= 44:
        return LAST
    return (exponent - 4) * 32 + ((value >> (exponent - 5)) & 31)


def buckets(values: Iterable[int]) -> Counter[int]:
    """Returns how many values each bucket holds."""
    return Counter(bucket_of(value) for value in values)


def nearest_rank(values: list[int], ratio: float) -> int:
    """Returns the true percentile: the smallest value with this share at or below it."""
    ordered = sorted(values)
    rank = next(r for r in range(1, len(ordered) + 1) if r >= ratio * len(ordered) - 1e-9)
    return ordered[rank - 1]
