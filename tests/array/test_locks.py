"""COMPARE AND WRITE: a block has the value that it was given until it is written or unmapped."""

from __future__ import annotations

import numpy as np
import pytest

from smokestack.array.model import ArrayModel
from smokestack.array.specs import GIB, VolumeSpec, ZeroDetect
from smokestack.engine.blockdevice import IoBatch
from smokestack.engine.errors import InvalidArgument
from smokestack.engine.records import SUBMISSION, Flag, Op, Sense, Status, compared, copy_lba
from smokestack.server.border_checks import check_submissions
from smokestack.v1 import hypervisor_pb2 as pb
from tests.api import DISK, Stack
from tests.array.test_array import PAGE, L, attach, make_array
from tests.array.test_zeros import GOOD, NO_SPACE, do

MISCOMPARE = (Status.CHECK_CONDITION, Sense.MISCOMPARE)
BLOCK = 512


def lock(array: ArrayModel, block: int, expected: int, new: int) -> tuple[int, int]:
    return do(array, Op.COMPARE_AND_WRITE, block * BLOCK, BLOCK, compared(expected, new))


def rows(array: ArrayModel) -> set[tuple[int, int]]:
    """Keys and values of all blocks that have one."""
    table = array.state["block"]
    found: set[tuple[int, int]] = set(table[table["key"] != 0].tolist())
    assert len(found) == array.state.row["block_count"]
    return found


def has(array: ArrayModel, block: int, value: int) -> bool:
    """Whether a block has a value, which stays."""
    return lock(array, block, value, value) == GOOD


def test_a_block_is_set_only_if_it_is_as_expected() -> None:
    array = attach(make_array())
    assert lock(array, 5, 1, 2) == MISCOMPARE
    assert array.volume_usage("v1").allocated_bytes == 0  # nothing has changed
    assert lock(array, 5, 0, 7) == GOOD
    assert array.volume_usage("v1").allocated_bytes == PAGE
    assert lock(array, 5, 0, 1) == MISCOMPARE
    assert lock(array, 6, 7, 1) == MISCOMPARE  # each block has its own
    assert lock(array, 5, 7, 0) == GOOD
    assert array.state.row["block_count"] == 0
    usage = array.unit_usage("v1")
    assert (usage.compare_and_write_count, usage.miscompare_count) == (5, 3)


@pytest.mark.parametrize(
    ("op", "flags"),
    [
        (Op.WRITE, 0),
        (Op.WRITE, Flag.ZEROS),
        (Op.WRITE_SAME, 0),
        (Op.WRITE_SAME, Flag.UNMAP),
        (Op.UNMAP, 0),
    ],
)
@pytest.mark.parametrize("detect", ZeroDetect)
@pytest.mark.parametrize("length", [2 * BLOCK, 40 * PAGE])
def test_what_is_written_or_unmapped_has_no_value(
    op: Op, flags: int, detect: ZeroDetect, length: int
) -> None:
    array = make_array(256)
    array.set_volume_zero_detect("v1", detect)
    attach(array)
    last = 4 + length // BLOCK
    for block in (3, 4, last - 1, last):
        assert lock(array, block, 0, 1) == GOOD
    assert do(array, op, 4 * BLOCK, length, flags) == GOOD
    assert has(array, 3, 1) and has(array, last, 1)
    assert has(array, 4, 0) and has(array, last - 1, 0)


def test_what_is_copied_over_has_no_value() -> None:
    array = attach(make_array(256))
    assert lock(array, 3, 0, 1) == GOOD
    assert do(array, Op.COPY, copy_lba(1 << 20, 0) * BLOCK, 1 << 20) == GOOD
    assert has(array, 3, 0)


def test_a_lock_takes_a_page_or_finds_no_space() -> None:
    array = attach(make_array(4))
    assert do(array, Op.WRITE, 0, 4 * PAGE) == GOOD
    assert lock(array, 10 * PAGE // BLOCK, 0, 1) == NO_SPACE
    assert array.state.row["block_count"] == 0
    assert lock(array, 0, 0, 1) == GOOD  # there is a page


def test_a_snapshot_keeps_values_for_its_clones() -> None:
    array = attach(make_array(256))
    for block in range(100):
        assert lock(array, block, 0, 1 + block % 7) == GOOD
    array.create_snapshot("s1", "v1")
    assert do(array, Op.WRITE, 0, 64 * BLOCK) == GOOD
    array.create_volume(VolumeSpec("v2", "p1", GIB, source_snapshot="s1"))
    assert array.state.row["block_count"] == 200 + 100 - 64
    array.delete_snapshot("s1")
    array.delete_volume("v2")
    assert array.state.row["block_count"] == 100 - 64


def test_the_table_grows_between_windows() -> None:
    array = attach(make_array(256))
    records = np.zeros(3000, SUBMISSION)
    records["time"], records["id"] = np.arange(3000), np.arange(3000)
    records["op"], records["length"] = Op.COMPARE_AND_WRITE, BLOCK
    records["flags"], records["lba"] = compared(0, 3), np.arange(3000) % 2000
    done = 0
    for start in range(0, 3000, 1000):
        done += array.exchange(start + 1000, IoBatch(records[start : start + 1000], 1000)).count
    done += array.exchange(10**9, IoBatch(records, 0)).count
    usage = array.unit_usage("v1")
    good = usage.compare_and_write_count - usage.miscompare_count
    assert done == 3000 and 0 < good == array.state.row["block_count"]


def test_notes_repeated_in_order_give_the_same_values() -> None:
    array, other = make_array(4096), make_array(4096)
    for one in (array, other):
        one.update_volume_capacity("v1", 1 << 50)
    array.state.keep_deltas(True)
    attach(array)
    assert do(array, Op.READ, 0, BLOCK)[1] == Sense.CAPACITY_CHANGED
    far = (1 << 41) - 1  # the last block of all
    for turn in range(3):
        for block in (0, 1, 9, 100 + turn, far - turn):
            lock(array, block, turn if block < 100 else 0, turn + 1)
        if turn:
            assert do(array, Op.UNMAP, 8 * BLOCK, PAGE if turn == 1 else 2 * PAGE) == GOOD
            assert do(array, Op.WRITE, BLOCK, BLOCK) == GOOD
        other.state.repeat_deltas(array.state.take_deltas())
        assert rows(other) == rows(array)
    assert sorted(value for _, value in rows(array)) == [1, 1, 2, 2, 3, 3, 3]


def test_a_copy_of_an_array_has_its_values() -> None:
    array = attach(make_array())
    assert lock(array, 3, 0, 5) == GOOD
    saved = array.keeper.parts["model"].save()
    assert lock(array, 3, 5, 6) == GOOD
    array.keeper.parts["model"].load(saved)()
    assert rows(array) == {(1 << 41 | 3, 5)}
    assert has(array, 3, 5)


def test_values_survive_a_loss_of_power() -> None:
    array = attach(make_array())
    assert lock(array, 3, 0, 5) == GOOD
    array.state.restart(array.now_ns)
    assert has(array, 3, 5)


def test_the_border_takes_one_block_and_values_up_to_7() -> None:
    record = np.zeros(1, SUBMISSION)
    record["op"], record["length"] = Op.COMPARE_AND_WRITE, BLOCK
    record["flags"] = compared(7, 7)
    check_submissions(record, 0, L, 1, takes_tasks=False)
    record["flags"] = 1 << 6
    with pytest.raises(InvalidArgument, match="flags 0x40 do not go with opcode 0x89"):
        check_submissions(record, 0, L, 1, takes_tasks=False)
    record["flags"], record["length"] = 0, 1024
    with pytest.raises(InvalidArgument, match="length 1024 of a COMPARE_AND_WRITE is not 512"):
        check_submissions(record, 0, L, 1, takes_tasks=False)


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("length_bytes", {"length_bytes": 1024}),
        ("expected_value", {"expected_value": 8}),
        ("new_value", {"new_value": -1}),
        ("new_value", {"new_value": 1, "operation": pb.IO_OPERATION_WRITE}),
    ],
)
def test_an_io_that_is_none_is_refused(field: str, fields: dict[str, int]) -> None:
    whole = {"operation": pb.IO_OPERATION_COMPARE_AND_WRITE, "length_bytes": BLOCK} | fields
    with pytest.raises(InvalidArgument, match=field):
        Stack().hypervisor.submit_unseen(pb.SubmitIoRequest(disk=DISK, **whole))
