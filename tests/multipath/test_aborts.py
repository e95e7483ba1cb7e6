"""What follows when commands are not answered in time: aborts, resets, and paths given up."""

from __future__ import annotations

import numpy as np
import pytest

from smokestack.array.model import ArrayModel
from smokestack.array.specs import ArrayHostSpec, ExportSpec, InitiatorSpec, PortSpec
from smokestack.engine.blockdevice import NOTHING, IoBatch
from smokestack.engine.errors import FailedPrecondition, NotFound
from smokestack.engine.event_kinds import EventKind
from smokestack.engine.events import Event
from smokestack.engine.fault_rules import FaultRule
from smokestack.engine.records import Attention, HostStatus, Kind, Status
from smokestack.multipath.model import MultipathModel
from smokestack.multipath.resets import reset_device
from smokestack.multipath.specs import (
    DepthRule,
    Escalation,
    MultipathHostSpec,
    MultipathSpec,
    PathState,
    QueueControl,
    Selector,
)
from tests.multipath.test_attentions import heard
from tests.multipath.test_multipath import L, attach, make_stack, serve, writes

MS = 1_000_000
STEPS = (
    EventKind.COMMANDS_TIMED_OUT,
    EventKind.DEVICE_RESET,
    EventKind.TARGET_RESET,
    EventKind.DEVICE_RESET_DONE,
    EventKind.PATH_DOWN,
)
PATIENT = MultipathSpec(command_timeout_ns=3 * MS, task_management_timeout_ns=2 * MS)


def steps(multipath: MultipathModel) -> list[Event]:
    """What was done about unanswered commands, as events."""
    return [e for e in multipath.events.after(0, 9_999) if e.kind in STEPS]


def recovery(multipath: MultipathModel, column: str, device: int = 0) -> int:
    """What a device has counted."""
    return int(multipath.state["recovery"][column][device])


def tasks(array: ArrayModel, column: str) -> int:
    """What an array has counted, over all nexuses."""
    return int(array.state["task"][column].sum())


def hang(array: ArrayModel, port: str = "p0", *, for_ns: int = 0) -> None:
    """Makes a port take commands and answer none."""
    array.faults.inject(FaultRule("PORT_HANG", f"arrays/a1/ports/{port}", duration_ns=for_ns))


def stack(spec: MultipathSpec = PATIENT, ports: int = 1) -> tuple[ArrayModel, MultipathModel]:
    """Paths of one initiator to a volume."""
    array, multipath = make_stack(Selector.FIRST_AVAILABLE, ports=ports, spec=spec)
    attach(multipath)
    return array, multipath


def second_host(array: ArrayModel, multipath: MultipathModel) -> None:
    """Shows the volume to another host, whose device is the second."""
    array.create_host(ArrayHostSpec("h2", (InitiatorSpec("h2-a", "fabric-a"),)))
    array.create_export(ExportSpec("v1", "h2", 0))
    multipath.create_host(MultipathHostSpec("h2", ("h2-a",)))
    multipath.rescan("h2")


def to_device(ios: IoBatch, device: int) -> IoBatch:
    """The same I/O to another device."""
    ios.records["nexus"] = device
    return ios


def test_a_hung_port_is_found_step_by_step_and_a_target_reset_ends_it() -> None:
    array, multipath = stack()
    hang(array)
    (answer,) = serve(multipath, writes(0), for_ns=20 * MS)
    assert (answer["status"], answer["attempt"]) == (Status.GOOD, 1)
    found = steps(multipath)
    assert [(e.kind, e.time_ns) for e in found[:3]] == [
        (EventKind.COMMANDS_TIMED_OUT, 3 * MS),
        (EventKind.DEVICE_RESET, 5 * MS),
        (EventKind.TARGET_RESET, 7 * MS),
    ]
    assert found[3].kind == EventKind.DEVICE_RESET_DONE
    assert 7 * MS + L <= found[3].time_ns < 7 * MS + 2 * L
    assert [e.cause for e in found] == ["", *(e.name for e in found[:3])], "each has the one before"
    assert (recovery(multipath, "aborts"), recovery(multipath, "unanswered")) == (1, 2)
    [reset] = [e for e in array.events.after(0, 99) if e.kind == EventKind.PORT_TARGET_RESET]
    assert (reset.subject, reset.cause) == ("arrays/a1/ports/p0", found[2].name)
    assert reset.detail == {"host": "h1", "initiator": "h1-a", "port": "p0"}
    assert tasks(array, "abort_tasks") == 0, "it heard of none"
    device = multipath.state["device"][0]
    assert (device["active"], device["queued"], device["recovering"]) == (0, 0, 0)
    assert not multipath.state.row["recovering"]


def test_while_a_device_is_reset_it_sends_nothing_and_others_do() -> None:
    array, multipath = stack(ports=2)
    second_host(array, multipath)
    hang(array, for_ns=6 * MS)
    assert serve(multipath, writes(0), for_ns=5 * MS + MS // 2) == []
    now_ns = multipath.now_ns
    other = to_device(writes(now_ns, first_slot=8), 1)
    multipath.update_device("h2", "a1.v1", preferred_path="h2-a.p1", selector=Selector.FIXED)
    (answer,) = serve(multipath, other, for_ns=MS)
    assert (answer["id"] >> np.uint64(40), answer["status"]) == (8, Status.GOOD)
    answers = serve(multipath, writes(multipath.now_ns, first_slot=9), for_ns=20 * MS)
    assert {int(a["id"]) >> 40: int(a["attempt"]) for a in answers} == {0: 1, 9: 0}
    assert min(a["time"] for a in answers) > 7 * MS, "the device waited for its reset to be over"


@pytest.mark.parametrize("last", [Escalation.ABORT_TASK, Escalation.LOGICAL_UNIT_RESET])
def test_the_last_step_is_repeated_and_no_path_fails(last: Escalation) -> None:
    spec = MultipathSpec(
        command_timeout_ns=3 * MS, task_management_timeout_ns=2 * MS, escalation=last
    )
    array, multipath = stack(spec, ports=2)
    hang(array, for_ns=50 * MS)
    (answer,) = serve(multipath, writes(0), for_ns=100 * MS)
    assert (answer["status"], answer["attempt"]) == (Status.GOOD, 1)
    assert 50 * MS < answer["time"] < 54 * MS
    counts = [recovery(multipath, name) for name in ("aborts", "lun_resets", "target_resets")]
    assert counts == ([25, 0, 0] if last is Escalation.ABORT_TASK else [1, 24, 0])
    assert recovery(multipath, "given_up") == 0
    states = {path.state for path in multipath.devices("h1")[0].paths}
    assert states == {PathState.ACTIVE}, "which is why virtual machines crashed (FACTS 2.4)"


def test_a_path_that_no_reset_helps_is_given_up_and_another_carries_on() -> None:
    array, multipath = stack(ports=0)
    for number, bandwidth in enumerate((1_000_000, 800_000_000)):
        port = PortSpec(f"p{number}", "c0", "fabric-a", bandwidth_bytes_per_second=bandwidth)
        array.create_port(port)
    array.delete_export("v1", "h1")
    array.create_export(ExportSpec("v1", "h1", 0))
    multipath.rescan("h1")
    ios = writes(0)
    ios.records["length"] = 1 << 20  # a second on the first port's wire
    (answer,) = serve(multipath, ios, for_ns=100 * MS)
    assert (answer["status"], answer["attempt"]) == (Status.GOOD, 1)
    found = steps(multipath)
    assert [e.kind for e in found] == [STEPS[0], STEPS[1], STEPS[2], STEPS[4]]
    assert (found[-1].time_ns, found[-1].cause) == (9 * MS, found[-2].name)
    assert recovery(multipath, "given_up") == 1
    (device,) = multipath.devices("h1")
    assert [path.state for path in device.paths] == [PathState.DEAD, PathState.ACTIVE]
    multipath.rescan("h1")
    (device,) = multipath.devices("h1")
    assert [path.state for path in device.paths] == [PathState.ACTIVE] * 2


def test_a_path_down_ends_the_reset_that_went_by_it() -> None:
    array, multipath = stack(ports=2)
    hang(array)
    down = FaultRule("PORT_DOWN", "arrays/a1/ports/p0", start_ns=6 * MS)
    array.faults.inject(down)
    (answer,) = serve(multipath, writes(0), for_ns=20 * MS)
    assert (answer["status"], answer["attempt"]) == (Status.GOOD, 1)
    assert 6 * MS < answer["time"] < 7 * MS
    assert recovery(multipath, "target_resets") == 0


def test_the_command_that_legacy_hosts_take_for_accepted_is_freed_by_its_abort() -> None:
    array, multipath = stack()
    control = QueueControl(DepthRule.LEGACY_NO_THROTTLE)
    multipath.update_device("h1", "a1.v1", queue_control=control)
    array.faults.inject(FaultRule("TASK_SET_FULL", "arrays/a1/ports/p0", count=1))
    (answer,) = serve(multipath, writes(0), for_ns=20 * MS)
    assert (answer["status"], answer["attempt"]) == (Status.GOOD, 1)
    assert 3 * MS < answer["time"] < 4 * MS
    assert (tasks(array, "abort_tasks"), tasks(array, "aborted")) == (1, 0)


def test_an_abort_whose_array_dies_ends_with_it() -> None:
    array, multipath = stack()
    hang(array)
    serve(multipath, writes(0), for_ns=4 * MS)
    (one,) = multipath.arrays.values()
    multipath._lose(one, multipath.now_ns)
    (answer,) = serve(multipath, NOTHING, for_ns=MS)
    assert (answer["kind"], answer["status"]) == (Kind.HOST, HostStatus.NO_CONNECT)


# --- by hand ----------------------------------------------------------------------------------


def test_a_reset_by_hand_ends_what_is_out_and_other_hosts_hear_of_it() -> None:
    array, multipath = stack(MultipathSpec())
    second_host(array, multipath)
    array.set_volume_task_aborted_status("v1", True)
    slow = FaultRule("CONTROLLER_SLOW", "arrays/a1/controllers/c0", count=2, factor_per_mille=10**6)
    array.faults.inject(slow)
    both = writes(0, 0)
    both.records["nexus"] = (0, 1)
    assert serve(multipath, both, for_ns=2 * MS) == []
    reset_device(multipath, "h1", "a1.v1")
    answers = serve(multipath, NOTHING, for_ns=2 * MS)
    assert [(a["status"], a["attempt"]) for a in answers] == [(Status.GOOD, 1), (Status.GOOD, 2)]
    assert tasks(array, "aborted") == 2
    assert tasks(array, "task_aborted") == recovery(multipath, "task_aborted", 1) == 1
    heard_by_second = int(multipath.state["heard"][32:64][Attention.LUN_RESET])
    assert (heard(multipath, Attention.LUN_RESET), heard_by_second) == (0, 1)
    [sent, done] = steps(multipath)
    assert (sent.kind, sent.time_ns, sent.cause) == (EventKind.DEVICE_RESET, 2 * MS, "")
    assert (done.kind, done.cause) == (EventKind.DEVICE_RESET_DONE, sent.name)
    [reset] = [e for e in array.events.after(0, 99) if e.kind == EventKind.LOGICAL_UNIT_RESET]
    assert (reset.subject, reset.cause) == ("arrays/a1/volumes/v1", sent.name)
    [told] = [e for e in multipath.events.after(0, 99) if e.kind == EventKind.UNIT_ATTENTION]
    assert (told.cause, told.detail["sense"]) == (reset.name, "6/29/03")


def test_without_tas_other_hosts_find_out_by_their_time_outs() -> None:
    spec = MultipathSpec(command_timeout_ns=50 * MS)
    array, multipath = stack(spec)
    second_host(array, multipath)
    slow = FaultRule("CONTROLLER_SLOW", "arrays/a1/controllers/c0", count=1, factor_per_mille=10**6)
    array.faults.inject(slow)
    assert serve(multipath, to_device(writes(0), 1), for_ns=2 * MS) == []
    reset_device(multipath, "h1", "a1.v1", target=True)
    (answer,) = serve(multipath, NOTHING, for_ns=100 * MS)
    assert (answer["status"], answer["attempt"]) == (Status.GOOD, 2), "an abort, an attention"
    assert 50 * MS < answer["time"] < 51 * MS
    assert tasks(array, "task_aborted") == 0
    assert int(array.state["port"]["target_resets"][0]) == 1


def test_a_reset_that_cannot_be_is_refused() -> None:
    array, multipath = stack(MultipathSpec())
    with pytest.raises(NotFound):
        reset_device(multipath, "h1", "a1.v9")
    reset_device(multipath, "h1", "a1.v1")
    with pytest.raises(FailedPrecondition, match="being reset already"):
        reset_device(multipath, "h1", "a1.v1")
    serve(multipath, NOTHING, for_ns=MS)
    reset_device(multipath, "h1", "a1.v1")
    serve(multipath, NOTHING, for_ns=MS)
    array.set_port_enabled("p0", False)
    serve(multipath, NOTHING, for_ns=MS)
    with pytest.raises(FailedPrecondition, match="no usable path"):
        reset_device(multipath, "h1", "a1.v1")


def test_hosts_without_a_time_out_send_nothing_but_commands() -> None:
    array, multipath = stack(MultipathSpec())
    serve(multipath, writes(*range(0, 64_000, 1_000)), for_ns=MS)
    assert not any(array.state["task"].view(np.uint64))
    assert not any(multipath.state["recovery"].view(np.uint64)[:, None].ravel()[:12])
