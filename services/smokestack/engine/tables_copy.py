"""Copies of a kernel's tables: the rows in use, and of large tables only the words that are not 0.

State holds indices and never pointers, so a copy of the tables is a copy of the kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .errors import FailedPrecondition
from .plain import dtype_to_json
from .tables import Tables, zeros

_BYTES_MAX: Final = 1 << 40


@dataclass(frozen=True)
class Copying:
    """What of which table a copy needs; of the others it takes all rows appended, or just all."""

    sparse: frozenset[str] = frozenset()  # mostly zero: only what is not
    heads: Mapping[str, str] = field(default_factory=dict)  # as many rows as this field of state
    scratch: frozenset[str] = frozenset()  # means nothing between windows


@dataclass(frozen=True, eq=False)
class TableCopy:
    """One table: its length, the rows appended, and the content, dense from the first row on or
    the words of 8 bytes at some places."""

    length: int
    used: int
    layout: str
    content: NDArray[Any]
    places: NDArray[Any] | None = None

    @property
    def nbytes(self) -> int:
        """How much memory it takes."""
        return int(self.content.nbytes) + (0 if self.places is None else int(self.places.nbytes))


def copy_tables(tables: Tables, copying: Copying) -> dict[str, TableCopy]:
    """Returns copies of all tables."""
    return {name: _copied(tables, name, copying) for name in tables.order}


def _copied(tables: Tables, name: str, copying: Copying) -> TableCopy:
    table = tables[name]
    used = len(tables.used(name))
    layout = _layout(table.dtype)
    if name in copying.sparse:
        words = table[: used or len(table)].view(np.uint64)
        places = np.flatnonzero(words != 0)  # through booleans: four times as fast
        kept = places.astype(np.uint32 if len(words) < 1 << 32 else np.uint64)
        return TableCopy(len(table), used, layout, words[places], kept)
    rows = used or len(table)
    if name in copying.scratch:
        rows = 0
    elif name in copying.heads:
        rows = int(tables["state"][copying.heads[name]][0])
    return TableCopy(len(table), used, layout, _bytes_of(table[:rows]).copy().view(table.dtype))


def _bytes_of(rows: NDArray[Any]) -> NDArray[np.uint8]:
    """Returns rows as bytes: a copy by fields would leave what lies between these to chance."""
    return rows.view(np.uint8)


def checked_tables(
    tables: Tables, copies: Any, copying: Copying, service: str
) -> Callable[[], None]:
    """Checks copies of all tables; returns what puts fresh tables like them in place."""
    if not isinstance(copies, dict) or set(copies) != set(tables.order):
        raise _other_version(service, "other tables")
    for name, copy in copies.items():
        if not isinstance(copy, TableCopy) or copy.layout != _layout(tables[name].dtype):
            raise _other_version(service, f"another layout of its table {name}")
        _check_size(copy, tables[name].dtype, name in copying.sparse, f"{service}, table {name}")

    made = {name: _table_of(copy, tables[name].dtype) for name, copy in copies.items()}

    def put() -> None:
        for name, copy in copies.items():
            tables.put(name, made[name], copy.used)

    return put


def _table_of(copy: TableCopy, dtype: np.dtype[Any]) -> NDArray[Any]:
    table = zeros(copy.length, dtype)
    if copy.places is None:
        table[: len(copy.content)] = copy.content
    else:
        table.view(np.uint64)[copy.places] = copy.content
    return table


def _check_size(copy: TableCopy, dtype: np.dtype[Any], sparse: bool, where: str) -> None:
    fits = 0 <= copy.used <= copy.length and 0 < copy.length * dtype.itemsize <= _BYTES_MAX
    if sparse:
        words = copy.length * dtype.itemsize // 8
        fits = fits and copy.places is not None and copy.content.dtype == np.uint64
        fits = fits and copy.places is not None and len(copy.places) == len(copy.content)
        if fits and copy.places is not None and len(copy.places):
            fits = copy.places.dtype.kind == "u" and int(copy.places.max()) < words
    else:
        fits = fits and copy.places is None and copy.content.dtype == dtype
        fits = fits and len(copy.content) <= copy.length
    if not fits:
        raise _other_version(where, "a table that does not fit")


def _layout(dtype: np.dtype[Any]) -> str:
    return str(dtype_to_json(dtype))


def _other_version(service: str, what: str) -> FailedPrecondition:
    return FailedPrecondition(
        f"the snapshot has {what} of {service} than this version: restore it with the version "
        "that wrote it, or take it anew",
        reason="SNAPSHOT_VERSION",
        resource=service,
    )
