"""Write caches with marks: what waits until disks are idle, what is flushed, what finds no room."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from smokestack.array.model import ArrayModel
from smokestack.array.specs import (
    ArrayHostSpec,
    ControllerSpec,
    DriveGroupSpec,
    ExportSpec,
    InitiatorSpec,
    MediaDistribution,
    PoolSpec,
    PortSpec,
    VolumeSpec,
)
from smokestack.engine.blockdevice import NOTHING
from smokestack.engine.errors import InvalidArgument
from smokestack.engine.records import Op
from tests.array.test_array import PAGE, attach, batch

MS = 1_000_000
DISK_NS = 10 * MS


def make(cached_pages: int = 10, low: float = 0.2, high: float = 0.5, disks: int = 1) -> ArrayModel:
    """A cache of so many pages before slow disks, and nothing else that takes any time."""
    array = ArrayModel("a1")
    marks = {"cache_low_water_ratio": low, "cache_high_water_ratio": high}
    array.create_controller(
        ControllerSpec(
            "c0",
            read_ns=0,
            write_ns=0,
            read_hit_ratio=0.0,
            cache_bytes=cached_pages * PAGE,
            **marks,
        )
    )
    array.create_controller(ControllerSpec("c1", partner="c0"))
    array.create_port(PortSpec("p0", "c0", "fa", command_ns=0, bandwidth_bytes_per_second=1 << 40))
    array.create_pool(
        PoolSpec(
            "q",
            1 << 30,
            disk_count=disks,
            media_ns=DISK_NS,
            media_distribution=MediaDistribution.CONSTANT,
        )
    )
    array.create_volume(VolumeSpec("v1", "q", 1 << 29))
    array.create_host(ArrayHostSpec("h1", (InitiatorSpec("i", "fa"),)))
    array.create_export(ExportSpec("v1", "h1", 0))
    return attach(array)


def io(array: ArrayModel, *ios: tuple[Op, int], first: int = 1) -> None:
    """Sends I/Os of whole pages now; they reach the controller at once."""
    now = array.now_ns
    sent = batch(*((now, first + n, op, page * PAGE, PAGE) for n, (op, page) in enumerate(ios)))
    array.exchange(now + 1, sent)


def run(array: ArrayModel, until_ns: int) -> list[tuple[int, int]]:
    """What was answered up to a time: number, and whole milliseconds in the array."""
    answers = []
    while array.now_ns < until_ns:
        reply = array.exchange(min(until_ns, array.now_ns + MS), NOTHING)
        answers += [(int(r["id"]), int(r["array_ns"]) // MS) for r in reply.records[: reply.count]]
    return answers


def writes(*pages: int) -> list[tuple[Op, int]]:
    return [(Op.WRITE, page) for page in pages]


def dirty_pages(array: ArrayModel) -> int:
    return array.controller_usage("c0").dirty_bytes // PAGE


def test_reads_go_before_dirty_data_that_wait_for_an_idle_disk() -> None:
    array = make()
    io(array, *writes(0, 1))  # the first takes the idle disk; the second waits for it
    io(array, (Op.READ, 0), (Op.READ, 1), first=10)
    answers = run(array, 35 * MS)
    assert answers == [(1, 0), (2, 0), (10, 20), (11, 30)]
    assert dirty_pages(array) == 1
    run(array, 45 * MS)
    assert dirty_pages(array) == 0
    assert array.controller_usage("c0").cache_flush_count == 0


def test_without_marks_reads_wait_behind_what_is_destaged() -> None:
    array = make(low=0.0, high=0.0)
    io(array, *writes(0, 1))
    io(array, (Op.READ, 0), first=10)
    assert run(array, 45 * MS) == [(1, 0), (2, 0), (10, 30)]


def test_above_the_high_mark_the_oldest_go_before_what_comes_later() -> None:
    array = make(low=0.2, high=0.5)
    io(array, *writes(*range(5)))
    assert array.controller_usage("c0").cache_flush_count == 0
    io(array, *writes(5), first=6)  # one of six is at the disk: three set off, two may wait
    run(array, array.now_ns + MS)
    io(array, (Op.READ, 0), first=10)
    assert array.controller_usage("c0").cache_flush_count == 1
    answers = run(array, 70 * MS)
    assert [ms for number, ms in answers if number == 10] == [49]
    assert dirty_pages(array) == 1


def test_a_flush_ends_at_the_low_mark_and_until_then_what_comes_sets_off_too() -> None:
    array = make(low=0.2, high=0.5, disks=1)
    io(array, *writes(*range(6)))
    run(array, 25 * MS)
    assert (dirty_pages(array), bool(array.state["destage"]["flushing"][0])) == (4, True)
    io(array, *writes(6), first=7)  # two wait already, and may
    run(array, array.now_ns + MS)
    assert int(array.state["destage"]["waiting_bytes"][0]) == 2 * PAGE
    run(array, 55 * MS)
    assert (dirty_pages(array), bool(array.state["destage"]["flushing"][0])) == (2, False)


def test_a_full_cache_makes_writes_wait_behind_the_flush() -> None:
    array = make(cached_pages=4, low=0.0, high=0.5)
    io(array, *writes(*range(5)))
    answers = dict(run(array, 100 * MS))
    assert [answers[number] for number in range(1, 6)] == [0, 0, 0, 0, 50]
    assert array.controller_usage("c0").forced_write_count == 1


@pytest.mark.parametrize("lost", ["c0", "c1"])
def test_what_waits_sets_off_when_a_cache_loses_its_mirror_or_is_lost(lost: str) -> None:
    array = make(high=1.0)
    io(array, *writes(*range(4)))
    run(array, MS)
    assert int(array.state["destage"]["waiting_bytes"][0]) == 3 * PAGE
    array.set_controller_enabled(lost, enabled=False)
    run(array, 2 * MS)
    assert int(array.state["destage"]["waiting_bytes"][0]) == 0
    assert int(array.state["disk"].max()) // MS == 40
    run(array, 45 * MS)
    assert dirty_pages(array) == 0


def test_what_waits_is_part_of_a_snapshot_and_ends_with_the_power() -> None:
    array = make(disks=2)
    io(array, *writes(*range(9)))
    run(array, 15 * MS)
    part = array.keeper.parts["model"]
    kept = part.save()
    now = array.now_ns

    def rest() -> list[int]:
        found = []
        for step in range(10):
            array.exchange(now + step * 5 * MS, NOTHING)
            found.append(array.controller_usage("c0").dirty_bytes)
        return found

    first = rest()
    part.load(kept)()
    assert (rest(), first[-1]) == (first, 0)
    part.load(kept)()
    array.detach()
    attach(array)
    assert not any(array.state[line]["first"].any() for line in ("aged", "idle"))
    io(array, *writes(20))
    run(array, array.now_ns + 60 * MS)  # for its disk is as busy as it was
    assert dirty_pages(array) == 0


def test_disks_that_more_pools_share_keep_what_waits_for_them() -> None:
    array = make(high=1.0)
    array.drives.create(DriveGroupSpec("g", 4, 1 << 30))
    for name, disks in (("r", 1), ("s", 3)):
        spec = PoolSpec(name, 64 * PAGE, disk_count=disks, drive_group="g", media_ns=DISK_NS)
        array.create_pool(spec)
        if name == "r":
            array.create_volume(VolumeSpec("w", "r", 64 * PAGE))
            array.create_export(ExportSpec("w", "h1", 1))
            sent = batch(*((array.now_ns, n, Op.WRITE, n * PAGE, PAGE) for n in range(3)))
            sent.records["nexus"] = 1
            array.exchange(array.now_ns + MS, sent)
    assert int(array.state["destage"]["waiting_bytes"][0]) == 2 * PAGE
    run(array, 10**9)
    assert dirty_pages(array) == 0


def test_what_waits_for_a_pool_that_is_gone_still_finds_its_disk() -> None:
    array = make(high=1.0)
    array.drives.create(DriveGroupSpec("g", 4, 1 << 30))
    shared = PoolSpec("old", 64 * PAGE, disk_count=2, drive_group="g", media_ns=DISK_NS)
    array.create_pool(shared)
    array.create_pool(replace(shared, pool_id="small", disk_count=1))
    array.create_volume(VolumeSpec("w", "old", 64 * PAGE))
    array.create_export(ExportSpec("w", "h1", 1))
    sent = batch(*((array.now_ns, n, Op.WRITE, n * PAGE, PAGE) for n in range(6)))
    sent.records["nexus"] = 1
    array.exchange(array.now_ns + MS, sent)
    array.delete_export("w", "h1")
    array.delete_volume("w")
    array.delete_pool("old")
    array.create_pool(replace(shared, pool_id="large", disk_count=3))
    run(array, 10**9)
    assert dirty_pages(array) == 0


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"cache_high_water_ratio": 0.8}, "cache_high_water_ratio"),
        ({"cache_bytes": 1 << 20, "cache_high_water_ratio": 1.1}, "cache_high_water_ratio"),
        ({"cache_bytes": 1 << 20, "cache_low_water_ratio": 0.5}, "cache_low_water_ratio"),
        (
            {
                "cache_bytes": 1 << 20,
                "cache_low_water_ratio": 0.8,
                "cache_high_water_ratio": 0.8,
            },
            "cache_low_water_ratio",
        ),
    ],
)
def test_marks_that_cannot_be_are_refused(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        ArrayModel("a1").create_controller(ControllerSpec("c0", **fields))
    assert refused.value.violations[0].field == f"controller.{field}"
