"""Multipath's metrics, read from its tables at a scrape; the I/O path touches none.

A path is labelled {host, path, lun}, a device {host, lun}: `lun` is the logical unit's name
("a1.v1"), the same in every service's metrics, so that they join on it.  A nexus has the labels
that its array gives it, a link {fabric, link}.  What there is to tell stands in `parameters`.
"""

from __future__ import annotations

from typing import Final

from smokestack.engine.border import BorderLock
from smokestack.engine.exposition import Level, Samples, virtual_time

from .model import MultipathModel
from .parameters import PARAMETERS
from .parameters.exchanges import OPERATIONS
from .parameters.parameter import At
from .parameters.reading import Reading, read

_PROBED: Final = (At.NEXUS, At.EXCHANGE)


class MultipathCollector:
    """Reads one multipath layer."""

    def __init__(self, model: MultipathModel, border: BorderLock) -> None:
        self.name = model.name
        self._model = model
        self._border = border
        self._levels = {at: Level(*at.labels) for at in PARAMETERS}

    def collect(self) -> list[Samples]:
        """Copies what the tables say at a border, and writes it down after."""
        model = self._model
        with self._border.change():
            found = [(device, tuple(device.paths.values())) for device in model.all_devices()]
            reading = read(model, found, list(model.fabrics.all_links()))
        samples = [virtual_time(self.name, reading.now_ns)]
        for at, parameters in PARAMETERS.items():
            if reading.probing or at not in _PROBED:
                rows = self._levels[at].rows(keys(reading, at))
                samples += [parameter.samples(rows, reading) for parameter in parameters]
        return samples


def keys(reading: Reading, at: At) -> list[tuple[str, ...]]:
    """Returns the values of a level's labels, row by row."""
    if at is At.DEVICE:
        return [(device.host_id, device.name) for device, _ in reading.found]
    if at is At.ADAPTER:
        return [key for key, _ in reading.adapters]
    if at is At.LINK:
        return [(fabric.fabric_id, link.link_id) for fabric, link in reading.links]
    if at is At.FABRIC:
        return [(fabric,) for fabric in reading.fabrics]
    pairs = [(device, path) for device, paths in reading.found for path in paths]
    if at is At.PATH:
        return [(device.host_id, path.name, device.name) for device, path in pairs]
    nexuses = [(path.array_id, path.initiator, path.port, device.name) for device, path in pairs]
    if at is At.NEXUS:
        return list(nexuses)
    return [(*nexus, operation) for nexus in nexuses for operation in OPERATIONS]
