"""Events of a whole stack: one log in any layout and for any cut of time, and trees of causes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smokestack.server.build import Api
from smokestack.server.processes import Processes
from smokestack.server.stack import Stack
from smokestack.v1 import array_pb2, hypervisor_pb2, scenario_pb2, simulation_pb2_grpc
from smokestack.v1 import multipath_pb2 as multipath
from smokestack.v1 import simulation_pb2 as pb
from tests.server.scenarios import small_scenario

MS = 1_000_000
END_NS = 12 * MS
FORWARD_NS = RETURN_NS = 50_000
LOOKAHEAD_NS = FORWARD_NS + RETURN_NS
Logs = dict[str, list[pb.Event]]


class Step(NamedTuple):
    """What somebody does to the stack at a time."""

    at_ns: int
    what: str
    argument: Any = None


# Links fail one by one until nothing is left, and come back; a dry pool gains space and dries up.
STORY = (
    Step(2 * MS, "port", ("p0", False)),
    Step(3 * MS, "path", False),
    Step(4 * MS, "port", ("p1", False)),
    Step(5 * MS, "port", ("p0", True)),
    Step(5 * MS, "rescan"),
    Step(6 * MS, "pool", 768 << 10),
    Step(7 * MS, "port", ("p1", True)),
    Step(8 * MS, "path", True),
    Step(9 * MS, "export"),
    Step(9 * MS, "rescan"),
    Step(10 * MS, "stop"),
)


def do(api: Api, step: Step) -> None:
    array = api.arrays["a1"]
    if step.what == "port":
        port_id, enabled = step.argument
        port = array_pb2.Port(name=f"arrays/a1/ports/{port_id}", enabled=enabled)
        array.UpdatePort(array_pb2.UpdatePortRequest(port=port))
    elif step.what == "path":
        path = multipath.Path(
            name="multipaths/m1/hosts/h2/devices/a1.v2/paths/h2-b.p1", enabled=step.argument
        )
        api.multipath.UpdatePath(multipath.UpdatePathRequest(path=path))
    elif step.what == "rescan":
        for host in ("h1", "h2"):
            name = f"multipaths/m1/hosts/{host}"
            api.multipath.RescanMultipathHost(multipath.RescanMultipathHostRequest(name=name))
    elif step.what == "pool":
        pool = array_pb2.Pool(name="arrays/a1/pools/p1", capacity_bytes=step.argument)
        array.UpdatePool(array_pb2.UpdatePoolRequest(pool=pool))
    elif step.what == "export":
        array.DeleteExport(array_pb2.DeleteExportRequest(name="arrays/a1/exports/v2.h2"))
    else:
        job = "hosts/h1/vms/on-a1/jobs/j0"
        api.hypervisor.StopJob(hypervisor_pb2.StopJobRequest(name=job))


def play(api: Api, story: Sequence[Step] = STORY, cuts: Sequence[int] = ()) -> None:
    """Tells a story; time is advanced in pieces that end at the cuts too."""
    for step in sorted([*story, *(Step(cut, "cut") for cut in cuts)], key=lambda s: s.at_ns):
        api.simulation.Advance(pb.AdvanceRequest(until_ns=step.at_ns))
        if step.what != "cut":
            do(api, step)
    api.simulation.Advance(pb.AdvanceRequest(until_ns=END_NS))


def roomy(scenario: scenario_pb2.Scenario, capacity_bytes: int = 4 << 30) -> scenario_pb2.Scenario:
    """Gives every pool so much space, by default enough."""
    for array in scenario.arrays:
        array.pools[0].capacity_bytes = capacity_bytes
    return scenario


def tight() -> scenario_pb2.Scenario:
    """Two arrays whose pools soon run dry."""
    return roomy(small_scenario(2, io_limit=100), 512 << 10)


def read(simulation: Any) -> list[pb.Event]:
    answer = simulation.ListEvents(pb.ListEventsRequest(page_size=50))
    found = list(answer.events)
    while token := answer.next_page_token:
        answer = simulation.ListEvents(pb.ListEventsRequest(page_size=50, page_token=token))
        found += answer.events
    return found


def logs_of(stack: Stack) -> Logs:
    return {room.name: read(room.simulation) for room in stack.rooms}


def logs_there(processes: Processes) -> Logs:
    logs = {}
    for endpoint in processes.endpoints:
        with grpc.insecure_channel(endpoint.address) as channel:
            logs[endpoint.name] = read(simulation_pb2_grpc.SimulationServiceStub(channel))
    return logs


def told(
    scenario: scenario_pb2.Scenario, story: Sequence[Step] = STORY, cuts: Sequence[int] = ()
) -> Logs:
    with Stack(scenario) as stack:
        play(stack.api, story, cuts)
        return logs_of(stack)


def kinds(events: Sequence[pb.Event]) -> list[str]:
    return [event.kind for event in events]


def chain(logs: Logs, event: pb.Event) -> list[pb.Event]:
    """An event and what caused it, back to what nothing caused."""
    by_name = {each.name: each for log in logs.values() for each in log}
    found = [event]
    while found[-1].cause:
        found.append(by_name[found[-1].cause])
    return found


def detail(event: pb.Event, key: str) -> str | int:
    values: Mapping[str, str | int] = {d.key: d.text or d.number for d in event.details}
    return values[key]


@pytest.fixture(scope="module")
def story() -> Logs:
    return told(tight())


# --- one log -----------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.lists(st.integers(0, END_NS), max_size=12))
def test_no_cut_of_time_changes_a_log(story: Logs, cuts: list[int]) -> None:
    assert told(tight(), cuts=cuts) == story


def test_many_cuts_change_no_log(story: Logs) -> None:
    cuts = range(0, END_NS, 7_001)
    assert told(tight(), cuts=cuts) == story


def test_processes_tell_what_one_process_tells(story: Logs) -> None:
    with Processes(tight()) as processes:
        play(processes.api, cuts=[1_234_567])
        assert logs_there(processes) == story


def test_the_story_has_a_bit_of_everything(story: Logs) -> None:
    assert set(story) == {"hypervisors/hv1", "multipaths/m1", "arrays/a1", "arrays/a2"}
    for name, expected in {
        "arrays/a1": {"PORT_DOWN", "PORT_UP", "POOL_EXHAUSTED", "POOL_SPACE_AVAILABLE"},
        "multipaths/m1": {
            *("PATH_DOWN", "PATH_UP", "PATH_DISABLED", "PATH_ENABLED"),
            *("DEVICE_ALL_PATHS_DOWN", "DEVICE_PATHS_RESTORED", "DEVICE_REMOVED"),
        },
        "hypervisors/hv1": {"DISK_IO_ERRORS_BEGAN", "JOB_FINISHED", "JOB_STOPPED"},
    }.items():
        assert expected <= set(kinds(story[name]))


def test_numbers_are_without_gaps_and_times_never_decrease(story: Logs) -> None:
    for name, events in story.items():
        assert [e.name for e in events] == [f"{name}/events/{n + 1}" for n in range(len(events))]
        times = [event.time_ns for event in events]
        assert times == sorted(times)


def test_no_cause_comes_after_what_it_caused(story: Logs) -> None:
    caused = [event for log in story.values() for event in log if event.cause]
    assert len(caused) > 20
    for event in caused:
        times = [each.time_ns for each in chain(story, event)]
        assert times == sorted(times, reverse=True)


# --- causes ------------------------------------------------------------------------------------


def test_a_port_takes_disks_down_with_it_step_by_step() -> None:
    down = [Step(2 * MS, "port", (port, False)) for port in ("p0", "p1")]
    logs = told(roomy(small_scenario()), down)
    errors = [e for e in logs["hypervisors/hv1"] if e.kind == "DISK_IO_ERRORS_BEGAN"]
    assert [e.subject for e in errors] == [f"hosts/h{n}/vms/on-a1/disks/d0" for n in (1, 2)]
    for number, error in enumerate(errors, start=1):
        assert detail(error, "status") == "NO_CONNECT"
        found = chain(logs, error)
        device = f"multipaths/m1/hosts/h{number}/devices/a1.v{number}"
        assert [(e.kind, e.subject) for e in found[1:]] == [
            ("DEVICE_ALL_PATHS_DOWN", device),
            ("PATH_DOWN", f"{device}/paths/h{number}-b.p1"),
            ("PORT_DOWN", "arrays/a1/ports/p1"),
        ]
        acted_ns = 2 * MS + FORWARD_NS
        assert found[3].time_ns == acted_ns
        assert found[2].time_ns == found[1].time_ns == acted_ns + RETURN_NS
        assert error.time_ns >= found[1].time_ns + LOOKAHEAD_NS
    ports = [e for e in logs["arrays/a1"] if e.kind == "PORT_DOWN"]
    caused = [e for e in logs["multipaths/m1"] if e.cause == ports[0].name]
    assert {e.kind for e in caused} == {"PATH_DOWN"}
    assert len(caused) == 2, "one path of each host"


def test_a_dry_pool_is_why_disks_fail_and_space_is_gained_again() -> None:
    pools = [Step(6 * MS, "pool", 3 << 20)]
    logs = told(roomy(small_scenario(io_limit=0), 2 << 20), pools)
    [exhausted, *again] = [e for e in logs["arrays/a1"] if e.kind == "POOL_EXHAUSTED"]
    assert exhausted.subject == "arrays/a1/pools/p1"
    assert detail(exhausted, "missing_bytes") > detail(exhausted, "free_bytes") >= 0
    [gained] = [e for e in logs["arrays/a1"] if e.kind == "POOL_SPACE_AVAILABLE"]
    assert gained.time_ns == 6 * MS + FORWARD_NS
    assert kinds(chain(logs, gained)) == ["POOL_SPACE_AVAILABLE", "POOL_RESIZED"]
    assert len(again) == 1, "it dries up again"
    assert again[0].time_ns > gained.time_ns
    errors = [e for e in logs["hypervisors/hv1"] if e.kind == "DISK_IO_ERRORS_BEGAN"]
    assert len(errors) == 2
    for error in errors:
        assert error.cause == exhausted.name
        assert (detail(error, "status"), detail(error, "sense")) == ("CHECK_CONDITION", "7/27/07")
        assert error.time_ns > exhausted.time_ns + RETURN_NS


def test_a_hidden_volume_is_why_its_disk_fails() -> None:
    logs = told(roomy(small_scenario()), [Step(2 * MS, "export")])
    [error] = [e for e in logs["hypervisors/hv1"] if e.kind == "DISK_IO_ERRORS_BEGAN"]
    assert detail(error, "sense") == "5/25/00"
    assert kinds(chain(logs, error)) == [
        "DISK_IO_ERRORS_BEGAN",
        "DEVICE_PERMANENTLY_LOST",
        "PATH_DOWN",
        "EXPORT_DELETED",
    ]
    logs = told(roomy(small_scenario()), [Step(2 * MS, "export"), Step(2 * MS, "rescan")])
    [error] = [e for e in logs["hypervisors/hv1"] if e.kind == "DISK_IO_ERRORS_BEGAN"]
    assert detail(error, "status") in ("NO_CONNECT", "CHECK_CONDITION")
    removed = [e for e in logs["multipaths/m1"] if e.kind == "DEVICE_REMOVED"]
    assert kinds(chain(logs, removed[0])) == ["DEVICE_REMOVED", "RESCANNED"]


def test_an_array_that_dies_is_the_cause_of_all_that_follows() -> None:
    with Processes(roomy(small_scenario(2, io_limit=0))) as processes:
        processes.api.simulation.Advance(pb.AdvanceRequest(until_ns=2 * MS))
        processes.arrays["a1"].kill()
        processes.api.simulation.Advance(pb.AdvanceRequest(until_ns=4 * MS))
        alive = [e for e in processes.endpoints if e.name != "arrays/a1"]
        logs = {}
        for endpoint in alive:
            with grpc.insecure_channel(endpoint.address) as channel:
                logs[endpoint.name] = read(simulation_pb2_grpc.SimulationServiceStub(channel))
    [lost] = [e for e in logs["multipaths/m1"] if e.kind == "PEER_LOST"]
    assert (lost.subject, lost.time_ns, detail(lost, "epoch")) == ("arrays/a1", 2 * MS, 1)
    errors = [e for e in logs["hypervisors/hv1"] if e.kind == "DISK_IO_ERRORS_BEGAN"]
    assert [e.subject for e in errors] == [f"hosts/h{n}/vms/on-a1/disks/d0" for n in (1, 2)]
    for error in errors:
        assert kinds(chain(logs, error))[1:] == ["DEVICE_ALL_PATHS_DOWN", "PATH_DOWN", "PEER_LOST"]
    paths = [e for e in logs["multipaths/m1"] if e.cause == lost.name]
    assert len(paths) == 4
    assert {e.time_ns for e in paths} == {2 * MS}


# --- ends of jobs -------------------------------------------------------------------------------


def test_each_job_ends_once_when_its_last_io_has_completed() -> None:
    with Stack(roomy(small_scenario(io_limit=60))) as stack:
        stack.api.simulation.Advance(pb.AdvanceRequest(until_idle=True))
        events = logs_of(stack)["hypervisors/hv1"]
        assert stack.hypervisor.model.idle
    ends = {e.subject: e for e in events if e.kind == "JOB_FINISHED"}
    assert len(ends) == kinds(events).count("JOB_CREATED") == kinds(events).count("JOB_FINISHED")
    for event in ends.values():
        assert (detail(event, "io_count"), detail(event, "error_count")) == (60, 0)


def test_a_job_that_was_stopped_does_not_finish_and_scripted_ios_go_untold() -> None:
    with Stack(roomy(small_scenario(io_limit=0))) as stack:
        stack.api.simulation.Advance(pb.AdvanceRequest(until_ns=MS))
        for number in (1, 2):
            for job in ("j0", "j1"):
                name = f"hosts/h{number}/vms/on-a1/jobs/{job}"
                stack.api.hypervisor.StopJob(hypervisor_pb2.StopJobRequest(name=name))
                stack.api.hypervisor.StopJob(hypervisor_pb2.StopJobRequest(name=name))
        stack.api.simulation.Advance(pb.AdvanceRequest(until_idle=True))
        events = logs_of(stack)["hypervisors/hv1"]
    assert kinds(events).count("JOB_STOPPED") == 4
    assert "JOB_FINISHED" not in kinds(events)
