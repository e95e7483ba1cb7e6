"""Pools as families have them: how they grow, warn, and run out."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from smokestack.array.model import ArrayModel
from smokestack.array.profiles import PROFILES
from smokestack.array.requests import pool_spec
from smokestack.array.specs import (
    GIB,
    ArrayHostSpec,
    ControllerSpec,
    DriveGroupSpec,
    ExportSpec,
    FamilySpec,
    InitiatorSpec,
    OutOfSpace,
    PoolSpec,
    PortSpec,
    Profile,
    VolumeSpec,
)
from smokestack.array.usage import PoolState
from smokestack.engine.blockdevice import NOTHING
from smokestack.engine.errors import FailedPrecondition, InvalidArgument
from smokestack.engine.event_kinds import EventKind
from smokestack.engine.records import Op, Sense, Status
from smokestack.v1 import array_pb2 as pb
from tests.array.test_array import PAGE, attach, batch, make_array, serve

SECOND = 10**9
MIB = 1 << 20


def make(pages: int = 10, **settings: object) -> ArrayModel:
    """An array whose pool has these settings; its volume is exported."""
    array = ArrayModel("a1")
    array.create_controller(ControllerSpec("c0", core_count=1, read_ns=10_000, write_ns=20_000))
    array.create_port(PortSpec("p0", "c0", "fabric-a"))
    array.create_pool(replace(PoolSpec("p1", pages * PAGE), **settings))
    array.create_volume(VolumeSpec("v1", "p1", GIB))
    array.create_host(ArrayHostSpec("h1", (InitiatorSpec("h1-a", "fabric-a"),)))
    array.create_export(ExportSpec("v1", "h1", 0))
    return attach(array)


def write(array: ArrayModel, number: int, page: int, pages: int = 1) -> tuple[int, int]:
    """Writes pages; returns status and sense."""
    (done,) = serve(array, (array.now_ns, number, Op.WRITE, page * PAGE, pages * PAGE))
    return int(done["status"]), int(done["sense"])


def kinds(array: ArrayModel) -> list[EventKind]:
    return [event.kind for event in array.events.after(0, 10_000)]


GOOD = (Status.GOOD, Sense.NONE)
NO_SPACE = (Status.CHECK_CONDITION, Sense.SPACE_ALLOCATION_FAILED)


@pytest.mark.parametrize("profile", Profile)
def test_every_value_of_a_profile_says_where_it_is_from_and_can_be_set(profile: Profile) -> None:
    family = PROFILES[profile]
    names = {field.name for field in fields(PoolSpec)}
    assert set(family.pool) <= names
    for value in (*family.pool.values(), family.port_queue_limit, family.lun_queue_limit):
        assert value.source.startswith(("FACTS 4.", "from memory", "ours"))
    message = pb.Pool(capacity_bytes=42 * 3 * GIB, profile=int(profile))
    spec = pool_spec("p9", message, FamilySpec())
    assert {name: getattr(spec, name) for name in family.pool} == family.defaults(2)
    array = make_array()
    array.create_pool(spec)
    message.warning_ratio = 0.25
    message.out_of_space = pb.OUT_OF_SPACE_ANSWER_BUSY
    other = pool_spec("p10", message, FamilySpec())
    assert (other.warning_ratio, other.out_of_space) == (0.25, OutOfSpace.ANSWER_BUSY)
    assert replace(other, warning_ratio=spec.warning_ratio, out_of_space=spec.out_of_space) == (
        replace(spec, pool_id="p10")
    )


def test_what_a_3par_has_goes_by_its_nodes() -> None:
    message = pb.Pool(capacity_bytes=GIB, profile=pb.POOL_PROFILE_INSERV_3PAR, node_count=4)
    spec = pool_spec("p9", message, FamilySpec())
    assert (spec.growth_bytes, spec.step_bytes) == (64 * GIB, GIB)
    assert (spec.step_bytes_max, spec.limit_overdraft_bytes) == (4 * GIB, 512 * MIB)
    message.node_count = 3
    with pytest.raises(InvalidArgument, match="3 is none of 2, 4, 6, 8"):
        pool_spec("p9", message, FamilySpec())


def test_a_volume_that_uses_up_its_step_within_a_minute_gets_a_larger_one() -> None:
    array = make(
        pages=1_000, step_bytes=2 * PAGE, step_bytes_max=6 * PAGE, step_window_ns=60 * SECOND
    )
    sizes = []
    for n, wait in enumerate([0, 0, 0, 0, 59 * SECOND, 60 * SECOND, 0]):
        array.exchange(array.now_ns + wait, NOTHING)
        before = array.pool_usage("p1")
        had = before.allocated_bytes + before.reserved_bytes
        room = before.reserved_bytes // PAGE
        assert write(array, n, 100 * n, room + 1) == GOOD
        usage = array.pool_usage("p1")
        sizes.append((usage.allocated_bytes + usage.reserved_bytes - had) // PAGE)
    # The sixth step began more than a minute after the fifth, so it stays as large.
    assert sizes == [2, 4, 6, 6, 6, 6, 6]
    assert array.pool_usage("p1").step_count == 7


@pytest.mark.parametrize(
    ("profile", "beyond_bytes"), [(Profile.SVC, 0), (Profile.INSERV_3PAR, 256 * MIB)]
)
def test_a_step_reserves_no_more_than_its_volume_may_have(
    profile: Profile, beyond_bytes: int
) -> None:
    array = make()
    message = pb.Pool(capacity_bytes=64 * GIB, profile=int(profile))
    array.create_pool(pool_spec("q", message, FamilySpec()))
    page = array.pools["q"].page_bytes
    array.create_volume(VolumeSpec("small", "q", 10 * page - 512))
    array.create_export(ExportSpec("small", "h1", 1))
    records = batch((array.now_ns, 1, Op.WRITE, 0, page), (array.now_ns, 2, Op.WRITE, page, page))
    records.records["nexus"] = 1
    array.exchange(array.now_ns + SECOND, records)
    held = array.volume_usage("small")
    assert held.allocated_bytes == 2 * page
    assert held.reserved_bytes == 8 * page + beyond_bytes


def test_a_pool_grows_in_increments_up_to_its_limit_and_no_further() -> None:
    array = make(pages=10, growth_bytes=4 * PAGE, limit_bytes=5 * PAGE, limit_overdraft_bytes=PAGE)
    assert array.pool_usage("p1").grown_bytes == 0
    assert write(array, 1, 0) == GOOD
    assert array.pool_usage("p1").grown_bytes == 4 * PAGE
    assert write(array, 2, 1, 4) == GOOD
    usage = array.pool_usage("p1")
    assert (usage.grown_bytes, usage.growth_count, usage.free_bytes) == (6 * PAGE, 2, PAGE)
    assert write(array, 3, 5) == GOOD  # the overdraft
    assert write(array, 4, 6) == NO_SPACE
    assert kinds(array).count(EventKind.POOL_GREW) == 2
    array.update_pool("p1", limit_bytes=20 * PAGE)  # above the capacity, which then counts
    assert write(array, 5, 6, 4) == GOOD
    assert write(array, 6, 10) == NO_SPACE
    assert kinds(array).count(EventKind.POOL_EXHAUSTED) == 2


def test_a_warning_is_given_once_until_space_falls_below_again() -> None:
    array = make(pages=10, warning_ratio=0.5)
    for n in range(4):
        assert write(array, n, n) == GOOD
    assert write(array, 4, 4) == GOOD
    assert array.pool_usage("p1").state is PoolState.WARNING
    assert write(array, 5, 5) == (Status.CHECK_CONDITION, Sense.SOFT_THRESHOLD)
    assert write(array, 6, 5) == GOOD
    assert array.pool_usage("p1").warning_count == 1
    array.update_pool("p1", capacity_bytes=20 * PAGE)
    assert array.pool_usage("p1").state is PoolState.NORMAL
    assert write(array, 7, 6, 4) == GOOD
    assert write(array, 8, 0) == (Status.CHECK_CONDITION, Sense.SOFT_THRESHOLD)
    assert kinds(array).count(EventKind.POOL_WARNING) == 2


def test_a_full_pool_takes_its_volume_offline_until_it_has_space() -> None:
    array = make(pages=2, out_of_space=OutOfSpace.TAKE_OFFLINE)
    assert write(array, 1, 0, 2) == GOOD
    offline = (Status.CHECK_CONDITION, Sense.UNAVAILABLE)
    assert write(array, 2, 2) == offline
    assert array.is_offline("v1")
    assert write(array, 3, 0) == offline  # whatever it is
    (done,) = serve(array, (array.now_ns, 4, Op.READ, 0, 512))
    assert done["sense"] == Sense.UNAVAILABLE
    array.update_pool("p1", capacity_bytes=4 * PAGE)
    assert not array.is_offline("v1")
    assert write(array, 5, 2) == GOOD
    told = kinds(array)[-4:]
    assert told[-1] is EventKind.VOLUME_ONLINE and EventKind.VOLUME_OFFLINE in told


def test_a_full_pool_answers_busy() -> None:
    array = make(pages=2, out_of_space=OutOfSpace.ANSWER_BUSY)
    assert write(array, 1, 0, 2) == GOOD
    assert write(array, 2, 2) == (Status.BUSY, Sense.NONE)
    assert write(array, 3, 1) == GOOD  # it needs no page
    assert array.pool_usage("p1").allocation_failure_count == 1
    assert array.state["itl"]["busy"][0] == 1 and array.state["itl"]["check_condition"][0] == 0


def test_snapshots_go_stale_before_a_write_to_what_they_share_fails() -> None:
    array = make(pages=4, out_of_space=OutOfSpace.STALE_SNAPSHOTS)
    assert write(array, 1, 0, 2) == GOOD
    array.create_snapshot("s1", "v1")
    assert write(array, 2, 2, 2) == GOOD
    array.create_snapshot("s2", "v1")
    assert write(array, 3, 2) == GOOD  # s1 has nothing there; s2 lets go of all
    assert (array.is_stale("s1"), array.is_stale("s2")) == (False, True)
    assert array.snapshot_usage("s2").allocated_bytes == 0
    assert write(array, 4, 9) == NO_SPACE  # a new page is nobody's to give
    assert write(array, 5, 0) == GOOD
    assert array.is_stale("s1")
    with pytest.raises(FailedPrecondition, match="snapshots/s1 is stale"):
        array.create_volume(VolumeSpec("w1", "p1", GIB, source_snapshot="s1"))
    assert kinds(array).count(EventKind.VOLUME_SNAPSHOT_STALE) == 2
    for snapshot in ("s2", "s1"):
        array.delete_snapshot(snapshot)
    assert array.state["volume"]["first_snapshot"][array.row_of("volumes", "v1")] == 0


def test_a_pool_that_is_short_slows_down_and_then_stops() -> None:
    array = make(
        pages=4,
        out_of_space=OutOfSpace.CONSERVE,
        conservation_bytes=2 * PAGE,
        conservation_ns=7_000_000,
    )
    assert write(array, 1, 0, 2) == GOOD
    assert array.pool_usage("p1").state is PoolState.CONSERVATION
    (slow,) = serve(array, (array.now_ns, 2, Op.WRITE, 2 * PAGE, PAGE))
    (fast,) = serve(array, (array.now_ns, 3, Op.WRITE, 2 * PAGE, PAGE))
    assert slow["array_ns"] == fast["array_ns"] + 7_000_000
    assert write(array, 4, 3) == GOOD
    assert array.pool_usage("p1").state is PoolState.EXHAUSTED
    assert write(array, 5, 0) == NO_SPACE  # an emergency: no write at all
    array.update_pool("p1", capacity_bytes=16 * PAGE)
    assert array.pool_usage("p1").state is PoolState.NORMAL
    assert write(array, 6, 4) == GOOD
    assert kinds(array)[-1] is EventKind.POOL_EASED


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("growth_bytes", PAGE + 512),
        ("step_bytes", -1),
        ("step_bytes_max", PAGE),
        ("warning_ratio", 1.5),
        ("limit_bytes", -1),
        ("conservation_ns", -1),
        ("step_window_ns", -1),
    ],
)
def test_a_setting_out_of_range_is_refused(field: str, value: float) -> None:
    array = make_array()
    spec = PoolSpec("p9", GIB, step_bytes=2 * PAGE, step_bytes_max=2 * PAGE)
    with pytest.raises(InvalidArgument) as told:
        array.create_pool(replace(spec, **{field: value}))
    assert told.value.violations[0].field.startswith("pool.step" if "step" in field else "pool.")
    assert "p9" not in array.pools


def test_thresholds_are_looked_at_when_they_or_the_pool_change() -> None:
    array = make(100, warning_ratio=0.8)
    assert write(array, 1, 0, 60) == GOOD
    for changed, state in (
        ({"capacity_bytes": 70 * PAGE}, PoolState.WARNING),
        ({"warning_ratio": 0.9}, PoolState.NORMAL),
        ({"warning_ratio": 0.5}, PoolState.WARNING),
        ({"warning_ratio": 0.0}, PoolState.NORMAL),
    ):
        array.update_pool("p1", **changed)
        assert array.pool_usage("p1").state is state
    assert array.pool_usage("p1").warning_count == 2


def test_a_pool_that_is_shrunk_to_its_emergency_takes_no_write() -> None:
    array = make(100, out_of_space=OutOfSpace.CONSERVE)
    assert write(array, 1, 0, 60) == GOOD
    array.update_pool("p1", capacity_bytes=60 * PAGE)
    assert array.pool_usage("p1").state is PoolState.EXHAUSTED
    assert write(array, 2, 0) == NO_SPACE


def test_what_gives_a_pool_no_space_brings_no_volume_back() -> None:
    limited = {"limit_bytes": 10 * PAGE, "growth_bytes": PAGE, "drive_group": "g"}
    array = make(100, out_of_space=OutOfSpace.TAKE_OFFLINE)
    array.drives.create(DriveGroupSpec("g", 50, PAGE))
    spec = PoolSpec("q", 100 * PAGE, out_of_space=OutOfSpace.TAKE_OFFLINE)
    array.create_pool(replace(spec, **limited))
    array.create_volume(VolumeSpec("w", "q", GIB))
    array.create_export(ExportSpec("w", "h1", 1))
    for first, pages in ((0, 10), (20, 1)):
        record = batch((array.now_ns, first, Op.WRITE, first * PAGE, pages * PAGE))
        record.records["nexus"] = 1
        array.exchange(array.now_ns + SECOND, record)
    for change in (
        lambda: array.update_pool("q", limit_bytes=9 * PAGE),
        lambda: array.drives.resize("g", 60),
        lambda: array.update_pool("q", limit_bytes=10 * PAGE),
    ):
        change()
        assert array.is_offline("w")
        assert array.pool_usage("q").state is PoolState.EXHAUSTED
    array.update_pool("q", limit_bytes=11 * PAGE)
    assert not array.is_offline("w")
    assert kinds(array)[-2:] == [EventKind.POOL_SPACE_AVAILABLE, EventKind.VOLUME_ONLINE]
