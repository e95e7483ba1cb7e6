"""UNMAP gives whole pages back, WRITE SAME takes them; a dry pool takes writes again."""

from __future__ import annotations

import pytest

from smokestack.array.model import ArrayModel
from smokestack.array.usage import PoolState
from smokestack.engine.event_kinds import EventKind
from smokestack.engine.records import Op, Sense, Status
from tests.array.test_array import PAGE, attach, make_array, serve
from tests.array.test_copies import check_sums


def do(array: ArrayModel, number: int, op: Op, offset: int, length: int) -> tuple[int, int]:
    (done,) = serve(array, (array.now_ns, number, op, offset, length))
    return int(done["status"]), int(done["sense"])


GOOD = (Status.GOOD, Sense.NONE)


@pytest.mark.parametrize(
    ("offset", "length", "freed"),
    [
        (0, PAGE, 1),
        (0, PAGE - 512, 0),
        (512, 2 * PAGE, 1),
        (PAGE, 3 * PAGE, 3),
        (0, 64 * PAGE, 8),  # what is not mapped is nothing to give
        (20 * PAGE, PAGE, 0),
    ],
)
def test_only_pages_that_lie_whole_in_the_range_are_given_back(
    offset: int, length: int, freed: int
) -> None:
    array = attach(make_array())
    assert do(array, 1, Op.WRITE, 0, 8 * PAGE) == GOOD
    assert do(array, 2, Op.UNMAP, offset, length) == GOOD
    assert array.volume_usage("v1").allocated_bytes == (8 - freed) * PAGE
    assert array.pool_usage("p1").allocated_bytes == (8 - freed) * PAGE
    check_sums(array)


def test_the_last_page_of_a_volume_may_be_cut_short() -> None:
    array = attach(make_array())
    array.update_volume_capacity("v1", (1 << 30) + 512)
    serve(array, (array.now_ns, 1, Op.READ, 0, 512))  # which is told of the new size
    assert do(array, 2, Op.WRITE, 1 << 30, 512) == GOOD
    assert do(array, 3, Op.UNMAP, 1 << 30, 512) == GOOD
    assert array.volume_usage("v1").allocated_bytes == 0
    assert do(array, 4, Op.UNMAP, 1 << 30, 1024) == (2, Sense.LBA_OUT_OF_RANGE)


def test_a_page_that_a_snapshot_has_too_is_not_free() -> None:
    array = attach(make_array())
    assert do(array, 1, Op.WRITE, 0, 2 * PAGE) == GOOD
    array.create_snapshot("s1", "v1")
    assert do(array, 2, Op.UNMAP, 0, PAGE) == GOOD
    usage = array.pool_usage("p1")
    assert (usage.allocated_bytes, usage.snapshot_bytes) == (2 * PAGE, PAGE)
    assert array.volume_usage("v1").allocated_bytes == PAGE
    check_sums(array)


def test_a_dry_pool_takes_writes_again_after_an_unmap() -> None:
    array = attach(make_array(pages=2))
    assert do(array, 1, Op.WRITE_SAME, 0, 2 * PAGE) == GOOD
    assert do(array, 2, Op.WRITE, 2 * PAGE, PAGE)[1] == Sense.SPACE_ALLOCATION_FAILED
    assert array.pool_usage("p1").state is PoolState.EXHAUSTED
    assert do(array, 3, Op.UNMAP, 0, PAGE) == GOOD
    assert array.pool_usage("p1").state is PoolState.NORMAL
    assert array.events.after(0, 100)[-1].kind == EventKind.POOL_SPACE_AVAILABLE
    assert do(array, 4, Op.WRITE, 2 * PAGE, PAGE) == GOOD


def test_zeros_take_pages_but_hardly_any_time_on_the_wire() -> None:
    array = attach(make_array())
    (zeros,) = serve(array, (array.now_ns, 1, Op.WRITE_SAME, 0, 32 * PAGE))
    (data,) = serve(array, (array.now_ns, 2, Op.WRITE, 0, 32 * PAGE))
    assert array.volume_usage("v1").allocated_bytes == 32 * PAGE
    assert zeros["array_ns"] < data["array_ns"] // 10


def test_what_is_unmapped_is_noted_for_who_keeps_the_map() -> None:
    array, other = make_array(), make_array()
    array.state.keep_deltas(True)
    attach(array)
    assert do(array, 1, Op.WRITE, 0, 4 * PAGE) == GOOD
    assert do(array, 2, Op.UNMAP, PAGE, 2 * PAGE) == GOOD
    other.state.repeat_deltas(array.state.take_deltas())
    assert other.volume_usage("v1") == array.volume_usage("v1")
    check_sums(other)
