"""From one address to the whole stack, in one process and in several."""

from __future__ import annotations

import pytest

from smokestack.client import connect, connect_hypervisor, connect_multipath
from smokestack.client.discovery import walk
from smokestack.server.processes import Processes
from smokestack.server.scenario import default_scenario
from smokestack.server.stack import Stack as Served
from smokestack.v1 import simulation_pb2 as pb

NAMES = {"hypervisors/hv1", "multipaths/m1", "arrays/a1"}


def test_any_address_of_one_process_leads_to_all(server: Served) -> None:
    for endpoint in server.endpoints:
        with connect(endpoint.address) as stack:
            assert stack.addresses == {e.name: e.address for e in server.endpoints}
            assert stack.simulation().name == "hypervisors/hv1"


def test_the_environment_names_the_default(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMOKESTACK_ADDRESS", server.endpoints[2].address)
    with connect() as stack:
        assert set(stack.addresses) == NAMES


def test_one_service_alone_needs_no_others(server: Served) -> None:
    with connect_hypervisor(server.endpoints[0].address) as hypervisor:
        assert hypervisor.name == "hypervisors/hv1"
        assert [host.id for host in hypervisor.hosts] == ["h1", "h2"]
        disk = hypervisor.hosts["h1"].vms["v1"].disks.get("d0")
        assert disk.device == "a1.v1"
    with connect_multipath(server.endpoints[1].address) as multipath:
        assert multipath.arrays == ("arrays/a1",)


def test_the_hypervisors_address_leads_through_processes() -> None:
    with Processes(default_scenario()) as processes:
        top, middle, bottom = processes.endpoints
        with connect(top.address) as stack:
            assert stack.addresses == {e.name: e.address for e in processes.endpoints}
            assert stack.advance(seconds=0.01).now_ns == 10_000_000
        with connect(bottom.address) as stack:
            assert set(stack.addresses) == {"arrays/a1"}
        with connect([middle.address, top.address]) as stack:
            assert set(stack.addresses) == NAMES
        processes.arrays["a1"].kill()
        with connect(top.address) as stack:  # who was only heard of need not answer
            assert set(stack.addresses) == NAMES


def test_who_listens_everywhere_is_asked_where_it_was_found() -> None:
    steps = walk("10.0.0.5:50051")
    assert next(steps) == ("10.0.0.5:50051", True)
    answer = pb.Simulation(name="hypervisors/hv1")
    answer.services.add(name="hypervisors/hv1", address="0.0.0.0:50051")
    answer.services.add(name="multipaths/m1", address="0.0.0.0:50052")
    assert steps.send(answer) == ("10.0.0.5:50052", False)
    with pytest.raises(StopIteration) as found:
        steps.send(None)
    assert found.value.value == {
        "hypervisors/hv1": "10.0.0.5:50051",
        "multipaths/m1": "10.0.0.5:50052",
    }
