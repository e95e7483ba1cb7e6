"""What is read to tell where the time of a device's I/O goes: settings and counters.

Only what a monitor of a real stack has: esxtop's counters of devices and adapters, a switch's of
links, an array's of ports, controllers, pools and volumes.  Faults in force are not asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from smokestack.engine.errors import InvalidArgument, NotFound, Unavailable
from smokestack.engine.names import NameForm
from smokestack.v1 import array_pb2, hypervisor_pb2, multipath_pb2

from .topology import Part

_DISK: Final = NameForm("hosts/h1/vms/v1/disks/d0")
_DEVICE: Final = NameForm("multipaths/m1/hosts/h1/devices/a1.v1")


@dataclass
class Watched:
    """A device with all that its I/O goes through, as it stands."""

    target: str
    device: Any = None
    volume: Any = None
    now_ns: int = 0
    command_timeout_ns: int = 0  # 0: without end
    paths: list[Any] = field(default_factory=list)
    adapters: dict[str, Any] = field(default_factory=dict)  # by full name, as all of these
    links: dict[str, Any] = field(default_factory=dict)
    ports: dict[str, Any] = field(default_factory=dict)
    controllers: dict[str, Any] = field(default_factory=dict)
    pools: dict[str, Any] = field(default_factory=dict)
    disks: dict[str, str] = field(default_factory=dict)  # those on the device → their VM
    counters: dict[str, int] = field(default_factory=dict)

    def count(self, name: str, **counters: int) -> None:
        """Notes a resource's counters."""
        self.counters.update({f"{name}#{key}": int(value) for key, value in counters.items()})


def watch(target: str, parts: list[Part]) -> Watched:
    """Reads what there is of a disk's or a device's I/O; refuses what is neither."""
    seen = Watched(target)
    device = target
    if target.startswith("hosts/"):
        _DISK.parse(target, "target")
        device = _device_of(target, parts)
    elif target.startswith("multipaths/"):
        _DEVICE.parse(target, "target")
    else:
        raise InvalidArgument.at(
            "target",
            f"{target!r} is neither a disk, such as {_DISK.example!r}, nor a device, such as "
            f"{_DEVICE.example!r}",
        )
    _read(parts, "hypervisors", lambda part: _hypervisor(seen, part, device))
    _read(parts, "multipaths", lambda part: _multipath(seen, part, device))
    if seen.device is None:
        raise NotFound.of(device)
    array = "/".join(seen.device.volume.split("/")[:2])
    _read(parts, "arrays", lambda part: _array(seen, part) if part.name == array else None)
    if seen.volume is None:
        raise Unavailable(f"{seen.device.volume} is not found, or its array does not answer")
    return seen


def _read(parts: list[Part], kind: str, work: Any) -> None:
    for part in parts:
        if part.kind == kind:
            part.read(work)
            if not part.answered:
                raise Unavailable(f"where the time goes is not known: {part.message}")


def _device_of(disk: str, parts: list[Part]) -> str:
    found: list[str] = []

    def find(part: Part) -> None:
        request = hypervisor_pb2.ListDisksRequest(parent=disk.rpartition("/disks/")[0])
        found.extend(d.device for d in part.all("ListDisks", request, "disks") if d.name == disk)

    _read(parts, "hypervisors", find)
    if not found:
        raise NotFound.of(disk)
    return found[0]


def _hypervisor(seen: Watched, part: Part, device: str) -> None:
    host = f"hosts/{device.split('/')[3]}"
    vms = hypervisor_pb2.ListVmsRequest(parent=host)
    for vm in part.all("ListVms", vms, "vms"):
        disks = hypervisor_pb2.ListDisksRequest(parent=vm.name)
        for disk in part.all("ListDisks", disks, "disks"):
            if disk.device == device:
                seen.disks[disk.name] = vm.name
    for row in part.api.GetStatistics(hypervisor_pb2.GetStatisticsRequest()).disks:
        if row.disk in seen.disks:
            total_ns = row.latency.count * row.latency.mean_ns
            seen.count(row.disk, ios=row.io_count, total_ns=total_ns)


def _multipath(seen: Watched, part: Part, name: str) -> None:
    if not name.startswith(f"{part.name}/"):
        return
    seen.now_ns = part.from_ns
    layer = part.api.GetMultipath(multipath_pb2.GetMultipathRequest(name=part.name))
    seen.command_timeout_ns = layer.command_timeout_ns
    devices = multipath_pb2.ListDevicesRequest(parent=name.rpartition("/devices/")[0])
    found_devices = part.all("ListDevices", devices, "devices")
    seen.device = next((one for one in found_devices if one.name == name), None)
    if seen.device is None:
        return
    found = part.api.GetDeviceStatistics(multipath_pb2.GetDeviceStatisticsRequest(name=name))
    seen.count(
        name,
        ios=found.queue.ios_count,
        bytes=found.queue.io_bytes,
        guest_ns=found.queue.guest_total_ns,
        device_ns=found.queue.device_total_ns,
        queue_ns=found.queue.queue_total_ns,
        refusals=found.task_set_full_count + found.busy_count,
        not_ready=found.not_ready_count,
        retries=found.retries_count,
        timed_out=found.timed_out_count,
    )
    paths = multipath_pb2.ListPathsRequest(parent=name)
    seen.paths = list(part.all("ListPaths", paths, "paths"))
    adapters = multipath_pb2.ListAdaptersRequest(parent=name.rpartition("/devices/")[0])
    for adapter in part.all("ListAdapters", adapters, "adapters"):
        request = multipath_pb2.GetAdapterStatisticsRequest(name=adapter.name)
        queue = part.api.GetAdapterStatistics(request).queue
        seen.adapters[adapter.name] = adapter
        seen.count(adapter.name, device_ns=queue.device_total_ns)
    for link in _links(part):
        seen.links[link.name] = link
        seen.count(
            link.name,
            frames=link.frame_count,
            waits_ns=link.credit_zero_ns,
            busy_ns=link.busy_ns,
            crc_errors=link.crc_error_count,
        )


def _links(part: Part) -> Iterator[Any]:
    fabrics = multipath_pb2.ListFabricsRequest(parent=part.name)
    for fabric in part.all("ListFabrics", fabrics, "fabrics"):
        links = multipath_pb2.ListFabricLinksRequest(parent=fabric.name)
        yield from part.all("ListFabricLinks", links, "fabric_links")


def _array(seen: Watched, part: Part) -> None:
    for port in part.all("ListPorts", array_pb2.ListPortsRequest(parent=part.name), "ports"):
        seen.ports[port.name] = port
        seen.count(
            port.name,
            commands=port.command_count,
            refusals=port.task_set_full_count + port.busy_count,
            dropped=port.dropped_count,
            aborted=port.aborted_count,
            rx_bytes=port.rx_bytes,
            tx_bytes=port.tx_bytes,
        )
    controllers = array_pb2.ListControllersRequest(parent=part.name)
    for controller in part.all("ListControllers", controllers, "controllers"):
        seen.controllers[controller.name] = controller
        seen.count(controller.name, busy_ns=controller.busy_ns)
    for pool in part.all("ListPools", array_pb2.ListPoolsRequest(parent=part.name), "pools"):
        seen.pools[pool.name] = pool
    pools = [pool for pool in seen.pools.values() if pool.name.startswith(f"{part.name}/")]
    responses = {pool.name: 0 for pool in pools}
    volumes = array_pb2.ListVolumesRequest(parent=part.name)
    for volume in part.all("ListVolumes", volumes, "volumes"):
        responses[volume.pool] += volume.response_count
        if volume.name == seen.device.volume:
            seen.volume = volume
            total_ns = volume.response_count * volume.mean_response_ns
            seen.count(volume.name, responses=volume.response_count, response_ns=total_ns)
    for pool in pools:
        seen.count(
            pool.name,
            busy_ns=_on_disks(pool, pools, lambda other: int(other.media_busy_ns)),
            commands=_on_disks(pool, pools, lambda other: responses[other.name]),
        )


def _on_disks(pool: Any, pools: Sequence[Any], count: Callable[[Any], int]) -> int:
    """Returns what a pool's disks do: for it, and for others that lie on the same ones."""
    group = pool.drive_group
    near = [p for p in pools if p.name == pool.name or (group and p.drive_group == group)]
    return sum(count(p) * min(p.disk_count, pool.disk_count) // p.disk_count for p in near)
