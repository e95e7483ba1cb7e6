"""Recordings and their replay: the same calls at the same borders are the same history."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smokestack.engine.errors import FailedPrecondition, InvalidArgument, Refused
from smokestack.server import recording
from smokestack.server.build import Api, upload_trace
from smokestack.server.processes import Processes
from smokestack.server.replay import read_recording, replay
from smokestack.server.rooms import hypervisor_room, multipath_room
from smokestack.server.stack import Stack
from smokestack.v1 import (
    array_pb2,
    faults_pb2,
    hypervisor_pb2,
    multipath_pb2,
    simulation_pb2,
    snapshots_pb2,
)
from smokestack.workload.traces import bundled
from tests.server.scenarios import small_scenario

MS = 1_000_000
VM = "hosts/h1/vms/on-a1"


def advance(api: Api, until_ns: int) -> None:
    api.simulation.Advance(simulation_pb2.AdvanceRequest(until_ns=until_ns))


def recorded(api: Api) -> bytes:
    parts = api.simulation.GetRecording(snapshots_pb2.GetRecordingRequest())
    return b"".join(part.data for part in parts)


def digest(api: Api) -> str:
    found: str = api.hypervisor.GetStatistics(hypervisor_pb2.GetStatisticsRequest()).digest
    return found


def set_port(api: Api, port_id: str, enabled: bool) -> None:
    port = array_pb2.Port(name=f"arrays/a1/ports/{port_id}", enabled=enabled)
    api.arrays["a1"].UpdatePort(array_pb2.UpdatePortRequest(port=port))


def break_port(api: Api, duration_ns: int) -> None:
    rule = faults_pb2.FaultRule(
        kind="PORT_DOWN", target="arrays/a1/ports/p1", duration_ns=duration_ns
    )
    api.simulations["arrays/a1"].InjectFault(faults_pb2.InjectFaultRequest(fault=rule))


def set_depth(api: Api, depth: int) -> None:
    name = "multipaths/m1/hosts/h1/devices/a1.v1"
    device = multipath_pb2.Device(name=name, lun_queue_depth=depth)
    api.multipath.UpdateDevice(multipath_pb2.UpdateDeviceRequest(device=device))


def add_job(api: Api, job_id: str) -> None:
    job = hypervisor_pb2.Job(disk=f"{VM}/disks/d0", iodepth=2, io_limit=50)
    request = hypervisor_pb2.CreateJobRequest(parent=VM, job_id=job_id, job=job)
    api.hypervisor.CreateJob(request)


def busy_day(api: Api) -> None:
    """Calls of every service, between Advances."""
    advance(api, 1 * MS)
    set_port(api, "p0", False)
    advance(api, 2 * MS)
    break_port(api, 700_000)
    set_depth(api, 3)
    advance(api, 4 * MS)
    add_job(api, "late")
    set_port(api, "p0", True)
    pool = array_pb2.Pool(name="arrays/a1/pools/p1", capacity_bytes=16 << 20)
    api.arrays["a1"].UpdatePool(array_pb2.UpdatePoolRequest(pool=pool))
    advance(api, 6 * MS)
    api.hypervisor.StopJob(hypervisor_pb2.StopJobRequest(name=f"{VM}/jobs/j0"))
    advance(api, 8 * MS)


def calls_around_a_window_without_time(stack: Stack) -> None:
    """Calls of one time, as during an Advance: the first settles at once, the others after them."""
    advance(stack.api, 1 * MS)
    set_port(stack.api, "p0", False)
    stack.hypervisor.model.advance(1 * MS)
    break_port(stack.api, 400_000)
    set_port(stack.api, "p0", True)
    stack.hypervisor.model.go_on(1 * MS + 70_000)


def events(stack: Stack) -> list[Any]:
    logs = (room.model.events for room in stack.rooms)
    return [event for log in logs for event in log.after(log.first - 1, 10**6)]


def test_calls_of_one_time_settle_where_each_did() -> None:
    with Stack(small_scenario(io_limit=0)) as stack:
        stack.attach()
        calls_around_a_window_without_time(stack)
        advance(stack.api, 4 * MS)
        told = events(stack)
        replayed = replay(recorded(stack.api))
    assert replayed.same
    assert events(replayed.stack) == told


@pytest.mark.parametrize("opened", [Stack, Processes])
def test_a_replay_is_the_same_history(
    opened: Callable[..., AbstractContextManager[Any]],
) -> None:
    with opened(small_scenario(io_limit=0)) as found:
        busy_day(found.api)
        data, end = recorded(found.api), digest(found.api)
        told = events(found) if isinstance(found, Stack) else None
    replayed = replay(data)
    assert replayed.same
    assert replayed.digest == end
    if told is not None:
        assert events(replayed.stack) == told
    assert replay(recorded(replayed.stack.api)).digest == end


def test_calls_in_the_middle_of_an_advance_are_replayed_where_they_acted() -> None:
    with Stack(small_scenario(io_limit=0)) as stack:
        over = threading.Event()

        def calls() -> None:
            number = 0
            while not over.wait(0.002):
                number += 1
                set_port(stack.api, f"p{number // 2 % 2}", bool(number % 2))
                if number % 3 == 0:
                    break_port(stack.api, 300_000)
                if number % 4 == 0:
                    io = hypervisor_pb2.SubmitIoRequest(
                        disk=f"{VM}/disks/d0",
                        operation=hypervisor_pb2.IO_OPERATION_READ,
                        length_bytes=4096,
                    )
                    with suppress(Refused):  # when the Advance has ended
                        stack.api.hypervisor.SubmitIo(io)

        thread = threading.Thread(target=calls)
        thread.start()
        for number in range(1, 9):
            advance(stack.api, number * 40 * MS)
        over.set()
        thread.join()
        advance(stack.api, 330 * MS)
        replayed = replay(recorded(stack.api))
        assert len(replayed.recorded.lines) > 5
        assert replayed.same
        assert events(replayed.stack) == events(stack)


def test_a_recording_goes_back_with_its_snapshot() -> None:
    with Stack(small_scenario(io_limit=0)) as stack:
        advance(stack.api, 1 * MS)
        set_port(stack.api, "p0", False)
        advance(stack.api, 2 * MS)
        create = snapshots_pb2.CreateSnapshotRequest(snapshot_id="s1")
        stack.api.simulation.CreateSnapshot(create)
        kept = recorded(stack.api)
        set_depth(stack.api, 2)
        advance(stack.api, 4 * MS)
        request = snapshots_pb2.RestoreSnapshotRequest(name="snapshots/s1")
        stack.api.simulation.RestoreSnapshot(request)
        assert recorded(stack.api) == kept
        add_job(stack.api, "another")
        advance(stack.api, 4 * MS)
        assert [line.method for line in replay(recorded(stack.api)).recorded.lines] == [
            "ArrayService.UpdatePort",
            "HypervisorService.CreateJob",
        ]
        with stack.fork() as fork:
            assert replay(recorded(fork.api)).same


def test_what_a_call_had_to_wait_for_is_recorded_across_a_snapshot() -> None:
    with Stack(small_scenario(io_limit=0)) as stack:
        advance(stack.api, 1 * MS)
        set_port(stack.api, "p0", False)
        simulation = stack.hypervisor.simulation
        simulation.CreateSnapshot(snapshots_pb2.CreateSnapshotRequest(snapshot_id="s1"))
        advance(stack.api, 2 * MS)
        once = read_recording(recorded(stack.api)).lines
        simulation.RestoreSnapshot(snapshots_pb2.RestoreSnapshotRequest(name="snapshots/s1"))
        advance(stack.api, 2 * MS)
        assert read_recording(recorded(stack.api)).lines == once
        assert '"settled_ns":1000000' in recorded(stack.api).decode()


def test_what_was_refused_or_only_read_or_said_twice_is_not_recorded() -> None:
    with Stack(small_scenario(io_limit=0)) as stack:
        api = stack.api.arrays["a1"]
        api.ListVolumes(array_pb2.ListVolumesRequest(parent="arrays/a1"))
        with pytest.raises(Refused):
            set_port(stack.api, "p9", False)
        volume = array_pb2.Volume(pool="arrays/a1/pools/p1", capacity_bytes=1 << 30)
        request = array_pb2.CreateVolumeRequest(
            parent="arrays/a1", volume_id="v9", volume=volume, request_id="once"
        )
        assert api.CreateVolume(request) == api.CreateVolume(request)
        lines = [json.loads(line) for line in recorded(stack.api).splitlines()]
        assert [line.get("method") for line in lines] == [None, "ArrayService.CreateVolume", None]


def test_a_stack_that_was_built_by_hand_is_replayed_from_nothing() -> None:
    """Two services that nobody has given a scenario: all calls are in the recording."""
    hypervisor = hypervisor_room()
    multipath = multipath_room(border=hypervisor.border)
    hypervisor.model.connect(multipath.model)
    api = hypervisor.api
    api.CreateHost(hypervisor_pb2.CreateHostRequest(host_id="h1"))
    api.CreateVm(hypervisor_pb2.CreateVmRequest(parent="hosts/h1", vm_id="v1"))
    upload_trace(api, "t1", bundled())
    hypervisor.model.advance(5 * MS)
    request = snapshots_pb2.GetRecordingRequest()
    parts = hypervisor.simulation.GetRecording(request)
    replayed = replay(b"".join(part.data for part in parts))
    assert replayed.same
    assert list(replayed.stack.hypervisor.model.vms) == [("h1", "v1")]
    assert list(replayed.stack.hypervisor.api.trace_records()) == ["t1"]


def test_what_is_called_after_a_restore_comes_after_what_the_snapshot_brought() -> None:
    with Stack(small_scenario()) as stack, Stack(small_scenario()) as other:
        for depth in range(1, 9):
            set_depth(stack.api, depth)
        other.hypervisor.model.restore(
            {piece.service: piece for piece in stack.hypervisor.model.snapshot("s1")}
        )
        set_port(other.api, "p0", False)
        *_, last, _ = (json.loads(line) for line in recorded(other.api).splitlines())
    assert last["method"] == "ArrayService.UpdatePort"


def test_another_scenario_is_refused() -> None:
    with Stack(small_scenario()) as stack:
        advance(stack.api, 1 * MS)
        data = recorded(stack.api)
    assert replay(data, small_scenario()).same
    for other in (small_scenario(seed=2), small_scenario(2), small_scenario(io_limit=751)):
        with pytest.raises(FailedPrecondition, match="is of another scenario") as refusal:
            replay(data, other)
        assert refusal.value.reason == "ANOTHER_SCENARIO"


def test_a_recording_that_lost_calls_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "CALLS_MAX", 2)
    with Stack(small_scenario()) as stack:
        for depth in (1, 2, 3, 4):
            set_depth(stack.api, depth)
        data = recorded(stack.api)
    with pytest.raises(InvalidArgument, match="calls are missing from 0 ns on"):
        read_recording(data)


def test_recording_starts_at_time_0_only() -> None:
    with Stack(small_scenario()) as stack:
        start = snapshots_pb2.StartRecordingRequest()
        stack.api.simulations["arrays/a1"].StartRecording(start)
        advance(stack.api, 1 * MS)
        with pytest.raises(FailedPrecondition, match="begins at time 0"):
            stack.api.simulation.StartRecording(start)
        with pytest.raises(FailedPrecondition, match="call it at the hypervisor"):
            list(
                stack.api.simulations["arrays/a1"].GetRecording(snapshots_pb2.GetRecordingRequest())
            )


@pytest.fixture(scope="module")
def data() -> bytes:
    """A recording of some calls."""
    with Stack(small_scenario()) as stack:
        busy_day(stack.api)
        return recorded(stack.api)


@pytest.mark.parametrize(
    ("line", "change", "message"),
    [
        (0, {"smokestack_recording": 2}, "line 1 .* has format 2, this version reads 1"),
        (0, {"scenario": {"fabrics": 3}}, "line 1 .* lacks or misspells"),
        (1, {"method": "ArrayService.Explode"}, "line 2 .* no call of this version"),
        (1, {"request": {"prot": {}}}, "line 2 .* no call of this version.*prot"),
        (1, {"time_ns": -1}, "line 2 .*not a virtual time"),
        (2, {"time_ns": 0}, "line 3 .* not within what is around it"),
        (2, {"service": "arrays/a9"}, "line 3 .* the first line does not name"),
        (-1, {"end_ns": 5}, "line 2 .* not within what is around it"),
    ],
)
def test_a_line_that_is_wrong_is_named(
    data: bytes, line: int, change: dict[str, Any], message: str
) -> None:
    lines = [json.loads(text) for text in data.splitlines()]
    lines[line].update(change)
    with pytest.raises(InvalidArgument, match=message):
        read_recording("\n".join(map(json.dumps, lines)).encode())


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        (lambda d: b"", "does not begin a recording"),
        (lambda d: d[: d.rindex(b"\n", 0, -1)], "cut short"),
        (lambda d: d[:-40], "line 9 .* is no JSON"),
        (lambda d: b"\xff\xfe" + d, "line 1 .* is no JSON"),
        (lambda d: b"[1, 2]\n", "is no JSON object"),
    ],
)
def test_a_file_that_is_none_is_refused(
    data: bytes, cut: Callable[[bytes], bytes], message: str
) -> None:
    with pytest.raises(InvalidArgument, match=message):
        read_recording(cut(data))


@settings(max_examples=100)
@given(at=st.integers(0, 10**6), byte=st.integers(0, 255))
def test_damaged_recordings_are_refused_or_mean_something(data: bytes, at: int, byte: int) -> None:
    damaged = bytearray(data)
    damaged[at % len(data)] = byte
    try:
        recorded = read_recording(bytes(damaged))
    except InvalidArgument:
        return
    assert [line.number for line in recorded.lines] == list(range(2, len(recorded.lines) + 2))


def changed(data: bytes, method: str, request: dict[str, Any]) -> bytes:
    """A recording in which somebody has edited the call of one method."""
    lines = [json.loads(text) for text in data.splitlines()]
    [line] = [line for line in lines if line.get("method") == method]
    line["request"] = request
    return "\n".join(map(json.dumps, lines)).encode()


def test_a_history_that_parts_from_the_recording_is_told(data: bytes) -> None:
    device = {"name": "multipaths/m1/hosts/h1/devices/a1.v1", "lun_queue_depth": 4}
    assert not replay(changed(data, "MultipathService.UpdateDevice", {"device": device})).same
    stop = {"name": f"{VM}/jobs/none"}
    with pytest.raises(FailedPrecondition, match="line 8: hypervisors/hv1 refuses") as refusal:
        replay(changed(data, "HypervisorService.StopJob", stop))
    assert refusal.value.reason == "REPLAY_DIVERGED"
