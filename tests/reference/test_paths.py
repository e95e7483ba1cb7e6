"""Timelines worked out by hand: full ports, path selection, paths and arrays that are lost.

The sample stack as in test_timelines.py: alone, a write is submitted at 2,000, arrives at 12,000,
departs at 22,096 and completes at 42,096; from a dispatch to its answer it takes 40,096.
"""

from __future__ import annotations

import pytest

from smokestack.engine.records import Kind, Status
from smokestack.multipath.specs import Selector
from tests.reference.config import ArrayLost, DeviceUpdated, PathEnabled, PortEnabled
from tests.reference.observe import answers, ran, times
from tests.reference.samples import array, job, port, stack

TWO_PORTS = (port("p0", "fa"), port("p1", "fb"))


# --- full ports ---------------------------------------------------------------------------------

ONE_PLACE = array(ports=(port(queue_limit=1),))


def test_a_full_port_refuses_after_what_it_receives_and_the_host_retries() -> None:
    config = stack(job(io_limit=2, slots=2), arrays=(ONE_PLACE,))
    refusal = answers(config)[0]
    assert (refusal.status, refusal.ident >> 40) == (Status.TASK_SET_FULL, 1)
    # The wire is busy with the first one's data until 17,096; then 500, then 20,000 back.
    assert (refusal.array_ns, refusal.first_data_ns, refusal.time) == (5_596, 0, 37_596)
    first, second = ran(config).completions
    assert (first.time, first.attempt) == (42_096, 0)
    assert (second.time, second.attempt) == (37_596 + 50_000 + 40_096, 1)


def test_a_full_port_is_busy_for_a_nexus_that_has_nothing_in_it() -> None:
    both = array(ports=(port(queue_limit=1),), volume_ids=("v1", "v2"))
    jobs = (job("j0", io_limit=1), job("j1", disk_id="d1", io_limit=1))
    config = stack(*jobs, arrays=(both,), devices=("a1.v1", "a1.v2"))
    assert [record.status for record in answers(config)] == [Status.BUSY, Status.GOOD, Status.GOOD]
    assert times(config) == [(42_096, 0), (37_596 + 50_000 + 40_096, 1)]


def test_a_place_is_free_for_what_arrives_as_it_is_left() -> None:
    both = array(ports=(port(queue_limit=1),), volume_ids=("v1", "v2"))
    jobs = (job("j0", io_limit=1), job("j1", disk_id="d1", io_limit=1, start_ns=10_096))
    config = stack(*jobs, arrays=(both,), devices=("a1.v1", "a1.v2"))
    # The second arrives at 22,096, as the first departs.
    assert times(config) == [(42_096, 0), (52_192, 1)]


def test_a_retry_goes_to_the_queues_head() -> None:
    both = array(ports=(port(queue_limit=1),), volume_ids=("v1", "v2"))
    jobs = (job("j0", io_limit=1), job("j1", disk_id="d1", io_limit=3, slots=3))
    config = stack(
        *jobs, arrays=(both,), devices=("a1.v1", "a1.v2"), depth=1, qfull_retry_delay_ns=1_000
    )
    # Slot 1 is refused and hears at 37,596; slot 2 goes. At 38,596 slot 1 queues before slot 3.
    assert times(config) == [
        (42_096, 0),
        (37_596 + 40_096, 2),
        (77_692 + 40_096, 1),
        (117_788 + 40_096, 3),
    ]


# --- selectors ----------------------------------------------------------------------------------


def ports_used(
    selector: Selector, *, slots: int = 1, ios_per_path: int = 1_000, preferred: str | None = None
) -> list[int]:
    """Which ITL carried each of six I/Os, in the order of their numbers."""
    changes = (DeviceUpdated(0, "h1", "a1.v1", preferred_path=preferred),)
    config = stack(
        job(io_limit=6, slots=slots),
        arrays=(array(ports=TWO_PORTS),),
        selector=selector,
        ios_per_path=ios_per_path,
        changes=changes,
    )
    heard = sorted(answers(config), key=lambda record: record.ident & 0xFFFF)
    return [record.nexus for record in heard]


def test_round_robin_moves_on_after_its_count() -> None:
    assert ports_used(Selector.ROUND_ROBIN, ios_per_path=2) == [0, 0, 1, 1, 0, 0]
    assert ports_used(Selector.ROUND_ROBIN, ios_per_path=1_000) == [0] * 6


def test_fixed_stays_on_the_preferred_path() -> None:
    assert ports_used(Selector.FIXED) == [0] * 6
    assert ports_used(Selector.FIXED, preferred="h1-b.p1") == [1] * 6


def test_queue_length_takes_the_shortest_and_then_the_least_recent() -> None:
    assert ports_used(Selector.QUEUE_LENGTH) == [0, 1, 0, 1, 0, 1]
    # Three at once: 0, 1, 0. The first back, from port 0, leaves one in flight on each; port 1 is
    # the less recent.
    assert ports_used(Selector.QUEUE_LENGTH, slots=3)[:4] == [0, 1, 0, 1]


# --- paths --------------------------------------------------------------------------------------


def test_an_io_on_a_path_that_goes_down_is_retried_elsewhere() -> None:
    changes = (PortEnabled(5_000, "a1", "p0", False),)
    config = stack(job(io_limit=1), arrays=(array(ports=TWO_PORTS),), changes=changes)
    (record,) = ran(config).completions
    # The array knows at 15,000, the host at 35,000.
    assert (record.time, record.attempt) == (35_000 + 40_096, 1)


def test_ios_of_a_dead_path_go_on_in_the_order_of_their_ids() -> None:
    changes = (PortEnabled(5_000, "a1", "p0", False),)
    arrays = (array(ports=TWO_PORTS),)
    config = stack(job(io_limit=3, slots=3), arrays=arrays, depth=2, changes=changes)
    # Depth 2: slots 0 and 1 were in flight, slot 2 queued; the wire spaces them by 5,096.
    assert times(config) == [(75_096, 0), (80_192, 1), (75_096 + 40_096, 2)]


def test_a_port_goes_down_before_what_arrives_or_departs_at_that_time() -> None:
    def attempts(at_ns: int) -> list[int]:
        changes = (PortEnabled(at_ns, "a1", "p0", False),)
        config = stack(job(io_limit=1), arrays=(array(ports=TWO_PORTS),), changes=changes)
        return [record.attempt for record in ran(config).completions]

    assert attempts(2_000) == [1]  # acts at 12,000, as the command arrives
    assert attempts(12_096) == [1]  # acts at 22,096, as the answer departs
    assert attempts(12_097) == [0]


def test_without_a_path_the_guest_hears_after_the_lookahead() -> None:
    changes = (PortEnabled(5_000, "a1", "p0", False), PortEnabled(200_000, "a1", "p0", True))
    config = stack(job(io_limit=3, error_backoff_ns=100_000), changes=changes)
    found = [(r.time, r.kind, r.status, r.attempt, r.array_ns) for r in ran(config).completions]
    assert found == [
        (35_000 + 30_000, Kind.HOST, 1, 1, 0),
        (65_000 + 102_000 + 30_000, Kind.HOST, 1, 0, 0),
        # The path is back at 230,000.
        (197_000 + 102_000 + 40_096, Kind.RESPONSE, Status.GOOD, 0, 10_096),
    ]


def test_an_answer_that_comes_after_its_path_went_down_is_too_late() -> None:
    # The port is back at 11,500, before the command arrives, and answers it at 42,096.
    changes = (PortEnabled(1_000, "a1", "p0", False), PortEnabled(1_500, "a1", "p0", True))
    (record,) = ran(stack(job(io_limit=1), changes=changes)).completions
    assert (record.time, record.kind, record.attempt) == (31_000 + 30_000, Kind.HOST, 1)


def test_a_refusal_that_comes_after_its_path_went_down_is_too_late() -> None:
    changes = (PortEnabled(5_000, "a1", "p0", False),)
    arrays = (array(ports=(port(queue_limit=1, refusal_ns=10_000),)),)
    records = ran(stack(job(io_limit=2, slots=2), arrays=arrays, changes=changes)).completions
    assert [(r.time, r.kind, r.attempt) for r in records] == [(65_000, Kind.HOST, 1)] * 2


def test_a_path_disabled_by_hand_keeps_what_is_in_flight() -> None:
    changes = (PathEnabled(10_000, "h1", "a1.v1", "h1-a.p0", False),)
    config = stack(job(io_limit=2), arrays=(array(ports=TWO_PORTS),), changes=changes)
    assert [record.nexus for record in answers(config)] == [0, 1]
    assert times(config) == [(42_096, 0), (84_192, 0)]


def test_a_lost_array_leaves_what_it_had_answered() -> None:
    # At 20,000 the array has run to 30,000: its answer of 22,096 is on the way.
    config = stack(job(io_limit=2), changes=(ArrayLost(20_000, "a1"),))
    found = [(r.time, r.kind, r.attempt) for r in ran(config).completions]
    assert found == [(42_096, Kind.RESPONSE, 0), (44_096 + 30_000, Kind.HOST, 0)]


@pytest.mark.parametrize(("at_ns", "time", "attempt"), [(12_096, 42_096, 1), (12_097, 42_096, 0)])
def test_a_lost_array_takes_what_it_had_not_answered(at_ns: int, time: int, attempt: int) -> None:
    (record,) = ran(stack(job(io_limit=1), changes=(ArrayLost(at_ns, "a1"),))).completions
    assert (record.time, record.attempt) == (time, attempt)
