"""Whose fault a latency is: the split adds up, and what is refused says why.

That culprits are named is the experiment guilty-layer's to show.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from smokestack.engine.errors import FailedPrecondition, InvalidArgument, NotFound, Unavailable
from smokestack.server.estate import EstateService, Peer, local_peers, remote
from smokestack.server.stack import Stack
from smokestack.v1 import estate_pb2 as pb
from smokestack.v1 import faults_pb2, hypervisor_pb2, multipath_pb2, simulation_pb2
from tests.server.scenarios import small_scenario

MS = 1_000_000
DEVICE = "multipaths/m1/hosts/h1/devices/a1.v1"
LAYERS = ("host_total_ns", "fabric_total_ns", "array_total_ns")


class Watched:
    """A stack under load, and its estate."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.estate = EstateService(local_peers(stack.rooms))

    def run(self, ms: int) -> None:
        self.stack.hypervisor.simulation.Advance(simulation_pb2.AdvanceRequest(duration_ns=ms * MS))

    def mark(self, target: str = DEVICE) -> pb.LatencyReading:
        return self.estate.MarkLatency(pb.MarkLatencyRequest(target=target))

    def attribute(self, since: pb.LatencyReading) -> pb.LatencyAttribution:
        return self.estate.AttributeLatency(pb.AttributeLatencyRequest(since=since))

    def disk(self) -> str:
        request = hypervisor_pb2.ListVmsRequest(parent="hosts/h1")
        vm = self.stack.api.hypervisor.ListVms(request).vms[0]
        return f"{vm.name}/disks/d0"


@pytest.fixture
def watched() -> Iterator[Watched]:
    with Stack(small_scenario(io_limit=0)) as stack:
        watched = Watched(stack)
        watched.run(10)
        yield watched


def test_the_split_adds_up_to_what_esxtop_counts(watched: Watched) -> None:
    request = multipath_pb2.GetDeviceStatisticsRequest(name=DEVICE)
    statistics = watched.stack.api.multipath.GetDeviceStatistics
    before, since = statistics(request).queue, watched.mark()
    watched.run(10)
    after, found = statistics(request).queue, watched.attribute(since)
    assert found.device == DEVICE
    assert found.interval_ns == 10 * MS
    assert found.io_count == after.ios_count - before.ios_count > 0
    assert found.guest_total_ns == after.guest_total_ns - before.guest_total_ns
    assert found.host_total_ns == after.queue_total_ns - before.queue_total_ns
    assert sum(getattr(found, layer) for layer in LAYERS) == found.guest_total_ns
    assert all(getattr(found, layer) >= 0 for layer in LAYERS)


def test_a_disk_is_watched_by_its_device(watched: Watched) -> None:
    by_disk, by_device = watched.mark(watched.disk()), watched.mark()
    watched.run(5)
    found = watched.attribute(by_disk)
    assert found.device == DEVICE
    assert found.io_count == watched.attribute(by_device).io_count


def test_asking_changes_nothing_and_says_the_same_again(watched: Watched) -> None:
    since = watched.mark()
    watched.run(5)
    assert watched.attribute(since) == watched.attribute(since)


def test_a_slow_drain_is_named_with_figures(watched: Watched) -> None:
    link = "multipaths/m1/fabrics/a/links/h1-a"
    rule = faults_pb2.FaultRule(kind="SLOW_DRAIN", target=link, factor_per_mille=200_000)
    inject(watched, "multipaths/m1", rule)
    watched.run(20)
    since = watched.mark()
    watched.run(50)
    found = watched.attribute(since)
    assert (found.layer, found.culprit) == (pb.LATENCY_LAYER_FABRIC, link)
    assert any(link in sentence and "frames" in sentence for sentence in found.evidence)


def inject(watched: Watched, service: str, rule: faults_pb2.FaultRule) -> None:
    room = next(room for room in watched.stack.rooms if room.name == service)
    room.simulation.InjectFault(faults_pb2.InjectFaultRequest(fault=rule))


def test_who_was_not_ready_is_the_arrays_fault(watched: Watched) -> None:
    volume = "arrays/a1/volumes/v1"
    rule = faults_pb2.FaultRule(kind="NOT_READY", target=volume, probability=0.9)
    inject(watched, "arrays/a1", rule)
    watched.run(5_000)
    since = watched.mark()
    watched.run(5_000)
    found = watched.attribute(since)
    assert (found.layer, found.culprit) == (pb.LATENCY_LAYER_ARRAY, volume)
    assert found.array_total_ns > 2 * found.fabric_total_ns
    assert any("not ready" in sentence for sentence in found.evidence)


def test_what_caches_save_is_not_asked_for_before_somebody_is_accused() -> None:
    scenario = small_scenario(io_limit=0)
    for controller in scenario.arrays[0].controllers:
        controller.read_hit_ratio = 1.0
    scenario.arrays[0].pools[0].media_ns = 50 * MS
    with Stack(scenario) as stack:
        watched = Watched(stack)
        link = "multipaths/m1/fabrics/a/links/h1-a"
        rule = faults_pb2.FaultRule(kind="SLOW_DRAIN", target=link, factor_per_mille=400_000)
        inject(watched, "multipaths/m1", rule)
        watched.run(20)
        since = watched.mark()
        watched.run(50)
        found = watched.attribute(since)
    assert found.array_explained_ns > 50 * MS > found.floor_ns
    assert (found.layer, found.culprit) == (pb.LATENCY_LAYER_FABRIC, link)


def test_bad_input_is_refused_with_the_reason(watched: Watched) -> None:
    with pytest.raises(InvalidArgument, match="neither a disk"):
        watched.mark("arrays/a1/volumes/v1")
    with pytest.raises(InvalidArgument, match="form"):
        watched.mark("hosts/h1/vms/v1")
    for missing in (
        "hosts/h1/vms/none/disks/d0",
        "multipaths/m1/hosts/none/devices/a1.v1",
        "multipaths/m9/hosts/h1/devices/a1.v1",
    ):
        with pytest.raises(NotFound):
            watched.mark(missing)
    with pytest.raises(InvalidArgument, match="no reading"):
        watched.attribute(pb.LatencyReading())


def test_an_interval_needs_answers_and_counters_that_only_grow(watched: Watched) -> None:
    since = watched.mark()
    with pytest.raises(FailedPrecondition, match="no I/O"):
        watched.attribute(since)
    watched.stack.reset(1)
    watched = Watched(watched.stack)
    watched.run(1)
    with pytest.raises(FailedPrecondition, match="gone back"):
        watched.attribute(since)


def test_without_the_array_nobody_knows(watched: Watched) -> None:
    here: list[Peer] = [p for p in local_peers(watched.stack.rooms) if p.kind != "arrays"]
    alone = EstateService([*here, remote("arrays", "127.0.0.1:1", "arrays/a1")])
    with pytest.raises(Unavailable, match="is not known: arrays"):
        alone.MarkLatency(pb.MarkLatencyRequest(target=DEVICE))
