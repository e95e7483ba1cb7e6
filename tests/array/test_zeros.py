"""Zeros: WRITE SAME may give pages back, and volumes may detect zeros, whole pages at a time."""

from __future__ import annotations

import numpy as np
import pytest

from smokestack.array.model import ArrayModel
from smokestack.array.specs import (
    ExportSpec,
    OutOfSpace,
    PoolSpec,
    Provisioning,
    VolumeSpec,
    ZeroDetect,
)
from smokestack.array.usage import UnitUsage
from smokestack.engine.blockdevice import IoBatch
from smokestack.engine.errors import InvalidArgument, NotFound
from smokestack.engine.records import SUBMISSION, Flag, Op, Sense, Status
from smokestack.v1 import array_pb2 as pb
from tests.api import ARRAY, Stack
from tests.array.test_array import PAGE, L, attach, make_array
from tests.array.test_copies import check_sums

GOOD = (Status.GOOD, Sense.NONE)
NO_SPACE = (Status.CHECK_CONDITION, Sense.SPACE_ALLOCATION_FAILED)


def do(array: ArrayModel, op: Op, offset: int, length: int, flags: int = 0) -> tuple[int, int]:
    """One command, from its submission to its answer."""
    records = np.zeros(1, SUBMISSION)
    records["time"], records["id"], records["op"] = array.now_ns, 1, op
    records["lba"], records["length"], records["flags"] = offset // 512, length, flags
    reply = array.exchange(array.now_ns + 10**9, IoBatch(records, 1))
    assert reply.count == 1
    done = reply.records[0]
    array.exchange(array.now_ns + L, IoBatch(records, 0))
    return int(done["status"]), int(done["sense"])


def pages(array: ArrayModel) -> int:
    """How many pages the volume has; the sums are right."""
    check_sums(array)
    return array.volume_usage("v1").allocated_bytes // PAGE


def detecting(zero_detect: ZeroDetect, pages: int = 64) -> ArrayModel:
    array = make_array(pages)
    array.set_volume_zero_detect("v1", zero_detect)
    return attach(array)


def test_write_same_with_its_unmap_bit_gives_whole_pages_back_and_writes_the_rest() -> None:
    array = attach(make_array())
    assert do(array, Op.WRITE, 0, 8 * PAGE) == GOOD
    assert do(array, Op.WRITE_SAME, PAGE // 2, 3 * PAGE, Flag.UNMAP) == GOOD
    assert pages(array) == 8 - 2
    assert do(array, Op.WRITE_SAME, 10 * PAGE + 512, PAGE, Flag.UNMAP) == GOOD
    assert pages(array) == 6 + 2  # its two ends are written, and there is nothing between
    usage = array.unit_usage("v1")
    assert usage == UnitUsage(0, 2 * PAGE, 2, 0, 0)


@pytest.mark.parametrize("flags", [Flag.UNMAP, 0])
def test_a_thick_volume_writes_its_zeros(flags: int) -> None:
    array = make_array(256)
    array.create_volume(VolumeSpec("v2", "p1", 64 * PAGE, provisioning=Provisioning.THICK))
    array.create_export(ExportSpec("v2", "h1", 1))
    attach(array)
    (itl,) = array.itls_by_volume["v2"]
    records = np.zeros(1, SUBMISSION)
    records["id"], records["op"], records["nexus"] = 1, Op.WRITE_SAME, itl
    records["length"], records["flags"] = 4 * PAGE, flags
    array.exchange(10**9, IoBatch(records, 1))
    assert array.volume_usage("v2").allocated_bytes == 4 * PAGE
    assert array.unit_usage("v2") == UnitUsage(0, 0, 1, 0, 0)


def test_zeros_are_written_unless_the_volume_detects_them() -> None:
    array = attach(make_array())
    assert do(array, Op.WRITE, 0, 4 * PAGE, Flag.ZEROS) == GOOD
    assert pages(array) == 4
    assert array.unit_usage("v1") == UnitUsage(0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("zero_detect", "op", "left", "detected"),
    [
        (ZeroDetect.SKIP, Op.WRITE, 4, 2),
        (ZeroDetect.SKIP, Op.WRITE_SAME, 4, 2),
        (ZeroDetect.RECLAIM, Op.WRITE, 2, 4),
        (ZeroDetect.RECLAIM, Op.WRITE_SAME, 2, 4),
    ],
)
def test_detected_zeros_take_no_page_and_may_free_some(
    zero_detect: ZeroDetect, op: Op, left: int, detected: int
) -> None:
    array = detecting(zero_detect)
    assert do(array, Op.WRITE, 0, 4 * PAGE) == GOOD
    flags = Flag.ZEROS if op is Op.WRITE else 0
    assert do(array, op, 2 * PAGE, 4 * PAGE, flags) == GOOD
    assert pages(array) == left
    usage = array.unit_usage("v1")
    assert (usage.zero_write_count, usage.zero_bytes) == (1, detected * PAGE)
    assert usage.unmapped_bytes == 0


def test_data_are_written_by_a_volume_that_detects_zeros() -> None:
    array = detecting(ZeroDetect.RECLAIM)
    assert do(array, Op.WRITE, 0, 4 * PAGE) == GOOD
    assert pages(array) == 4
    assert array.unit_usage("v1").zero_write_count == 0


@pytest.mark.parametrize("zero_detect", [ZeroDetect.SKIP, ZeroDetect.RECLAIM])
def test_zeros_that_fill_no_whole_page_are_written(zero_detect: ZeroDetect) -> None:
    array = detecting(zero_detect)
    assert do(array, Op.WRITE, 512, PAGE, Flag.ZEROS) == GOOD
    assert pages(array) == 2
    assert array.unit_usage("v1").zero_write_count == 0


def test_nothing_happens_when_there_is_no_space_for_the_rest() -> None:
    array = detecting(ZeroDetect.RECLAIM, pages=4)
    assert do(array, Op.WRITE, 0, 4 * PAGE) == GOOD
    assert do(array, Op.WRITE, 3 * PAGE, 1 * PAGE + 512, Flag.ZEROS) == NO_SPACE
    assert pages(array) == 4
    assert do(array, Op.WRITE, 3 * PAGE, PAGE, Flag.ZEROS) == GOOD
    assert pages(array) == 3


def test_skipped_zeros_part_from_what_a_snapshot_keeps() -> None:
    array = detecting(ZeroDetect.SKIP)
    assert do(array, Op.WRITE, 0, 2 * PAGE) == GOOD
    array.create_snapshot("s1", "v1")
    assert do(array, Op.WRITE, 0, 4 * PAGE, Flag.ZEROS) == GOOD
    usage = array.pool_usage("p1")
    assert (usage.allocated_bytes, usage.snapshot_bytes) == (4 * PAGE, 2 * PAGE)
    assert pages(array) == 2


def test_an_emergency_lets_through_what_only_frees() -> None:
    array = make_array(1)
    conserving = {"out_of_space": OutOfSpace.CONSERVE, "emergency_bytes": 2 * PAGE}
    array.create_pool(PoolSpec("p2", 4 * PAGE, conservation_bytes=2 * PAGE, **conserving))
    array.create_volume(VolumeSpec("v2", "p2", 1 << 20, zero_detect=ZeroDetect.RECLAIM))
    array.create_export(ExportSpec("v2", "h1", 1))
    attach(array)
    (nexus,) = array.itls_by_volume["v2"]

    def on_v2(op: Op, offset: int, length: int, flags: int) -> int:
        records = np.zeros(1, SUBMISSION)
        records["time"], records["id"], records["op"] = array.now_ns, 1, op
        records["lba"], records["length"], records["flags"] = offset // 512, length, flags
        records["nexus"] = nexus
        reply = array.exchange(array.now_ns + 10**9, IoBatch(records, 1))
        return int(reply.records[0]["status"])

    assert on_v2(Op.WRITE, 0, 2 * PAGE, 0) == Status.GOOD
    assert on_v2(Op.WRITE, 0, 512, 0) == Status.CHECK_CONDITION
    assert on_v2(Op.WRITE, 0, PAGE + 512, Flag.ZEROS) == Status.CHECK_CONDITION
    assert on_v2(Op.WRITE, 0, PAGE, Flag.ZEROS) == Status.GOOD
    assert on_v2(Op.WRITE, PAGE, 512, 0) == Status.GOOD


def test_the_setting_is_shown_changed_and_refused_where_it_cannot_be() -> None:
    stack = Stack()
    name = f"{ARRAY}/volumes/v1"
    get = stack.array.GetVolume(pb.GetVolumeRequest(name=name))
    assert get.zero_detect == pb.ZERO_DETECT_OFF
    wanted = pb.Volume(name=name, zero_detect=pb.ZERO_DETECT_RECLAIM)
    changed = stack.array.UpdateVolume(pb.UpdateVolumeRequest(volume=wanted))
    assert changed.zero_detect == pb.ZERO_DETECT_RECLAIM
    thick = pb.Volume(
        pool=f"{ARRAY}/pools/pool1",
        capacity_bytes=1 << 20,
        provisioning=pb.PROVISIONING_THICK,
        zero_detect=pb.ZERO_DETECT_SKIP,
    )
    request = pb.CreateVolumeRequest(parent=ARRAY, volume_id="v9", volume=thick)
    with pytest.raises(InvalidArgument, match="THICK") as refused:
        stack.array.CreateVolume(request)
    assert refused.value.violations[0].field == "volume.zero_detect"
    request.volume.zero_detect = pb.ZERO_DETECT_OFF
    stack.array.CreateVolume(request)
    change = pb.Volume(name=f"{ARRAY}/volumes/v9", zero_detect=pb.ZERO_DETECT_SKIP)
    with pytest.raises(InvalidArgument, match="THICK"):
        stack.array.UpdateVolume(pb.UpdateVolumeRequest(volume=change))
    change.name = f"{ARRAY}/volumes/none"
    with pytest.raises(NotFound):
        stack.array.UpdateVolume(pb.UpdateVolumeRequest(volume=change))
    with pytest.raises(InvalidArgument, match="none of OFF, SKIP, RECLAIM"):
        bad = pb.Volume(name=name, zero_detect=7)
        stack.array.UpdateVolume(pb.UpdateVolumeRequest(volume=bad))
