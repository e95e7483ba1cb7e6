"""Thick volumes: pages reserved when they are created, and which of them are written is known."""

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
    PoolSpec,
    PortSpec,
    Provisioning,
    VolumeSpec,
)
from smokestack.engine.errors import InvalidArgument, ResourceExhausted
from smokestack.engine.event_kinds import EventKind
from smokestack.engine.records import Op, Sense
from smokestack.v1 import array_pb2 as pb
from tests.api import ARRAY, GIB, Stack
from tests.array.test_array import PAGE, attach, serve
from tests.array.test_copies import check_sums


def make(pages: int = 10, size: int = 6, **settings: object) -> ArrayModel:
    """An array with a thick volume, exported, in a pool with these settings."""
    array = ArrayModel("a1")
    array.create_controller(ControllerSpec("c0", core_count=1, read_ns=10_000, write_ns=20_000))
    array.create_port(PortSpec("p0", "c0", "fabric-a"))
    array.create_pool(replace(PoolSpec("p1", pages * PAGE), **settings))
    array.create_volume(thick("v1", size))
    array.create_host(ArrayHostSpec("h1", (InitiatorSpec("h1-a", "fabric-a"),)))
    array.create_export(ExportSpec("v1", "h1", 0))
    return attach(array)


def thick(volume_id: str, pages: int) -> VolumeSpec:
    return VolumeSpec(volume_id, "p1", pages * PAGE, provisioning=Provisioning.THICK)


def space(array: ArrayModel) -> tuple[int, int, int]:
    """The pool's pages: written, reserved, free."""
    usage = array.pool_usage("p1")
    return tuple(
        each // PAGE for each in (usage.allocated_bytes, usage.reserved_bytes, usage.free_bytes)
    )


def sense_of(array: ArrayModel, number: int, op: Op, page: int, pages: int = 1) -> int:
    (done,) = serve(array, (array.now_ns, number, op, page * PAGE, pages * PAGE))
    return int(done["sense"])


def test_all_pages_are_reserved_and_a_first_write_takes_none() -> None:
    array = make()
    assert space(array) == (0, 6, 4)
    assert sense_of(array, 1, Op.WRITE, 1, 3) == Sense.NONE
    assert space(array) == (3, 3, 4)
    usage = array.volume_usage("v1")
    assert (usage.allocated_bytes, usage.reserved_bytes) == (3 * PAGE, 3 * PAGE)
    check_sums(array)


def test_a_dry_pool_does_not_stop_it() -> None:
    array = make()
    array.create_volume(thick("v2", 4))
    assert space(array) == (0, 10, 0)
    assert sense_of(array, 1, Op.WRITE, 0, 6) == Sense.NONE


def test_what_the_pool_lacks_is_refused_whole() -> None:
    array = make()
    with pytest.raises(ResourceExhausted, match=f"{4 * PAGE} bytes left.*{5 * PAGE} are to be"):
        array.create_volume(thick("v2", 5))
    assert "v2" not in array.volumes and space(array) == (0, 6, 4)
    with pytest.raises(ResourceExhausted, match="make it THIN"):
        array.update_volume_capacity("v1", 11 * PAGE)
    assert array.volumes["v1"].capacity_bytes == 6 * PAGE and space(array) == (0, 6, 4)


def test_growing_takes_pages_and_deleting_gives_them_back() -> None:
    array = make()
    array.update_volume_capacity("v1", 9 * PAGE + 512)
    assert space(array) == (0, 10, 0)
    array.delete_export("v1", "h1")
    array.delete_volume("v1")
    assert space(array) == (0, 0, 10)


def test_unmap_gives_nothing_back() -> None:
    array = make()
    sense_of(array, 1, Op.WRITE, 0, 4)
    assert sense_of(array, 2, Op.UNMAP, 0, 4) == Sense.NONE
    assert space(array) == (4, 2, 4)


def test_a_page_that_a_snapshot_has_is_parted_from_with_one_of_the_pools() -> None:
    array = make(pages=7)
    sense_of(array, 1, Op.WRITE, 0, 4)
    array.create_snapshot("s1", "v1")
    assert sense_of(array, 2, Op.WRITE, 3, 2) == Sense.NONE  # one shared, one never written
    assert space(array) == (6, 1, 0)
    assert sense_of(array, 3, Op.WRITE, 0) == Sense.SPACE_ALLOCATION_FAILED
    assert sense_of(array, 4, Op.WRITE, 5) == Sense.NONE  # for this it has its own
    array.delete_snapshot("s1")
    assert space(array) == (6, 0, 1)
    check_sums(array)


def test_a_copy_is_thin() -> None:
    array = make()
    spec = replace(thick("w1", 6), source_volume="v1")
    with pytest.raises(InvalidArgument, match=r"volume\.provisioning.*THIN"):
        array.create_volume(spec)
    array.create_volume(replace(spec, provisioning=Provisioning.THIN))
    assert space(array) == (0, 6, 4)


def test_the_pool_grows_and_warns_as_pages_are_reserved() -> None:
    array = make(growth_bytes=2 * PAGE, warning_ratio=0.5)
    usage = array.pool_usage("p1")
    assert (usage.growth_count, usage.grown_bytes, usage.warning_count) == (1, 6 * PAGE, 1)
    kinds = [event.kind for event in array.events.after(0, 100)]
    created = kinds.index(EventKind.VOLUME_CREATED)
    assert kinds[created + 1 : created + 3] == [EventKind.POOL_GREW, EventKind.POOL_WARNING]


def test_steps_are_for_thin_volumes() -> None:
    array = make(step_bytes=2 * PAGE, step_bytes_max=2 * PAGE)
    sense_of(array, 1, Op.WRITE, 0)
    assert space(array) == (1, 5, 4)
    assert array.pool_usage("p1").step_count == 0


def test_filling_takes_its_own_pages() -> None:
    array = make(pages=6)
    fill_pool(array, "p1", 0.5)
    assert space(array) == (3, 3, 0)


def test_a_batch_that_fits_only_in_part_is_refused_whole() -> None:
    stack = Stack()
    pool = stack.array.GetPool(pb.GetPoolRequest(name=f"{ARRAY}/pools/pool1"))
    half = pool.free_bytes // 2 + pool.page_bytes
    volume = pb.Volume(pool=pool.name, capacity_bytes=half, provisioning=pb.PROVISIONING_THICK)
    requests = [
        pb.CreateVolumeRequest(parent=ARRAY, volume_id=f"t{n}", volume=volume) for n in range(2)
    ]
    with pytest.raises(ResourceExhausted):
        stack.array.BatchCreateVolumes(
            pb.BatchCreateVolumesRequest(parent=ARRAY, requests=requests)
        )
    made = stack.array.CreateVolume(requests[0])
    assert made.provisioning == pb.PROVISIONING_THICK
    assert made.reserved_bytes == -(-half // pool.page_bytes) * pool.page_bytes
    thin = pb.Volume(pool=pool.name, capacity_bytes=GIB)
    thin = stack.array.CreateVolume(
        pb.CreateVolumeRequest(parent=ARRAY, volume_id="thin", volume=thin)
    )
    assert (thin.provisioning, thin.reserved_bytes) == (pb.PROVISIONING_THIN, 0)
