"""Splits comma-separated traces into columns without a Python step per line.

Every field is checked to the byte: a number is digits only, so a shifted column or a damaged line
is refused with its line number.  Quoting is not part of any of these formats.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from smokestack.engine.errors import InvalidArgument
from smokestack.engine.records import BLOCK_BYTES
from smokestack.workload.traces.records import Column, Faults, Mask

Bytes = npt.NDArray[np.uint8]
Positions = npt.NDArray[np.int64]

_INT64_DIGITS: Final = 19
_NANO_DIGITS: Final = 9
_SHOWN_BYTES: Final = 40


class Table:
    """The fields of a comma-separated file by column, and what is wrong with it so far."""

    def __init__(self, data: bytes, columns: Sequence[str]) -> None:
        self._data = data
        self._buffer: Bytes = np.frombuffer(data, np.uint8)
        starts, ends = _lines(self._buffer)
        header = ",".join(columns).encode()
        skip = int(len(starts) > 0 and data[starts[0] : ends[0]] == header)
        starts, ends = starts[skip:], ends[skip:]
        self.faults = Faults(lambda i: f"line {i + 1 + skip}", len(starts))
        self._starts, self._ends = self._fields(starts, ends, columns)

    def __len__(self) -> int:
        return len(self._starts)

    def text(self, column: int, row: int) -> str:
        """Returns one field as it may be shown in a message."""
        start, end = int(self._starts[row, column]), int(self._ends[row, column])
        return repr(self._data[start : min(end, start + _SHOWN_BYTES)])[1:]

    def equal(self, column: int, value: bytes) -> Mask:
        """Returns which fields of a column are exactly ``value``."""
        starts = self._starts[:, column]
        same: Mask = self._ends[:, column] - starts == len(value)
        for place, byte in enumerate(value):
            same[same] = self._buffer[starts[same] + place] == byte
        return same

    def keep(self, mask: Mask) -> None:
        """Drops the lines that are not in ``mask``."""
        self.faults.keep(mask)
        self._starts, self._ends = self._starts[mask], self._ends[mask]

    def choose_volume(self, columns: Sequence[int], volume: str) -> None:
        """Keeps one disk's lines; without a name, refuses the first line of a second disk.

        A disk's name is its fields joined by an underscore.
        """
        if not len(self):
            return
        first = self._volume(columns, 0)
        chosen = volume or first
        values = chosen.encode().rsplit(b"_", len(columns) - 1)
        same: Mask = np.full(len(self), len(values) == len(columns))
        for column, value in zip(columns, values, strict=False):
            same &= self.equal(column, value)
        if not volume:
            self.faults.check(
                ~same,
                lambda i: (
                    f"volume {self._volume(columns, i)!r} after {first!r}: "
                    "a replay drives one disk, so name the volume to read"
                ),
            )
        elif not same.any():
            self.faults.refuse()
            raise InvalidArgument.at(
                "trace.volume", f"{volume!r} is not in the file, which begins with {first!r}"
            )
        self.keep(same)

    def integers(self, column: int, what: str, limit: int = (1 << 63) - 1) -> Column:
        """Returns a column of whole numbers up to ``limit``."""
        starts, ends = self._starts[:, column], self._ends[:, column]
        values, bad = _decimal(self._buffer, starts, ends, _INT64_DIGITS)
        self.faults.check(
            bad, lambda i: f"the {what}, {self.text(column, i)}, is not a whole number"
        )
        self.faults.check(
            ~bad & (values > np.uint64(limit)),
            lambda i: f"the {what}, {self.text(column, i)}, is more than {limit}",
        )
        return values

    def blocks(self, column: int, what: str) -> Column:
        """Returns a column of byte offsets as block numbers."""
        values = self.integers(column, what)
        block = np.uint64(BLOCK_BYTES)
        self.faults.check(
            values % block != 0,
            lambda i: f"the {what}, {int(values[i])}, is not a multiple of {BLOCK_BYTES} bytes",
        )
        return values // block

    def nanoseconds(self, column: int, what: str) -> Column:
        """Returns a column of seconds with up to nine decimals as nanoseconds."""
        starts, ends = self._starts[:, column], self._ends[:, column]
        points = np.append(np.flatnonzero(self._buffer == ord(".")), len(self._buffer))
        point = np.minimum(points[np.searchsorted(points, starts)], ends)
        whole, bad_whole = _decimal(self._buffer, starts, point, _INT64_DIGITS - _NANO_DIGITS)
        fraction, bad_fraction = _decimal(
            self._buffer, np.minimum(point + 1, ends), ends, _NANO_DIGITS
        )
        digits = np.clip(ends - point - 1, 0, _NANO_DIGITS)
        has_fraction = point < ends
        bad = bad_whole | (whole > 9_000_000_000) | (has_fraction & bad_fraction)
        self.faults.check(
            bad, lambda i: f"the {what}, {self.text(column, i)}, is not a time in seconds"
        )
        scale = np.power(np.uint64(10), (_NANO_DIGITS - digits).astype(np.uint64))
        return whole * np.uint64(10**9) + np.where(has_fraction, fraction * scale, np.uint64(0))

    def _volume(self, columns: Sequence[int], row: int) -> str:
        fields = [
            self._data[int(self._starts[row, column]) : int(self._ends[row, column])]
            for column in columns
        ]
        return b"_".join(fields).decode("ascii", "replace")

    def _fields(
        self, starts: Positions, ends: Positions, columns: Sequence[str]
    ) -> tuple[Positions, Positions]:
        """Returns where each field begins and ends, of the lines before the first bad one."""
        commas = np.flatnonzero(self._buffer == ord(","))
        first = np.searchsorted(commas, starts)
        counts = np.searchsorted(commas, ends) - first + 1
        wanted = len(columns)
        bad: Mask = counts != wanted
        self.faults.check(
            bad,
            lambda i: f"{wanted} fields are needed ({','.join(columns)}), it has {counts[i]}",
        )
        count = int(bad.argmax()) if bad.any() else len(starts)
        starts, ends, first = starts[:count], ends[:count], first[:count]
        inner = commas[first[:, None] + np.arange(wanted - 1)]
        return np.column_stack((starts, inner + 1)), np.column_stack((inner, ends))


def matches(head: bytes, pattern: bytes, columns: Sequence[str]) -> bool:
    """Returns whether any of the first lines is the header or matches the pattern."""
    lines = head.splitlines()[:8]
    return any(line == ",".join(columns).encode() or re.fullmatch(pattern, line) for line in lines)


def _lines(buffer: Bytes) -> tuple[Positions, Positions]:
    """Returns where each line begins and ends; the last one may lack its newline."""
    ends = np.flatnonzero(buffer == ord("\n"))
    if len(buffer) and buffer[-1] != ord("\n"):
        ends = np.append(ends, len(buffer))
    starts = np.concatenate((np.zeros(min(len(ends), 1), np.int64), ends[:-1] + 1))
    has_return = (ends > starts) & (buffer[np.maximum(ends, 1) - 1] == ord("\r"))
    return starts, ends - has_return


def _decimal(
    buffer: Bytes, starts: Positions, ends: Positions, digits_max: int
) -> tuple[Column, Mask]:
    """Returns numbers written in digits, and which fields are none or have too many digits."""
    lengths = ends - starts
    bad: Mask = (lengths < 1) | (lengths > digits_max)
    values = np.zeros(len(starts), np.uint64)
    for place in range(digits_max):
        rows = np.flatnonzero((lengths > place) & ~bad)
        if not len(rows):
            break
        digits = buffer[starts[rows] + place] - np.uint8(ord("0"))
        bad[rows[digits > 9]] = True
        values[rows] = values[rows] * np.uint64(10) + digits
    return values, bad
