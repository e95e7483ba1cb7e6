"""GET LBA STATUS: ranges that are alike, without gaps, page by page."""

from __future__ import annotations

import pytest

from smokestack.array.lba_status import LbaState, lba_status
from smokestack.array.specs import Provisioning, VolumeSpec
from smokestack.engine.errors import InvalidArgument
from smokestack.engine.records import Op
from tests.array.test_array import PAGE, attach, make_array
from tests.array.test_reclaim import do

GIB = 1 << 30
M, D = LbaState.MAPPED, LbaState.DEALLOCATED


def test_ranges_are_as_large_as_they_can_be_and_leave_no_gap() -> None:
    array = attach(make_array())
    assert lba_status(array, "v1", 0, 0) == ([(0, GIB, D)], 0)
    do(array, 1, Op.WRITE, 2 * PAGE, 3 * PAGE)
    do(array, 2, Op.WRITE, 9 * PAGE, 512)
    wanted = [
        (0, 2 * PAGE, D),
        (2 * PAGE, 3 * PAGE, M),
        (5 * PAGE, 4 * PAGE, D),
        (9 * PAGE, PAGE, M),
        (10 * PAGE, GIB - 10 * PAGE, D),
    ]
    assert lba_status(array, "v1", 0, 0) == (wanted, 0)
    assert lba_status(array, "v1", 0, 2) == (wanted[:2], 5 * PAGE)
    assert lba_status(array, "v1", 5 * PAGE, 2) == (wanted[2:4], 10 * PAGE)
    assert lba_status(array, "v1", 3 * PAGE, 1) == ([(3 * PAGE, 2 * PAGE, M)], 5 * PAGE)
    do(array, 3, Op.WRITE, 0, 512)
    assert lba_status(array, "v1", 0, 1) == ([(0, PAGE, M)], PAGE)


def test_what_a_thick_volume_has_not_written_is_anchored() -> None:
    array = make_array()
    array.create_volume(VolumeSpec("v2", "p1", 4 * PAGE, provisioning=Provisioning.THICK))
    assert lba_status(array, "v2", 0, 0) == ([(0, 4 * PAGE, LbaState.ANCHORED)], 0)


def test_an_offset_behind_the_end_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="offset_bytes"):
        lba_status(make_array(), "v1", GIB, 0)
