"""Sizes: what a capacity range asks for, and what a volume can have."""

from __future__ import annotations

from typing import Final

from smokestack.csi.v1 import types_pb2 as types
from smokestack.engine.errors import InvalidArgument, OutOfRange

BLOCK_BYTES: Final = 512
VOLUME_BYTES_MIN: Final = BLOCK_BYTES  # as array.proto has them
VOLUME_BYTES_MAX: Final = 1 << 50
_DEFAULT_BYTES: Final = 1 << 30


def check_range(wanted: types.CapacityRange, field: str = "capacity_range") -> None:
    """Refuses a range that no size is in."""
    for name in ("required_bytes", "limit_bytes"):
        if getattr(wanted, name) < 0:
            raise InvalidArgument.at(f"{field}.{name}", f"{getattr(wanted, name)} is negative")
    if 0 < wanted.limit_bytes < wanted.required_bytes:
        raise OutOfRange(
            f"{field}: no size is at least {wanted.required_bytes} and at most "
            f"{wanted.limit_bytes} bytes"
        )


def new_size(wanted: types.CapacityRange, least_bytes: int = 0) -> int:
    """Returns the size of a new volume: the least of whole blocks that is in the range.

    ``least_bytes`` is what its source needs.
    """
    check_range(wanted)
    least = max(wanted.required_bytes, least_bytes)
    size = -(-least // BLOCK_BYTES) * BLOCK_BYTES
    if not least:
        limit = wanted.limit_bytes // BLOCK_BYTES * BLOCK_BYTES
        size = min(_DEFAULT_BYTES, limit) if wanted.limit_bytes else _DEFAULT_BYTES
    if not VOLUME_BYTES_MIN <= size <= VOLUME_BYTES_MAX or 0 < wanted.limit_bytes < size:
        limit_text = f", the limit is {wanted.limit_bytes}" if wanted.limit_bytes else ""
        raise OutOfRange(
            f"capacity_range: a volume has whole blocks of {BLOCK_BYTES} bytes, {VOLUME_BYTES_MIN} "
            f"to {VOLUME_BYTES_MAX} bytes in all; {max(size, least)} would be needed{limit_text}"
        )
    return size


def fits(size: int, wanted: types.CapacityRange) -> bool:
    """Whether a volume that there is has a size that is in the range."""
    return wanted.required_bytes <= size and not 0 < wanted.limit_bytes < size
