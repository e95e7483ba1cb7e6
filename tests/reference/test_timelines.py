"""Timelines of single I/Os, worked out by hand: every nanosecond between guest and array.

With the plain sample stack a command takes 2,000 of brokering and 10,000 to the port; a write of a
page then takes 1,000 + 4,096 on the wire and 5,000 of a core, and its answer 20,000 back: it is
issued at 0, submitted at 2,000, arrives at 12,000, departs at 22,096 and completes at 42,096.
"""

from __future__ import annotations

import pytest

from smokestack.engine.jobplan import JobKind
from smokestack.engine.records import HostStatus, Kind, Op, Sense, Status
from tests.reference.config import DeviceUpdated, ExportDeleted, JobStopped, PoolCapacity
from tests.reference.digest import Completion
from tests.reference.observe import ran, times, trace
from tests.reference.samples import PAGE, array, job, stack

SPACE = Sense.SPACE_ALLOCATION_FAILED


# --- one I/O ------------------------------------------------------------------------------------


def test_a_write_takes_what_its_stations_take() -> None:
    (record,) = ran(stack(job(io_limit=1))).completions
    assert record == Completion(
        time=42_096,  # 2,000 + 10,000 + 1,000 + 4,096 + 5,000 + 20,000
        ident=0,
        array_ns=10_096,
        first_data_ns=1_000,  # XFER_RDY follows the command frame
        nexus=0,
        sense=0,
        attempt=0,
        status=Status.GOOD,
        kind=Kind.RESPONSE,
    )


def test_a_record_is_packed_as_it_travels() -> None:
    (record,) = ran(stack(job(io_limit=1))).completions
    packed = record.pack()
    assert len(packed) == 48
    assert Completion.unpack_all(packed) == [record]


def test_a_read_of_what_was_never_written_is_zeros_without_media() -> None:
    (record,) = ran(stack(job(io_limit=1, read_always=True))).completions
    assert record.first_data_ns == 4_000  # 1,000 + 3,000
    assert record.array_ns == 8_096  # then 4,096 on the wire
    assert record.time == 40_096


@pytest.mark.parametrize(("hit_ratio", "array_ns"), [(1.0, 8_096), (0.0, 108_096)])
def test_a_read_of_a_page_comes_from_cache_or_media(hit_ratio: float, array_ns: int) -> None:
    commands = trace((0, 0, PAGE, Op.WRITE), (0, 0, PAGE, Op.READ))
    plan = job(kind=JobKind.TRACE_CLOSED, trace=commands, block_sizes=())
    write, read = ran(stack(plan, arrays=(array(read_hit_ratio=hit_ratio),))).completions
    assert write.time == 42_096
    assert read.array_ns == array_ns
    assert read.first_data_ns == array_ns - PAGE
    assert read.time == 42_096 + 2_000 + 10_000 + array_ns + 20_000


def test_a_write_through_waits_for_the_media() -> None:
    (record,) = ran(stack(job(io_limit=1), arrays=(array(write_back=False),))).completions
    assert (record.time, record.array_ns) == (142_096, 110_096)


def test_a_closed_loop_goes_on_after_think_time_and_brokering() -> None:
    plan = job(io_limit=3, think_ns=7_000)
    # 42,096 + 7,000 + 42,096 + 7,000 + 42,096
    assert times(stack(plan)) == [(42_096, 0), (91_192, 0), (140_288, 0)]


def test_without_brokering_the_next_io_leaves_as_the_last_completes() -> None:
    assert times(stack(job(io_limit=2), broker_ns=0)) == [(40_096, 0), (80_192, 0)]


def test_nothing_starts_at_the_stop_time() -> None:
    # Completions at 42,096 and 84,192 start the next I/O; the second one is at the stop time.
    assert len(ran(stack(job(stop_ns=84_192))).completions) == 2
    assert len(ran(stack(job(stop_ns=84_193))).completions) == 3


def test_a_stopped_job_completes_what_is_outstanding() -> None:
    config = stack(job(), changes=(JobStopped(50_000, "h1", "v1", "j0"),))
    assert times(config) == [(42_096, 0), (84_192, 0)]


# --- stations and queues ------------------------------------------------------------------------


def test_two_at_once_share_the_wire_and_the_core_in_the_order_of_ids() -> None:
    first, second = ran(stack(job(io_limit=2, slots=2))).completions
    assert first.time == 42_096
    # The port takes the second command at 17,096 and has its data at 22,192, when the core, done
    # with the first since 22,096, takes it to 27,192.
    assert second.ident == 1 << 40 | 1
    assert second.first_data_ns == 17_096 - 12_000 + 1_000
    assert second.time == 47_192


def test_a_device_of_depth_one_sends_one_by_one() -> None:
    config = stack(job(io_limit=2, slots=2), depth=1)
    assert times(config) == [(42_096, 0), (42_096 + 40_096, 1)]


def test_a_deeper_queue_is_used_at_once() -> None:
    changes = (DeviceUpdated(20_000, "h1", "a1.v1", lun_queue_depth=2),)
    config = stack(job(io_limit=2, slots=2), depth=1, changes=changes)
    assert times(config) == [(42_096, 0), (20_000 + 40_096, 1)]


def test_a_pool_that_runs_dry_fails_writes_that_need_pages() -> None:
    commands = trace(*((0, 8 * page, PAGE, Op.WRITE) for page in (0, 1, 0)))
    plan = job(kind=JobKind.TRACE_CLOSED, trace=commands, block_sizes=(), error_backoff_ns=9_000)
    world = ran(stack(plan, arrays=(array(pool_pages=1),)))
    found = [(record.time, record.status, record.sense) for record in world.completions]
    assert found == [
        (42_096, Status.GOOD, 0),
        (84_192, Status.CHECK_CONDITION, SPACE),  # it costs the wire and the core all the same
        (84_192 + 9_000 + 42_096, Status.GOOD, 0),  # in place, after the backoff
    ]
    pool = world.arrays["a1"].pools["pool"]
    assert (pool.allocated, pool.failures) == (1, 1)


def test_a_write_that_does_not_fit_whole_takes_no_page() -> None:
    commands = trace((0, 0, 3 * PAGE, Op.WRITE), (0, 0, 2 * PAGE, Op.WRITE))
    plan = job(kind=JobKind.TRACE_CLOSED, trace=commands, block_sizes=())
    world = ran(stack(plan, arrays=(array(pool_pages=2),)))
    assert [record.sense for record in world.completions] == [SPACE, 0]
    assert world.arrays["a1"].pools["pool"].allocated == 2


def test_a_grown_pool_serves_commands_one_forward_latency_later() -> None:
    def senses(at_ns: int) -> list[int]:
        changes = (PoolCapacity(at_ns, "a1", "pool", 2 * PAGE),)
        commands = trace((0, 0, 2 * PAGE, Op.WRITE))
        plan = job(kind=JobKind.TRACE_OPEN, trace=commands, block_sizes=())
        config = stack(plan, arrays=(array(pool_pages=1),), changes=changes)
        return [record.sense for record in ran(config).completions]

    # The command is with the controller at 12,000 + 1,000 + 8,192 = 21,192.
    assert senses(11_192) == [0]
    assert senses(11_193) == [SPACE]


@pytest.mark.parametrize(
    ("lba", "length", "sense", "time"),
    [
        (256 * 8 - 8, PAGE, 0, 42_096),  # the volume's last page
        (256 * 8 - 7, PAGE, Sense.LBA_OUT_OF_RANGE, 42_096),
        (0, 0, Sense.LBA_OUT_OF_RANGE, 38_000),  # no data on the wire
    ],
)
def test_commands_beyond_the_volume_fail(lba: int, length: int, sense: int, time: int) -> None:
    commands = trace((0, lba, length, Op.WRITE))
    plan = job(kind=JobKind.TRACE_OPEN, trace=commands, block_sizes=())
    (record,) = ran(stack(plan)).completions
    assert (record.sense, record.time) == (sense, time)


def test_a_hidden_volume_answers_that_there_is_no_such_unit() -> None:
    # At the controller at 17,096, which the change of 7,096 just reaches.
    config = stack(job(io_limit=1), changes=(ExportDeleted(7_096, "a1", "v1", "h1"),))
    (record,) = ran(config).completions
    # The host finds its last path gone at 42,096, and says so one lookahead later.
    assert (record.sense, record.time) == (Sense.LU_NOT_SUPPORTED, 42_096 + 30_000)
    assert (record.kind, record.status) == (Kind.HOST, HostStatus.NO_CONNECT)


# --- open loops ---------------------------------------------------------------------------------


def test_an_open_loop_waits_in_the_guest_when_no_slot_is_free() -> None:
    plan = job(kind=JobKind.RATE, interval_ns=10_000, io_limit=3)
    # Arrivals at 0, 10,000, 20,000; each completion lets the next one through the broker.
    completions = ran(stack(plan)).completions
    assert [record.time for record in completions] == [42_096, 84_192, 126_288]
    assert [record.ident for record in completions] == [0, 1, 2]


def test_an_open_loop_takes_the_lowest_free_slot() -> None:
    plan = job(kind=JobKind.RATE, interval_ns=10_000, io_limit=3, slots=2)
    # The third, backlogged at 22,000, takes the slot that the first leaves at 42,096.
    assert times(stack(plan)) == [(42_096, 0), (52_096, 1), (84_192, 0)]


def test_what_waits_in_the_guest_is_issued_even_after_the_job_stops() -> None:
    plan = job(kind=JobKind.RATE, interval_ns=10_000, stop_ns=20_000)
    # An arrival at the stop time is none.
    assert times(stack(plan)) == [(42_096, 0), (84_192, 0)]


def test_a_trace_is_replayed_at_its_scaled_times() -> None:
    commands = trace((0, 0, PAGE, Op.WRITE), (200_001, 8, PAGE, Op.WRITE))
    plan = job(kind=JobKind.TRACE_OPEN, trace=commands, block_sizes=(), scale_den=2, start_ns=500)
    assert times(stack(plan)) == [(42_596, 0), (42_096 + 500 + 100_000, 0)]
