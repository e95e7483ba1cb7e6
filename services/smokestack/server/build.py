"""Builds a scenario through the public API, whatever carries it: handlers called here, or stubs.

The order is that of real life: arrays with what they export, hosts that rescan, then VMs with their
disks and jobs.  What a service refuses comes back with the place in the scenario that it is about.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import grpc
from google.protobuf.message import Message

from smokestack.engine.errors import Refused, Violation
from smokestack.engine.fault_rules import pattern_of
from smokestack.v1 import (
    array_pb2,
    faults_pb2,
    hypervisor_pb2,
    multipath_pb2,
    scenario_pb2,
)
from smokestack.workload.traces import bundled

from .errors import refused_from
from .io_shares import set_on
from .scenario import ScenarioError

CHUNK_BYTES: Final = 1 << 20

_Request = TypeVar("_Request")
_Answer = TypeVar("_Answer")
_M = TypeVar("_M", bound=Message)


@dataclass(frozen=True)
class Api:
    """The services of a stack: each a servicer, called as it is, or a stub."""

    arrays: Mapping[str, Any]  # by identifier
    multipath: Any
    hypervisor: Any
    simulation: Any  # the driver's clock
    simulations: Mapping[str, Any]  # every service's, by its full name


def build(scenario: scenario_pb2.Scenario, api: Api) -> None:
    """Builds all of a scenario; ScenarioError names the place of what is refused."""
    for index, array in enumerate(scenario.arrays):
        _ArrayBuilder(scenario, array, f"arrays[{index}]", api.arrays[array.name]).build()
    multipath = f"multipaths/{scenario.multipath.name or 'm1'}"
    for index, host in enumerate(scenario.hosts):
        _build_multipath_host(f"hosts[{index}]", host, multipath, api.multipath)
    for index, trace in enumerate(scenario.traces):
        place = f"traces[{index}]"
        data = _trace_bytes(place, trace)
        upload_trace(
            api.hypervisor,
            trace.name,
            data,
            trace_format=trace.format,
            volume=trace.volume,
            place=place,
        )
    for index, host in enumerate(scenario.hosts):
        _build_host(f"hosts[{index}]", host, multipath, api)
    for index, fault in enumerate(scenario.faults):
        inject_fault(api.simulations, fault, f"faults[{index}]")


def inject_fault(
    simulations: Mapping[str, Any], fault: faults_pb2.FaultRule, place: str = "fault"
) -> list[faults_pb2.FaultRule]:
    """Injects a rule, given with a short name, into each service that its target begins with."""
    parts = fault.target.split("/")
    service = "hypervisors/*" if parts[0] == "hosts" else "/".join(parts[:2])
    names = [name for name in sorted(simulations) if pattern_of(service).fullmatch(name)]
    if not names:
        first = [f"{n}/" if not n.startswith("hypervisors/") else "hosts/" for n in simulations]
        raise ScenarioError.at(
            f"{place}.target",
            f"{fault.target!r} names no service here: begin it with {' or '.join(sorted(first))}",
        )
    request = faults_pb2.InjectFaultRequest(fault_id=fault.name, fault=fault)
    return [_call(place, "fault", simulations[name].InjectFault, request) for name in names]


def upload_trace(
    hypervisor: Any,
    trace_id: str,
    data: bytes,
    *,
    trace_format: str = "",
    volume: str = "",
    place: str = "trace",
) -> hypervisor_pb2.Trace:
    """Uploads a trace file's bytes; ``place`` is where errors say that it stands."""

    def parts() -> Iterator[hypervisor_pb2.UploadTraceRequest]:
        yield hypervisor_pb2.UploadTraceRequest(
            description=hypervisor_pb2.UploadTraceDescription(
                trace_id=trace_id, format=trace_format, volume=volume
            )
        )
        for start in range(0, len(data), CHUNK_BYTES):
            yield hypervisor_pb2.UploadTraceRequest(data=data[start : start + CHUNK_BYTES])

    trace: hypervisor_pb2.Trace = _call(place, "description", hypervisor.UploadTrace, parts())
    return trace


def _trace_bytes(place: str, trace: scenario_pb2.ScenarioTrace) -> bytes:
    if not trace.file:
        return bundled()
    try:
        return Path(trace.file).read_bytes()
    except OSError as error:
        raise ScenarioError.at(
            f"{place}.file", f"{trace.file}: {error.strerror or error}"
        ) from None


class _ArrayBuilder:
    """Builds one array, so that its name need not be passed around."""

    def __init__(
        self,
        scenario: scenario_pb2.Scenario,
        array: scenario_pb2.ScenarioArray,
        place: str,
        api: Any,
    ) -> None:
        self._scenario = scenario
        self._array = array
        self._place = place
        self._api = api
        self._name = f"arrays/{array.name}"

    def build(self) -> None:
        product = array_pb2.Array(name=self._name)
        for field in (
            *("vendor", "model", "hints_enabled", "drive_count", "drive_bytes"),
            "profile",
        ):
            if getattr(self._array, field):
                setattr(product, field, getattr(self._array, field))
        for field in ("node_count", "initiator_limit"):
            if self._array.HasField(field):
                setattr(product, field, getattr(self._array, field))
        if product != array_pb2.Array(name=self._name):
            request = array_pb2.UpdateArrayRequest(array=product)
            _call(self._place, "array", self._api.UpdateArray, request)
        for index, controller in enumerate(self._array.controllers):
            named = _with(controller, partner=self._full("controllers", controller.partner))
            self._create(f"controllers[{index}]", "Controller", named, controller.name)
        for index, port in enumerate(self._array.ports):
            full = _with(
                port,
                controller=self._full("controllers", port.controller),
                partner=self._full("ports", port.partner),
            )
            self._create(f"ports[{index}]", "Port", full, port.name)
        names = ("non_optimized_ns", "transition_ns", "explicit_access")
        given = {name: getattr(self._array, name) for name in names if self._array.HasField(name)}
        if self._array.access or given:
            array = array_pb2.Array(name=self._name, access=self._array.access, **given)
            request = array_pb2.UpdateArrayRequest(array=array)
            _call(self._place, "array", self._api.UpdateArray, request)
        self._build_space()
        self._build_exports()

    def _full(self, collection: str, short: str) -> str:
        """Returns the full name of what is in the array; nothing for nothing."""
        return short and f"{self._name}/{collection}/{short}"

    def _build_space(self) -> None:
        for index, group in enumerate(self._array.drive_groups):
            self._create(f"drive_groups[{index}]", "DriveGroup", group, group.name)
        for index, pool in enumerate(self._array.pools):
            drawing = _with(pool, drive_group=self._full("driveGroups", pool.drive_group))
            self._create(f"pools[{index}]", "Pool", drawing, pool.name)
        for index, volume in enumerate(self._array.volumes):
            full = _with(
                volume,
                pool=f"{self._name}/pools/{volume.pool}",
                controller=self._full("controllers", volume.controller),
                source_volume=self._full("volumes", volume.source_volume),
            )
            self._create(f"volumes[{index}]", "Volume", full, volume.name)

    def _build_exports(self) -> None:
        for place, host_id, known in self._hosts():
            self._create_at(place, "ArrayHost", known, host_id)
        self._build_sets()
        for index, export in enumerate(self._array.exports):
            full = _with(
                export,
                volume=f"{self._name}/volumes/{export.volume}",
                host=f"{self._name}/hosts/{export.host}",
                port_set=self._full("portSets", export.port_set),
            )
            full.ports[:] = [f"{self._name}/ports/{port}" for port in export.ports]
            self._create(f"exports[{index}]", "Export", full)
        for index, set_export in enumerate(self._array.set_exports):
            to_set = _with(
                set_export,
                volume=f"{self._name}/volumes/{set_export.volume}",
                host_set=f"{self._name}/hostSets/{set_export.host_set}",
                port_set=self._full("portSets", set_export.port_set),
            )
            to_set.ports[:] = [f"{self._name}/ports/{port}" for port in set_export.ports]
            self._create(f"set_exports[{index}]", "SetExport", to_set)

    def _build_sets(self) -> None:
        for index, hosts in enumerate(self._array.host_sets):
            host_set = array_pb2.HostSet(hosts=[f"{self._name}/hosts/{h}" for h in hosts.hosts])
            self._create(f"host_sets[{index}]", "HostSet", host_set, hosts.name)
        for index, ports in enumerate(self._array.port_sets):
            port_set = array_pb2.PortSet(ports=[f"{self._name}/ports/{p}" for p in ports.ports])
            self._create(f"port_sets[{index}]", "PortSet", port_set, ports.name)

    def _hosts(self) -> Iterator[tuple[str, str, array_pb2.ArrayHost]]:
        """Yields the hosts that the array knows; when none are given, all of the scenario's."""
        for index, known in enumerate(self._array.hosts):
            yield f"{self._place}.hosts[{index}]", known.name, known
        if not self._array.hosts:
            for index, host in enumerate(self._scenario.hosts):
                array_host = array_pb2.ArrayHost(initiators=host.initiators)
                yield f"hosts[{index}]", host.name, array_host

    def _create(self, part: str, kind: str, resource: Message, resource_id: str = "") -> None:
        """Creates what stands in a part of the array's place, e.g. a "DriveGroup"."""
        self._create_at(f"{self._place}.{part}", kind, resource, resource_id)

    def _create_at(self, place: str, kind: str, resource: Message, resource_id: str) -> None:
        word = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind).lower()
        request = getattr(array_pb2, f"Create{kind}Request")(parent=self._name, **{word: resource})
        if resource_id:
            setattr(request, f"{word}_id", resource_id)
        _call(place, word, getattr(self._api, f"Create{kind}"), request)


def _build_multipath_host(
    place: str, host: scenario_pb2.ScenarioHost, multipath: str, api: Any
) -> None:
    settings = multipath_pb2.MultipathHost(
        initiators=[initiator.name for initiator in host.initiators], selector=host.selector
    )
    for field in (
        "lun_queue_depth",
        "ios_per_path",
        "sched_num_req_outstanding",
        "adapter_queue_depth",
        "allow_thrashing",
    ):
        if host.HasField(field):
            setattr(settings, field, getattr(host, field))
    if host.HasField("selector_settings"):
        settings.selector_settings.CopyFrom(host.selector_settings)
    settings.claim_rules.extend(host.claim_rules)
    if host.HasField("queue_control"):
        settings.queue_control.CopyFrom(host.queue_control)
    if host.HasField("path_failure_handling"):
        settings.path_failure_handling.CopyFrom(host.path_failure_handling)
    _call(
        place,
        "multipath_host",
        api.CreateMultipathHost,
        multipath_pb2.CreateMultipathHostRequest(
            parent=multipath, multipath_host_id=host.name, multipath_host=settings
        ),
    )
    _call(
        place,
        "multipath_host",
        api.RescanMultipathHost,
        multipath_pb2.RescanMultipathHostRequest(name=f"{multipath}/hosts/{host.name}"),
    )


def _build_host(place: str, host: scenario_pb2.ScenarioHost, multipath: str, api: Api) -> None:
    name = f"hosts/{host.name}"
    _call(
        place,
        "host",
        api.hypervisor.CreateHost,
        hypervisor_pb2.CreateHostRequest(host_id=host.name, host=hypervisor_pb2.Host()),
    )
    for index, vm in enumerate(host.vms):
        devices = f"{multipath}/hosts/{host.name}/devices"
        _build_vm(f"{place}.vms[{index}]", vm, name, devices, api)


def _build_vm(place: str, vm: scenario_pb2.ScenarioVm, host: str, devices: str, api: Api) -> None:
    settings = hypervisor_pb2.Vm(guest_adapter_queue_depth=vm.guest_adapter_queue_depth)
    if vm.HasField("broker_ns"):
        settings.broker_ns = vm.broker_ns
    made = _call(
        place,
        "vm",
        api.hypervisor.CreateVm,
        hypervisor_pb2.CreateVmRequest(parent=host, vm_id=vm.name, vm=settings),
    )
    name = f"{host}/vms/{vm.name}"
    for index, disk in enumerate(vm.disks):
        full = _with(disk, device=f"{devices}/{disk.device}")
        _call(
            f"{place}.disks[{index}]",
            "disk",
            api.hypervisor.CreateDisk,
            hypervisor_pb2.CreateDiskRequest(parent=name, disk_id=disk.name, disk=full),
        )
    for index, job in enumerate(vm.jobs):
        create_job(api.hypervisor, name, job, f"{place}.jobs[{index}]")
    if vm.HasField("io_shares"):
        _build_shares(place, vm, made.number, devices, api.multipath)


def _build_shares(
    place: str, vm: scenario_pb2.ScenarioVm, number: int, devices: str, multipath: Any
) -> None:
    if not vm.disks:
        raise ScenarioError.at(f"{place}.io_shares", "is set, but the VM has no disk: add one")
    for device in sorted({disk.device for disk in vm.disks}):
        try:
            set_on(multipath, f"{devices}/{device}", number, vm.io_shares)
        except Refused as refused:
            raise _placed(refused, f"{place}.io_shares", "io_shares") from refused


def create_job(hypervisor: Any, vm: str, job: hypervisor_pb2.Job, place: str = "job") -> None:
    """Starts a job, given with short names, on the VM of a full name."""
    full = _with(job, disk=f"{vm}/disks/{job.disk}")
    if job.trace:
        full.trace = f"traces/{job.trace}"
    _call(
        place,
        "job",
        hypervisor.CreateJob,
        hypervisor_pb2.CreateJobRequest(parent=vm, job_id=job.name, job=full),
    )


def _with(message: _M, **fields: str) -> _M:
    """Returns a copy of a message with some fields set anew."""
    copy = type(message)()
    copy.CopyFrom(message)
    for field, value in fields.items():
        setattr(copy, field, value)
    return copy


def _call(
    place: str, resource: str, method: Callable[[_Request], _Answer], request: _Request
) -> _Answer:
    """Calls a service; a refusal is told in terms of the scenario."""
    try:
        return method(request)
    except Refused as refused:
        raise _placed(refused, place, resource) from refused
    except grpc.RpcError as error:
        raise _placed(refused_from(error), place, resource) from error


def _placed(refused: Refused, place: str, resource: str) -> Refused:
    if refused.code == "UNAVAILABLE":
        return refused
    if not refused.violations:
        return ScenarioError.at(place, refused.message)
    return ScenarioError.of(
        [Violation(_path(v.field, place, resource), v.description) for v in refused.violations]
    )


def _path(field: str, place: str, resource: str) -> str:
    """Turns a field of a request into a path in the file."""
    head, _, rest = field.partition(".")
    if head == f"{resource}_id" or rest == "trace_id":
        return f"{place}.name"
    return f"{place}.{rest}" if head == resource and rest else place
