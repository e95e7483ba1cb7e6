"""Tables of kernel state: NumPy memory whose row layout the C kernel itself declares.

A kernel's ``layout()`` lists every field of every table, so the struct stands in one place.
Tables start on a cache line, since a row of 64 bytes is meant to be one.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

CACHE_LINE_BYTES = 64
HUGE_PAGE_BYTES = 2 << 20
HUGE_FROM_BYTES = 1 << 20  # a smaller table is reached through few pages anyway

Layout = Iterable[tuple[str, str, str, int, int]]


def dtypes(layout: Layout) -> dict[str, np.dtype[Any]]:
    """Returns each table's dtype by name, from a kernel's ``layout()``."""
    fields: dict[str, tuple[list[str], list[str], list[int], int]] = {}
    for table, field, fmt, offset, itemsize in layout:
        names, formats, offsets, _ = fields.setdefault(table, ([], [], [], itemsize))
        names.append(field)
        formats.append(fmt)
        offsets.append(offset)
    return {
        table: np.dtype(
            {"names": names, "formats": formats, "offsets": offsets, "itemsize": itemsize}
        )
        for table, (names, formats, offsets, itemsize) in fields.items()
    }


def zeros(rows: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Returns a table of zeroed rows that starts on a cache line."""
    size = rows * dtype.itemsize
    if size >= HUGE_FROM_BYTES:
        return _huge(size).view(dtype)
    raw = np.zeros(size + CACHE_LINE_BYTES, dtype=np.uint8)
    skip = -raw.ctypes.data % CACHE_LINE_BYTES
    return raw[skip : skip + size].view(dtype)


def _huge(size: int) -> NDArray[np.uint8]:
    """Returns zeroed memory in huge pages, where the system has them.

    I/Os touch large tables at random, and the walk to a small page would cost more than the row.
    """
    memory = mmap.mmap(-1, size + HUGE_PAGE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel without them
            memory.madvise(mmap.MADV_HUGEPAGE)
    raw = np.frombuffer(memory, dtype=np.uint8)
    skip = -raw.ctypes.data % HUGE_PAGE_BYTES
    return raw[skip : skip + size]


def grown(table: NDArray[Any], rows: int) -> NDArray[Any]:
    """Returns a table of at least ``rows`` rows (doubling) that begins with the given one's."""
    if rows <= len(table):
        return table
    larger = zeros(max(rows, 2 * len(table)), table.dtype)
    larger[: len(table)] = table
    return larger


class Tables:
    """A kernel's tables by name, growing by appended rows; binds the kernel anew when one moved.

    ``order`` is the kernel's argument order; ``columns`` gives the dtype of tables that are no
    struct of the kernel's layout.
    """

    def __init__(
        self,
        kernel_type: Any,
        layout: Layout,
        order: tuple[str, ...],
        columns: Mapping[str, np.dtype[Any]],
        rows: Mapping[str, int],
    ) -> None:
        self._kernel_type = kernel_type
        self._order = order
        types = {**dtypes(layout), **columns}
        self._tables = {name: zeros(rows.get(name, 1), types[name]) for name in order}
        self._used = dict.fromkeys(order, 0)
        self._kernel: Any = None

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Returns the whole table, unused rows included."""
        return self._tables[name]

    def number(self, name: str, column: str, row: int = 0) -> Any:
        """Returns one field as a plain number.

        Several times as fast as the row's own field, for NumPy makes an array of each of those.
        """
        return self._tables[name][column].item(row)

    def used(self, name: str) -> NDArray[Any]:
        """Returns the rows appended so far."""
        return self._tables[name][: self._used[name]]

    def append(self, name: str, rows: int = 1) -> int:
        """Adds zeroed rows; returns the index of the first."""
        first = self._used[name]
        self._used[name] = first + rows
        self.reserve(name, first + rows)
        return first

    def reserve(self, name: str, rows: int) -> None:
        """Makes the table at least this long."""
        if rows > len(self._tables[name]):
            self.replace(name, grown(self._tables[name], rows))

    def replace(self, name: str, table: NDArray[Any]) -> None:
        """Puts another array in a table's place."""
        self._tables[name] = table
        self._kernel = None

    @property
    def order(self) -> tuple[str, ...]:
        """The names of all tables."""
        return self._order

    def put(self, name: str, table: NDArray[Any], used: int) -> None:
        """Puts another array in a table's place, with so many rows of it appended."""
        self.replace(name, table)
        self._used[name] = used

    @property
    def kernel(self) -> Any:
        """The kernel, bound to the tables as they stand."""
        if self._kernel is None:
            self._kernel = self._kernel_type(*(self._tables[name] for name in self._order))
        return self._kernel
