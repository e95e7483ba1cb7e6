"""EXTENDED COPY from one volume of an array to another: space, holes, values, and who may."""

from __future__ import annotations

import numpy as np
import pytest

from smokestack.array.model import ArrayModel
from smokestack.array.reservations import ReservationAction, ReservationType, ReserveOut
from smokestack.array.specs import (
    ArrayHostSpec,
    ExportSpec,
    InitiatorSpec,
    OutOfSpace,
    PoolSpec,
    VolumeSpec,
    ZeroDetect,
)
from smokestack.engine.blockdevice import IoBatch
from smokestack.engine.errors import InvalidArgument
from smokestack.engine.fault_rules import FaultRule
from smokestack.engine.records import (
    COPY_FROM,
    COPY_NOWHERE,
    SUBMISSION,
    Op,
    Sense,
    Status,
    compared,
    copy_from,
    copy_lba,
)
from smokestack.server.border_checks import check_submissions
from tests.array.test_array import PAGE, L, attach, make_array
from tests.array.test_copies import check_sums
from tests.array.test_locks import rows
from tests.array.test_zeros import GOOD, NO_SPACE

MIB = 1 << 20
BLOCK = 512
UNREACHABLE = (Status.CHECK_CONDITION, Sense.COPY_UNREACHABLE)
FAILED = (Status.CHECK_CONDITION, Sense.COPY_FAILED)
CONFLICT = (Status.RESERVATION_CONFLICT, Sense.NONE)


def pair(pages: int = 1024, *, size: int = 1 << 30, pool: str = "p1") -> ArrayModel:
    """Volumes v1 and v2 of 1 GiB, shown to h1, and v1 to h2, too; nexuses 0, 1 and 2."""
    array = make_array(pages)
    if pool != "p1":
        array.create_pool(PoolSpec(pool, 64 * 3 * PAGE, page_bytes=3 * PAGE, media_ns=700_000))
    array.create_volume(VolumeSpec("v2", pool, size))
    array.create_export(ExportSpec("v2", "h1", 1))
    array.create_host(ArrayHostSpec("h2", (InitiatorSpec("h2-a", "fabric-a"),)))
    array.create_export(ExportSpec("v1", "h2", 0))
    return attach(array)


def record(array: ArrayModel, op: Op, nexus: int, offset: int, length: int) -> np.ndarray:
    records = np.zeros(1, SUBMISSION)
    records["time"], records["id"], records["op"] = array.now_ns, 1, op
    records["lba"], records["length"], records["nexus"] = offset // BLOCK, length, nexus
    return records


def run(array: ArrayModel, records: np.ndarray) -> tuple[int, int]:
    reply = array.exchange(array.now_ns + 10**9, IoBatch(records, len(records)))
    done = reply.records[reply.count - 1]
    end = int(done["status"]), int(done["sense"])
    array.exchange(array.now_ns + L, IoBatch(records, 0))
    check_sums(array)
    return end


def write(array: ArrayModel, nexus: int, offset: int, length: int) -> tuple[int, int]:
    return run(array, record(array, Op.WRITE, nexus, offset, length))


def copies(
    array: ArrayModel, source: int, to: int, length: int, *, nexus: int = 1, origin: int = 0
) -> np.ndarray:
    """A copy's record: from v1 to v2 unless told otherwise; places in bytes."""
    made = record(array, Op.COPY, nexus, 0, length)
    made["lba"], made["vm"] = copy_lba(source // BLOCK, to // BLOCK), copy_from(origin)
    return made


def copy(array: ArrayModel, source: int, to: int, length: int, **which: int) -> tuple[int, int]:
    return run(array, copies(array, source, to, length, **which))


def lock(array: ArrayModel, nexus: int, block: int, value: int) -> None:
    made = record(array, Op.COMPARE_AND_WRITE, nexus, block * BLOCK, BLOCK)
    made["flags"] = compared(0, value)
    assert run(array, made) == GOOD


def pages(array: ArrayModel, volume: str) -> int:
    return array.volume_usage(volume).allocated_bytes // PAGE


def test_what_is_written_takes_pages_and_counts_there() -> None:
    array = pair()
    assert write(array, 0, 0, 4 * PAGE) == GOOD
    assert copy(array, 0, MIB, 4 * PAGE) == GOOD
    assert (pages(array, "v1"), pages(array, "v2")) == (4, 4)
    assert array.pool_usage("p1").allocated_bytes == 8 * PAGE  # nothing is shared
    assert (array.unit_usage("v1").copy_count, array.unit_usage("v2").copy_count) == (0, 1)
    assert array.unit_usage("v2").copied_bytes == 4 * PAGE
    assert copy(array, MIB, 0, 4 * PAGE, nexus=0, origin=1) == GOOD  # and back
    assert (pages(array, "v1"), pages(array, "v2")) == (4, 4)


@pytest.mark.parametrize("full", [OutOfSpace.FAIL_WRITES, OutOfSpace.ANSWER_BUSY])
def test_without_space_nothing_is_copied_in_the_pools_manner(full: OutOfSpace) -> None:
    array = make_array(6)
    array.create_pool(PoolSpec("p2", 2 * PAGE, out_of_space=full))
    array.create_volume(VolumeSpec("v2", "p2", 1 << 30))
    array.create_export(ExportSpec("v2", "h1", 1))
    attach(array)
    assert write(array, 0, 0, 3 * PAGE) == GOOD
    busy = full is OutOfSpace.ANSWER_BUSY
    assert copy(array, 0, 0, 3 * PAGE) == ((Status.BUSY, Sense.NONE) if busy else NO_SPACE)
    assert pages(array, "v2") == 0
    assert array.unit_usage("v2").copy_count == 0
    assert copy(array, 0, 0, 2 * PAGE) == GOOD


@pytest.mark.parametrize(
    ("detect", "had", "left"),
    [
        (ZeroDetect.OFF, 0, 8),
        (ZeroDetect.SKIP, 0, 3),
        (ZeroDetect.SKIP, 2, 4),
        (ZeroDetect.RECLAIM, 0, 3),
        (ZeroDetect.RECLAIM, 2, 3),
    ],
)
def test_holes_stay_holes_where_zeros_are_detected(detect: ZeroDetect, had: int, left: int) -> None:
    """Pages 1, 4 and 5 of eight are mapped; the destination has its first ones."""
    array = pair()
    array.set_volume_zero_detect("v2", detect)
    assert write(array, 0, PAGE, 512) == GOOD
    assert write(array, 0, 4 * PAGE, 2 * PAGE) == GOOD
    if had:
        assert write(array, 1, MIB, had * PAGE) == GOOD
    assert copy(array, 0, MIB, 8 * PAGE) == GOOD
    assert pages(array, "v2") == left
    usage = array.unit_usage("v2")
    skipped = {ZeroDetect.OFF: 0, ZeroDetect.SKIP: 8 - left, ZeroDetect.RECLAIM: 5}[detect]
    assert usage.zero_bytes == skipped * PAGE


def test_holes_are_those_of_larger_pages_where_the_pools_differ() -> None:
    array = pair(pool="p2")
    array.set_volume_zero_detect("v2", ZeroDetect.SKIP)
    assert write(array, 0, 0, 512) == GOOD
    assert write(array, 0, 5 * PAGE, 512) == GOOD
    assert copy(array, 0, 0, 9 * PAGE) == GOOD  # pages 0 to 2, 3 to 5, 6 to 8
    assert array.volume_usage("v2").allocated_bytes == 2 * 3 * PAGE


def test_values_of_blocks_come_along() -> None:
    array = pair()
    for block, value in ((0, 3), (9, 1), (MIB // BLOCK - 1, 7), (MIB // BLOCK, 5)):
        lock(array, 0, block, value)
    lock(array, 1, 4, 2)
    lock(array, 1, MIB // BLOCK, 6)
    assert copy(array, 0, 0, MIB) == GOOD
    here = {(1 << 41 | b, v) for b, v in ((0, 3), (9, 1), (2047, 7), (2048, 5))}
    there = {(2 << 41 | b, v) for b, v in ((0, 3), (9, 1), (2047, 7), (2048, 6))}
    assert rows(array) == here | there
    assert copy(array, 2 * MIB, 0, MIB) == GOOD
    assert rows(array) == here | {(2 << 41 | 2048, 6)}


@pytest.mark.parametrize("source", [0, 2])
def test_values_of_blocks_come_along_where_places_overlap(source: int) -> None:
    array = pair()
    first = source * 2048
    for block in (0, 2047, 2048, 4095):
        lock(array, 0, first + block, 1 + block % 7)
    assert copy(array, source * MIB, MIB, 2 * MIB, nexus=0) == GOOD
    found = {key & 0xFFFFFFFF: value for key, value in rows(array)}
    assert [found[2048 + block] for block in (0, 2047, 2048, 4095)] == [1, 4, 5, 1]


def test_the_table_has_room_for_all_that_one_window_copies() -> None:
    array = pair(2048)
    records = np.concatenate([record(array, Op.COMPARE_AND_WRITE, 0, 0, BLOCK)] * 256)
    records["lba"], records["flags"], records["id"] = np.arange(256), compared(0, 3), range(256)
    records["length"] = BLOCK
    assert run(array, records) == GOOD
    each = [copies(array, 0, n * MIB, MIB) for n in range(20)]
    together = np.concatenate(each)
    together["id"] = range(20)
    assert run(array, together) == GOOD
    assert array.state.row["block_count"] == 21 * 256
    assert array.state.row["copies"] == array.state.row["copy_blocks"] == 0


def test_notes_repeated_in_order_bring_the_same_values() -> None:
    array, other = pair(), pair()
    array.state.keep_deltas(True)
    for block in (0, 5, 700):
        lock(array, 0, block, 4)
    lock(array, 1, 2, 1)
    assert copy(array, 0, 0, MIB // 2) == GOOD
    assert copy(array, 0, MIB, MIB // 2, nexus=0) == GOOD
    other.state.repeat_deltas(array.state.take_deltas())
    assert rows(other) == rows(array)
    assert len(rows(array)) == 9


@pytest.mark.parametrize(
    ("kind", "volume", "holder", "ends"),
    [
        (ReservationType.WRITE_EXCLUSIVE, "v1", "h2", GOOD),  # h1 may read
        (ReservationType.EXCLUSIVE_ACCESS, "v1", "h2", CONFLICT),
        (ReservationType.EXCLUSIVE_ACCESS, "v1", "h1", GOOD),
        (ReservationType.WRITE_EXCLUSIVE, "v2", "h2", CONFLICT),
    ],
)
def test_reservations_count_at_both_ends(
    kind: ReservationType, volume: str, holder: str, ends: tuple[int, int]
) -> None:
    array = pair()
    if volume == "v2":
        array.create_export(ExportSpec("v2", "h2", 1))
    for action, keys in ((ReservationAction.REGISTER, (0, 7)), (ReservationAction.RESERVE, (7, 0))):
        given = kind if action is ReservationAction.RESERVE else None
        array.reservations.carry_out(volume, ReserveOut(holder, action, *keys, kind=given))
    assert copy(array, 0, 0, PAGE) == ends
    assert array.unit_usage("v2").copy_count == (ends == GOOD)


def test_what_the_host_does_not_reach_is_not_copied_from() -> None:
    array = pair()
    assert copy(array, 0, 0, PAGE, origin=COPY_NOWHERE) == UNREACHABLE
    array.delete_export("v1", "h1")
    for _ in range(2):
        end = copy(array, 0, 0, PAGE)
        if end[1] != Sense.LUNS_CHANGED:
            break
    assert end == UNREACHABLE
    assert pages(array, "v2") == 0


@pytest.mark.parametrize("kind", ["COMMAND_FAILED", "NOT_READY"])
def test_a_source_that_fails_commands_fails_copies(kind: str) -> None:
    array = pair()
    array.faults.inject(FaultRule(kind, "arrays/a1/volumes/v1", "f"))
    assert copy(array, 0, 0, PAGE) == FAILED
    assert copy(array, 0, MIB, PAGE, origin=1) == GOOD


def test_a_source_that_is_too_small_is_refused() -> None:
    array = pair(size=2 * MIB)
    out_of_range = (Status.CHECK_CONDITION, Sense.LBA_OUT_OF_RANGE)
    assert copy(array, MIB, 0, MIB, nexus=0, origin=1) == GOOD
    assert copy(array, 2 * MIB, 0, PAGE, nexus=0, origin=1) == out_of_range
    assert copy(array, 4 * MIB, MIB, MIB) == GOOD
    assert copy(array, 4 * MIB, 2 * MIB, PAGE) == out_of_range


def test_reads_are_of_the_sources_pool_and_its_errors() -> None:
    array = pair(pool="p2")
    assert write(array, 1, 0, 2 * PAGE) == GOOD
    array.exchange(array.now_ns + 10**9, IoBatch(np.zeros(0, SUBMISSION), 0))
    made = copies(array, 0, 0, PAGE, nexus=0, origin=1)
    begin = int(array.state["pool"]["media_busy_ns"][1])
    assert run(array, made) == GOOD
    assert array.state["pool"]["media_busy_ns"][1] > begin
    array.faults.inject(FaultRule("MEDIA_ERROR", "arrays/a1/pools/p2", "f"))
    bad = (Status.CHECK_CONDITION, Sense.UNRECOVERED_READ)
    assert copy(array, 0, MIB, PAGE, nexus=0, origin=1) == bad
    assert copy(array, MIB, 0, PAGE) == GOOD  # of v1, in p1


@pytest.mark.parametrize("ns", [1, 40_000, 200_000, 10**6])
def test_a_copy_between_volumes_comes_through_a_snapshot(ns: int) -> None:
    array = pair()
    assert write(array, 0, 0, PAGE) == GOOD
    lock(array, 0, 1, 2)
    array.exchange(array.now_ns + ns, IoBatch(copies(array, 0, MIB, PAGE), 1))
    piece = array.keeper.save("s1")
    nothing = IoBatch(np.zeros(0, SUBMISSION), 0)
    first = array.exchange(array.now_ns + 10**9, nothing).records[:1].copy()
    array.keeper.stage(piece)
    array.keeper.restore()
    again = array.exchange(array.now_ns + 10**9, nothing).records[:1].copy()
    assert (first == again).all()
    assert pages(array, "v2") == 1
    assert (2 << 41 | 2049, 2) in rows(array)
    assert array.state.row["copies"] == 0


def test_the_border_knows_the_nexus_that_a_copy_reads_from() -> None:
    record = np.zeros(1, SUBMISSION)
    record["op"], record["length"], record["vm"] = Op.COPY, PAGE, copy_from(1)
    check_submissions(record, 0, L, 2, takes_tasks=False)
    for nexuses, tasks, vm in ((1, False, COPY_FROM | 1), (2, False, COPY_FROM | COPY_NOWHERE)):
        record["vm"] = vm
        with pytest.raises(InvalidArgument, match="reads from a nexus that has never been"):
            check_submissions(record, 0, L, nexuses, takes_tasks=tasks)
    check_submissions(record, 0, L, 2, takes_tasks=True)  # an array's driver has no such nexus
