"""Deletes volumes that nobody is shown, and unmaps what is free on others, if that is wanted.

It is planned first, and then done exactly as planned or not at all.

The plan's token is made of all that the plan rests on: the volumes, what they hold, and why others
are left alone.  Whoever executes a plan has seen it.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import grpc

from smokestack.engine.errors import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Refused,
    Unavailable,
)
from smokestack.v1 import array_pb2
from smokestack.v1 import estate_pb2 as pb

from .dark_storage import CLAIMED_NO_FS, IN_USE, UNASSIGNED, ArraySpace, Spaces
from .errors import refused_from
from .topology import Part


def reclaim(request: pb.ReclaimRequest, parts: list[Part]) -> pb.ReclaimResponse:
    """Plans, or carries out a plan."""
    if request.plan_token and not request.execute:
        raise InvalidArgument.at("plan_token", "goes with execute: leave it out to plan anew")
    spaces = Spaces(parts, request.array)
    away = [part.message for part in parts if not part.answered]
    if away or not (spaces.knows_hosts and spaces.knows_vms):
        why = "; ".join(away) or "no hypervisor or no multipath layer is known"
        raise Unavailable(f"what is in use is not known: {why}")
    plan = _plan(request, spaces)
    if not request.execute:
        return plan
    if request.plan_token != plan.plan_token:
        raise FailedPrecondition(
            "the plan is not what it was: ask for it again, and look at it, before executing it"
            if request.plan_token
            else "execute needs the plan_token of a plan: ask for one without execute first",
            reason="PLAN_CHANGED" if request.plan_token else "NO_PLAN",
        )
    return _execute(plan, spaces)


def _plan(request: pb.ReclaimRequest, spaces: Spaces) -> pb.ReclaimResponse:
    named = set(request.volumes)
    known = {name for array in spaces.arrays for name in array.volumes}
    for index, name in enumerate(request.volumes):
        if name not in known:
            if request.array and not name.startswith(f"{request.array}/"):
                raise InvalidArgument.at(f"volumes[{index}]", f"{name!r} is not of {request.array}")
            raise NotFound.of(name)
    plan = pb.ReclaimResponse()
    for array in spaces.arrays:
        snapped = {snapshot.volume for snapshot in array.snapshots}
        chosen = [
            name
            for name in sorted(array.volumes)
            if name in named or (not named and spaces.category(array, name) == UNASSIGNED)
        ]
        goes = []
        for name in chosen:
            why = _spared(spaces, array, name, snapped, name in named)
            if not why:
                goes.append(name)
            plan.actions.append(_action(array.volumes[name], why))
        plan.freed_bytes += _freed(array, goes)
        if request.unmap_free:
            _plan_unmapping(plan, spaces, array, named)
    plan.plan_token = blake2b(
        plan.SerializeToString(deterministic=True), digest_size=16
    ).hexdigest()
    return plan


def _plan_unmapping(
    plan: pb.ReclaimResponse, spaces: Spaces, array: ArraySpace, named: set[str]
) -> None:
    """Adds what is free on volumes that hosts have found; one without a disk has to be named."""
    known = {action.volume: action for action in plan.actions}
    for name in sorted(array.volumes):
        category = spaces.category(array, name)
        if (named and name not in named) or category not in (IN_USE, CLAIMED_NO_FS):
            continue
        if category == CLAIMED_NO_FS and name not in named:
            continue
        volume = array.volumes[name]
        action = known.get(name) or _action(volume, "")
        action.deletes = False
        for offset, length in spaces.free_ranges(volume):
            action.free_ranges.add(offset_bytes=offset, length_bytes=length)
        if not action.free_ranges:
            continue
        action.unmapped_bytes = _unmap(array, action, only_try=True)
        if not action.unmapped_bytes:
            continue
        action.unmaps, action.message = True, ""
        plan.freed_bytes += action.unmapped_bytes
        if name not in known:
            plan.actions.append(action)
    plan.actions.sort(key=lambda each: each.volume)


def _unmap(array: ArraySpace, action: pb.ReclaimAction, *, only_try: bool) -> int:
    request = array_pb2.UnmapVolumeRequest(
        name=action.volume, ranges=action.free_ranges, validate_only=only_try
    )
    return int(array.part.api.UnmapVolume(request).freed_bytes)


def _spared(spaces: Spaces, array: ArraySpace, name: str, snapped: set[str], is_named: bool) -> str:
    """Returns why a volume is left alone; empty: it is not."""
    if name in array.hosts:
        return f"it is exported to {', '.join(sorted(array.hosts[name]))}"
    if spaces.is_used(name):
        return "a VM's disk lies on it, though it is exported to nobody"
    if name in snapped:
        return "it has snapshots"
    if array.volumes[name].labels and not is_named:
        return "it has labels, so it is somebody's: name it"
    return ""


def _freed(array: ArraySpace, goes: list[str]) -> int:
    """Returns what is free once these are gone: pages that no other volume has, nor a snapshot."""
    if not goes:
        return 0
    stay = array.volumes.keys() - set(goes)
    return array.distinct_bytes(array.volumes, with_snapshots=True) - array.distinct_bytes(
        stay, with_snapshots=True
    )


def _action(volume: Any, why: str) -> pb.ReclaimAction:
    return pb.ReclaimAction(
        volume=volume.name,
        deletes=not why,
        allocated_bytes=volume.allocated_bytes,
        capacity_bytes=volume.capacity_bytes,
        message=why,
    )


def _execute(plan: pb.ReclaimResponse, spaces: Spaces) -> pb.ReclaimResponse:
    """Deletes volume by volume; one that can no longer be deleted is told, and stays."""
    before = sum(_allocated(array) for array in spaces.arrays)
    for array in spaces.arrays:
        for action in plan.actions:
            if not action.volume.startswith(f"{array.part.name}/"):
                continue
            try:
                if action.deletes:
                    array.part.api.DeleteVolume(array_pb2.DeleteVolumeRequest(name=action.volume))
                elif action.unmaps:
                    action.unmapped_bytes = _unmap(array, action, only_try=False)
            except (Refused, grpc.RpcError) as error:
                refused = error if isinstance(error, Refused) else refused_from(error)
                action.deletes = action.unmaps = False
                action.message = refused.message
    plan.freed_bytes = before - sum(_allocated(array) for array in spaces.arrays)
    plan.plan_token = ""
    return plan


def _allocated(array: ArraySpace) -> int:
    pools = array_pb2.ListPoolsRequest(parent=array.part.name)
    return sum(pool.allocated_bytes for pool in array.part.all("ListPools", pools, "pools"))
