"""Builds trace records from a format's columns, refusing the first fault in file order.

Checks run on whole columns; each notes only its first fault, and the earliest of all is raised,
as if the file had been read command by command.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from smokestack.engine.errors import InvalidArgument
from smokestack.engine.records import BLOCK_BYTES, TRACE, Op

Mask = npt.NDArray[np.bool_]
Column = npt.NDArray[np.uint64]

DURATION_NS_MAX: Final = 1 << 62  # 146 years
LENGTH_BYTES_MAX: Final = (1 << 32) - BLOCK_BYTES
END_BYTES_MAX: Final = 1 << 63


class Faults:
    """The earliest fault of a file; ``place`` says where its n-th command stands."""

    def __init__(self, place: Callable[[int], str], count: int) -> None:
        self._place = place
        self._index: npt.NDArray[np.int64] | None = None
        self._first = count
        self._reason = ""

    def keep(self, mask: Mask) -> None:
        """Tells that the masks of later checks are of these commands only."""
        kept = np.flatnonzero(mask)
        self._index = kept if self._index is None else self._index[kept]

    def check(self, bad: Mask, reason: Callable[[int], str]) -> None:
        """Notes the first ``bad`` command; ``reason`` is given its place in the mask."""
        if not bad.any():
            return
        position = int(bad.argmax())
        index = position if self._index is None else int(self._index[position])
        if index < self._first:
            self._first = index
            self._reason = reason(position)

    def note_end(self, count: int, reason: str) -> None:
        """Notes a fault behind the last of ``count`` commands, where the rest is missing."""
        if not self._reason:
            self._first = count
            self._reason = reason

    def refuse(self) -> None:
        """Raises the earliest fault, if there is any."""
        if self._reason:
            raise InvalidArgument.at("trace", f"{self._place(self._first)}: {self._reason}")


def assemble(
    faults: Faults,
    *,
    ticks: Column,
    tick_ns: int,
    start_block: Column,
    length_bytes: Column,
    is_read: Mask,
    disorder_ns: int = 0,
) -> npt.NDArray[Any]:
    """Returns the commands in ascending time from the first, equal times in the file's order.

    ``disorder_ns`` is how far the format lets a command stand behind a later one.
    """
    _check_blocks(faults, start_block, length_bytes)
    # Times may be near 2 ** 64 (a recorder's own clock), so differences are taken unsigned.
    latest = np.maximum.accumulate(ticks)
    back_limit = np.uint64(disorder_ns // tick_ns)
    faults.check(
        latest - ticks > back_limit,
        lambda i: f"time goes back by {int(latest[i] - ticks[i]) * tick_ns / 1e9:,.6f} s",
    )
    faults.check(
        latest - ticks[:1] > np.uint64(DURATION_NS_MAX // tick_ns),
        lambda i: f"time {int(ticks[i])} is more than 146 years after the first command",
    )
    faults.refuse()
    if not len(ticks):
        raise InvalidArgument.at("trace", "the file holds no command")
    records = np.zeros(len(ticks), dtype=TRACE)
    records["time_ns"] = (ticks - ticks.min()) * np.uint64(tick_ns)
    records["lba"] = start_block
    records["length"] = length_bytes
    records["op"] = np.where(is_read, np.uint8(Op.READ), np.uint8(Op.WRITE))
    if np.any(latest != ticks):
        records = records[np.argsort(records["time_ns"], kind="stable")]
    records.setflags(write=False)
    return records


def _check_blocks(faults: Faults, start_block: Column, length_bytes: Column) -> None:
    block = np.uint64(BLOCK_BYTES)
    faults.check(length_bytes == 0, lambda _: "the length is 0")
    faults.check(
        length_bytes % block != 0,
        lambda i: f"the length, {int(length_bytes[i])}, is not a multiple of {BLOCK_BYTES} bytes",
    )
    faults.check(
        length_bytes > LENGTH_BYTES_MAX,
        lambda i: f"the length, {int(length_bytes[i])}, is more than {LENGTH_BYTES_MAX} bytes",
    )
    blocks_max = np.uint64(END_BYTES_MAX // BLOCK_BYTES)
    blocks = np.minimum(length_bytes // block, blocks_max)
    faults.check(
        (start_block > blocks_max) | (start_block > blocks_max - blocks),
        lambda i: f"block {int(start_block[i])} ends behind 2 ** 63 bytes",
    )
