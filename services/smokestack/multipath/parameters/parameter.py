"""A parameter: its name and unit, what moves it, and how it is read from what a border had."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Literal

from smokestack.engine.exposition import Family, Rows, Samples

from .reading import Reading

Shape = Literal["count", "number", "states", "seconds", "bytes"]


class At(Enum):
    """What a parameter is one of, and by which labels a row of it is known."""

    PATH = ("path", ("host", "path", "lun"))
    NEXUS = ("itl", ("array", "initiator", "target", "lun"))
    EXCHANGE = ("itl", ("array", "initiator", "target", "lun", "op"))
    DEVICE = ("host,lun", ("host", "lun"))
    ADAPTER = ("host,hba", ("host", "hba"))
    LINK = ("link", ("fabric", "link"))
    FABRIC = ("fabric", ("fabric",))

    def __init__(self, level: str, labels: tuple[str, ...]) -> None:
        self.level = level
        self.labels = labels


PROBED: Final = (At.NEXUS, At.EXCHANGE)  # there is nothing to tell of these without a probe


@dataclass(frozen=True)
class Parameter:
    """One parameter; ``read`` gives a value for each row of its level."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    unit: str
    help: str
    cause: str
    read: Callable[[Reading], Any]
    shape: Shape = "count"
    states: tuple[str, ...] = ()  # of shape "states", in the order of what is read

    @property
    def family(self) -> Family:
        """The parameter as a metric."""
        return Family(self.name, self.kind, self.help)

    def samples(self, rows: Rows, reading: Reading) -> Samples:
        """Returns its samples, for these rows."""
        values = self.read(reading)
        if self.shape == "states":
            return rows.states(self.family, self.states, values)
        if self.shape == "number":
            return rows.numbers(self.family, values)
        if self.shape == "seconds":
            return rows.latencies(self.family, values)
        if self.shape == "bytes":
            return rows.sizes(self.family, values)
        return rows.counts(self.family, values)
