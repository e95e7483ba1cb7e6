"""The array served window by window: its timing, its space, its queue limits, its refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smokestack.array.model import ArrayModel
from smokestack.array.specs import (
    ArrayHostSpec,
    ControllerSpec,
    ExportSpec,
    InitiatorSpec,
    MediaDistribution,
    PoolSpec,
    PortSpec,
    VolumeSpec,
)
from smokestack.engine.blockdevice import NOTHING, Attachment, IoBatch
from smokestack.engine.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Refused,
)
from smokestack.engine.records import SUBMISSION, EventCode, Kind, Op, Sense, Status

PAGE = 16 << 10
F = R = 50_000  # the default latencies
L = F + R


def make_array(pages: int = 64, **port: int) -> ArrayModel:
    array = ArrayModel("a1")
    array.create_controller(
        ControllerSpec("c0", core_count=1, read_ns=10_000, write_ns=20_000, read_hit_ratio=0.0)
    )
    array.create_port(replace(PortSpec("p0", "c0", "fabric-a"), **port))
    array.create_pool(
        PoolSpec(
            "p1", pages * PAGE, media_ns=300_000, media_distribution=MediaDistribution.CONSTANT
        )
    )
    array.create_volume(VolumeSpec("v1", "p1", 1 << 30))
    array.create_host(ArrayHostSpec("h1", (InitiatorSpec("h1-a", "fabric-a"),)))
    array.create_export(ExportSpec("v1", "h1", 0))
    return array


def attach(array: ArrayModel) -> ArrayModel:
    array.attach(Attachment("tests/driver", 1, 1, array.now_ns, array.lookahead_ns))
    return array


def batch(*ios: tuple[int, int, Op, int, int]) -> IoBatch:
    """Submissions from (time, id, op, offset in bytes, length)."""
    records = np.zeros(len(ios), SUBMISSION)
    for row, (time, number, op, offset, length) in zip(records, ios, strict=True):
        row["time"], row["id"], row["op"] = time, number, op
        row["lba"], row["length"] = offset // 512, length
    return IoBatch(records, len(ios))


def serve(array: ArrayModel, *ios: tuple[int, int, Op, int, int], for_ns: int = 10**9) -> list:
    """Submits at or after now, runs on, and returns what came back."""
    start = array.now_ns
    replies = []
    until = start + L
    reply = array.exchange(until, batch(*ios))
    while True:
        replies += [reply.records[i].copy() for i in range(reply.count)]
        if until >= start + for_ns:
            return replies
        until = min(max(until + 1, reply.next_ns), start + for_ns)
        reply = array.exchange(until, NOTHING)


def test_a_write_takes_command_transfer_controller_and_the_way_back() -> None:
    array = attach(make_array())
    (done,) = serve(array, (0, 7, Op.WRITE, 0, 8192))
    transfer = 8192 * ((10**9 << 20) // 800_000_000) >> 20
    assert (done["id"], done["status"], done["kind"]) == (7, Status.GOOD, Kind.RESPONSE)
    assert done["array_ns"] == 1_000 + transfer + 20_000
    assert done["first_data_ns"] == 1_000
    assert done["time"] == F + done["array_ns"] + R


def test_a_read_of_written_pages_goes_to_the_media() -> None:
    array = attach(make_array())
    serve(array, (0, 1, Op.WRITE, 0, 8192))
    (done,) = serve(array, (array.now_ns, 2, Op.READ, 0, 8192))
    transfer = 8192 * ((10**9 << 20) // 800_000_000) >> 20
    assert done["array_ns"] == 1_000 + 10_000 + 300_000 + transfer
    assert done["first_data_ns"] == 1_000 + 10_000 + 300_000


def test_a_read_of_unwritten_pages_is_zeros_and_takes_nothing() -> None:
    array = attach(make_array())
    (done,) = serve(array, (0, 1, Op.READ, 1 << 20, 4096))
    assert done["status"] == Status.GOOD
    assert done["array_ns"] < 300_000
    assert array.volume_usage("v1").allocated_bytes == 0


@pytest.mark.parametrize(
    ("offset", "length", "pages"),
    [(0, 512, 1), (0, PAGE, 1), (PAGE - 512, 1024, 2), (512, 3 * PAGE, 4), (5 * PAGE, 2 * PAGE, 2)],
)
def test_a_write_allocates_exactly_the_pages_that_it_touches(
    offset: int, length: int, pages: int
) -> None:
    array = attach(make_array())
    serve(array, (0, 1, Op.WRITE, offset, length))
    serve(array, (array.now_ns, 2, Op.WRITE, offset, length))  # again: nothing new
    assert array.volume_usage("v1").allocated_bytes == pages * PAGE
    assert array.pool_usage("p1").allocated_bytes == pages * PAGE


def test_a_dry_pool_fails_the_whole_write_and_keeps_serving_what_it_has() -> None:
    array = attach(make_array(pages=2))
    replies = serve(
        array,
        (0, 1, Op.WRITE, 0, PAGE),
        (1, 2, Op.WRITE, PAGE, 2 * PAGE),  # needs two, one is left: nothing is allocated
        (2, 3, Op.WRITE, 0, PAGE),
        (3, 4, Op.WRITE, PAGE, PAGE),
        (4, 5, Op.WRITE, 2 * PAGE, PAGE),
    )
    verdicts = {int(r["id"]): (int(r["status"]), int(r["sense"])) for r in replies}
    good = (Status.GOOD, Sense.NONE)
    full = (Status.CHECK_CONDITION, Sense.SPACE_ALLOCATION_FAILED)
    assert verdicts == {1: good, 2: full, 3: good, 4: good, 5: full}
    usage = array.pool_usage("p1")
    assert (usage.allocated_bytes, usage.allocation_failure_count) == (2 * PAGE, 2)


def test_the_end_of_the_volume_is_an_error_not_a_wrap() -> None:
    array = attach(make_array())
    huge = (1 << 63) // 512 * 512
    replies = serve(array, (0, 1, Op.READ, (1 << 30) - 512, 1024), (1, 2, Op.WRITE, huge, 512))
    assert [int(r["sense"]) for r in replies] == [Sense.LBA_OUT_OF_RANGE] * 2
    assert array.pool_usage("p1").allocated_bytes == 0


def test_a_full_port_refuses_and_a_refusal_costs_it_time() -> None:
    array = attach(make_array(queue_limit=1, refusal_ns=5_000))
    replies = serve(array, *((0, n, Op.WRITE, 0, 512) for n in range(3)))
    by_id = {int(r["id"]): r for r in replies}
    assert [int(by_id[n]["status"]) for n in range(3)] == [
        Status.GOOD,
        Status.TASK_SET_FULL,
        Status.TASK_SET_FULL,
    ]
    assert int(by_id[2]["time"] - by_id[1]["time"]) == 5_000
    usage = array.port_usage("p0")
    assert (usage.command_count, usage.task_set_full_count, usage.outstanding_count) == (1, 2, 0)


def test_a_nexus_with_nothing_outstanding_is_answered_busy() -> None:
    array = make_array(queue_limit=1)
    array.create_volume(VolumeSpec("v2", "p1", 1 << 30))
    array.create_export(ExportSpec("v2", "h1", 1))
    ios = batch((0, 1, Op.WRITE, 0, 512), (0, 2, Op.WRITE, 0, 512))
    ios.records["nexus"] = [0, 1]
    attach(array)
    reply = array.exchange(10**9, ios)
    assert [int(s) for s in reply.records["status"][: reply.count]] == [Status.BUSY, Status.GOOD]


def test_a_port_that_goes_down_loses_what_is_in_it_and_says_so() -> None:
    array = attach(make_array())
    array.exchange(L, batch((L - 1, 1, Op.WRITE, 0, 512)))
    array.set_port_enabled("p0", False)
    reply = array.exchange(L, NOTHING)  # a border: the change acts here
    assert reply.next_ns == L + F + R
    replies = serve(array, (array.now_ns + 1, 2, Op.WRITE, 0, 512))
    assert [(int(r["kind"]), int(r["sense"])) for r in replies] == [
        (Kind.EVENT, EventCode.PATH_DOWN)
    ]
    assert int(replies[0]["time"]) == L + F + R
    assert array.port_usage("p0").dropped_count == 2
    assert array.port_usage("p0").outstanding_count == 0
    array.set_port_enabled("p0", True)
    back = serve(array, (array.now_ns + L, 3, Op.WRITE, 0, 512))
    assert [int(r["kind"]) for r in back] == [Kind.EVENT, Kind.RESPONSE]


def test_a_hidden_volume_is_no_logical_unit_any_more() -> None:
    array = attach(make_array())
    array.delete_export("v1", "h1")
    (done,) = serve(array, (0, 1, Op.READ, 0, 512))
    assert int(done["sense"]) == Sense.LU_NOT_SUPPORTED
    assert array.report_luns(["h1-a"]) == ()


def test_a_deleted_volume_gives_its_pages_back_and_no_others() -> None:
    array = make_array()
    array.create_volume(VolumeSpec("v2", "p1", 1 << 30))
    array.create_export(ExportSpec("v2", "h1", 1))
    attach(array)
    ios = batch(*((n, n, Op.WRITE, (n // 2) * PAGE, PAGE) for n in range(10)))
    ios.records["nexus"] = [n % 2 for n in range(10)]
    array.exchange(10**9, ios)
    array.delete_export("v1", "h1")
    array.delete_volume("v1")
    assert array.pool_usage("p1").allocated_bytes == 5 * PAGE
    again = batch((array.now_ns, 99, Op.WRITE, 0, 5 * PAGE))
    again.records["nexus"] = [1]
    array.exchange(2 * 10**9, again)
    assert array.volume_usage("v2").allocated_bytes == 5 * PAGE


def test_tables_grow_with_the_batch() -> None:
    array = attach(make_array(pages=1 << 16, queue_limit=1 << 20))
    count = 5_000
    replies = serve(array, *((n, n, Op.WRITE, n * PAGE, PAGE) for n in range(count)))
    assert sorted(int(r["id"]) for r in replies) == list(range(count))
    assert array.pool_usage("p1").allocated_bytes == count * PAGE


def test_one_driver_at_a_time() -> None:
    array = attach(make_array())
    with pytest.raises(FailedPrecondition, match="driven by tests/driver"):
        array.attach(Attachment("tests/other", 1, 1, 0, L))
    with pytest.raises(FailedPrecondition, match="driven by tests/driver"):
        array.advance(10**9)
    array.detach()
    array.advance(10**9)
    assert array.now_ns == 10**9
    with pytest.raises(FailedPrecondition, match="ahead of"):
        array.attach(Attachment("tests/driver", 2, 1, 0, L))


def test_a_faster_port_cannot_shorten_the_lookahead_of_a_driven_array() -> None:
    array = attach(make_array())
    with pytest.raises(FailedPrecondition, match="before it is attached"):
        array.create_port(PortSpec("p9", "c0", "fabric-a", forward_latency_ns=10_000))
    assert "p9" not in array.ports


@pytest.mark.parametrize(
    ("call", "refusal", "says"),
    [
        (lambda a: a.create_pool(PoolSpec("p1", PAGE)), AlreadyExists, "arrays/a1/pools/p1"),
        (lambda a: a.create_pool(PoolSpec("P2", PAGE)), InvalidArgument, "pool.pool_id"),
        (lambda a: a.create_pool(PoolSpec("p2", PAGE + 1)), InvalidArgument, "capacity_bytes"),
        (lambda a: a.create_pool(PoolSpec("p2", 1 << 60)), InvalidArgument, "capacity_bytes"),
        (lambda a: a.create_pool(PoolSpec("p2", 5000, 5000)), InvalidArgument, "page_bytes"),
        (lambda a: a.create_volume(VolumeSpec("v2", "nope", 512)), NotFound, "pools/nope"),
        (lambda a: a.create_volume(VolumeSpec("v2", "p1", 513)), InvalidArgument, "capacity"),
        (lambda a: a.create_port(PortSpec("p1", "c9", "f")), NotFound, "controllers/c9"),
        (lambda a: a.create_port(PortSpec("p1", "c0", "f", 0)), InvalidArgument, "queue_limit"),
        (lambda a: a.update_volume_capacity("v1", 512), InvalidArgument, "only grows"),
        (lambda a: a.delete_pool("p1"), FailedPrecondition, "volumes v1"),
        (lambda a: a.delete_volume("v1"), FailedPrecondition, "hosts h1"),
        (lambda a: a.delete_controller("c0"), FailedPrecondition, "ports p0"),
        (lambda a: a.delete_port("p0"), FailedPrecondition, "volumes v1"),
        (lambda a: a.delete_host("h1"), FailedPrecondition, "volumes v1"),
        (lambda a: a.delete_export("v1", "h2"), NotFound, "exports/v1.h2"),
        (lambda a: a.create_export(ExportSpec("v1", "h1", 5)), AlreadyExists, "v1.h1"),
        (
            lambda a: a.create_host(ArrayHostSpec("h2", (InitiatorSpec("h1-a", "f"),))),
            AlreadyExists,
            "hosts/h1 already",
        ),
        (lambda a: a.create_host(ArrayHostSpec("h2", ())), InvalidArgument, "initiators"),
        (lambda a: a.set_port_enabled("p7", False), NotFound, "ports/p7"),
        (lambda a: a.set_port_queue_limit("p0", 0), InvalidArgument, "queue_limit"),
    ],
)
def test_bad_input_is_refused_whole(call, refusal: type[Refused], says: str) -> None:
    array = make_array()
    before = inventory(array)
    with pytest.raises(refusal, match=says):
        call(array)
    assert inventory(array) == before


def inventory(array: ArrayModel) -> str:
    return repr(
        (array.controllers, array.ports, array.pools, array.volumes, array.hosts, array.exports)
    )


def test_a_lun_belongs_to_one_volume() -> None:
    array = make_array()
    array.create_volume(VolumeSpec("v2", "p1", 512))
    with pytest.raises(AlreadyExists, match="LUN 0"):
        array.create_export(ExportSpec("v2", "h1", 0))


def test_shrinking_a_pool_below_what_it_holds_is_refused() -> None:
    array = attach(make_array())
    serve(array, (0, 1, Op.WRITE, 0, 4 * PAGE))
    with pytest.raises(FailedPrecondition, match="allocated"):
        array.update_pool("p1", capacity_bytes=3 * PAGE)
    array.update_pool("p1", capacity_bytes=4 * PAGE)
    (done,) = serve(array, (array.now_ns, 2, Op.WRITE, 8 * PAGE, PAGE))
    assert int(done["sense"]) == Sense.SPACE_ALLOCATION_FAILED
    array.update_pool("p1", capacity_bytes=5 * PAGE)
    (done,) = serve(array, (array.now_ns, 3, Op.WRITE, 8 * PAGE, PAGE))
    assert int(done["status"]) == Status.GOOD
