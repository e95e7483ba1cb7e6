"""Joins what the services of a stack say into chains, from VM to pool."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import grpc

from smokestack.engine.errors import NotFound, Refused
from smokestack.engine.names import NameForm
from smokestack.engine.paging import page
from smokestack.v1 import array_pb2, hypervisor_pb2, multipath_pb2
from smokestack.v1 import estate_pb2 as pb
from smokestack.v1 import simulation_pb2 as simulation

from .errors import refused_from

UP: Final = pb.TOPOLOGY_STATE_UP
DEGRADED: Final = pb.TOPOLOGY_STATE_DEGRADED
DOWN: Final = pb.TOPOLOGY_STATE_DOWN
MISSING: Final = pb.TOPOLOGY_STATE_MISSING
UNKNOWN: Final = pb.TOPOLOGY_STATE_UNKNOWN
_BEST_LAST: Final = (DOWN, MISSING, UNKNOWN, DEGRADED, UP)
_FORMS: Final = {
    "vm": NameForm("hosts/h1/vms/v1"),
    "volume": NameForm("arrays/a1/volumes/v1"),
    "host": NameForm("hosts/h1"),
}
_PAGE: Final = 10_000


def checked_filters(request: pb.GetTopologyRequest) -> None:
    """Refuses filters that are no full names of their kind."""
    for field, form in _FORMS.items():
        if getattr(request, field):
            form.parse(getattr(request, field), field)


class Part:
    """One service as this answer sees it: read while it answers, else missing with a reason."""

    def __init__(self, kind: str, name: str, address: str, api: Any, clock: Any) -> None:
        self.kind = kind
        self.name = name
        self.address = address
        self.from_ns = 0
        self.until_ns = 0
        self.message = ""
        self.api = api
        self.clock = clock

    @property
    def answered(self) -> bool:
        """Whether all that was asked of it was answered."""
        return not self.message

    def miss(self, why: str) -> None:
        """Notes that the part is missing."""
        self.message = why

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Turns a service that does not answer into a part that is missing."""
        try:
            yield
        except grpc.RpcError as error:
            self.miss(_why(refused_from(error), self.name or self.address))
        except Refused as refused:
            self.miss(_why(refused, self.name or self.address))

    def all(self, verb: str, request: Any, field: str) -> Iterator[Any]:
        """Yields what a List method returns, page by page; a parent that is gone has none."""
        request.page_size = _PAGE
        while True:
            try:
                answer = getattr(self.api, verb)(request)
            except (Refused, grpc.RpcError) as error:
                if _code(error) == "NOT_FOUND":
                    return
                raise
            yield from getattr(answer, field)
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token

    def read(self, work: Callable[[Part], None]) -> None:
        """Has the part read, and notes when that was over."""
        if not self.answered:
            return
        with self.reading():
            work(self)
            now = self.clock.GetSimulation(simulation.GetSimulationRequest())
            self.until_ns = now.now_ns

    def message_of(self) -> pb.TopologyPart:
        """Returns the row of the answer."""
        return pb.TopologyPart(
            service=self.name,
            address=self.address,
            answered=self.answered,
            from_ns=self.from_ns if self.answered else 0,
            until_ns=self.until_ns if self.answered else 0,
            message=self.message,
        )


class Key(NamedTuple):
    """What tells chains apart, and sorts them."""

    host: str
    vm: str = ""
    disk: str = ""
    device: str = ""
    volume: str = ""


class Join:
    """One answer in the making: everything read once, then joined."""

    def __init__(self, request: pb.GetTopologyRequest, parts: list[Part]) -> None:
        self._request = request
        self._parts = parts
        self._host = request.host or "/".join(request.vm.split("/")[:2])
        self._hosts: set[str] = set()
        self._vms: set[str] = set()
        self._disks: dict[str, hypervisor_pb2.Disk] = {}
        self._devices: dict[str, multipath_pb2.Device] = {}
        self._ports: dict[str, array_pb2.Port] = {}
        self._volumes: dict[str, array_pb2.Volume] = {}
        self._pools: dict[str, array_pb2.Pool] = {}
        self._exports: set[tuple[str, str]] = set()  # host as the hypervisor has it, volume
        self._paths: dict[str, list[multipath_pb2.Path]] = {}

    def topology(self) -> pb.Topology:
        """Reads all parts and returns the page that was asked for."""
        readers = {
            "hypervisors": self._read_hypervisor,
            "multipaths": self._read_multipath,
            "arrays": self._read_array,
        }
        for part in self._parts:
            part.read(readers[part.kind])
        keys = {"\n".join(key): key for key in self._keys() if self._wanted(key)}
        self._check_found(bool(keys))
        request = self._request
        listing = f"GetTopology {request.vm} {request.volume} {request.host}"
        found, token = page(keys, request.page_size, request.page_token, listing)
        chosen = [keys[text] for text in found]
        devices = {key.device for key in chosen if key.device in self._devices}
        for part in self._parts:
            if part.kind == "multipaths":
                part.read(lambda p: self._read_paths(p, devices))
        return pb.Topology(
            chains=[self._chain(key) for key in chosen],
            parts=[part.message_of() for part in self._parts],
            next_page_token=token,
        )

    def _read_hypervisor(self, part: Part) -> None:
        hosts = [h.name for h in part.all("ListHosts", hypervisor_pb2.ListHostsRequest(), "hosts")]
        self._hosts.update(hosts)
        for host in hosts:
            if self._host not in ("", host):
                continue
            request = hypervisor_pb2.ListVmsRequest(parent=host)
            for vm in part.all("ListVms", request, "vms"):
                self._vms.add(vm.name)
                listing = hypervisor_pb2.ListDisksRequest(parent=vm.name)
                for disk in part.all("ListDisks", listing, "disks"):
                    self._disks[disk.name] = disk

    def _read_multipath(self, part: Part) -> None:
        hosts = multipath_pb2.ListMultipathHostsRequest(parent=part.name)
        for host in part.all("ListMultipathHosts", hosts, "multipath_hosts"):
            at_hypervisor = f"hosts/{_identifier(host.name)}"
            if self._host not in ("", at_hypervisor):
                continue
            self._hosts.add(at_hypervisor)
            request = multipath_pb2.ListDevicesRequest(parent=host.name)
            for device in part.all("ListDevices", request, "devices"):
                self._devices[device.name] = device

    def _read_paths(self, part: Part, devices: set[str]) -> None:
        for device in devices:
            if device.startswith(f"{part.name}/"):
                request = multipath_pb2.ListPathsRequest(parent=device)
                self._paths[device] = list(part.all("ListPaths", request, "paths"))

    def _read_array(self, part: Part) -> None:
        ports = array_pb2.ListPortsRequest(parent=part.name)
        self._ports.update({p.name: p for p in part.all("ListPorts", ports, "ports")})
        pools = array_pb2.ListPoolsRequest(parent=part.name)
        self._pools.update({p.name: p for p in part.all("ListPools", pools, "pools")})
        volumes = array_pb2.ListVolumesRequest(parent=part.name)
        self._volumes.update({v.name: v for v in part.all("ListVolumes", volumes, "volumes")})
        hosts = array_pb2.ListArrayHostsRequest(parent=part.name)
        self._hosts.update(
            f"hosts/{_identifier(h.name)}" for h in part.all("ListArrayHosts", hosts, "array_hosts")
        )
        exports = array_pb2.ListExportsRequest(parent=part.name)
        self._exports.update(
            (f"hosts/{_identifier(e.host)}", e.volume)
            for e in part.all("ListExports", exports, "exports")
        )

    def _keys(self) -> Iterator[Key]:
        """Yields a key for each chain, what hangs on nothing included."""
        used: set[str] = set()
        shown: set[tuple[str, str]] = set()
        hosts: set[str] = set()
        for name, disk in self._disks.items():
            host, vm = _prefix(name, 2), _prefix(name, 4)
            volume = self._volume_of(disk.device)
            used |= {vm, disk.device}
            shown.add((host, volume))
            hosts.add(host)
            yield Key(host, vm, name, disk.device, volume)
        for vm in self._vms - used:
            hosts.add(_prefix(vm, 2))
            yield Key(_prefix(vm, 2), vm)
        for name in self._devices.keys() - used:
            host, volume = f"hosts/{name.split('/')[3]}", self._volume_of(name)
            shown.add((host, volume))
            hosts.add(host)
            yield Key(host, device=name, volume=volume)
        for host, volume in self._exports - shown:
            hosts.add(host)
            yield Key(host, volume=volume)
        for volume in self._volumes.keys() - {v for _, v in shown | self._exports}:
            yield Key("", volume=volume)
        for host in self._hosts - hosts:
            yield Key(host)

    def _wanted(self, key: Key) -> bool:
        request = self._request
        return (
            request.vm in ("", key.vm)
            and request.volume in ("", key.volume)
            and request.host in ("", key.host)
        )

    def _check_found(self, some: bool) -> None:
        """Refuses a filter that names what all who could know it have never heard of."""
        if some or not all(part.answered for part in self._parts):
            return
        known = {"vm": self._vms, "volume": self._volumes.keys(), "host": self._hosts}
        for field, names in known.items():
            asked = getattr(self._request, field)
            if asked and asked not in names:
                raise NotFound.of(asked)

    def _volume_of(self, device: str) -> str:
        """Returns a device's volume; of one that is gone its name still tells."""
        if device in self._devices:
            return self._devices[device].volume
        array, _, volume = _identifier(device).partition(".")
        return f"arrays/{array}/volumes/{volume}" if volume else ""

    def _chain(self, key: Key) -> pb.TopologyChain:
        chain = pb.TopologyChain(host=key.host, vm=key.vm)
        states = [UP]
        if key.disk:
            disk = self._disks[key.disk]
            chain.disk.name = disk.name
            chain.disk.capacity_bytes = disk.capacity_bytes
            chain.disk.device_offset_bytes = disk.device_offset_bytes
        if key.host and (key.device or key.volume):
            chain.paths.extend(self._path(path) for path in self._paths.get(key.device, ()))
            chain.device.CopyFrom(self._device(key.device, chain))
            states.append(chain.device.state)
        if key.volume:
            chain.volume.CopyFrom(self._volume(key))
            states.append(chain.volume.state)
            pool = self._pools.get(getattr(self._volumes.get(key.volume), "pool", ""))
            if pool is not None:
                chain.pool.CopyFrom(_pool(pool))
                states.append(chain.pool.state)
        chain.state = min(states, key=_BEST_LAST.index)
        return chain

    def _device(self, name: str, chain: pb.TopologyChain) -> pb.TopologyDevice:
        device = self._devices.get(name)
        if device is None:
            layers = [_prefix(name, 2)] if name else self._layers()
            states = {self._absent(layer) for layer in layers}
            return pb.TopologyDevice(name=name, state=MISSING if MISSING in states else UNKNOWN)
        usable = [path.state == multipath_pb2.PATH_STATE_ACTIVE for path in chain.paths]
        if self._absent(_prefix(name, 2)) == UNKNOWN:  # it has gone since its devices were listed
            state = UNKNOWN
        else:
            state = DOWN if not any(usable) else UP if all(usable) else DEGRADED
        return pb.TopologyDevice(
            name=name,
            state=state,
            capacity_bytes=device.capacity_bytes,
            lun=device.lun,
            active_count=device.active_count,
            queued_count=device.queued_count,
        )

    def _path(self, path: multipath_pb2.Path) -> pb.TopologyPath:
        port = self._ports.get(path.port)
        if port is None:
            state = self._absent(_prefix(path.port, 2))
        else:
            state = UP if port.enabled else DOWN
        return pb.TopologyPath(
            name=path.name,
            state=path.state,
            initiator=path.initiator,
            port=path.port,
            port_state=state,
            controller=port.controller if port else "",
        )

    def _volume(self, key: Key) -> pb.TopologyVolume:
        volume = self._volumes.get(key.volume)
        if volume is None:
            return pb.TopologyVolume(name=key.volume, state=self._absent(_prefix(key.volume, 2)))
        return pb.TopologyVolume(
            name=key.volume,
            state=UP,
            capacity_bytes=volume.capacity_bytes,
            allocated_bytes=volume.allocated_bytes,
            exported=(key.host, key.volume) in self._exports,
        )

    def _layers(self) -> list[str]:
        return [part.name for part in self._parts if part.kind == "multipaths"]

    def _absent(self, service: str) -> pb.TopologyState:
        """Returns the state of what a service does not have: whether it would know."""
        names = {part.name for part in self._parts if part.answered}
        return MISSING if service in names else UNKNOWN


def _pool(pool: array_pb2.Pool) -> pb.TopologyPool:
    full = pool.capacity_bytes - pool.allocated_bytes < pool.page_bytes
    return pb.TopologyPool(
        name=pool.name,
        state=DOWN if full else UP,
        capacity_bytes=pool.capacity_bytes,
        allocated_bytes=pool.allocated_bytes,
        subscribed_bytes=pool.subscribed_bytes,
    )


def _identifier(name: str) -> str:
    return name.rpartition("/")[2]


def _prefix(name: str, parts: int) -> str:
    return "/".join(name.split("/")[:parts])


def _code(error: Any) -> str:
    return error.code if isinstance(error, Refused) else str(error.code().name)


def _why(refused: Refused, who: str) -> str:
    return f"{who} does not answer: {' '.join(refused.message.split())}"
