"""Processes that die, clocks that are not theirs: the stack runs on, or says why it does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from smokestack.engine.blockdevice import Attachment
from smokestack.engine.errors import FailedPrecondition, Unavailable
from smokestack.server.errors import refused_from
from smokestack.server.link import GrpcDevice
from smokestack.server.processes import Child, Processes
from smokestack.server.run import path_rows
from smokestack.server.stack import Stack
from smokestack.v1 import (
    faults_pb2,
    hypervisor_pb2,
    scenario_pb2,
    simulation_pb2,
    simulation_pb2_grpc,
)
from tests.server.scenarios import small_scenario

MS = 1_000_000


@pytest.fixture
def scenario() -> scenario_pb2.Scenario:
    """Jobs on two arrays that never end."""
    return small_scenario(2, io_limit=0)


@pytest.fixture
def processes(scenario: scenario_pb2.Scenario) -> Iterator[Processes]:
    with Processes(scenario) as processes:
        yield processes


def advance(processes: Processes, ms: int) -> simulation_pb2.AdvanceResponse:
    return processes.api.simulation.Advance(simulation_pb2.AdvanceRequest(duration_ns=ms * MS))


def disks(processes: Processes) -> dict[str, Any]:
    found = processes.api.hypervisor.GetStatistics(hypervisor_pb2.GetStatisticsRequest())
    return {row.disk.split("/")[3] + row.disk.split("/")[1]: row for row in found.disks}


def eventually(holds: Callable[[], bool]) -> bool:
    for _ in range(2400):  # two minutes, for a busy machine
        if holds():
            return True
        threading.Event().wait(0.05)
    return False


def test_a_killed_array_leaves_a_stack_that_runs_on(
    processes: Processes, scenario: scenario_pb2.Scenario
) -> None:
    advance(processes, 5)
    before = disks(processes)
    answers: list[Any] = []
    under_load = threading.Thread(target=lambda: answers.append(advance(processes, 200)))
    under_load.start()
    assert eventually(lambda: disks(processes)["on-a1h1"].io_count > before["on-a1h1"].io_count)
    os.kill(processes.arrays["a1"].pid, signal.SIGKILL)
    under_load.join()
    assert answers[0].now_ns == 205 * MS, "the advance was to go on to its end"
    after = disks(processes)
    answer = advance(processes, 20)
    assert answer.error_count > 0
    for host in ("h1", "h2"):
        lost, kept = disks(processes)[f"on-a1{host}"], disks(processes)[f"on-a2{host}"]
        assert lost.error_count > after[f"on-a1{host}"].error_count
        assert lost.read_count == after[f"on-a1{host}"].read_count
        assert kept.read_count > after[f"on-a2{host}"].read_count
    states = {(row["device"][:2], row["state"]) for row in path_rows(processes.api, scenario)}
    assert states == {("a1", "DEAD"), ("a2", "ACTIVE")}


def test_a_killed_multipath_is_named_by_the_clock(processes: Processes) -> None:
    processes.multipath.kill()
    for _ in range(2):
        with pytest.raises(grpc.RpcError) as error:
            advance(processes, 5)
        refused = refused_from(error.value)
        assert isinstance(refused, Unavailable)
        assert "multipaths/m1 is gone" in refused.message


def test_a_hypervisor_that_begins_anew_goes_on_where_its_arrays_stand(
    processes: Processes,
) -> None:
    advance(processes, 5)
    processes.hypervisor.kill()
    other = Child(["hypervisor", "--multipath", processes.multipath.endpoint.address])
    with grpc.insecure_channel(other.endpoint.address) as channel:
        clock = simulation_pb2_grpc.SimulationServiceStub(channel)
        answer = clock.Advance(simulation_pb2.AdvanceRequest(duration_ns=MS))
        assert answer.now_ns == 5 * MS, "it asked for 1 ms, and the arrays stand further on"
        assert clock.Advance(simulation_pb2.AdvanceRequest(duration_ns=MS)).now_ns == 6 * MS
        told = clock.ListEvents(simulation_pb2.ListEventsRequest()).events
        assert "CLOCK_CAUGHT_UP" in {event.kind for event in told}
    other.kill()


def test_a_driven_service_names_its_driver(processes: Processes) -> None:
    advance(processes, 1)
    for child, driver in (
        (processes.arrays["a1"], "multipaths/m1"),
        (processes.multipath, "hypervisors/hv1"),
    ):
        with grpc.insecure_channel(child.endpoint.address) as channel:
            clock = simulation_pb2_grpc.SimulationServiceStub(channel)
            with pytest.raises(grpc.RpcError) as error:
                clock.Advance(simulation_pb2.AdvanceRequest(duration_ns=MS))
            refused = refused_from(error.value)
            assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "DRIVEN")
            assert driver in refused.message
            found = clock.GetSimulation(simulation_pb2.GetSimulationRequest())
            assert (found.driver, found.now_ns) == (driver, MS)
        second = GrpcDevice(child.endpoint.address)
        with pytest.raises(FailedPrecondition, match=f"driven by {driver} already"):
            second.attach(Attachment("tests/t1", 1, 1, MS, 1_000))
        second.close()


def test_an_array_that_is_not_there_is_said_in_one_line() -> None:
    with pytest.raises(
        Unavailable, match=r"multipath process: nothing answers at 127.0.0.1:1: .*refused"
    ) as error:
        Child(["multipath", "--array", "a1=127.0.0.1:1"])
    assert "\n" not in str(error.value)


def test_a_port_in_use_is_said_in_one_line() -> None:
    first = Child(["array"])
    with pytest.raises(Unavailable, match=r"array process: cannot listen on .*: address"):
        Child(["array", "--listen", first.endpoint.address])
    first.kill()


def test_children_end_with_the_process_that_started_them() -> None:
    program = (
        "from smokestack.server.processes import Child\n"
        "print(Child(['array']).endpoint.address, flush=True)\n"
        "input()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    address = parent.stdout.readline().strip()
    GrpcDevice(address).close()
    parent.kill()
    parent.communicate()

    def gone() -> bool:
        try:
            GrpcDevice(address).close()
        except Unavailable:
            return True
        return False

    assert eventually(gone)


def idle_history(api: Any) -> list[list[simulation_pb2.Event]]:
    """What each service tells of a fault that comes when nothing has happened for long."""
    simulation, every = api.simulation, api.simulations.values()
    simulation.Advance(simulation_pb2.AdvanceRequest(until_ns=1_000 * MS))
    request = simulation_pb2.GetSimulationRequest()
    assert {service.GetSimulation(request).now_ns for service in every} == {1_000 * MS}
    rule = faults_pb2.FaultRule(kind="PORT_DOWN", target="arrays/a1/ports/p0", duration_ns=MS)
    api.simulations["arrays/a1"].InjectFault(faults_pb2.InjectFaultRequest(fault=rule))
    simulation.Advance(simulation_pb2.AdvanceRequest(until_ns=2_000 * MS))
    events = simulation_pb2.ListEventsRequest(page_size=10_000)
    return [list(service.ListEvents(events).events) for service in every]


def test_a_stack_with_nothing_to_do_has_one_time_in_all_processes() -> None:
    scenario = small_scenario()
    for host in scenario.hosts:
        for vm in host.vms:
            vm.ClearField("jobs")
    with Stack(scenario) as stack, Processes(scenario) as processes:
        assert idle_history(processes.api) == idle_history(stack.api)
