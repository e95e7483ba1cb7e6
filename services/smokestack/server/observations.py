"""What an audit reads of a stack: hosts first, then arrays, so that what runs is no contradiction.

Whoever is read later has seen at least as much: commands that a host had answered, an array has
answered by then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from smokestack.v1 import array_pb2, multipath_pb2
from smokestack.v1 import simulation_pb2 as simulation

from .topology import Part

_EVENTS = 10_000  # newest of a kind that are looked at


@dataclass
class HostView:
    """What multipath layers have seen."""

    devices: dict[str, Any] = field(default_factory=dict)  # by full name
    paths: dict[str, list[Any]] = field(default_factory=dict)  # by device
    now_ns: int = 0
    lost: set[str] = field(default_factory=set)  # arrays whose process was found gone

    def read(self, part: Part) -> None:
        """Reads one layer."""
        hosts = multipath_pb2.ListMultipathHostsRequest(parent=part.name)
        for host in part.all("ListMultipathHosts", hosts, "multipath_hosts"):
            request = multipath_pb2.ListDevicesRequest(parent=host.name)
            for device in part.all("ListDevices", request, "devices"):
                listing = multipath_pb2.ListPathsRequest(parent=device.name)
                self.paths[device.name] = list(part.all("ListPaths", listing, "paths"))
                self.devices[device.name] = device
        self.now_ns = part.from_ns
        newest: dict[str, str] = {}
        for event in _events(part, "PEER_LOST", "PEER_RETURNED"):
            newest.setdefault(event.subject, event.kind)
        self.lost |= {subject for subject, kind in newest.items() if kind == "PEER_LOST"}


@dataclass
class ArrayView:
    """What one array says."""

    name: str
    ports: dict[str, Any] = field(default_factory=dict)  # by full name, as all of these
    pools: dict[str, Any] = field(default_factory=dict)
    volumes: dict[str, Any] = field(default_factory=dict)
    exports: set[tuple[str, str]] = field(default_factory=set)  # volume, host's identifier
    attached: int = 0  # how often a driver took it
    space: dict[str, Any] = field(default_factory=dict)  # newest event about a pool's space
    links: dict[str, int] = field(default_factory=dict)  # when a port's link moved last

    def read(self, part: Part) -> None:
        """Reads the array."""
        for event in _events(part, "POOL_EXHAUSTED", "POOL_SPACE_AVAILABLE"):
            self.space.setdefault(event.subject, event)
        for event in _events(part, "PORT_UP", "PORT_DOWN"):
            self.links.setdefault(event.subject, event.time_ns)
        self.attached = len(_events(part, "DRIVER_ATTACHED"))
        exports = array_pb2.ListExportsRequest(parent=part.name)
        for export in part.all("ListExports", exports, "exports"):
            self.exports.add((export.volume, export.host.rpartition("/")[2]))
        for collection, request in (
            ("ports", array_pb2.ListPortsRequest(parent=part.name)),
            ("pools", array_pb2.ListPoolsRequest(parent=part.name)),
            ("volumes", array_pb2.ListVolumesRequest(parent=part.name)),
        ):
            found = part.all(f"List{collection.capitalize()}", request, collection)
            getattr(self, collection).update({one.name: one for one in found})

    def refusals(self) -> Iterator[tuple[Any, int]]:
        """Yields pools that have refused a write and gained no space since; what it needed."""
        for name, event in self.space.items():
            if event.kind == "POOL_EXHAUSTED" and name in self.pools:
                details = {detail.key: detail.number for detail in event.details}
                yield self.pools[name], details["missing_bytes"]


def _events(part: Part, *kinds: str) -> list[Any]:
    """Returns a service's events of these kinds, newest first."""
    request = simulation.ListEventsRequest(kinds=kinds, newest_first=True, page_size=_EVENTS)
    return list(part.clock.ListEvents(request).events)


class Seen:
    """All that is read for one audit."""

    def __init__(self, parts: list[Part]) -> None:
        self.hosts = HostView()
        self.arrays: list[ArrayView] = []
        for part in parts:
            if part.kind == "multipaths":
                part.read(self.hosts.read)
        for part in parts:
            if part.kind == "arrays":
                array = ArrayView(part.name)
                part.read(array.read)
                if part.answered:
                    self.arrays.append(array)

    def offline(self) -> set[str]:
        """Returns the volumes that their arrays say are offline."""
        return {
            name
            for array in self.arrays
            for name, volume in array.volumes.items()
            if volume.state == array_pb2.VOLUME_STATE_OFFLINE
        }


@dataclass(frozen=True)
class Heard:
    """What hosts had answered by a volume, and what of their waiting was the array's."""

    count: int
    array_ns: int


@dataclass
class Joined:
    """One array beside what its hosts have seen of it."""

    array: ArrayView
    hosts: HostView
    devices: list[Any]
    devices_of: dict[str, list[Any]]  # by volume

    def paths(self, device: Any) -> list[Any]:
        """Returns a device's paths."""
        return self.hosts.paths[device.name]

    def is_exported(self, device: Any) -> bool:
        """Whether the array still shows the volume to the device's host."""
        return (device.volume, device.name.split("/")[3]) in self.array.exports

    def is_heard(self, port: Any) -> bool:
        """Whether hosts must have heard of the last change of a port's link."""
        moved_ns = self.array.links.get(port.name, 0)
        return self.hosts.now_ns > moved_ns + int(port.return_latency_ns)

    def heard(self, volume: str) -> Heard | None:
        """Returns what hosts had answered by a volume; None: the two cannot be compared."""
        if self.array.attached > 1 or self.array.name in self.hosts.lost:
            return None  # it counts anew since it was started anew
        count = array_ns = 0
        for device in self.devices_of.get(volume, ()):
            for path in self.paths(device):
                port = self.array.ports.get(path.port)
                if port is None:
                    return None
                fabric_ns = port.forward_latency_ns + port.return_latency_ns
                count += path.io_count
                array_ns += path.io_count * (path.mean_response_ns - fabric_ns)
        return Heard(count, array_ns)


def joined(seen: Seen, array: ArrayView) -> Joined:
    """Returns an array with the devices that stand for its volumes."""
    mine = [d for d in seen.hosts.devices.values() if d.volume.startswith(f"{array.name}/")]
    by_volume: dict[str, list[Any]] = {}
    for device in mine:
        by_volume.setdefault(device.volume, []).append(device)
    return Joined(array, seen.hosts, mine, by_volume)
