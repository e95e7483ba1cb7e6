"""Arrays whose process dies and comes back: a power on at a border, paths that return, or none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest

from smokestack.engine.blockdevice import Attachment
from smokestack.engine.errors import Unavailable
from smokestack.server.link import GrpcDevice
from smokestack.server.processes import Child, Processes
from smokestack.v1 import multipath_pb2, scenario_pb2, simulation_pb2, simulation_pb2_grpc
from tests.server.scenarios import small_scenario
from tests.server.test_events import detail

MS = 1_000_000


@pytest.fixture
def scenario() -> scenario_pb2.Scenario:
    """Jobs on two arrays that never end, with pools that do not run dry."""
    scenario = small_scenario(2, io_limit=0)
    for array in scenario.arrays:
        array.pools[0].capacity_bytes = 4 << 30
    return scenario


def advance(processes: Processes, ms: int) -> simulation_pb2.AdvanceResponse:
    return processes.api.simulation.Advance(simulation_pb2.AdvanceRequest(duration_ns=ms * MS))


def rescan(processes: Processes, host: str) -> multipath_pb2.RescanMultipathHostResponse:
    request = multipath_pb2.RescanMultipathHostRequest(name=f"multipaths/m1/hosts/{host}")
    return processes.api.multipath.RescanMultipathHost(request)


def devices(processes: Processes) -> dict[str, str]:
    """The state of every device, by host and device."""
    found = {}
    for host in ("h1", "h2"):
        parent = f"multipaths/m1/hosts/{host}"
        request = multipath_pb2.ListDevicesRequest(parent=parent)
        for device in processes.api.multipath.ListDevices(request).devices:
            state = multipath_pb2.DeviceState.Name(device.state)
            found[device.name.removeprefix("multipaths/m1/hosts/")] = state.removeprefix(
                "DEVICE_STATE_"
            )
    return found


def told(processes: Processes, service: str) -> list[Any]:
    """A service's events, by time."""
    (endpoint,) = (
        e
        for e in (processes.multipath.endpoint, *(c.endpoint for c in processes.arrays.values()))
        if e.name == service
    )
    with grpc.insecure_channel(endpoint.address) as channel:
        stub = simulation_pb2_grpc.SimulationServiceStub(channel)
        return list(stub.ListEvents(simulation_pb2.ListEventsRequest(page_size=10_000)).events)


def test_an_array_that_comes_back_with_its_state_is_a_power_on_and_its_paths_return(
    scenario: scenario_pb2.Scenario, tmp_path: Path
) -> None:
    with Processes(scenario, state=str(tmp_path)) as processes:
        assert advance(processes, 5).error_count == 0
        processes.arrays["a1"].kill()
        assert advance(processes, 5).error_count > 0
        lost = {name: state for name, state in devices(processes).items() if "/a1." in name}
        assert set(lost.values()) == {"APD"}
        still = rescan(processes, "h1")
        assert (still.devices_added_count, still.paths_added_count) == (0, 0)
        assert devices(processes) == {**devices(processes), **lost}, "it is not back yet"
        processes.restart_array("a1")
        rescan(processes, "h1")
        assert set(devices(processes).values()) == {"ON"}, "for every host, by one rescan"
        advance(processes, 1)  # with which failures that were on their way are heard
        after = advance(processes, 20)
        assert (after.error_count, after.io_count > 1_000) == (0, True), "nothing fails any more"
        events = told(processes, "multipaths/m1")
        kinds = [e.kind for e in events]
        assert kinds.index("PEER_LOST") < kinds.index("PEER_RETURNED")
        heard = [e for e in events if e.kind == "UNIT_ATTENTION"]
        assert {e.subject.rpartition("/")[2] for e in heard} == {
            name.rpartition("/")[2] for name in lost
        }
        assert {detail(e, "sense") for e in heard} == {"6/29/00"}
        (on,) = (e for e in told(processes, "arrays/a1") if e.kind == "ARRAY_POWERED_ON")
        assert {e.cause for e in heard} == {on.name}


def test_an_array_that_comes_back_empty_has_nothing_to_show(
    scenario: scenario_pb2.Scenario,
) -> None:
    with Processes(scenario) as processes:
        advance(processes, 5)
        processes.arrays["a1"].kill()
        advance(processes, 5)
        processes.restart_array("a1")
        result = rescan(processes, "h1")
        assert result.devices_removed_count == 1
        assert not [name for name in devices(processes) if "/a1." in name], "on no host"
        assert advance(processes, 5).now_ns == 15 * MS, "the stack runs on"


def test_a_link_stays_lost_while_nobody_or_somebody_else_answers() -> None:
    first = Child(["array", "--name", "a1"])
    address = first.endpoint.address
    link = GrpcDevice(address)
    try:
        link.attach(Attachment("tests/driver", 1, 1, 0, link.lookahead_ns))
        first.kill()
        with pytest.raises(Unavailable):
            link.report_luns(["h1-a"])
        with pytest.raises(Unavailable, match="nothing answers"):
            link.reconnect()
        other = Child(["array", "--name", "a2", "--listen", address])
        try:
            with pytest.raises(Unavailable, match="arrays/a2 answers"):
                link.reconnect()
        finally:
            other.kill()
        with pytest.raises(Unavailable):
            link.report_luns(["h1-a"])
    finally:
        link.close()


def test_a_link_finds_a_peer_again_right_after_a_connection_was_refused() -> None:
    first = Child(["array", "--name", "a1"])
    address = first.endpoint.address
    link = GrpcDevice(address)
    try:
        first.kill()
        with pytest.raises(grpc.RpcError):  # after which this channel waits before it tries again
            simulation_pb2_grpc.SimulationServiceStub(link._channel).GetSimulation(
                simulation_pb2.GetSimulationRequest(), timeout=30
            )
        with pytest.raises(Unavailable):
            link.report_luns(["h1-a"])
        second = Child(["array", "--name", "a1", "--listen", address])
        try:
            link.reconnect()
            assert link.report_luns(["h1-a"]) == ()
        finally:
            second.kill()
    finally:
        link.close()
