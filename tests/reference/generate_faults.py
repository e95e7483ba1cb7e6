"""Hypothesis strategies for fault rules on a stack: of every kind, at odd and at round times."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import assume
from hypothesis import strategies as st

from smokestack.engine.fault_rules import FaultRule
from tests.reference.config import (
    FaultChange,
    FaultCleared,
    FaultInjected,
    StackConfig,
    VolumeCreated,
    VolumeDeleted,
)
from tests.reference.generate import Scenario, scenarios

PER_IO = (
    "TASK_SET_FULL",
    "CONTROLLER_SLOW",
    "COMMAND_FAILED",
    "MEDIA_SLOW",
    "MEDIA_ERROR",
    "NOT_READY",
)
FLAPPING = ("LINK_DOWN", "PORT_DOWN")
LIES = ("WRONG_VOLUME", "PATH_FALSELY_DEAD", "IDENTITY_CHANGED")
LINKS = ("SLOW_DRAIN", "LINK_DOWN", "LOGIN_REJECTED", "FRAME_DAMAGED")
LASTING = (
    "PORT_DOWN",
    "PORT_DOWN",
    "PORT_HANG",
    "PORT_HANG",
    "CONTROLLER_DOWN",
    "ARRAY_POWER_LOSS",
    "PATH_DISABLED",
    "VM_PAUSED",
    "VM_PAUSED",
    *LINKS,
)
KINDS = (*PER_IO, *LIES, *LASTING)


@st.composite
def faulty_scenarios(draw: st.DrawFn) -> Scenario:
    """Draws a stack that is changed on the way and breaks on the way."""
    scenario = draw(scenarios())
    count = draw(st.integers(1, 6))
    taken = {change.at_ns for change in scenario.stack.changes}
    faults = [f for n in range(count) for f in draw(_fault(scenario, f"f{n}", taken))]
    changes = sorted([*scenario.stack.changes, *faults], key=lambda change: change.at_ns)
    return replace(scenario, stack=replace(scenario.stack, changes=tuple(changes)))


@st.composite
def _fault(
    draw: st.DrawFn, scenario: Scenario, fault_id: str, taken: set[int]
) -> list[FaultChange]:
    until = scenario.until_ns
    times = st.integers(0, until // 10_000).map(lambda n: n * 10_000) | st.integers(0, until)
    at = _free(draw(times), taken)
    kind = draw(st.sampled_from(KINDS))
    service, target = draw(_target(scenario.stack, kind))
    start = draw(st.just(0) | times)
    down, count = 0, draw(st.sampled_from([0, 0, 1, 7])) if kind in PER_IO else 0
    duration = draw(st.just(0) | st.sampled_from([1, 10_000, 100_000]) | times)
    if kind in FLAPPING and draw(st.booleans()):
        down = draw(st.sampled_from([1_000, 10_000, 77_777]))
        count = draw(st.integers(0, 9))
    rule = FaultRule(
        kind,
        target,
        fault_id,
        probability=draw(st.sampled_from([0.1, 0.5, 1.0]))
        if kind in PER_IO or kind == "FRAME_DAMAGED"
        else 1.0,
        count=count,
        start_ns=start if start > at else 0,
        duration_ns=duration,
        down_ns=down,
        up_ns=draw(st.sampled_from([1_000, 10_000, 150_001])) if down else 0,
        factor_per_mille=draw(st.sampled_from([1_000, 1_500, 9_000])) if "SLOW" in kind else 0,
    )
    made: list[FaultChange] = [FaultInjected(at, service, rule)]
    if draw(st.booleans()):
        later = _free(at + draw(times), taken)
        made.append(FaultCleared(later, service, fault_id))
    return made


def _free(time: int, taken: set[int]) -> int:
    """The next time at which nothing else is changed: what a change meets is then plain."""
    while time in taken:
        time += 1
    taken.add(time)
    return time


@st.composite
def _target(draw: st.DrawFn, stack: StackConfig, kind: str) -> tuple[str, str]:
    if kind == "VM_PAUSED":
        vm = draw(st.sampled_from(stack.vms))
        vms = [f"hosts/{vm.host_id}/vms/{vm.vm_id}", f"hosts/{vm.host_id}/vms/*", "hosts/*/vms/*"]
        return "hypervisors/hv1", draw(st.sampled_from(vms))
    if kind in ("PATH_DISABLED", "PATH_FALSELY_DEAD"):
        host = draw(st.sampled_from(stack.multipath_hosts))
        devices = f"multipaths/m1/hosts/{host.host_id}/devices"
        initiator = draw(st.sampled_from(host.initiators))
        paths = [f"{devices}/*/paths/{initiator}.*", f"{devices}/*/paths/*0"]
        return "multipaths/m1", draw(st.sampled_from(paths))
    if kind in LINKS:
        links = "multipaths/m1/fabrics/*/links/"
        return "multipaths/m1", draw(st.sampled_from([f"{links}h0-*", f"{links}a0.p0"]))
    array = draw(st.sampled_from(stack.arrays))
    if kind == "WRONG_VOLUME":  # which volume is the next one is plain while they stay
        assume(not any(isinstance(c, VolumeCreated | VolumeDeleted) for c in stack.changes))
    name = f"arrays/{array.array_id}"
    broken = {
        "PORT_DOWN": [f"{name}/ports/{port.port_id}" for port in array.ports],
        "PORT_HANG": [f"{name}/ports/{port.port_id}" for port in array.ports],
        "ARRAY_POWER_LOSS": [name],
        "CONTROLLER_DOWN": [f"{name}/controllers/c0", f"{name}/controllers/*"],
        "TASK_SET_FULL": [f"{name}/ports/*"],
        "CONTROLLER_SLOW": [f"{name}/controllers/*"],
        "COMMAND_FAILED": [f"{name}/volumes/{volume.volume_id}" for volume in array.volumes],
        "NOT_READY": [f"{name}/volumes/*"],
        "MEDIA_SLOW": [f"{name}/pools/*"],
        "MEDIA_ERROR": [f"{name}/pools/*"],
        "IDENTITY_CHANGED": [f"{name}/volumes/{volume.volume_id}" for volume in array.volumes],
        "WRONG_VOLUME": [f"{name}/exports/{e.volume_id}.{e.host_id}" for e in array.exports],
    }[kind]
    assume(broken)
    if kind == "ARRAY_POWER_LOSS":
        return name, draw(st.sampled_from([name, "arrays/*"]))
    return name, draw(st.sampled_from([*broken, f"arrays/*/{broken[0].split('/')[2]}/*"]))
