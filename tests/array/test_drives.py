"""Drives and RAID: raw space that an array's pools draw from, and can exhaust unwarned."""

from __future__ import annotations

from typing import Any

import pytest

from smokestack.array.model import ArrayModel
from smokestack.array.specs import (
    ArrayHostSpec,
    ControllerSpec,
    DrivesSpec,
    ExportSpec,
    InitiatorSpec,
    PoolSpec,
    PortSpec,
    Provisioning,
    RaidLevel,
    VolumeSpec,
)
from smokestack.array.usage import PoolState
from smokestack.engine.blockdevice import NOTHING
from smokestack.engine.errors import FailedPrecondition, InvalidArgument, ResourceExhausted
from smokestack.engine.event_kinds import EventKind
from smokestack.engine.records import Kind, Op, Sense
from smokestack.v1 import array_pb2 as pb
from tests.api import ARRAY, Stack
from tests.array.test_array import PAGE, attach, batch

GROWS: dict[str, Any] = {"growth_bytes": 2 * PAGE, "warning_ratio": 0.8}


def make(pages: int, *pools: PoolSpec) -> ArrayModel:
    """An array of drives for so many pages; each pool has a volume that is exported."""
    array = ArrayModel("a1")
    array.create_controller(ControllerSpec("c0", core_count=1, read_ns=10_000, write_ns=20_000))
    array.create_port(PortSpec("p0", "c0", "fabric-a"))
    array.drives.configure(DrivesSpec(pages, PAGE))
    array.create_host(ArrayHostSpec("h1", (InitiatorSpec("h1-a", "fabric-a"),)))
    for number, pool in enumerate(pools):
        array.create_pool(pool)
        array.create_volume(VolumeSpec(f"v{number}", pool.pool_id, 1 << 30))
        array.create_export(ExportSpec(f"v{number}", "h1", number))
    return array


def write(array: ArrayModel, volume: int, page: int, pages: int = 1) -> int:
    """Writes pages of a volume; returns the sense."""
    submitted = batch((array.now_ns, array.now_ns << 8 | 1, Op.WRITE, page * PAGE, pages * PAGE))
    submitted.records["nexus"] = volume
    until_ns = array.now_ns + 10**8
    senses: list[int] = []
    for turn in range(3):
        reply = array.exchange(until_ns + turn * 10**8, NOTHING if turn else submitted)
        done = reply.records[: reply.count]
        senses += done["sense"][done["kind"] == Kind.RESPONSE].tolist()
    (sense,) = senses
    return sense


@pytest.mark.parametrize(
    ("level", "size", "raw"),
    [
        (RaidLevel.RAID0, 1, PAGE),
        (RaidLevel.RAID1, 3, 3 * PAGE),
        (RaidLevel.RAID10, 2, 2 * PAGE),
        (RaidLevel.RAID5, 5, PAGE * 5 // 4),
        (RaidLevel.RAID5, 4, -(-PAGE * 4 // 3)),
        (RaidLevel.RAID6, 10, PAGE * 10 // 8),
    ],
)
def test_a_page_takes_what_its_level_says(level: RaidLevel, size: int, raw: int) -> None:
    pool = PoolSpec("p1", 8 * PAGE, page_bytes=PAGE, raid_level=level, raid_set_size=size)
    array = make(100, pool)
    assert array.drives.free_bytes == 100 * PAGE - 8 * raw
    assert array.drives.redundancy_bytes("p1") == 8 * (raw - PAGE)
    array.delete_export("v0", "h1")
    array.delete_volume("v0")
    array.delete_pool("p1")
    assert array.drives.free_bytes == 100 * PAGE


def test_two_pools_exhaust_the_array_before_either_warns() -> None:
    """Limits and warnings of each are above what there is for both (FACTS 4.6)."""
    pools = [PoolSpec(f"p{n}", 10 * PAGE, page_bytes=PAGE, **GROWS) for n in range(2)]
    array = attach(make(12, *pools))
    for page in range(6):
        for volume in range(2):
            assert write(array, volume, page) == Sense.NONE
    assert array.drives.free_bytes == 0
    assert write(array, 0, 6) == Sense.SPACE_ALLOCATION_FAILED
    usages = [array.pool_usage(pool) for pool in ("p0", "p1")]
    assert [usage.warning_count for usage in usages] == [0, 0]
    assert usages[0].state is PoolState.EXHAUSTED
    assert all(usage.free_bytes == 4 * PAGE for usage in usages)  # by capacity and limit
    array.drives.configure(DrivesSpec(14, PAGE))
    kinds = [event.kind for event in array.events.after(0, 1_000)]
    assert EventKind.POOL_WARNING not in kinds
    assert kinds[-2:] == [EventKind.DRIVES_SET, EventKind.POOL_SPACE_AVAILABLE]
    assert write(array, 0, 6) == Sense.NONE


def test_what_one_pool_gives_back_another_can_draw() -> None:
    array = attach(make(4, PoolSpec("p0", 2 * PAGE, page_bytes=PAGE),
                        PoolSpec("p1", 9 * PAGE, page_bytes=PAGE, growth_bytes=PAGE)))  # fmt: skip
    assert write(array, 1, 0, 3) == Sense.SPACE_ALLOCATION_FAILED
    array.update_pool("p0", capacity_bytes=PAGE)
    assert write(array, 1, 0, 3) == Sense.NONE
    assert array.drives.free_bytes == 0


def test_capacity_in_use_stays() -> None:
    array = make(10, PoolSpec("p1", 8 * PAGE, page_bytes=PAGE))
    for spec in (DrivesSpec(7, PAGE), DrivesSpec()):
        with pytest.raises(FailedPrecondition, match=f"have drawn {8 * PAGE} raw bytes"):
            array.drives.configure(spec)
    assert array.drives.spec == DrivesSpec(10, PAGE)
    array.drives.configure(DrivesSpec(8, PAGE))
    assert array.drives.free_bytes == 0
    with pytest.raises(ResourceExhausted, match="would draw"):
        array.update_pool("p1", capacity_bytes=9 * PAGE)
    with pytest.raises(ResourceExhausted, match="let the pool grow"):
        array.create_pool(PoolSpec("p2", PAGE, page_bytes=PAGE))
    assert "p2" not in array.pools


def test_a_thick_volume_needs_drives_too() -> None:
    array = make(4, PoolSpec("p0", 20 * PAGE, page_bytes=PAGE, growth_bytes=PAGE))
    with pytest.raises(ResourceExhausted, match=f"{4 * PAGE} bytes left"):
        array.create_volume(VolumeSpec("t", "p0", 5 * PAGE, provisioning=Provisioning.THICK))
    array.create_volume(VolumeSpec("t", "p0", 4 * PAGE, provisioning=Provisioning.THICK))
    assert array.drives.free_bytes == 0


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        (pb.Array(drive_count=1), "drive_bytes"),
        (pb.Array(drive_count=-1, drive_bytes=1), "drive_count"),
        (pb.Array(drive_count=1, drive_bytes=1 << 60), "drive_bytes"),
    ],
)
def test_drives_that_cannot_be_are_refused(changed: pb.Array, field: str) -> None:
    stack = Stack()
    changed.name = ARRAY
    with pytest.raises(InvalidArgument, match=rf"array\.{field}"):
        stack.array.UpdateArray(pb.UpdateArrayRequest(array=changed))


def test_the_api_tells_of_drives_and_sets() -> None:
    stack = Stack()
    drives = pb.Array(name=ARRAY, drive_count=48, drive_bytes=1 << 34)
    array = stack.array.UpdateArray(pb.UpdateArrayRequest(array=drives))
    used = array.raw_bytes - array.raw_free_bytes
    assert (array.raw_bytes, used) == (48 << 34, array.capacity_bytes)
    pool = pb.Pool(capacity_bytes=1 << 30, raid_level=pb.RAID_LEVEL_RAID6)
    request = pb.CreatePoolRequest(parent=ARRAY, pool_id="r6", pool=pool)
    made = stack.array.CreatePool(request)
    assert (made.raid_set_size, made.raid_level) == (8, pb.RAID_LEVEL_RAID6)
    assert made.redundancy_bytes == (1 << 16) * (-(-16384 * 8 // 6) - 16384)
    pool.raid_set_size = 3
    request = pb.CreatePoolRequest(parent=ARRAY, pool_id="r3", pool=pool)
    with pytest.raises(InvalidArgument, match=r"pool\.raid_set_size"):
        stack.array.CreatePool(request)
