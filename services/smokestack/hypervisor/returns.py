"""A driver whose device was lost, or stands further on: how it takes it up again.

What it had in flight when the device was lost is over, as after a bus reset: guests hear so at the
time from which it drives again.  A driver that stands behind its device, as one that was started
anew does, catches up: its hosts stand still until the time that the device has reached, and what
they were to do meanwhile they do then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from smokestack.engine.blockdevice import BlockDevice, Nexus, Reply, Returning
from smokestack.engine.errors import FailedPrecondition, Unavailable
from smokestack.engine.event_kinds import EventKind
from smokestack.engine.records import COMPLETION, HostStatus, Kind, copy_from

if TYPE_CHECKING:
    from .model import HypervisorModel

_NOTHING = np.zeros(0, COMPLETION)


def power_on(model: HypervisorModel, detail: Mapping[str, str | int]) -> None:
    """Begins anew from what a state directory held: nobody has what was in flight."""
    model.set_adrift()
    model.events.tell(EventKind.RECOVERED, model.name, **detail)


def find_again(device: BlockDevice) -> None:
    """Connects to a device again if it was lost; Unavailable says that it is still gone."""
    if not isinstance(device, Returning):
        return
    try:
        device.reconnect()
    except Unavailable as gone:
        said = f"{device.name} is gone"
        message = gone.message if gone.message.startswith(said) else f"{said}: {gone.message}"
        raise Unavailable(message, resource=device.name) from None


def fit_disks(model: HypervisorModel, device: BlockDevice) -> None:
    """Finds every disk's device again; refuses a service below that has some of them no more."""
    found: dict[tuple[str, str], Nexus] = {}
    for host_id in sorted({host_id for host_id, _, _ in model.disks}):
        for nexus in device.report_luns([host_id]):
            found[host_id, nexus.volume] = nexus
    missing = sorted(
        f"{device.name}/hosts/{disk.spec.host_id}/devices/{disk.spec.device}"
        for disk in model.disks.values()
        if (disk.spec.host_id, disk.spec.device) not in found
    )
    if missing:
        raise FailedPrecondition(
            f"{device.name} has no {missing[0]}, on which {model.name} has disks ({len(missing)} "
            "are missing): export the volume and rescan the host, then advance again",
            reason="DEVICES_MISSING",
            resource=missing[0],
        )
    jobs = model.state.used("job")
    was = jobs["vm"].copy()
    for key, disk in list(model.disks.items()):
        index = found[disk.spec.host_id, disk.spec.device].index
        if index != disk.nexus:
            model.disks[key] = replace(disk, nexus=index)
            jobs["nexus"][jobs["disk"] == disk.row] = index
            jobs["vm"][was == copy_from(disk.nexus)] = copy_from(index)


def catch_up(model: HypervisorModel, to_ns: int) -> None:
    """Lets all hosts stand still until a time, at which they go on with what they were to do."""
    state, from_ns = model.state, model.now_ns
    while model.now_ns < to_ns:
        for job in range(len(state.used("job"))):
            state.kernel.set_held(job, True, model.now_ns)
        _, _, noted, _ = state.kernel.run(to_ns, _NOTHING, 0, to_ns)
        if noted:
            model.events.tell_notes(model.disks, model.jobs, model.device_name)
        model.faults.run_to(model.now_ns)
    model.faults.let_go()
    model.events.tell(EventKind.CLOCK_CAUGHT_UP, model.name, from_ns=from_ns, to_ns=to_ns)


def lost_in_flight(model: HypervisorModel) -> Reply:
    """Returns the end of every I/O that nobody will answer any more."""
    state, now_ns = model.state, model.now_ns
    slots = state.used("slot")
    inbox = state["inbox"][: state.number("state", "inbox_count")]
    answered = inbox["id"][state.number("state", "inbox_taken") :]
    ids = np.setdiff1d(slots["id"][slots["outstanding"] != 0], answered)
    lost = np.zeros(len(ids), COMPLETION)
    lost["time"], lost["id"] = now_ns, ids
    lost["kind"], lost["status"] = Kind.HOST, HostStatus.RESET
    return Reply(lost, len(lost), now_ns)
