"""Prometheus text from tables: a scrape copies numbers, and writes them down while it is read.

A sample's name and labels change when the inventory does, its value at every scrape.  So each set
of labelled rows keeps its labels as text, and C puts the lines together (``render.h``), for a few
nanoseconds a sample and without Python's lock.  It does so piece by piece, when a piece is asked
for: a scrape of millions of samples takes the memory of their numbers, not that of their text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from . import _core
from .histogram import PROMETHEUS_EXPONENTS, SUB_BITS

_PIECE_SAMPLES: Final = 8192  # about a megabyte
_INTEGER, _SECONDS, _TEXT = b"d", b"n", b"t"  # how values are written, as in render.h
_NS: Final = 10**9
_NAMES: Final = {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}
# Bounds include themselves, and a latency is a whole number of ns: what is below 2^k is at most
# 2^k - 1, so these counts are exact.
_BOUNDS_NS: Final = tuple((1 << k) - 1 for k in PROMETHEUS_EXPONENTS)
_FIRST: Final = PROMETHEUS_EXPONENTS[0] - SUB_BITS  # the octave that ends below the first bound
# The same of sizes in bytes, 1 KiB to 16 MiB.
_SIZES: Final = tuple((1 << k) - 1 for k in range(10, 25))
_FIRST_SIZE: Final = 10 - SUB_BITS


@dataclass(frozen=True)
class Family:
    """A metric: its name and unit, its kind, and what it says."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str

    @property
    def header(self) -> bytes:
        """The lines that stand before its samples."""
        text = self.help.replace("\\", r"\\").replace("\n", r"\n")
        return f"# HELP {self.name} {text}\n# TYPE {self.name} {self.kind}\n".encode()


class Samples(NamedTuple):
    """Samples of one family as text, in pieces of whole lines."""

    family: Family
    pieces: Sequence[bytes]


class Pieces(Sequence[bytes]):
    """The samples of some rows, each piece written when it is asked for."""

    def __init__(
        self,
        rows: Rows,
        lines: tuple[tuple[bytes, bytes], ...],
        kinds: bytes,
        values: NDArray[Any],
        texts: bytes,
    ) -> None:
        self._rows = rows
        self._lines = lines
        self._kinds = kinds
        self._values = values
        self._texts = texts
        self._step = max(1, _PIECE_SAMPLES // max(1, len(lines)))

    def __len__(self) -> int:
        return -(-len(self._rows) // self._step) if self._lines else 0

    @overload
    def __getitem__(self, at: int) -> bytes: ...
    @overload
    def __getitem__(self, at: slice) -> list[bytes]: ...
    def __getitem__(self, at: int | slice) -> bytes | list[bytes]:
        if isinstance(at, slice):
            return [self[index] for index in range(*at.indices(len(self)))]
        index = range(len(self))[at]
        first = index * self._step
        count = min(self._step, len(self._rows) - first)
        labels = (self._rows.text, self._rows.ends)
        values = (self._values, self._texts)
        return _core.render(self._lines, self._kinds, *labels, *values, first, count)


class Level:
    """One kind of labelled thing (port, nexus, path …); its rows stay prepared while they last."""

    def __init__(self, *labels: str) -> None:
        self._labels = labels
        self._keys: Sequence[tuple[str, ...]] = ()
        self._rows = Rows(())

    def rows(self, keys: Sequence[tuple[str, ...]]) -> Rows:
        """Returns the rows with these label values, prepared anew only when they differ."""
        if keys is not self._keys and keys != self._keys:
            if len(set(keys)) != len(keys):
                raise ValueError(f"two rows have the same {', '.join(self._labels)}")
            self._rows = Rows(tuple(label_text(self._labels, key) for key in keys))
            self._keys = keys
        return self._rows


class Rows:
    """Label sets of a table's rows, in order."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        encoded = [label.encode() for label in labels]
        self.text = b"".join(encoded)
        self.ends = np.zeros(len(labels) + 1, np.int64)  # the first, and the end of each
        np.cumsum([len(label) for label in encoded], out=self.ends[1:])

    def __len__(self) -> int:
        return len(self.ends) - 1

    def counts(self, family: Family, values: Any) -> Samples:
        """Whole numbers, one a row."""
        return self._lines(family, _plain(family), _INTEGER, _whole(values))

    def numbers(self, family: Family, values: NDArray[np.float64]) -> Samples:
        """Real numbers, one a row; NaN where there is nothing to tell."""
        places, texts = _texts(np.asarray(values, dtype=np.float64))
        return self._lines(family, _plain(family), _TEXT, places, texts)

    def split(self, family: Family, label: str, parts: Sequence[str], values: Any) -> Samples:
        """Whole numbers, one a row for each value of a further label."""
        prefix = f"{family.name}{{".encode()
        lines = tuple((prefix, f',{label}="{_escaped(part)}"}} '.encode()) for part in parts)
        return self._lines(family, lines, _INTEGER * len(parts), _whole(values))

    def states(self, family: Family, parts: Sequence[str], current: Any) -> Samples:
        """A row's state as one sample for each state that it can have: 1 for the current one."""
        one_hot = np.asarray(current)[:, None] == np.arange(len(parts))
        return self.split(family, "state", parts, one_hot.astype(np.int64))

    def latencies(self, family: Family, octaves: NDArray[Any]) -> Samples:
        """Histograms in seconds, one a row, from what `chunk_octaves` returns."""
        values = _buckets(octaves, _FIRST, len(_BOUNDS_NS))
        bounds = [f"{bound / _NS!r}" for bound in _BOUNDS_NS]
        return self._histogram(family, bounds, _SECONDS, values)

    def sizes(self, family: Family, octaves: NDArray[Any]) -> Samples:
        """Histograms in bytes, one a row, from what `chunk_octaves` returns."""
        values = _buckets(octaves, _FIRST_SIZE, len(_SIZES))
        return self._histogram(family, [str(bound) for bound in _SIZES], _INTEGER, values)

    def _histogram(
        self, family: Family, bounds: list[str], sum_kind: bytes, values: NDArray[np.int64]
    ) -> Samples:
        name = family.name.encode()
        lines = [(name + b"_bucket{", f',le="{le}"}} '.encode()) for le in [*bounds, "+Inf"]]
        lines += [(name + b"_sum{", b"} "), (name + b"_count{", b"} ")]
        kinds = _INTEGER * (len(bounds) + 1) + sum_kind + _INTEGER
        return self._lines(family, tuple(lines), kinds, values)

    def _lines(
        self,
        family: Family,
        lines: tuple[tuple[bytes, bytes], ...],
        kinds: bytes,
        values: NDArray[np.int64],
        texts: bytes = b"",
    ) -> Samples:
        if values.size != len(self) * len(lines):
            raise ValueError(f"{family.name}: {values.size} values for {len(self)} rows")
        return Samples(family, Pieces(self, lines, kinds, values, texts))


def _plain(family: Family) -> tuple[tuple[bytes, bytes], ...]:
    return ((f"{family.name}{{".encode(), b"} "),)


def _texts(values: NDArray[np.float64]) -> tuple[NDArray[np.int64], bytes]:
    """Returns numbers as Python writes them, each once, and the place and length of each row's."""
    distinct, at = np.unique(values, return_inverse=True)
    texts = [_NAMES.get(text, text).encode() for text in map(repr, distinct.tolist())]
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    places = np.cumsum(lengths) - lengths
    return (places << 8 | lengths)[at.reshape(-1)], b"".join(texts)


def _whole(values: Any) -> NDArray[np.int64]:
    """Returns numbers as the text needs them: a copy, for tables' columns go on changing."""
    return np.array(values, dtype=np.int64, order="C")


def _buckets(octaves: NDArray[Any], first: int, bounds: int) -> NDArray[np.int64]:
    """Returns a histogram's samples: below each bound, below infinity, the sum and the count."""
    values = np.empty((len(octaves), bounds + 3), np.int64)
    values[:, :bounds] = _below(octaves, first, bounds)
    values[:, bounds] = values[:, bounds + 2] = octaves[:, 0]
    values[:, bounds + 1] = octaves[:, 1]
    return values


def _below(octaves: NDArray[Any], first: int, bounds: int) -> NDArray[np.int64]:
    """Returns how many values are below each bound, from the end of an octave on."""
    below: NDArray[np.int64] = np.cumsum(octaves[:, 2:], axis=1)[:, first : first + bounds]
    return below


def label_text(labels: Sequence[str], values: Sequence[str]) -> str:
    """Returns labels as they stand between braces."""
    pairs = zip(labels, values, strict=True)
    return ",".join(f'{label}="{_escaped(value)}"' for label, value in pairs)


def virtual_time(service: str, now_ns: int) -> Samples:
    """Returns a service's clock; rates divided by its rate are rates in virtual time."""
    line = f'{_VIRTUAL_TIME.name}{{service="{_escaped(service)}"}} {now_ns // _NS}'
    return Samples(_VIRTUAL_TIME, [f"{line}.{now_ns % _NS:09d}\n".encode()])


_VIRTUAL_TIME: Final = Family(
    "smokestack_virtual_time_seconds_total",
    "counter",
    "Virtual time that windows have run to; it stands still while nobody advances the clock.",
)


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
