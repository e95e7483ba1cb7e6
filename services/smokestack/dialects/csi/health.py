"""How volumes are: by the array's ports and pools, or by the paths of one host."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from smokestack.csi.v1 import types_pb2 as types
from smokestack.v1 import array_pb2, multipath_pb2

from .storage import Storage

Entry = types.VolumeHealth.VolumeHealthEntry
_UNUSABLE: Final = (multipath_pb2.PATH_STATE_DEAD, multipath_pb2.PATH_STATE_DISABLED)
_LOST: Final = {
    multipath_pb2.DEVICE_STATE_APD: ("ALL_PATHS_DOWN", "has no path"),
    multipath_pb2.DEVICE_STATE_APD_TIMEOUT: ("ALL_PATHS_DOWN", "has had no path for too long"),
    multipath_pb2.DEVICE_STATE_PDL: ("PERMANENT_DEVICE_LOSS", "is gone: there is no such unit"),
}


def of_volumes(storage: Storage, volumes: Iterable[array_pb2.Volume]) -> list[types.VolumeHealth]:
    """Returns how volumes are as the array sees it: ports that are down, pools that are full."""
    ports = list(storage.ports())
    down = [port for port in ports if not port.link_up]
    shared = _entries(len(down), len(ports), "ports", "PORTS_DOWN", storage.name)
    full = {
        pool.name
        for pool in storage.pools()
        if pool.capacity_bytes - pool.allocated_bytes < pool.page_bytes
    }
    found = []
    for volume in volumes:
        entries = list(shared)
        if volume.pool in full:
            message = f"{volume.pool} is full: writes to new pages fail"
            entries.append(Entry(status=types.DEGRADED, reason="POOL_FULL", message=message))
        found.append(types.VolumeHealth(volume_id=volume.name, health_statuses=entries))
    return found


def of_device(device: multipath_pb2.Device, paths: Sequence[multipath_pb2.Path]) -> list[Entry]:
    """Returns what is wrong with a device: it is lost as a whole, or some of its paths are."""
    if device.state in _LOST:
        reason, what = _LOST[device.state]
        message = f"{device.name} {what}"
        return [Entry(status=types.INACCESSIBLE, reason=reason, message=message)]
    return of_paths(device.name, paths)


def of_paths(name: str, paths: Sequence[multipath_pb2.Path]) -> list[Entry]:
    """Returns what is wrong with paths, by their states."""
    lost = [path for path in paths if path.state in _UNUSABLE]
    return _entries(len(lost), len(paths), "paths", "PATHS_DEAD", name)


def _entries(bad: int, of: int, what: str, reason: str, name: str) -> list[Entry]:
    if not bad and of:
        return []
    status = types.INACCESSIBLE if bad == of else types.DEGRADED
    verb = "cannot be used" if of else "are there"
    return [Entry(status=status, reason=reason, message=f"{bad} of {of} {what} of {name} {verb}")]
