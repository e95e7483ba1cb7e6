"""Gives a VM shares, a reservation and a limit by its name: what mClock knows by numbers.

The hypervisor knows VMs by name and number and where their disks lie, multipath what each number
gets of a device.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import grpc

from smokestack.engine.errors import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Refused,
    Unavailable,
    Violation,
)
from smokestack.v1 import estate_pb2 as pb
from smokestack.v1 import hypervisor_pb2, multipath_pb2

from .errors import refused_from
from .topology import Part


def set_io_shares(request: pb.SetIoSharesRequest, parts: list[Part]) -> pb.SetIoSharesResponse:
    """Finds the VM and its devices, and sets what it gets of each."""
    number, devices = _vm(request, parts)
    layers = {part.name: part for part in parts if part.kind == "multipaths"}
    for index, name in enumerate(request.devices):
        if name not in devices:
            known = ", ".join(sorted(devices))
            raise InvalidArgument.at(
                f"devices[{index}]", f"{name!r} has no disk of {request.vm}: it uses {known}"
            )
    apis = {}
    for name in sorted(set(request.devices) or devices):
        layer = layers.get("/".join(name.split("/")[:2]))
        if layer is None or not layer.answered:
            raise Unavailable(f"{name} is not known: {layer.message if layer else 'no such layer'}")
        apis[name] = layer.api
    return pb.SetIoSharesResponse(vm_number=number, devices=_set_on_all(apis, number, request))


def _set_on_all(apis: dict[str, Any], number: int, request: pb.SetIoSharesRequest) -> list[str]:
    """Sets it on all devices that are there; when one refuses, the others get back what they had.

    All are asked before one is changed, so that little is left to go wrong.
    """
    before = {name: _shares_of(api, name, number) for name, api in apis.items()}
    done: list[str] = []
    try:
        for name, api in apis.items():
            if set_on(api, name, number, _given(request)):
                done.append(name)
    except Exception:
        for name in reversed(done):
            with suppress(Refused, grpc.RpcError):  # it is gone by now
                set_on(apis[name], name, number, before[name])
        raise
    return done


def _shares_of(multipath: Any, device: str, number: int) -> multipath_pb2.IoShares | None:
    """Returns what a VM of this number gets of a device; None: nothing is said of it."""
    try:
        found = multipath.GetDevice(multipath_pb2.GetDeviceRequest(name=device))
    except (Refused, grpc.RpcError) as error:
        refused = error if isinstance(error, Refused) else refused_from(error)
        if refused.code == "NOT_FOUND":
            return None
        raise refused from error
    for world in found.world_shares:
        if world.vm_number == number:
            return multipath_pb2.IoShares(
                **{d.name: value for d, value in world.ListFields() if d.name != "vm_number"}
            )
    return None


def set_on(multipath: Any, device: str, number: int, wanted: multipath_pb2.IoShares | None) -> bool:
    """Sets what a VM of this number gets of a device; false: the device is not there any more."""
    try:
        found = multipath.GetDevice(multipath_pb2.GetDeviceRequest(name=device))
        changed = multipath_pb2.Device(name=device)
        changed.world_shares.extend(w for w in found.world_shares if w.vm_number != number)
        if wanted is not None:
            changed.world_shares.append(_world(number, wanted))
        update = multipath_pb2.UpdateDeviceRequest(device=changed)
        update.update_mask.paths.append("world_shares")
        multipath.UpdateDevice(update)
    except (Refused, grpc.RpcError) as error:
        refused = error if isinstance(error, Refused) else refused_from(error)
        if refused.code == "NOT_FOUND":
            return False
        raise _by_name(refused) from error
    return True


def _vm(request: pb.SetIoSharesRequest, parts: list[Part]) -> tuple[int, set[str]]:
    """Returns a VM's number, and the devices that its disks lie on."""
    hypervisors = [part for part in parts if part.kind == "hypervisors"]
    for part in hypervisors:
        if not part.answered:
            raise Unavailable(f"whose VM it is is not known: {part.message}")
        try:
            vm = part.api.GetVm(hypervisor_pb2.GetVmRequest(name=request.vm))
        except (Refused, grpc.RpcError) as error:
            refused = error if isinstance(error, Refused) else refused_from(error)
            if refused.code == "NOT_FOUND":
                continue
            raise _placed(refused, "name", "vm") from error
        disks = hypervisor_pb2.ListDisksRequest(parent=vm.name)
        devices = {disk.device for disk in part.all("ListDisks", disks, "disks")}
        if not devices:
            raise FailedPrecondition(
                f"{vm.name} has no disk: create one, then give it its share", reason="NO_DISK"
            )
        return int(vm.number), devices
    raise NotFound.of(request.vm) if hypervisors else Unavailable("no hypervisor is known")


def _given(request: pb.SetIoSharesRequest) -> multipath_pb2.IoShares | None:
    return request.io_shares if request.HasField("io_shares") else None


def _world(number: int, wanted: multipath_pb2.IoShares) -> multipath_pb2.WorldShares:
    world = multipath_pb2.WorldShares(vm_number=number)
    for descriptor, value in wanted.ListFields():
        setattr(world, descriptor.name, value)
    return world


def _by_name(refused: Refused) -> Refused:
    """Tells what is wrong in terms of what was asked for: the VM stands last among the worlds."""
    if not refused.violations:
        return refused
    told = [
        Violation(f"io_shares.{v.field.rpartition('.')[2]}", v.description)
        for v in refused.violations
    ]
    return InvalidArgument(f"{told[0].field}: {told[0].description}", violations=told)


def _placed(refused: Refused, field: str, place: str) -> Refused:
    if [violation.field for violation in refused.violations] != [field]:
        return refused
    return InvalidArgument.at(place, refused.violations[0].description)
