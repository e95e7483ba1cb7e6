"""By which values of its labels each row of a level is known."""

from __future__ import annotations

from typing import Final

from .parameter import At
from .reading import Reading

OPERATIONS: Final = ("read", "write", "other")


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
