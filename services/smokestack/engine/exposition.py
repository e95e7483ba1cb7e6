"""Prometheus text from tables: what stays the same is prepared, a scrape only fills in numbers.

A sample's name and labels change when the inventory does, its value at every scrape.  So each set
of labelled rows keeps, per family, a template with a place for every value; filling it costs a
tenth of a microsecond a sample.  Templates are filled piece by piece, so that other threads run
between the pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .histogram import BUCKETS, PROMETHEUS_EXPONENTS, SUB_BITS, SUB_COUNT

_PIECE_SAMPLES: Final = 4096  # about half a millisecond
_NS: Final = 10**9
_OCTAVES: Final = BUCKETS // SUB_COUNT
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
    pieces: list[bytes]


class Level:
    """One kind of labelled thing (port, nexus, path …); its rows stay prepared while they last."""

    def __init__(self, *labels: str) -> None:
        self._labels = labels
        self._keys: Sequence[tuple[str, ...]] = ()
        self._rows = Rows(())

    def rows(self, keys: Sequence[tuple[str, ...]]) -> Rows:
        """Returns the rows with these label values, prepared anew only when they differ."""
        if keys != self._keys:
            if len(set(keys)) != len(keys):
                raise ValueError(f"two rows have the same {', '.join(self._labels)}")
            self._rows = Rows(tuple(label_text(self._labels, key) for key in keys))
            self._keys = keys
        return self._rows


class Rows:
    """Label sets of a table's rows, in order, and the templates made from them."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        self._labels = labels
        self._templates: dict[tuple[str, ...], list[bytes]] = {}

    def counts(self, family: Family, values: Any) -> Samples:
        """Whole numbers, one a row."""
        values = np.asarray(values)
        return self._fill(family, lambda row: f"{family.name}{{{row}}} %d\n", 1, values.tolist())

    def numbers(self, family: Family, values: NDArray[np.float64]) -> Samples:
        """Real numbers, one a row; NaN where there is nothing to tell."""
        texts = [b"NaN" if isnan(v) else repr(v).encode() for v in values.tolist()]
        return self._fill(family, lambda row: f"{family.name}{{{row}}} %s\n", 1, texts)

    def split(self, family: Family, label: str, parts: Sequence[str], values: Any) -> Samples:
        """Whole numbers, one a row for each value of a further label."""
        extra = [f'{label}="{_escaped(part)}"' for part in parts]

        def lines(row: str) -> str:
            return "".join(f"{family.name}{{{row},{part}}} %d\n" for part in extra)

        values = np.asarray(values).ravel().tolist()
        return self._fill(family, lines, len(parts), values, tuple(parts))

    def states(self, family: Family, parts: Sequence[str], current: Any) -> Samples:
        """A row's state as one sample for each state that it can have: 1 for the current one."""
        one_hot = np.asarray(current)[:, None] == np.arange(len(parts))
        return self.split(family, "state", parts, one_hot.astype(np.int64))

    def latencies(self, family: Family, octaves: NDArray[Any]) -> Samples:
        """Histograms in seconds, one a row, from what `octaves` returns."""
        values = np.empty((len(octaves), len(_BOUNDS_NS) + 4), np.int64)
        values[:, :-4] = _below(octaves, _FIRST, len(_BOUNDS_NS))
        values[:, -4] = values[:, -1] = octaves[:, 0]
        values[:, -3], values[:, -2] = np.divmod(octaves[:, 1], _NS)
        bounds = [f"{bound / _NS!r}" for bound in _BOUNDS_NS]
        return self._buckets(family, bounds, "%d.%09d", values)

    def sizes(self, family: Family, octaves: NDArray[Any]) -> Samples:
        """Histograms in bytes, one a row, from what `octaves` returns."""
        values = np.empty((len(octaves), len(_SIZES) + 3), np.int64)
        values[:, :-3] = _below(octaves, _FIRST_SIZE, len(_SIZES))
        values[:, -3] = values[:, -1] = octaves[:, 0]
        values[:, -2] = octaves[:, 1]
        return self._buckets(family, [str(bound) for bound in _SIZES], "%d", values)

    def _buckets(
        self, family: Family, bounds: list[str], total: str, values: NDArray[np.int64]
    ) -> Samples:
        name = family.name

        def lines(row: str) -> str:
            buckets = "".join(f'{name}_bucket{{{row},le="{le}"}} %d\n' for le in [*bounds, "+Inf"])
            return f"{buckets}{name}_sum{{{row}}} {total}\n{name}_count{{{row}}} %d\n"

        return self._fill(family, lines, values.shape[1], values.ravel().tolist())

    def _fill(
        self,
        family: Family,
        lines: Callable[[str], str],
        width: int,
        values: list[Any],
        parts: tuple[str, ...] = (),
    ) -> Samples:
        if len(values) != len(self._labels) * width:
            raise ValueError(f"{family.name}: {len(values)} values for {len(self._labels)} rows")
        step = max(1, _PIECE_SAMPLES // width)
        templates = self._templates.get((family.name, *parts))
        if templates is None:
            texts = [lines(row.replace("%", "%%")) for row in self._labels]
            templates = [
                "".join(texts[at : at + step]).encode() for at in range(0, len(texts), step)
            ]
            self._templates[family.name, *parts] = templates
        step *= width
        return Samples(
            family,
            [
                template % tuple(values[at * step : (at + 1) * step])
                for at, template in enumerate(templates)
            ],
        )


def _below(octaves: NDArray[Any], first: int, bounds: int) -> NDArray[np.int64]:
    """Returns how many values are below each bound, from the end of an octave on."""
    below: NDArray[np.int64] = np.cumsum(octaves[:, 2:], axis=1)[:, first : first + bounds]
    return below


def octaves(histograms: NDArray[Any]) -> NDArray[np.int64]:
    """Returns a row (count, sum, counts by power of two) for each histogram; such rows add up."""
    rows = np.empty((len(histograms), 2 + _OCTAVES), np.int64)
    rows[:, 0], rows[:, 1] = histograms["count"], histograms["sum"]
    rows[:, 2:] = histograms["bucket"].reshape(-1, _OCTAVES, SUB_COUNT).sum(axis=2)
    return rows


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
