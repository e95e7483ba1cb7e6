"""Whose fault a latency is: the split adds up, and what is refused says why.

That culprits are named is the experiment guilty-layer's to show.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from smokestack.engine.errors import FailedPrecondition, InvalidArgument, NotFound, Unavailable
from smokestack.server.estate import EstateService, Peer, local_peers, remote
from smokestack.server.sent_again import SentAgain
from smokestack.server.stack import Stack
from smokestack.v1 import array_pb2, faults_pb2, hypervisor_pb2, multipath_pb2, simulation_pb2
from smokestack.v1 import estate_pb2 as pb
from tests.server.scenarios import small_scenario

MS = 1_000_000
DEVICE = "multipaths/m1/hosts/h1/devices/a1.v1"
LINK = "multipaths/m1/fabrics/a/links/h1-a"
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

    def attributed(self, ms: int, *, before_ms: int = 20) -> pb.LatencyAttribution:
        """Whose fault the latency of a stretch of time is, once some time has passed."""
        self.run(before_ms)
        since = self.mark()
        self.run(ms)
        return self.attribute(since)

    def inject(self, kind: str, target: str, **fields: Any) -> None:
        """Breaks something, in the service whose it is."""
        service = "/".join(target.split("/")[:2])
        room = next(room for room in self.stack.rooms if room.name == service)
        rule = faults_pb2.FaultRule(kind=kind, target=target, **fields)
        room.simulation.InjectFault(faults_pb2.InjectFaultRequest(fault=rule))

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
    watched.inject("SLOW_DRAIN", LINK, factor_per_mille=200_000)
    found = watched.attributed(50)
    assert (found.layer, found.culprit) == (pb.LATENCY_LAYER_FABRIC, LINK)
    assert any(LINK in sentence and "frames" in sentence for sentence in found.evidence)


def test_who_was_not_ready_is_the_arrays_fault(watched: Watched) -> None:
    volume = "arrays/a1/volumes/v1"
    watched.inject("NOT_READY", volume, probability=0.9)
    found = watched.attributed(5_000, before_ms=5_000)
    assert (found.layer, found.culprit) == (pb.LATENCY_LAYER_ARRAY, volume)
    assert found.array_total_ns > 2 * found.fabric_total_ns
    assert any("not ready" in sentence for sentence in found.evidence)


@contextmanager
def impatient(timeout_ns: int = 2 * MS) -> Iterator[Watched]:
    """Hosts that abort what is late, and do no more about it; nothing waits in their queues."""
    scenario = small_scenario(io_limit=0)
    scenario.multipath.command_timeout_ns = timeout_ns
    scenario.multipath.task_management_timeout_ns = 2 * MS
    scenario.multipath.escalation = multipath_pb2.ESCALATION_ABORT_TASK
    for host in scenario.hosts:
        host.lun_queue_depth = host.sched_num_req_outstanding = 64
    for port in scenario.arrays[0].ports:
        port.queue_limit = 10_000
        port.bandwidth_bytes_per_second = 10**10
    for pool in scenario.arrays[0].pools:
        pool.capacity_bytes = 2 << 30
    with Stack(scenario) as stack:
        yield Watched(stack)


def timed_out(watched: Watched) -> int:
    request = multipath_pb2.GetDeviceStatisticsRequest(name=DEVICE)
    return watched.stack.api.multipath.GetDeviceStatistics(request).timed_out_count


@pytest.mark.parametrize("port", ["arrays/a1/ports/p0", "arrays/a1/ports/p1"])
def test_a_port_that_hangs_is_named_and_no_link(port: str) -> None:
    with impatient() as watched:
        for start_ms in (25, 45, 65):
            watched.inject("PORT_HANG", port, start_ns=start_ms * MS, duration_ns=10 * MS)
        found = watched.attributed(80)
    assert (found.layer, found.culprit) == (pb.LATENCY_LAYER_ARRAY, port)
    assert found.array_total_ns > 2 * found.fabric_total_ns
    assert any("lost" in sentence and "its link is up" in sentence for sentence in found.evidence)
    assert sum(getattr(found, layer) for layer in LAYERS) == found.guest_total_ns


def test_media_are_to_blame_for_commands_that_they_are_late_with() -> None:
    pool = "arrays/a1/pools/p1"
    with impatient() as watched:
        watched.stack.api.arrays["a1"].FillPool(array_pb2.FillPoolRequest(name=pool, ratio=1.0))
        watched.inject("MEDIA_SLOW", pool, factor_per_mille=2_000)
        found = watched.attributed(80)
        assert timed_out(watched) > 0
    assert (found.layer, found.culprit) == (pb.LATENCY_LAYER_ARRAY, pool)
    assert found.array_total_ns > 2 * found.fabric_total_ns


def test_a_link_is_to_blame_for_commands_that_it_is_late_with() -> None:
    with impatient(MS) as watched:
        watched.inject("SLOW_DRAIN", LINK, factor_per_mille=10_000)
        found = watched.attributed(80)
        assert timed_out(watched) > 0
    assert (found.layer, found.culprit) == (pb.LATENCY_LAYER_FABRIC, LINK)


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ({"timed_out": 4, "lost": 9}, (0, 1_000, 0)),  # aborts are lost as well
        ({"timed_out": 4, "held": 3}, (0, 0, 750)),
        ({"timed_out": 4, "lost": 1, "held": 9}, (0, 250, 750)),
        ({"sent_back": 1}, (250, 0, 0)),
        ({"lost": 2}, (0, 500, 0)),  # with a port's link
        ({"timed_out": 1, "lost": 1, "sent_back": 3}, (100, 900, 0)),
        ({"timed_out": 9, "lost": 2}, (0, 500, 0)),  # more than came back yet
        ({"count": 0, "total_ns": 0, "timed_out": 2, "lost": 2}, (0, 0, 0)),
    ],
)
def test_failed_attempts_are_split_by_what_became_of_them(
    case: dict[str, int], expected: tuple[int, int, int]
) -> None:
    standing: dict[str, Any] = {
        "total_ns": 1_000,
        "count": 4,
        "sent_back": 0,
        "timed_out": 0,
        "timeout_ns": 900,
        "lost": 0,
        "held": 0,
    }
    split = SentAgain.split(**standing | case)
    assert (split.sent_back_ns, split.lost_ns, split.held_ns) == expected
    assert split.fabric_ns == split.total_ns - sum(expected) >= 0


def test_what_caches_save_is_not_asked_for_before_somebody_is_accused() -> None:
    scenario = small_scenario(io_limit=0)
    for controller in scenario.arrays[0].controllers:
        controller.read_hit_ratio = 1.0
    scenario.arrays[0].pools[0].media_ns = 50 * MS
    with Stack(scenario) as stack:
        watched = Watched(stack)
        watched.inject("SLOW_DRAIN", LINK, factor_per_mille=400_000)
        found = watched.attributed(50)
    assert found.array_explained_ns > 50 * MS > found.floor_ns
    assert (found.layer, found.culprit) == (pb.LATENCY_LAYER_FABRIC, LINK)


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
