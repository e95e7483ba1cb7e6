"""EXTENDED COPY: the array reads a range and writes it elsewhere; no data cross the wire."""

from __future__ import annotations

import numpy as np
import pytest

from smokestack.array.model import ArrayModel
from smokestack.array.specs import ExportSpec, PoolSpec, VolumeSpec, ZeroDetect
from smokestack.engine.blockdevice import IoBatch
from smokestack.engine.records import SUBMISSION, Op, Sense, Status, copy_lba
from tests.array.test_array import PAGE, L, attach, make_array
from tests.array.test_zeros import GOOD, NO_SPACE, detecting, do, pages

MIB = 1 << 20
OUT_OF_RANGE = (Status.CHECK_CONDITION, Sense.LBA_OUT_OF_RANGE)


def copy(array: ArrayModel, source: int, destination: int, length: int) -> tuple[int, int]:
    """One copy within the volume, offsets in bytes."""
    return do(array, Op.COPY, copy_lba(source // 512, destination // 512) * 512, length)


def taken_ns(array: ArrayModel, op: Op, lba: int, length: int, nexus: int = 0) -> int:
    """How long a command is in the array."""
    records = np.zeros(1, SUBMISSION)
    records["time"], records["id"], records["op"] = array.now_ns, 1, op
    records["lba"], records["length"], records["nexus"] = lba, length, nexus
    reply = array.exchange(array.now_ns + 10**9, IoBatch(records, 1))
    array_ns = int(reply.records[0]["array_ns"])
    array.exchange(array.now_ns + L, IoBatch(records, 0))
    return array_ns


def test_a_copy_takes_pages_as_a_write_does() -> None:
    array = attach(make_array())
    assert do(array, Op.WRITE, 0, 4 * PAGE) == GOOD
    assert copy(array, 0, 8 * MIB, 4 * PAGE) == GOOD
    assert pages(array) == 8
    assert copy(array, 0, 8 * MIB, 4 * PAGE) == GOOD
    assert pages(array) == 8  # it has them
    usage = array.unit_usage("v1")
    assert (usage.copy_count, usage.copied_bytes) == (2, 8 * PAGE)
    assert (usage.write_same_count, usage.zero_write_count) == (0, 0)


def test_a_copy_without_space_does_nothing_at_all() -> None:
    array = attach(make_array(6))
    assert do(array, Op.WRITE, 0, 4 * PAGE) == GOOD
    assert copy(array, 0, MIB, 3 * PAGE) == NO_SPACE
    assert pages(array) == 4
    assert array.unit_usage("v1").copy_count == 0
    assert copy(array, 0, MIB, 2 * PAGE) == GOOD
    assert pages(array) == 6


def test_a_copy_of_what_is_not_mapped_is_a_write_of_zeros() -> None:
    array = attach(make_array())
    assert copy(array, 0, MIB, 4 * PAGE) == GOOD
    assert pages(array) == 4
    array = detecting(ZeroDetect.SKIP)
    assert copy(array, 0, MIB, 4 * PAGE) == GOOD
    assert pages(array) == 0
    assert (array.unit_usage("v1").zero_bytes, array.unit_usage("v1").copy_count) == (4 * PAGE, 1)
    array = detecting(ZeroDetect.RECLAIM)
    assert do(array, Op.WRITE, MIB, 4 * PAGE) == GOOD
    assert copy(array, 0, MIB, 3 * PAGE) == GOOD
    assert pages(array) == 1


def test_holes_are_written_unless_the_volume_detects_zeros() -> None:
    for detect, left in ((ZeroDetect.OFF, 5), (ZeroDetect.SKIP, 2), (ZeroDetect.RECLAIM, 2)):
        array = detecting(detect)
        assert do(array, Op.WRITE, 3 * PAGE, 512) == GOOD
        assert copy(array, 0, MIB, 4 * PAGE) == GOOD
        assert pages(array) == left


def test_a_copy_within_a_page_writes_all_of_its_range() -> None:
    """Pages of 1.5 MiB: the second one has the end of what is read and the front of the copy."""
    array = make_array()
    page = 3 << 19
    array.create_pool(PoolSpec("p2", 64 * page, page_bytes=page))
    array.create_volume(VolumeSpec("v2", "p2", 6 * page, zero_detect=ZeroDetect.SKIP))
    array.create_export(ExportSpec("v2", "h1", 1))
    attach(array)
    (nexus,) = array.itls_by_volume["v2"]
    records = np.zeros(2, SUBMISSION)
    records["id"], records["op"], records["nexus"] = (1, 2), (Op.WRITE, Op.COPY), nexus
    records["lba"], records["length"] = (0, copy_lba(0, 4096)), (512, 7 * MIB)
    assert array.exchange(10**9, IoBatch(records, 2)).count == 2
    assert array.volume_usage("v2").allocated_bytes == 6 * page


def test_both_ranges_lie_within_the_volume() -> None:
    array = attach(make_array())
    last = (1 << 30) - MIB
    assert copy(array, last, 0, MIB // 16) == GOOD
    assert copy(array, 0, last, MIB + 512) == OUT_OF_RANGE
    assert copy(array, last, 0, MIB + 512) == OUT_OF_RANGE
    assert copy(array, 0, MIB, 0) == OUT_OF_RANGE
    assert array.unit_usage("v1").copy_count == 1


def test_an_export_that_is_read_only_takes_no_copy() -> None:
    array = make_array()
    array.create_volume(VolumeSpec("v2", "p1", 1 << 30))
    array.create_export(ExportSpec("v2", "h1", 1, read_only=True))
    attach(array)
    (nexus,) = array.itls_by_volume["v2"]
    records = np.zeros(1, SUBMISSION)
    records["id"], records["op"], records["nexus"] = 1, Op.COPY, nexus
    records["lba"], records["length"] = copy_lba(0, 2048), PAGE
    reply = array.exchange(10**9, IoBatch(records, 1))
    assert int(reply.records[0]["sense"]) == Sense.WRITE_PROTECTED


def test_a_copy_parts_from_what_a_snapshot_keeps() -> None:
    array = attach(make_array())
    assert do(array, Op.WRITE, 0, 2 * PAGE) == GOOD
    assert do(array, Op.WRITE, MIB, 2 * PAGE) == GOOD
    array.create_snapshot("s1", "v1")
    assert copy(array, 0, MIB, 2 * PAGE) == GOOD
    usage = array.pool_usage("p1")
    assert (usage.allocated_bytes, usage.snapshot_bytes) == (6 * PAGE, 2 * PAGE)


def test_a_copy_takes_controller_and_media_of_both_and_no_transfer() -> None:
    """On a port of 100 MB/s a read and a write of 64 KiB take 1.3 ms of wire alone."""
    length = 16 * PAGE
    array = attach(make_array(256, bandwidth_bytes_per_second=10**8))
    wire = array.ports["p0"].command_ns
    assert do(array, Op.WRITE, 0, length) == GOOD
    reads = taken_ns(array, Op.READ, 0, length)
    writes = taken_ns(array, Op.WRITE, 2048, length)
    copies = taken_ns(array, Op.COPY, copy_lba(0, 2048), length)
    assert copies == wire + 10_000 + 20_000 + 300_000  # and the cache writes back
    assert copies < reads + writes - 1_300_000
    of_zeros = taken_ns(array, Op.COPY, copy_lba(4096, 2048), length)
    assert of_zeros == wire + 10_000 + 20_000
    port = array.state["port"][0]
    assert (int(port["rx_bytes"]), int(port["tx_bytes"])) == (2 * length, length)


@pytest.mark.parametrize("ns", [1, 40_000, 200_000, 10**6])
def test_a_copy_comes_through_a_snapshot_wherever_it_is(ns: int) -> None:
    array = attach(make_array())
    assert do(array, Op.WRITE, 0, PAGE) == GOOD
    records = np.zeros(1, SUBMISSION)
    records["time"], records["id"], records["op"] = array.now_ns, 1, Op.COPY
    records["lba"], records["length"] = copy_lba(0, 2048), PAGE
    array.exchange(array.now_ns + ns, IoBatch(records, 1))
    piece = array.keeper.save("s1")
    first = array.exchange(array.now_ns + 10**9, IoBatch(records, 0)).records[:1].copy()
    array.keeper.stage(piece)
    array.keeper.restore()
    again = array.exchange(array.now_ns + 10**9, IoBatch(records, 0)).records[:1].copy()
    assert (first == again).all()
    assert pages(array) == 2
    assert array.unit_usage("v1").copy_count == 1
