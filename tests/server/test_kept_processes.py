"""Every service of a stack of processes comes back from its state directory, however it ended."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from smokestack.server.errors import refused_from
from smokestack.server.processes import Processes
from smokestack.v1 import hypervisor_pb2 as hv
from smokestack.v1 import multipath_pb2 as mp
from smokestack.v1 import simulation_pb2
from tests.server.scenarios import small_scenario

MS = 1_000_000
SERVICES = ("hypervisor", "multipath")


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    scenario = small_scenario(io_limit=0)
    scenario.arrays[0].pools[0].capacity_bytes = 1 << 30  # which does not run dry
    with Processes(scenario, state=str(tmp_path)) as processes:
        yield processes


def advance(processes: Processes, ms: int) -> simulation_pb2.AdvanceResponse:
    return processes.api.simulation.Advance(simulation_pb2.AdvanceRequest(duration_ns=ms * MS))


def inventory(processes: Processes) -> dict[str, Any]:
    """All that is managed, as the API lists it, less what moves with time."""
    hypervisor, multipath = processes.api.hypervisor, processes.api.multipath
    hosts = hypervisor.ListHosts(hv.ListHostsRequest()).hosts
    vms = [vm for h in hosts for vm in hypervisor.ListVms(hv.ListVmsRequest(parent=h.name)).vms]
    found = {vm.name: hypervisor.ListDisks(hv.ListDisksRequest(parent=vm.name)) for vm in vms}
    jobs = {
        job.name: (job.disk, job.iodepth, job.rate_iops)
        for vm in vms
        for job in hypervisor.ListJobs(hv.ListJobsRequest(parent=vm.name)).jobs
    }
    below = multipath.ListMultipathHosts(mp.ListMultipathHostsRequest(parent="multipaths/m1"))
    devices = {
        device.name: (device.state, device.selector, dict(device.labels))
        for host in below.multipath_hosts
        for device in multipath.ListDevices(mp.ListDevicesRequest(parent=host.name)).devices
    }
    return {"hosts": list(hosts), "vms": vms, "disks": found, "jobs": jobs, "devices": devices}


def restart(processes: Processes, service: str) -> None:
    if service == "hypervisor":
        processes.restart_hypervisor()
    else:
        processes.restart_multipath()


def kinds(processes: Processes, service: str) -> list[str]:
    request = simulation_pb2.ListEventsRequest(page_size=10_000)
    return [event.kind for event in processes.api.simulations[service].ListEvents(request).events]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_that_was_killed_has_its_inventory_and_is_driven_on(
    processes: Processes, service: str
) -> None:
    assert advance(processes, 5).error_count == 0
    before = inventory(processes)
    restart(processes, service)
    assert inventory(processes) == before
    answer = advance(processes, 5)
    assert answer.now_ns == 10 * MS, "the time that it had acknowledged, and what was asked"
    assert answer.error_count > 0, "what was in flight is over"
    after = advance(processes, 20)
    assert (after.error_count, after.io_count > 500) == (0, True), "and all jobs go on"
    names = {"hypervisor": "hypervisors/hv1", "multipath": "multipaths/m1"}
    assert "RECOVERED" in kinds(processes, names[service])


def test_all_of_a_stack_that_was_killed_is_driven_on(processes: Processes) -> None:
    advance(processes, 5)
    before = inventory(processes)
    processes.hypervisor.kill()
    processes.multipath.kill()
    for array_id in processes.arrays:
        processes.restart_array(array_id)
    processes.restart_multipath()
    processes.restart_hypervisor()
    assert inventory(processes) == before
    assert advance(processes, 5).now_ns >= 10 * MS
    after = advance(processes, 20)
    assert (after.error_count, after.io_count > 500) == (0, True)


def test_an_acknowledged_call_survives_and_a_retry_gets_the_first_answer(
    processes: Processes,
) -> None:
    api = processes.api
    request = hv.CreateVmRequest(parent="hosts/h1", vm_id="late", request_id="once")
    made = api.hypervisor.CreateVm(request)
    created = mp.CreateMultipathHostRequest(
        parent="multipaths/m1", multipath_host_id="h9", request_id="once"
    )
    created.multipath_host.initiators.append("h9-a")
    host = api.multipath.CreateMultipathHost(created)
    advance(processes, 1)
    api.hypervisor.DeleteVm(hv.DeleteVmRequest(name="hosts/h1/vms/late"))
    second = hv.CreateVmRequest(parent="hosts/h1", vm_id="later", request_id="twice")
    api.hypervisor.CreateVm(second)
    for service in SERVICES:
        restart(processes, service)
    assert api.hypervisor.CreateVm(request) == made, "told again, not made again"
    with pytest.raises(grpc.RpcError) as error:
        api.hypervisor.GetVm(hv.GetVmRequest(name=made.name))
    assert refused_from(error.value).code == "NOT_FOUND"
    assert api.hypervisor.GetVm(hv.GetVmRequest(name="hosts/h1/vms/later"))
    assert api.multipath.CreateMultipathHost(created) == host
    with pytest.raises(grpc.RpcError) as error:
        created.request_id = "again"
        api.multipath.CreateMultipathHost(created)
    assert refused_from(error.value).code == "ALREADY_EXISTS"


def test_a_service_that_is_killed_over_and_over_stays_what_it_was(processes: Processes) -> None:
    for turn in range(3):
        advance(processes, 2)
        request = hv.CreateVmRequest(parent="hosts/h2", vm_id=f"n{turn}")
        processes.api.hypervisor.CreateVm(request)
        before = inventory(processes)
        for service in SERVICES:
            restart(processes, service)
        assert inventory(processes) == before
    assert advance(processes, 2).now_ns == 8 * MS


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_killed_under_calls_and_io_has_all_that_it_acknowledged(
    processes: Processes, service: str
) -> None:
    api, asked, acknowledged = processes.api, [], []
    over = threading.Event()

    def call() -> None:
        while not over.is_set():
            name = f"x{len(asked)}"
            asked.append(name)
            try:
                if service == "hypervisor":
                    api.hypervisor.CreateHost(hv.CreateHostRequest(host_id=name))
                else:
                    request = mp.CreateMultipathHostRequest(
                        parent="multipaths/m1", multipath_host_id=name
                    )
                    request.multipath_host.initiators.append(f"{name}-a")
                    api.multipath.CreateMultipathHost(request)
            except grpc.RpcError:
                return
            acknowledged.append(name)

    def run() -> None:
        with contextlib.suppress(grpc.RpcError):
            advance(processes, 10_000)

    threads = [threading.Thread(target=call), threading.Thread(target=run)]
    for thread in threads:
        thread.start()
    while len(acknowledged) < 10 and threads[0].is_alive():
        time.sleep(0.01)
    (processes.hypervisor if service == "hypervisor" else processes.multipath).kill()
    over.set()
    for thread in threads:
        thread.join()
    restart(processes, service)
    if service == "hypervisor":
        found = {h.name for h in api.hypervisor.ListHosts(hv.ListHostsRequest()).hosts}
        have = [name for name in asked if f"hosts/{name}" in found]
    else:
        request = mp.ListMultipathHostsRequest(parent="multipaths/m1")
        found = {h.name for h in api.multipath.ListMultipathHosts(request).multipath_hosts}
        have = [name for name in asked if f"multipaths/m1/hosts/{name}" in found]
    assert have[: len(acknowledged)] == acknowledged
    assert len(have) <= len(acknowledged) + 1, "the one that was under way, at most"
    before = processes.api.simulation.GetSimulation(simulation_pb2.GetSimulationRequest()).now_ns
    assert advance(processes, 5).now_ns >= before + 5 * MS
