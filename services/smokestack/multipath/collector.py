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
from .parameters.parameter import PROBED
from .parameters.reading import read_all


class MultipathCollector:
    """Reads one multipath layer."""

    def __init__(self, model: MultipathModel, border: BorderLock) -> None:
        self.name = model.name
        self._model = model
        self._border = border
        self._levels = {at: Level(*at.labels) for at in PARAMETERS}

    def collect(self) -> list[Samples]:
        """Copies what the tables say at a border, and writes it down after."""
        with self._border.change():
            reading = read_all(self._model)
        samples = [virtual_time(self.name, reading.now_ns)]
        for at, parameters in PARAMETERS.items():
            if reading.probing or at not in PROBED:
                rows = self._levels[at].rows(keys(reading, at))
                samples += [parameter.samples(rows, reading) for parameter in parameters]
        return samples
