"""A reset is total: afterwards a stack cannot be told from one that has just been started."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from smokestack.engine.errors import Aborted, FailedPrecondition, InvalidArgument
from smokestack.engine.timekeeper import ClockMode, ClockSettings
from smokestack.server.scenario import parse_scenario
from smokestack.server.stack import Stack
from smokestack.v1 import (
    array_pb2,
    array_pb2_grpc,
    hypervisor_pb2,
    hypervisor_pb2_grpc,
    multipath_pb2,
    simulation_pb2,
    simulation_pb2_grpc,
)
from tests import api

SCENARIO = """
seed: 5
fabrics: [f]
arrays:
  - name: a1
    controllers: [{name: c0, read_hit_ratio: 0.5}]
    ports: [{name: p0, controller: c0, fabric: f}]
    pools: [{name: p1, capacity_bytes: 1 GiB, media_distribution: EXPONENTIAL}]
    volumes: [{name: v1, pool: p1, capacity_bytes: 1 GiB}]
    exports: [{volume: v1, host: h1}]
hosts:
  - name: h1
    initiators: [{name: h1-f, fabric: f}]
    vms:
      - name: v1
        disks: [{name: d0, device: a1.v1}]
        jobs: [{name: j0, disk: d0, iodepth: 4, read_ratio: 0.5, io_limit: 500}]
"""
IDLE = simulation_pb2.AdvanceRequest(until_idle=True)


@pytest.fixture
def stack() -> Iterator[Stack]:
    with Stack(parse_scenario(SCENARIO)) as stack:
        yield stack


def run(stack: Stack) -> str:
    stack.api.simulation.Advance(IDLE)
    return digest(stack)


def digest(stack: Stack) -> str:
    return stack.api.hypervisor.GetStatistics(hypervisor_pb2.GetStatisticsRequest()).digest


def disturb(stack: Stack) -> None:
    """Leaves traces wherever a stack has state."""
    array = stack.api.arrays["a1"]
    run(stack)
    array.FillPool(array_pb2.FillPoolRequest(name="arrays/a1/pools/p1", ratio=0.5))
    volume = array_pb2.Volume(pool="arrays/a1/pools/p1", capacity_bytes=1 << 30)
    array.CreateVolume(
        array_pb2.CreateVolumeRequest(
            parent="arrays/a1", volume_id="v9", volume=volume, request_id="once"
        )
    )
    port = array_pb2.Port(name="arrays/a1/ports/p0", enabled=False)
    array.UpdatePort(array_pb2.UpdatePortRequest(port=port))
    device = multipath_pb2.Device(name="multipaths/m1/hosts/h1/devices/a1.v1", lun_queue_depth=3)
    stack.api.multipath.UpdateDevice(multipath_pb2.UpdateDeviceRequest(device=device))
    stack.api.hypervisor.CreateHost(hypervisor_pb2.CreateHostRequest(host_id="h9"))
    clock = simulation_pb2.Clock(autojump=True, factor=3)
    stack.api.simulation.UpdateClock(simulation_pb2.UpdateClockRequest(clock=clock))
    stack.api.simulation.Advance(simulation_pb2.AdvanceRequest(duration_ns=10**9))


def scrape(stack: Stack) -> list[Any]:
    families = (one for room in stack.rooms for one in room.collector.collect())
    return [(one.family, b"".join(one.pieces)) for one in families]


def shown(stack: Stack) -> list[Any]:
    """All that the API says of a stack."""
    array, multipath, hypervisor = (
        stack.api.arrays["a1"],
        stack.api.multipath,
        stack.api.hypervisor,
    )
    parent = "arrays/a1"
    host = "multipaths/m1/hosts/h1"
    return [
        *(
            room.simulation.GetSimulation(simulation_pb2.GetSimulationRequest())
            for room in stack.rooms
        ),
        *(
            room.simulation.ListEvents(simulation_pb2.ListEventsRequest(page_size=1000)).events
            for room in stack.rooms
        ),
        array.ListVolumes(array_pb2.ListVolumesRequest(parent=parent)),
        array.ListPools(array_pb2.ListPoolsRequest(parent=parent)),
        array.ListPorts(array_pb2.ListPortsRequest(parent=parent)),
        multipath.ListDevices(multipath_pb2.ListDevicesRequest(parent=host)),
        hypervisor.ListHosts(hypervisor_pb2.ListHostsRequest()),
        hypervisor.ListJobs(hypervisor_pb2.ListJobsRequest(parent="hosts/h1/vms/v1")),
        hypervisor.GetStatistics(hypervisor_pb2.GetStatisticsRequest()),
    ]


def test_after_a_reset_nothing_tells_a_stack_from_a_fresh_one(stack: Stack) -> None:
    fresh = (shown(stack), scrape(stack))
    disturb(stack)
    assert shown(stack)[0].now_ns > 0
    stack.reset()
    assert (shown(stack), scrape(stack)) == fresh
    volume = array_pb2.Volume(pool="arrays/a1/pools/p1", capacity_bytes=1 << 20)
    stack.api.arrays["a1"].CreateVolume(  # a request_id of before means nothing now
        array_pb2.CreateVolumeRequest(
            parent="arrays/a1", volume_id="v9", volume=volume, request_id="once"
        )
    )


def test_a_reset_stack_runs_as_a_fresh_one_does(stack: Stack) -> None:
    first = run(stack)
    disturb(stack)
    stack.reset()
    assert run(stack) == first
    stack.reset(6)
    assert stack.hypervisor.model.seed == 6
    other = run(stack)
    assert other != first
    stack.reset()
    assert run(stack) == other, "the seed stays until another is given"
    stack.reset(5)
    assert run(stack) == first


def test_addresses_stay_and_every_service_is_new() -> None:
    with Stack(parse_scenario(SCENARIO)) as stack:
        endpoints = stack.serve()
        channels = [grpc.insecure_channel(endpoint.address) for endpoint in endpoints]
        simulation = simulation_pb2_grpc.SimulationServiceStub(channels[0])
        hypervisor = hypervisor_pb2_grpc.HypervisorServiceStub(channels[0])
        array = array_pb2_grpc.ArrayServiceStub(channels[2])
        simulation.Advance(IDLE)
        first = hypervisor.GetStatistics(hypervisor_pb2.GetStatisticsRequest()).digest
        before = urllib.request.urlopen(endpoints[2].metrics_url).read()
        assert simulation.Reset(simulation_pb2.ResetRequest()).now_ns == 0
        assert stack.endpoints == endpoints
        pool = array.GetPool(array_pb2.GetPoolRequest(name="arrays/a1/pools/p1"))
        assert pool.allocated_bytes == 0
        assert urllib.request.urlopen(endpoints[2].metrics_url).read() != before
        simulation.Advance(IDLE)
        assert hypervisor.GetStatistics(hypervisor_pb2.GetStatisticsRequest()).digest == first
        for channel in channels:
            channel.close()


def test_who_waits_for_time_that_is_gone_is_told(stack: Stack) -> None:
    endless = hypervisor_pb2.Job(disk="hosts/h1/vms/v1/disks/d0")
    stack.api.hypervisor.CreateJob(
        hypervisor_pb2.CreateJobRequest(parent="hosts/h1/vms/v1", job_id="j1", job=endless)
    )
    caught: list[Exception] = []
    simulation = stack.api.simulation

    def advance() -> None:
        try:
            simulation.Advance(simulation_pb2.AdvanceRequest(duration_ns=10**15))
        except Aborted as aborted:
            caught.append(aborted)

    thread = threading.Thread(target=advance)
    thread.start()
    while not stack.hypervisor.model.now_ns:
        pass
    stack.reset()
    thread.join()
    assert "has been reset" in str(caught[0])
    assert stack.hypervisor.model.now_ns == 0


def test_who_watches_a_stack_that_is_gone_is_told(stack: Stack) -> None:
    simulation = stack.api.simulation
    request = simulation_pb2.WatchEventsRequest(follow=True)
    responses = simulation.WatchEvents(request)
    token = next(responses).resume_token
    stack.reset()
    with pytest.raises(Aborted, match="has been reset"):
        list(responses)
    with pytest.raises(FailedPrecondition, match="earlier run"):
        list(
            stack.api.simulation.WatchEvents(simulation_pb2.WatchEventsRequest(resume_token=token))
        )


def test_a_clock_goes_back_to_how_it_was_started() -> None:
    settings = ClockSettings(ClockMode.PACED, 2.0)
    with Stack(parse_scenario(SCENARIO), settings) as stack:
        manual = simulation_pb2.Clock(mode=simulation_pb2.CLOCK_MODE_MANUAL)
        stack.api.simulation.UpdateClock(simulation_pb2.UpdateClockRequest(clock=manual))
        stack.reset()
        assert stack.hypervisor.simulation.clock.settings == settings


def test_who_has_no_scenario_refuses(stack: Stack) -> None:
    for room in (stack.multipath, stack.arrays["a1"]):
        with pytest.raises(FailedPrecondition, match="hypervisor") as caught:
            room.simulation.Reset(simulation_pb2.ResetRequest())
        assert caught.value.reason == "NO_SCENARIO"
    with pytest.raises(FailedPrecondition, match="no scenario"):
        api.Stack().simulation.Reset(simulation_pb2.ResetRequest())
    with pytest.raises(InvalidArgument):
        stack.api.simulation.Reset(simulation_pb2.ResetRequest(seed=-1))
