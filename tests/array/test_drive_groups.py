"""Groups of drives: which pool draws from which, and what happens when one runs short."""

from __future__ import annotations

from typing import Any

import pytest

from smokestack.array.drives import DEFAULT
from smokestack.array.model import ArrayModel
from smokestack.array.specs import (
    ArrayHostSpec,
    ControllerSpec,
    DriveGroupSpec,
    DrivesSpec,
    ExportSpec,
    InitiatorSpec,
    MediaDistribution,
    MediaKind,
    PoolSpec,
    PortSpec,
    RaidLevel,
    VolumeSpec,
)
from smokestack.array.usage import PoolState
from smokestack.engine.blockdevice import IoBatch
from smokestack.engine.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
)
from smokestack.engine.event_kinds import EventKind
from smokestack.engine.records import Op, Sense
from smokestack.v1 import array_pb2 as pb
from tests.api import ARRAY, Stack
from tests.array.test_array import PAGE, attach, batch, serve
from tests.array.test_drives import GROWS, write

MS = 1_000_000


def make(fast: int, slow: int) -> ArrayModel:
    """Two groups of so many pages, and a pool in each that grows; each has a volume."""
    array = ArrayModel("a1")
    array.create_controller(ControllerSpec("c0", core_count=1, read_ns=10_000, write_ns=20_000))
    array.create_port(PortSpec("p0", "c0", "fabric-a"))
    array.create_host(ArrayHostSpec("h1", (InitiatorSpec("h1-a", "fabric-a"),)))
    array.drives.create(DriveGroupSpec("fast", fast, PAGE, MediaKind.FLASH))
    array.drives.create(DriveGroupSpec("slow", slow, PAGE, MediaKind.DISK_7K2))
    for number, group in enumerate(("fast", "slow")):
        array.create_pool(PoolSpec(f"p{number}", 100 * PAGE, drive_group=group, **GROWS))
        array.create_volume(VolumeSpec(f"v{number}", f"p{number}", 1 << 30))
        array.create_export(ExportSpec(f"v{number}", "h1", number))
    return attach(array)


def test_a_pool_draws_from_its_own_group_and_no_other() -> None:
    array = make(fast=4, slow=50)
    assert write(array, 0, 0, 4) == Sense.NONE
    assert array.drives.free_of("fast") == 0
    assert write(array, 0, 4) == Sense.SPACE_ALLOCATION_FAILED
    assert write(array, 1, 0, 10) == Sense.NONE
    assert array.drives.free_of("slow") == 40 * PAGE
    assert (array.drives.raw_bytes, array.drives.free_bytes) == (54 * PAGE, 40 * PAGE)


def test_drives_that_are_added_ease_the_pools_of_their_group() -> None:
    array = make(fast=4, slow=4)
    for volume in (0, 1):
        assert write(array, volume, 0, 4) == Sense.NONE
        assert write(array, volume, 4) == Sense.SPACE_ALLOCATION_FAILED
    array.drives.resize("fast", 6)
    told = [(event.kind, event.subject) for event in array.events.after(0, 10_000)][-2:]
    assert told == [
        (EventKind.DRIVE_GROUP_RESIZED, "arrays/a1/driveGroups/fast"),
        (EventKind.POOL_SPACE_AVAILABLE, "arrays/a1/pools/p0"),
    ]
    assert array.pool_usage("p0").state is not PoolState.EXHAUSTED
    assert array.pool_usage("p1").state is PoolState.EXHAUSTED
    assert write(array, 0, 4) == Sense.NONE


def test_drives_in_use_cannot_be_taken_away() -> None:
    array = make(fast=10, slow=4)
    assert write(array, 0, 0, 5) == Sense.NONE  # which draws six pages
    with pytest.raises(FailedPrecondition, match="driveGroups/fast have drawn"):
        array.drives.resize("fast", 5)
    array.drives.resize("fast", 6)
    assert array.drives.free_of("fast") == 0
    with pytest.raises(FailedPrecondition, match="in use by pools p0"):
        array.drives.delete("fast")
    array.hide_export("v1", "h1")
    array.delete_volume("v1")
    array.delete_pool("p1")
    array.drives.delete("slow")
    assert list(array.drive_groups) == ["fast"]
    with pytest.raises(NotFound):
        array.drives.resize("slow", 5)


def test_a_pool_that_does_not_grow_draws_at_once_by_its_raid() -> None:
    array = make(fast=10, slow=20)
    mirrored: dict[str, Any] = {"raid_level": RaidLevel.RAID10, "raid_set_size": 2}
    with pytest.raises(ResourceExhausted, match=f"driveGroups/fast have {10 * PAGE} raw bytes"):
        array.create_pool(PoolSpec("q", 6 * PAGE, drive_group="fast", **mirrored))
    array.create_pool(PoolSpec("q", 6 * PAGE, drive_group="slow", **mirrored))
    assert array.drives.free_of("slow") == 8 * PAGE
    assert array.drives.redundancy_bytes("q") == 6 * PAGE


def test_pools_that_name_no_group_draw_from_the_default_one() -> None:
    array = make(fast=10, slow=10)
    array.create_pool(PoolSpec("free", 1_000 * PAGE))  # there is none: nothing is counted
    assert array.drives.free_bytes == 20 * PAGE
    assert not array.drives.counts(array.pools["free"])
    with pytest.raises(FailedPrecondition, match="have drawn"):
        array.drives.configure(DrivesSpec(999, PAGE))
    array.drives.configure(DrivesSpec(1_001, PAGE))
    assert array.drives.free_of(DEFAULT) == PAGE
    assert array.drive_groups[DEFAULT].drive_count == 1_001
    with pytest.raises(AlreadyExists):
        array.drives.create(DriveGroupSpec(DEFAULT, 1, PAGE))
    array.drives.resize(DEFAULT, 1_000)
    assert array.drives.spec == DrivesSpec(1_000, PAGE)
    with pytest.raises(FailedPrecondition, match="in use by pools free"):
        array.drives.delete(DEFAULT)


def test_a_pool_has_the_media_of_its_group_unless_it_has_its_own() -> None:
    stack = Stack()
    group = pb.DriveGroup(drive_count=8, drive_bytes=1 << 30, media_kind=pb.MEDIA_KIND_DISK_10K)
    request = pb.CreateDriveGroupRequest(parent=ARRAY, drive_group_id="g1", drive_group=group)
    made = stack.array.CreateDriveGroup(request)
    assert (made.name, made.raw_free_bytes) == (f"{ARRAY}/driveGroups/g1", 8 << 30)
    pool = pb.Pool(capacity_bytes=1 << 30, drive_group=made.name)
    created = stack.array.CreatePool(pb.CreatePoolRequest(parent=ARRAY, pool_id="like", pool=pool))
    assert (created.media_kind, created.media_ns) == (pb.MEDIA_KIND_DISK_10K, 7_000_000)
    assert created.drive_group == made.name
    pool.media_kind, pool.media_ns = pb.MEDIA_KIND_FLASH, 123_000
    created = stack.array.CreatePool(pb.CreatePoolRequest(parent=ARRAY, pool_id="own", pool=pool))
    assert (created.media_kind, created.media_ns) == (pb.MEDIA_KIND_FLASH, 123_000)
    array = stack.array.GetArray(pb.GetArrayRequest(name=ARRAY))
    assert (array.raw_bytes, array.raw_free_bytes, array.drive_count) == (8 << 30, 6 << 30, 0)
    old = stack.array.GetPool(pb.GetPoolRequest(name=f"{ARRAY}/pools/pool1"))
    assert old.drive_group == ""


def test_the_api_keeps_groups() -> None:
    stack = Stack()
    drives = pb.Array(name=ARRAY, drive_count=16, drive_bytes=1 << 30)
    stack.array.UpdateArray(pb.UpdateArrayRequest(array=drives))
    listed = stack.array.ListDriveGroups(pb.ListDriveGroupsRequest(parent=ARRAY)).drive_groups
    assert [(group.name, group.drive_count) for group in listed] == [
        (f"{ARRAY}/driveGroups/default", 16)
    ]
    more = pb.DriveGroup(name=listed[0].name, drive_count=32)
    updated = stack.array.UpdateDriveGroup(pb.UpdateDriveGroupRequest(drive_group=more))
    assert (updated.raw_bytes, updated.raw_free_bytes) == (32 << 30, 24 << 30)
    assert stack.array.GetArray(pb.GetArrayRequest(name=ARRAY)).drive_count == 32
    pool = stack.array.GetPool(pb.GetPoolRequest(name=f"{ARRAY}/pools/pool1"))
    assert pool.drive_group == listed[0].name
    name = f"{ARRAY}/driveGroups/g1"
    group = pb.DriveGroup(drive_count=1, drive_bytes=1)
    create = pb.CreateDriveGroupRequest(parent=ARRAY, drive_group_id="g1", drive_group=group)
    stack.array.CreateDriveGroup(create)
    stack.array.DeleteDriveGroup(pb.DeleteDriveGroupRequest(name=name))
    with pytest.raises(NotFound):
        stack.array.GetDriveGroup(pb.GetDriveGroupRequest(name=name))


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({}, "drive_group.drive_count"),
        ({"drive_count": 1}, "drive_group.drive_bytes"),
        ({"drive_count": -1, "drive_bytes": 1}, "drive_group.drive_count"),
        ({"drive_count": 1, "drive_bytes": 1 << 60}, "drive_group.drive_bytes"),
        ({"drive_count": 1, "drive_bytes": 1, "media_kind": 77}, "drive_group.media_kind"),
    ],
)
def test_groups_that_cannot_be_are_refused_whole(fields: dict[str, int], place: str) -> None:
    stack = Stack()
    group = pb.DriveGroup()
    group.MergeFrom(pb.DriveGroup(**fields))
    request = pb.CreateDriveGroupRequest(parent=ARRAY, drive_group_id="g1", drive_group=group)
    with pytest.raises(InvalidArgument, match=place):
        stack.array.CreateDriveGroup(request)
    assert not stack.array_model.drive_groups


def test_a_pool_of_a_group_that_there_is_not_is_refused() -> None:
    stack = Stack()
    pool = pb.Pool(capacity_bytes=1 << 30, drive_group=f"{ARRAY}/driveGroups/g7")
    with pytest.raises(NotFound, match="driveGroups/g7"):
        stack.array.CreatePool(pb.CreatePoolRequest(parent=ARRAY, pool_id="q", pool=pool))
    with pytest.raises(InvalidArgument, match=r"pool\.drive_group.*none yet"):
        stack.array_model.create_pool(PoolSpec("q", PAGE, drive_group="g7"))


def test_a_restored_array_has_its_groups_again() -> None:
    array = make(fast=10, slow=10)
    assert write(array, 0, 0, 4) == Sense.NONE
    saved = array.keeper.parts["model"].save()
    assert write(array, 0, 4, 4) == Sense.NONE
    array.drives.create(DriveGroupSpec("more", 3, PAGE))
    array.keeper.parts["model"].load(saved)()
    assert sorted(array.drive_groups) == ["fast", "slow"]
    assert array.drives.free_of("fast") == 6 * PAGE


def contend(*pools: PoolSpec) -> tuple[list[int], ArrayModel]:
    """Writes a page of each pool's volume at once, past all caches; what each takes, in ms."""
    array = ArrayModel("a1")
    array.create_controller(ControllerSpec("c0", read_ns=0, write_ns=0, write_back=False))
    array.create_port(PortSpec("p0", "c0", "fa", command_ns=0, bandwidth_bytes_per_second=1 << 40))
    array.create_host(ArrayHostSpec("h1", (InitiatorSpec("i", "fa"),)))
    for group in ("g", "h"):
        array.drives.create(DriveGroupSpec(group, 4, 64 * PAGE))
    for number, pool in enumerate(pools):
        array.create_pool(pool)
        array.create_volume(VolumeSpec(f"v{number}", pool.pool_id, 8 * PAGE))
        array.create_export(ExportSpec(f"v{number}", "h1", number))
    attach(array)
    now = array.now_ns
    records = batch(*((now, n, Op.WRITE, 0, 4096) for n in range(len(pools)))).records
    records["nexus"] = range(len(pools))
    reply = array.exchange(now + 10**9, IoBatch(records, len(records)))
    took = {int(row["id"]): int(row["array_ns"]) // MS for row in reply.records[: reply.count]}
    return [took[number] for number in range(len(pools))], array


def shared(pool_id: str, group: str, disks: int = 1, **fields: Any) -> PoolSpec:
    constant: dict[str, Any] = {
        "media_distribution": MediaDistribution.CONSTANT,
        "media_ns": 2 * MS,
    }
    return PoolSpec(
        pool_id, 8 * PAGE, disk_count=disks, drive_group=group, **{**constant, **fields}
    )


@pytest.mark.parametrize(
    ("groups", "took"), [("gg", [2, 4]), ("gh", [2, 2]), (["", ""], [2, 2]), ("ggg", [2, 4, 6])]
)
def test_pools_of_one_group_wait_for_each_others_disks(groups: list[str], took: list[int]) -> None:
    pools = [shared(f"p{number}", group) for number, group in enumerate(groups)]
    assert contend(*pools)[0] == took


@pytest.mark.parametrize("disks", [(1, 4), (4, 1), (2, 4), (1, 2)])
def test_pools_of_a_group_lie_on_the_same_first_disks(disks: tuple[int, int]) -> None:
    took, array = contend(*(shared(f"p{n}", "g", count) for n, count in enumerate(disks)))
    assert took == [2, 4], "both write their page 0, on disk 0"
    bases = array.state.used("pool")["disk_base"]
    assert bases[0] == bases[1]


def test_a_larger_pool_takes_over_what_a_groups_disks_have_to_do() -> None:
    _, array = contend(shared("p0", "g"))
    busy_until = array.state["disk"][0]
    array.create_pool(shared("p1", "g", 3))
    base = array.state["pool"]["disk_base"][0]
    assert base > 0
    assert array.state["disk"][base : base + 3].tolist() == [busy_until, 0, 0]


@pytest.mark.parametrize("between", [False, True])
def test_another_pools_access_moves_the_disks_head(between: bool) -> None:
    follows = shared("p0", "g", media_sequential_ns=MS)
    _, array = contend(follows, shared("p1", "g"))  # p1's access was the last one
    if not between:
        serve(array, (array.now_ns, 7, Op.WRITE, PAGE, 4096))
    (done,) = serve(array, (array.now_ns, 8, Op.WRITE, 2 * PAGE, 4096))
    assert int(done["array_ns"]) // MS == (2 if between else 1)
