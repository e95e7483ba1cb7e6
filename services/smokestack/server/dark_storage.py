"""Where all space of the arrays is: each byte in exactly one category (FACTS 7, proposed there).

An array knows what nobody is shown, a host what it has found, a hypervisor what its VMs use; dark
is what each takes for another's.  A volume has one category.  Its pages have that one too, unless
another volume that is nearer to use has them as well: so unions of pages are measured, from what is
in use outwards, and each category has what the union grows by.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from smokestack.engine.errors import NotFound
from smokestack.engine.paging import page
from smokestack.v1 import array_pb2, hypervisor_pb2, multipath_pb2
from smokestack.v1 import estate_pb2 as pb

from .topology import Part

RAW_UNCONFIGURED: Final = pb.DARK_STORAGE_CATEGORY_RAW_UNCONFIGURED
POOL_FREE: Final = pb.DARK_STORAGE_CATEGORY_POOL_FREE
SNAPSHOT: Final = pb.DARK_STORAGE_CATEGORY_SNAPSHOT
NEVER_WRITTEN: Final = pb.DARK_STORAGE_CATEGORY_ALLOCATED_NEVER_WRITTEN
UNASSIGNED: Final = pb.DARK_STORAGE_CATEGORY_UNASSIGNED
UNCLAIMED: Final = pb.DARK_STORAGE_CATEGORY_UNCLAIMED
CLAIMED_NO_FS: Final = pb.DARK_STORAGE_CATEGORY_CLAIMED_NO_FS
UNKNOWN: Final = pb.DARK_STORAGE_CATEGORY_UNKNOWN
IN_USE: Final = pb.DARK_STORAGE_CATEGORY_IN_USE
ALL: Final = (
    *(RAW_UNCONFIGURED, POOL_FREE, SNAPSHOT, NEVER_WRITTEN),
    *(UNASSIGNED, UNCLAIMED, CLAIMED_NO_FS, UNKNOWN, IN_USE),
)
REDUNDANCY: Final = pb.DARK_STORAGE_CATEGORY_REDUNDANCY  # of arrays whose drives are counted
DARK: Final = (UNASSIGNED, UNCLAIMED, CLAIMED_NO_FS)
_OF_VOLUMES: Final = (IN_USE, UNKNOWN, CLAIMED_NO_FS, UNCLAIMED, UNASSIGNED)  # nearest to use first


@dataclass
class ArraySpace:
    """One array as it was read."""

    part: Part
    raw_bytes: int = 0  # of drives; 0: not counted
    raw_free_bytes: int = 0
    pools: list[Any] = field(default_factory=list)
    volumes: dict[str, Any] = field(default_factory=dict)  # by full name
    hosts: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # by volume
    snapshots: list[Any] = field(default_factory=list)

    def read(self, part: Part) -> None:
        """Reads the array."""
        name = part.name
        array = part.api.GetArray(array_pb2.GetArrayRequest(name=name))
        self.raw_bytes, self.raw_free_bytes = array.raw_bytes, array.raw_free_bytes
        exports = array_pb2.ListExportsRequest(parent=name)
        for export in part.all("ListExports", exports, "exports"):
            self.hosts[export.volume].add(export.host.rpartition("/")[2])
        volumes = array_pb2.ListVolumesRequest(parent=name)
        self.volumes = {v.name: v for v in part.all("ListVolumes", volumes, "volumes")}
        snapshots = array_pb2.ListVolumeSnapshotsRequest(parent=name)
        self.snapshots = list(part.all("ListVolumeSnapshots", snapshots, "volume_snapshots"))
        self.pools = list(part.all("ListPools", array_pb2.ListPoolsRequest(parent=name), "pools"))

    def distinct_bytes(self, volumes: Iterable[str], *, with_snapshots: bool = False) -> int:
        """Returns what some volumes have together, perhaps with all snapshots.

        The array is asked only if they can share.
        """
        names = sorted(volumes)
        shares = any(v.source_volume or v.source_snapshot for v in self.volumes.values())
        if not shares and not (with_snapshots and self.snapshots):
            held = [self.volumes[name] for name in names]
            return sum(volume.allocated_bytes - volume.unwritten_bytes for volume in held)
        request = array_pb2.MeasureVolumesRequest(
            parent=self.part.name, volumes=names, with_snapshots=with_snapshots
        )
        return int(self.part.api.MeasureVolumes(request).distinct_bytes)


class Spaces:
    """All that is read for one report."""

    def __init__(self, parts: list[Part], only: str = "") -> None:
        self.parts = parts
        self.devices: dict[str, set[str]] = defaultdict(set)  # by volume
        self.used: set[str] = set()  # devices that a VM's disk lies on
        self.disks: dict[str, list[tuple[int, int]]] = defaultdict(
            list
        )  # by "a1.v1": where they lie
        self.used_volumes: set[str] = set()  # the same by the name that all hosts have: "a1.v1"
        self.arrays: list[ArraySpace] = []
        for part in parts:
            if part.kind == "hypervisors":
                part.read(self._read_hypervisor)
        for part in parts:
            if part.kind == "multipaths":
                part.read(self._read_multipath)
        for part in parts:
            if part.kind == "arrays" and only in ("", part.name):
                array = ArraySpace(part)
                part.read(array.read)
                if part.answered:
                    self.arrays.append(array)
        if only and not self.arrays:
            raise NotFound.of(only)
        kinds = {kind for part in parts if part.answered for kind in [part.kind]}
        away = {part.kind for part in parts if not part.answered}
        self.knows_hosts = "multipaths" in kinds and "multipaths" not in away
        self.knows_vms = "hypervisors" in kinds and "hypervisors" not in away

    def _read_hypervisor(self, part: Part) -> None:
        for host in part.all("ListHosts", hypervisor_pb2.ListHostsRequest(), "hosts"):
            vms = hypervisor_pb2.ListVmsRequest(parent=host.name)
            for vm in part.all("ListVms", vms, "vms"):
                disks = hypervisor_pb2.ListDisksRequest(parent=vm.name)
                for disk in part.all("ListDisks", disks, "disks"):
                    self.used.add(disk.device)
                    device = disk.device.rpartition("/")[2]
                    self.used_volumes.add(device)
                    self.disks[device].append((disk.device_offset_bytes, disk.capacity_bytes))

    def _read_multipath(self, part: Part) -> None:
        hosts = multipath_pb2.ListMultipathHostsRequest(parent=part.name)
        for host in part.all("ListMultipathHosts", hosts, "multipath_hosts"):
            devices = multipath_pb2.ListDevicesRequest(parent=host.name)
            for device in part.all("ListDevices", devices, "devices"):
                self.devices[device.volume].add(device.name)

    def free_ranges(self, volume: Any) -> list[tuple[int, int]]:
        """Returns where on a volume no VM's disk lies, as offsets and lengths in order."""
        found, at = [], 0
        for offset, length in sorted(self.disks.get(".".join(volume.name.split("/")[1::2]), ())):
            if offset > at:
                found.append((at, offset - at))
            at = max(at, offset + length if length else volume.capacity_bytes)
        if at < volume.capacity_bytes:
            found.append((at, volume.capacity_bytes - at))
        return found

    def is_used(self, volume: str) -> bool:
        """Whether a VM's disk lies on one of the volume's devices, exported or not."""
        return ".".join(volume.split("/")[1::2]) in self.used_volumes

    def category(self, array: ArraySpace, volume: str) -> pb.DarkStorageCategory:
        """Returns where a volume is."""
        if volume not in array.hosts:
            return UNASSIGNED
        if not self.knows_hosts:
            return UNKNOWN
        shown = array.hosts[volume]
        found = {d for d in self.devices[volume] if d.split("/")[3] in shown}
        if not found:
            return UNCLAIMED
        if not self.knows_vms:
            return UNKNOWN
        return IN_USE if found & self.used else CLAIMED_NO_FS


def report(request: pb.GetDarkStorageReportRequest, parts: list[Part]) -> pb.DarkStorageReport:
    """Reads all parts and returns the arrays, and the page of volumes that was asked for."""
    spaces = Spaces(parts, request.array)
    dark: dict[str, pb.DarkVolume] = {}
    arrays = []
    for array in spaces.arrays:
        with array.part.reading():
            of_volume = {volume: spaces.category(array, volume) for volume in array.volumes}
            arrays.append(_of_array(array, of_volume))
            dark.update(_dark_volumes(spaces, array, of_volume))
    listing = f"GetDarkStorageReport {request.array}"
    chosen, token = page(dark, request.page_size, request.page_token, listing)
    return pb.DarkStorageReport(
        arrays=arrays,
        volumes=[dark[name] for name in chosen],
        parts=[part.message_of() for part in parts],
        next_page_token=token,
    )


def _of_array(
    array: ArraySpace, of_volume: dict[str, pb.DarkStorageCategory]
) -> pb.ArrayDarkStorage:
    categories = (*ALL, REDUNDANCY) if array.raw_bytes else ALL
    rows = {category: pb.DarkStorageBytes(category=category) for category in categories}
    for name, category in of_volume.items():
        rows[category].subscribed_bytes += array.volumes[name].capacity_bytes
        rows[category].volume_count += 1
    for category, physical_bytes in _physical(array, of_volume):
        rows[category].physical_bytes += physical_bytes
    raw = array.raw_bytes + sum(p.capacity_bytes for p in array.pools if not p.drive_group)
    subscribed = sum(volume.capacity_bytes for volume in array.volumes.values())
    dark = sum(rows[category].physical_bytes for category in DARK)
    promised = sum(rows[category].subscribed_bytes for category in DARK)
    return pb.ArrayDarkStorage(
        array=array.part.name,
        raw_bytes=raw,
        subscribed_bytes=subscribed,
        categories=rows.values(),
        dark_bytes=dark,
        dark_ratio=dark / raw if raw else 0.0,
        dark_subscribed_bytes=promised,
        dark_subscribed_ratio=promised / subscribed if subscribed else 0.0,
    )


def _physical(
    array: ArraySpace, of_volume: dict[str, pb.DarkStorageCategory]
) -> Iterator[tuple[pb.DarkStorageCategory, int]]:
    """Yields what each category has.

    Where drives are counted, they are what there is, and what pools have drawn of them is what
    pools have, whatever they say (POOL_OVERSTATED); else it is what a pool says that it has.
    """
    if array.raw_bytes:
        yield RAW_UNCONFIGURED, array.raw_free_bytes
        yield POOL_FREE, array.raw_bytes - array.raw_free_bytes
    for pool in array.pools:
        if pool.drive_group:
            yield REDUNDANCY, pool.redundancy_bytes
            yield POOL_FREE, -pool.redundancy_bytes
        else:
            yield RAW_UNCONFIGURED, pool.capacity_bytes - pool.grown_bytes
            yield POOL_FREE, pool.grown_bytes
        yield SNAPSHOT, pool.snapshot_bytes
        yield NEVER_WRITTEN, pool.reserved_bytes + pool.unwritten_bytes
        yield POOL_FREE, -pool.allocated_bytes - pool.reserved_bytes
    inside: set[str] = set()
    before = 0
    for category in _OF_VOLUMES:
        mine = {name for name, found in of_volume.items() if found == category}
        inside |= mine
        have = array.distinct_bytes(inside) if mine else before
        yield category, have - before
        before = have


def _dark_volumes(
    spaces: Spaces, array: ArraySpace, of_volume: dict[str, pb.DarkStorageCategory]
) -> Iterator[tuple[str, pb.DarkVolume]]:
    for name, category in of_volume.items():
        if category == IN_USE:
            continue
        volume = array.volumes[name]
        yield (
            name,
            pb.DarkVolume(
                volume=name,
                category=category,
                allocated_bytes=volume.allocated_bytes,
                capacity_bytes=volume.capacity_bytes,
                hosts=sorted(array.hosts.get(name, ())),
                devices=sorted(spaces.devices.get(name, ())),
            ),
        )
