"""Fully provisioned volumes: all pages theirs from the start, each at its place."""

from __future__ import annotations

from dataclasses import replace

import pytest

from smokestack.array.fill import fill_pool
from smokestack.array.model import ArrayModel
from smokestack.array.specs import (
    ArrayHostSpec,
    ControllerSpec,
    ExportSpec,
    InitiatorSpec,
    MediaDistribution,
    OutOfSpace,
    PoolSpec,
    PortSpec,
    Provisioning,
    VolumeSpec,
)
from smokestack.engine.errors import InvalidArgument, ResourceExhausted
from smokestack.engine.records import Op, Sense
from smokestack.v1 import array_pb2 as pb
from tests.api import ARRAY, GIB, Stack
from tests.array.test_array import PAGE, attach, batch, serve
from tests.array.test_copies import check_sums

MS = 1_000_000


def make(pages: int = 20, size: int = 6, **settings: object) -> ArrayModel:
    """An array with a full volume, exported, in a pool of two disks with these settings."""
    array = ArrayModel("a1")
    array.create_controller(ControllerSpec("c0", read_ns=0, write_ns=0, read_hit_ratio=0.0))
    array.create_port(PortSpec("p0", "c0", "fabric-a", command_ns=0))
    pool = PoolSpec(
        "p1",
        pages * PAGE,
        disk_count=2,
        media_ns=MS,
        media_distribution=MediaDistribution.CONSTANT,
    )
    array.create_pool(replace(pool, **settings))
    array.create_volume(full("v1", size))
    array.create_host(ArrayHostSpec("h1", (InitiatorSpec("h1-a", "fabric-a"),)))
    array.create_export(ExportSpec("v1", "h1", 0))
    return attach(array)


def full(volume_id: str, pages: int) -> VolumeSpec:
    return VolumeSpec(volume_id, "p1", pages * PAGE, provisioning=Provisioning.FULL)


def space(array: ArrayModel) -> tuple[int, int, int, int]:
    """The pool's pages: allocated, of these unwritten, reserved, free."""
    usage = array.pool_usage("p1")
    sizes = usage.allocated_bytes, usage.unwritten_bytes, usage.reserved_bytes, usage.free_bytes
    return tuple(each // PAGE for each in sizes)


def io(array: ArrayModel, number: int, op: Op, page: int, pages: int = 1) -> tuple[int, int]:
    """Sense and time in the array of one command."""
    (done,) = serve(array, (array.now_ns, number, op, page * PAGE, pages * PAGE))
    return int(done["sense"]), int(done["array_ns"])


def places(array: ArrayModel) -> dict[int, int]:
    """Where the pages that are written lie: page of volume → page of the pool."""
    rows = array.state["page"][array.state["page"]["key"] != 0]
    mine = rows[rows["key"] >> 40 == array.row_of("volumes", "v1") + 1]
    number = mine["key"] & ((1 << 40) - 1)
    return dict(zip(number.tolist(), (mine["physical"] & ((1 << 63) - 1)).tolist(), strict=True))


def test_all_is_allocated_from_the_start_and_what_is_written_is_known() -> None:
    array = make()
    assert space(array) == (6, 6, 0, 14)
    assert io(array, 1, Op.WRITE, 4, 2)[0] == Sense.NONE
    assert space(array) == (6, 4, 0, 14)
    usage = array.volume_usage("v1")
    held = usage.allocated_bytes, usage.reserved_bytes, usage.unwritten_bytes
    assert held == (6 * PAGE, 0, 4 * PAGE)
    assert io(array, 2, Op.UNMAP, 0, 6)[0] == Sense.NONE  # which gives nothing back
    assert space(array) == (6, 4, 0, 14)
    check_sums(array)


def test_pages_lie_one_behind_the_other_whenever_they_are_written() -> None:
    array = make()
    array.create_volume(VolumeSpec("other", "p1", 4 * PAGE, provisioning=Provisioning.FULL))
    for number, page in enumerate((5, 0, 3)):
        assert io(array, number, Op.WRITE, page)[0] == Sense.NONE
    assert places(array) == {0: 0, 3: 3, 5: 5}
    array.update_volume_capacity("v1", 9 * PAGE)
    assert io(array, 9, Op.READ, 0)[0] == Sense.CAPACITY_CHANGED
    for number, page in enumerate((8, 6, 2)):
        assert io(array, 10 + number, Op.WRITE, page)[0] == Sense.NONE
    assert places(array) == {0: 0, 2: 2, 3: 3, 5: 5, 6: 10, 8: 12}
    check_sums(array)


def test_a_read_of_what_was_never_written_goes_to_the_media() -> None:
    array = make()
    for number, page in enumerate((0, 1)):
        sense, took = io(array, number, Op.READ, page)
        assert sense == Sense.NONE and took >= MS
    array.create_volume(VolumeSpec("v2", "p1", 6 * PAGE, provisioning=Provisioning.THICK))
    array.create_export(ExportSpec("v2", "h1", 1))
    submitted = batch((array.now_ns, 9, Op.READ, 0, PAGE))
    submitted.records["nexus"] = 1
    reply = array.exchange(array.now_ns + 10**9, submitted)
    assert int(reply.records[0]["array_ns"]) < MS  # zeros, of which the media know nothing


def test_a_page_that_a_snapshot_has_is_copied_to_a_new_one() -> None:
    array = make()
    io(array, 1, Op.WRITE, 0, 2)
    array.create_snapshot("s1", "v1")
    assert io(array, 2, Op.WRITE, 1, 2)[0] == Sense.NONE  # one shared, one never written
    assert places(array) == {0: 0, 1: 6, 2: 2}
    assert space(array) == (7, 3, 0, 13)
    array.delete_snapshot("s1")
    assert space(array) == (6, 3, 0, 14)
    check_sums(array)


def test_a_pool_that_lacks_the_pages_refuses_the_volume_whole() -> None:
    array = make(pages=10)
    with pytest.raises(ResourceExhausted, match="to be reserved"):
        array.create_volume(full("v2", 5))
    assert "v2" not in array.volumes
    with pytest.raises(ResourceExhausted, match="to be reserved"):
        array.update_volume_capacity("v1", 11 * PAGE)
    array.hide_export("v1", "h1")
    array.delete_volume("v1")
    assert space(array) == (0, 0, 0, 10)
    with pytest.raises(InvalidArgument, match=r"volume\.provisioning"):
        array.create_volume(replace(full("v3", 1), source_volume="v1"))


def test_a_pool_that_conserves_takes_writes_to_full_pages_at_once() -> None:
    array = make(
        pages=7,
        out_of_space=OutOfSpace.CONSERVE,
        conservation_bytes=3 * PAGE,
        conservation_ns=50 * MS,
    )
    assert array.state["pool"]["conserving"][0]
    assert io(array, 1, Op.WRITE, 0)[1] < 50 * MS


def test_a_full_volume_can_be_filled_too() -> None:
    array = make()
    fill_pool(array, "p1", 4 / 20)
    assert space(array) == (6, 2, 0, 14)
    assert places(array) == {page: page for page in range(4)}


def test_a_restored_array_knows_the_places() -> None:
    array = make()
    saved = array.keeper.parts["model"].save()
    io(array, 1, Op.WRITE, 3)
    array.create_volume(full("v2", 3))
    array.keeper.parts["model"].load(saved)()
    assert "v2" not in array.volumes
    io(array, 2, Op.WRITE, 5)
    assert places(array) == {5: 5}
    check_sums(array)


def test_the_api_tells_what_is_unwritten() -> None:
    stack = Stack()
    volume = pb.Volume(
        pool=f"{ARRAY}/pools/pool1", capacity_bytes=GIB, provisioning=pb.PROVISIONING_FULL
    )
    request = pb.CreateVolumeRequest(parent=ARRAY, volume_id="v9", volume=volume)
    made = stack.array.CreateVolume(request)
    assert made.provisioning == pb.PROVISIONING_FULL
    assert (made.allocated_bytes, made.unwritten_bytes, made.reserved_bytes) == (GIB, GIB, 0)
    pool = stack.array.GetPool(pb.GetPoolRequest(name=volume.pool))
    assert (pool.allocated_bytes, pool.unwritten_bytes, pool.reserved_bytes) == (GIB, GIB, 0)
