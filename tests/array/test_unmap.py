"""What hosts have free is taken from volumes by management: tried first, whole pages, counted."""

from __future__ import annotations

import pytest

from smokestack.array.model import ArrayModel
from smokestack.array.specs import Provisioning, VolumeSpec
from smokestack.array.unmap import Unmapped, unmap_volume
from smokestack.engine.errors import InvalidArgument, NotFound
from smokestack.engine.event_kinds import EventKind
from smokestack.engine.records import Op
from smokestack.v1 import array_pb2 as pb
from tests.api import ARRAY, GIB, Stack
from tests.array.test_array import PAGE, attach, make_array, serve
from tests.array.test_copies import check_sums


def make() -> ArrayModel:
    """An array whose volume has written its first eight pages."""
    array = attach(make_array())
    serve(array, (0, 1, Op.WRITE, 0, 8 * PAGE))
    return array


def pages(array: ArrayModel) -> tuple[int, int]:
    """Pages of the volume, and of the pool."""
    usage = array.volume_usage("v1").allocated_bytes, array.pool_usage("p1").allocated_bytes
    return usage[0] // PAGE, usage[1] // PAGE


def test_it_says_first_what_it_would_free_and_then_frees_just_that() -> None:
    array = make()
    ranges = [(512, 2 * PAGE), (4 * PAGE, 3 * PAGE)]
    found = unmap_volume(array, "v1", ranges, True)
    assert found == Unmapped(4 * PAGE, 4 * PAGE)  # of the first range one page lies whole in it
    assert pages(array) == (8, 8)
    assert unmap_volume(array, "v1", ranges, False) == found
    assert pages(array) == (4, 4)
    assert unmap_volume(array, "v1", ranges, False) == Unmapped(0, 0)
    told = [event.kind for event in array.events.after(0, 10_000)]
    assert told.count(EventKind.VOLUME_UNMAPPED) == 1
    check_sums(array)


def test_pages_that_a_snapshot_has_leave_the_volume_but_free_nothing() -> None:
    array = make()
    array.create_snapshot("s1", "v1")
    serve(array, (array.now_ns, 2, Op.WRITE, 0, 2 * PAGE))  # two of its own again
    ranges = [(0, 4 * PAGE)]
    found = unmap_volume(array, "v1", ranges, True)
    assert found == Unmapped(4 * PAGE, 2 * PAGE)
    assert unmap_volume(array, "v1", ranges, False) == found
    assert pages(array) == (4, 8)
    check_sums(array)
    array.delete_snapshot("s1")
    assert unmap_volume(array, "v1", [(0, 8 * PAGE)], True) == Unmapped(4 * PAGE, 4 * PAGE)


@pytest.mark.parametrize("kind", [Provisioning.THICK, Provisioning.FULL])
def test_a_volume_that_reserves_keeps_all(kind: Provisioning) -> None:
    array = make()
    array.create_volume(VolumeSpec("v2", "p1", 2 * PAGE, provisioning=kind))
    assert unmap_volume(array, "v2", [(0, 2 * PAGE)], False) == Unmapped(0, 0)


@pytest.mark.parametrize(
    ("ranges", "place"),
    [
        ([], "ranges"),
        ([(0, 0)], r"ranges\[0\].length_bytes"),
        ([(0, 513)], r"ranges\[0\].length_bytes"),
        ([(1, 512)], r"ranges\[0\].offset_bytes"),
        ([(-512, 512)], r"ranges\[0\].offset_bytes"),
        ([(0, 1 << 60)], r"ranges\[0\].length_bytes"),
        ([(0, 1024), (512, 512)], r"ranges\[1\].offset_bytes"),
    ],
)
def test_ranges_that_cannot_be_are_refused_whole(ranges: list[tuple[int, int]], place: str) -> None:
    array = make()
    with pytest.raises(InvalidArgument, match=place):
        unmap_volume(array, "v1", ranges, False)
    assert pages(array) == (8, 8)


def test_the_api_unmaps() -> None:
    stack = Stack()
    name = f"{ARRAY}/volumes/v1"
    stack.array.FillPool(pb.FillPoolRequest(name=f"{ARRAY}/pools/pool1", ratio=0.25))
    request = pb.UnmapVolumeRequest(name=name, ranges=[{"length_bytes": GIB}], validate_only=True)
    assert stack.array.UnmapVolume(request).freed_bytes == GIB
    request.validate_only = False
    assert stack.array.UnmapVolume(request).unmapped_bytes == GIB
    assert stack.array.GetVolume(pb.GetVolumeRequest(name=name)).allocated_bytes == GIB
    request.name = f"{ARRAY}/volumes/none"
    with pytest.raises(NotFound):
        stack.array.UnmapVolume(request)
