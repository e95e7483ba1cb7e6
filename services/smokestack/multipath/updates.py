"""What of a layer, of its hosts and of fabrics changes after they were created, at a border.

A host's settings are the defaults of its devices and adapters: those that have its value follow it,
those that were given one of their own keep theirs.  Claim rules are run again over every device, as
``esxcli storage core claiming reclaim`` does; a policy that a device got by them follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from smokestack.engine.errors import FailedPrecondition
from smokestack.engine.event_kinds import EventKind

from . import checking, control, queues
from .checks import check_host, check_multipath
from .fabrics import TRUNK, check_hold_time
from .selection import set_settings, settings_of
from .specs import DeviceSettings, MultipathHostSpec, MultipathSpec, Selector
from .state import STIRRED
from .thrashing import fit_policy, policy_of

if TYPE_CHECKING:
    from .inventory import Device
    from .model import MultipathModel


# What commands may be waiting for.
_WAITED_FOR = ("apd_handling", "qfull_retry_delay_ns", "not_ready_retry_delay_ns")


def update_layer(model: MultipathModel, settings: Mapping[str, Any]) -> None:
    """Changes settings of the layer; all is checked before anything changes.

    What is under way keeps the time that it was given: a device in APD, a command that is out or
    waits to be sent again, an abort.  What waits in APD is looked at anew when it is handled in
    another way, at the next border; so is what is answered by then, when it waits for less time.
    """
    before, spec = model.spec, replace(model.spec, **settings)
    check_multipath(spec)
    _check_timeout(model, spec)
    model.spec = spec
    queues.configure(model.state, spec)
    if any(getattr(spec, name) != getattr(before, name) for name in _WAITED_FOR):
        model.state.used("device")["stirred"] = model.state.row["stirred"] = STIRRED
    if spec.congestion_evaluation_ns != before.congestion_evaluation_ns:
        model._plan_evaluation()
    if replace(spec, probing=before.probing) != before:
        model.events.tell(EventKind.MULTIPATH_UPDATED)
    if spec.probing != before.probing:
        model.events.tell(EventKind.PROBING if spec.probing else EventKind.PROBING_ENDED)


def _check_timeout(model: MultipathModel, spec: MultipathSpec) -> None:
    holding = [each.fabric_id for each in model.fabrics.fabrics.values() if each.hold_time_ns]
    if holding and not spec.command_timeout_ns:
        raise FailedPrecondition(
            f"switches of {model.name}/fabrics/{min(holding)} drop what they have held too long, "
            "and without a command_timeout_ns commands would wait for that without end: set the "
            "fabric's hold_time_ns to 0 first",
            reason="HOLD_TIME",
            resource=f"{model.name}/fabrics/{min(holding)}",
        )


def update_host(model: MultipathModel, spec: MultipathHostSpec) -> None:
    """Gives a host other settings; all is checked before anything changes."""
    check_host(spec)
    before = model.host(spec.host_id)
    model.hosts[spec.host_id] = spec
    devices = [device for device in model.all_devices() if device.host_id == spec.host_id]
    for device in devices:
        _follow(model, device, before, spec)
    for (host_id, _), row in model.adapters.items():
        depth = model.state["adapter"]["depth"][row]
        if host_id == spec.host_id and depth == before.adapter_queue_depth:
            queues.set_adapter_depth(model.state, row, spec.adapter_queue_depth)
    model._plan_evaluation()
    told = model.events.tell(EventKind.HOST_UPDATED, f"hosts/{spec.host_id}")
    if spec.path_failure_handling != before.path_failure_handling:
        for device in devices:
            model.events.judge(device, told)


def update_fabric(
    model: MultipathModel,
    fabric_id: str,
    *,
    trunk_bandwidth_bytes_per_second: int | None = None,
    hold_time_ns: int | None = None,
) -> None:
    """Changes a fabric's trunk or hold time; all is checked before anything changes."""
    model.fabrics.fabric(fabric_id)
    check_hold_time(hold_time_ns or 0)
    if hold_time_ns and not model.spec.command_timeout_ns:
        raise FailedPrecondition(
            f"{model.name} has no command_timeout_ns, so commands whose answers a switch drops "
            "would wait without end: give it one that is longer than the hold time",
            reason="NO_COMMAND_TIMEOUT",
            resource=model.name,
        )
    if trunk_bandwidth_bytes_per_second is not None:
        _set_trunk(model, fabric_id, trunk_bandwidth_bytes_per_second)
    if hold_time_ns is not None:
        model.fabrics.set_hold_time(fabric_id, hold_time_ns)
    model.faults.fit_links()
    model.events.tell(EventKind.FABRIC_UPDATED, f"fabrics/{fabric_id}")


def _set_trunk(model: MultipathModel, fabric_id: str, rate: int) -> None:
    """Puts a fabric's arrays behind a trunk of this rate; 0: one switch joins all."""
    if not rate and (fabric_id, TRUNK) in model.wires.down | model.wires.barred:
        raise FailedPrecondition(
            f"{model.name}/fabrics/{fabric_id} has a trunk that is down, or that nobody may log in "
            "across: clear the fault first",
            reason="TRUNK_DOWN",
        )
    model.placed.forget()
    model.fabrics.set_trunk(fabric_id, rate)
    model.fabrics.rewire([d for d in model.all_devices() if d.paths])


def _follow(
    model: MultipathModel, device: Device, before: MultipathHostSpec, after: MultipathHostSpec
) -> None:
    state = model.state
    row = state["device"][device.row]
    limits: DeviceSettings = {}
    if _moved(int(row["depth_configured"]), before.lun_queue_depth, after.lun_queue_depth):
        limits["lun_queue_depth"] = after.lun_queue_depth
    shared = before.sched_num_req_outstanding, after.sched_num_req_outstanding
    if _moved(int(row["dsnro"]), *shared):
        limits["sched_num_req_outstanding"] = after.sched_num_req_outstanding
    queues.set_limits(state, device.row, limits)
    if _moved(int(row["ios_per_path"]), before.ios_per_path, after.ios_per_path):
        row["ios_per_path"] = after.ios_per_path
    if _moved(settings_of(state, device.row), before.selector_settings, after.selector_settings):
        set_settings(state, device.row, after.selector_settings)
    if _moved(control.control_of(state, device.row), before.queue_control, after.queue_control):
        control.set_control(state, device.row, after.queue_control)
    handling = before.path_failure_handling, after.path_failure_handling
    if _moved(checking.handling_of(state, device.row), *handling):
        checking.set_handling(state, device, after.path_failure_handling)
    policy = policy_of(state, after, device)
    other_plugin = (policy is Selector.VENDOR) != (device.claimed is Selector.VENDOR)
    if other_plugin or _moved(int(row["selector"]), int(device.claimed), int(policy)):
        row["selector"] = int(policy)
        state.kernel.hand_over(device.row)
    device.claimed = policy
    fit_policy(state, after, device)


def _moved(held: object, before: object, after: object) -> bool:
    """Whether who holds a value follows its host from one to another."""
    return held == before != after
