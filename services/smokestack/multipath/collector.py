"""Multipath's metrics, read from its tables at a scrape; the I/O path touches none.

A path is labelled {host, path, lun}, a device {host, lun}: `lun` is the logical unit's name
("a1.v1"), the same in every service's metrics, so that they join on it.  A nexus has the labels
that its array gives it, a link {fabric, link}.  What there is to tell stands in `parameters`.
"""

from __future__ import annotations

from smokestack.engine.border import BorderLock
from smokestack.engine.exposition import Level, Samples, virtual_time

from .model import MultipathModel
from .parameters import PARAMETERS
from .parameters.keys import keys
from .parameters.parameter import PROBED, At
from .parameters.places import Found
from .parameters.reading import read_all


class MultipathCollector:
    """Reads one multipath layer."""

    def __init__(self, model: MultipathModel, border: BorderLock) -> None:
        self.name = model.name
        self._model = model
        self._border = border
        self._levels = {at: Level(*at.labels) for at in PARAMETERS}
        self._found: list[Found] = []  # whose the next are: they last as long
        self._keys: dict[At, list[tuple[str, ...]]] = {}

    def collect(self) -> list[Samples]:
        """Copies what the tables say at a border, and writes it down after."""
        reading = read_all(self._model, self._border)
        if reading.found is not self._found:
            self._found, self._keys = reading.found, {}
        samples = [virtual_time(self.name, reading.now_ns)]
        for at, parameters in PARAMETERS.items():
            if reading.probing or at not in PROBED:
                if at not in self._keys:
                    self._keys[at] = keys(reading, at)
                rows = self._levels[at].rows(self._keys[at])
                samples += [parameter.samples(rows, reading) for parameter in parameters]
        return samples
