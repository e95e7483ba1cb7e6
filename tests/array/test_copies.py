"""Snapshots and clones: pages shared by reference count, copied on write, freed by the last."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smokestack.array.model import ArrayModel
from smokestack.array.specs import PoolSpec, VolumeSpec
from smokestack.engine.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Refused,
)
from smokestack.engine.event_kinds import EventKind
from smokestack.engine.records import Op, Sense
from tests.array.test_array import PAGE, attach, make_array, serve

GIB = 1 << 30
SHARED = 1 << 63


def pages(array: ArrayModel) -> tuple[int, int]:
    """The pool's pages, and of those what only snapshots have."""
    usage = array.pool_usage("p1")
    return usage.allocated_bytes // PAGE, usage.snapshot_bytes // PAGE


def check_sums(array: ArrayModel) -> None:
    """Counts the page map anew: sums and reference counts are what they should be."""
    state = array.state
    rows = state["page"][state["page"]["key"] != 0]
    volume, physical = (rows["key"] >> 40) - 1, rows["physical"] & (SHARED - 1)
    pools = state["volume"]["pool"][volume]
    held: dict[tuple[int, int], list[int]] = {}
    for row, v, pool, page in zip(rows, volume, pools, physical, strict=True):
        one = 1 if state["volume"][v]["is_snapshot"] else 1 << 32
        held.setdefault((int(pool), int(page)), []).append(one)
        assert row["physical"] & SHARED or len(held[int(pool), int(page)]) == 1
    shares = state["share"][state["share"]["key"] != 0]
    counted = {((int(s["key"]) >> 40) - 1, int(s["key"]) & (1 << 40) - 1): s for s in shares}
    assert len(shares) == state.row["share_count"] and len(rows) == state.row["page_count"]
    for key, holders in held.items():
        assert len(holders) == 1 or key in counted
        assert key not in counted or int(counted[key]["physical"]) == sum(holders)
    assert set(counted) <= set(held)
    for pool, row in enumerate(state.used("pool")):
        mine = [holders for (p, _), holders in held.items() if p == pool]
        assert row["allocated_pages"] == len(mine)
        assert row["snapshot_pages"] == sum(sum(holders) < 1 << 32 for holders in mine)
    for v, row in enumerate(state.used("volume")):
        assert row["allocated_pages"] == np.count_nonzero(volume == v)


def test_a_snapshot_takes_no_space_until_the_volume_writes() -> None:
    array = attach(make_array())
    serve(array, (0, 1, Op.WRITE, 0, 4 * PAGE))
    array.create_snapshot("s1", "v1")
    assert pages(array) == (4, 0)
    assert array.snapshot_usage("s1").allocated_bytes == 4 * PAGE
    serve(array, (array.now_ns, 2, Op.WRITE, PAGE + 512, 1024))
    assert pages(array) == (5, 1)  # the old page is the snapshot's alone
    serve(array, (array.now_ns, 3, Op.WRITE, PAGE, 512))
    assert pages(array) == (5, 1)  # the new one is the volume's own
    assert array.volume_usage("v1").allocated_bytes == 4 * PAGE
    check_sums(array)


def test_deleting_frees_what_nobody_else_has() -> None:
    array = attach(make_array())
    serve(array, (0, 1, Op.WRITE, 0, 4 * PAGE))
    array.create_snapshot("s1", "v1")
    array.create_volume(VolumeSpec("w1", "p1", GIB, source_snapshot="s1"))
    serve(array, (array.now_ns, 2, Op.WRITE, 0, 2 * PAGE))
    assert pages(array) == (6, 0)  # the clone still has what the volume wrote over
    array.delete_volume("w1")
    assert pages(array) == (6, 2)
    array.delete_snapshot("s1")
    assert pages(array) == (4, 0)
    assert array.state.row["share_count"] <= 2  # found out at the next write
    check_sums(array)
    event = array.events.after(0, 100)[-1]
    assert (event.kind, event.detail["freed_bytes"]) == (
        EventKind.VOLUME_SNAPSHOT_DELETED,
        2 * PAGE,
    )


def test_a_clone_of_a_clone_is_written_to_without_anybody_else_seeing_it() -> None:
    array = attach(make_array())
    serve(array, (0, 1, Op.WRITE, 0, 2 * PAGE))
    array.create_volume(VolumeSpec("w1", "p1", 2 * GIB, source_volume="v1"))
    array.create_volume(VolumeSpec("w2", "p1", 2 * GIB, source_volume="w1"))
    assert pages(array) == (2, 0)
    serve(array, (array.now_ns, 2, Op.WRITE, 0, PAGE))
    assert pages(array) == (3, 0)
    array.delete_volume("w1")
    assert pages(array) == (3, 0)
    array.delete_volume("w2")
    assert pages(array) == (2, 0)
    check_sums(array)


def test_a_write_to_shared_pages_needs_space_and_is_refused_whole() -> None:
    array = attach(make_array(pages=5))
    serve(array, (0, 1, Op.WRITE, 0, 4 * PAGE))
    array.create_snapshot("s1", "v1")
    (done,) = serve(array, (array.now_ns, 2, Op.WRITE, 0, 2 * PAGE))
    assert done["sense"] == Sense.SPACE_ALLOCATION_FAILED
    assert pages(array) == (4, 0)
    (done,) = serve(array, (array.now_ns, 3, Op.WRITE, 0, PAGE))
    assert done["sense"] == Sense.NONE and pages(array) == (5, 1)
    array.delete_snapshot("s1")  # which frees one page, and makes the rest the volume's own
    (done,) = serve(array, (array.now_ns, 4, Op.WRITE, 0, 5 * PAGE))
    assert done["sense"] == Sense.NONE and pages(array) == (5, 0)
    check_sums(array)


def test_what_does_not_fit_is_refused_whole() -> None:
    array = make_array()
    array.create_pool(PoolSpec("p2", GIB))
    array.create_snapshot("s1", "v1")
    for refusal, refused, field in (
        (lambda: array.create_snapshot("s1", "v1"), AlreadyExists, ""),
        (lambda: array.create_snapshot("s2", "v9"), NotFound, ""),
        (lambda: array.create_snapshot("S2", "v1"), InvalidArgument, "volume_snapshot_id"),
        (lambda: array.delete_snapshot("s9"), NotFound, ""),
        (lambda: array.create_volume(VolumeSpec("w", "p1", GIB, "v9")), NotFound, ""),
        (lambda: array.create_volume(VolumeSpec("w", "p1", GIB, "", "s9")), NotFound, ""),
        (lambda: array.create_volume(VolumeSpec("w", "p1", GIB, "v1", "s1")), InvalidArgument, "s"),
        (lambda: array.create_volume(VolumeSpec("w", "p2", GIB, "v1")), InvalidArgument, "pool"),
        (lambda: array.create_volume(VolumeSpec("w", "p1", GIB - 512, "v1")), InvalidArgument, "c"),
    ):
        before = array.state.used("volume").tobytes()
        with pytest.raises(refused) as told:
            refusal()
        assert isinstance(told.value, Refused)
        assert not field or field in told.value.violations[0].field
        assert array.state.used("volume").tobytes() == before
    array.delete_export("v1", "h1")
    with pytest.raises(FailedPrecondition, match="in use by snapshots s1: remove those first"):
        array.delete_volume("v1")
    array.delete_snapshot("s1")
    array.delete_volume("v1")


def test_a_pool_that_was_dry_tells_when_a_deleted_snapshot_gives_it_space() -> None:
    array = attach(make_array(pages=2))
    serve(array, (0, 1, Op.WRITE, 0, PAGE))
    array.create_snapshot("s1", "v1")
    serve(array, (array.now_ns, 2, Op.WRITE, 0, PAGE), (array.now_ns, 3, Op.WRITE, PAGE, PAGE))
    kinds = [event.kind for event in array.events.after(0, 100)]
    assert EventKind.POOL_EXHAUSTED in kinds and EventKind.POOL_SPACE_AVAILABLE not in kinds
    array.delete_snapshot("s1")
    assert array.events.after(0, 100)[-1].kind == EventKind.POOL_SPACE_AVAILABLE


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["write", "write", "fill", "snapshot", "clone", "drop"]),
        st.integers(0, 1_000),
        st.integers(1, 40),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_sums_and_reference_counts_always_hold(steps: list[tuple[str, int, int]]) -> None:
    array = make_array(pages=1 << 20)
    array.create_pool(PoolSpec("p2", 1 << 40, page_bytes=4096))
    for n in range(2):
        array.create_volume(VolumeSpec(f"x{n}", f"p{n + 1}", 1 << 30))
    kernel_rows = len(array.state["page"])
    for turn, (what, where, count) in enumerate(steps):
        names = sorted(array.volumes)
        volume = names[where % len(names)]
        row = array.row_of("volumes", volume)
        if what == "fill":
            array.state.reserve_pages(count)
            array.state.kernel.fill(row, count)
        elif what == "write":
            notes = np.zeros(count, array.state["page"].dtype)
            notes["key"] = (row + 1 << 40) | (where * 7919 + np.arange(count) * 64)
            first = int(array.state["pool"][array.state["volume"][row]["pool"]]["next_page"])
            notes["physical"] = first + np.arange(count)
            array.state.repeat_deltas(notes)
        elif what == "snapshot":
            array.create_snapshot(f"s{turn}", volume)
        elif what == "clone":
            spec = array.volumes[volume]
            sources = [s for s in array.snapshots.values() if s.pool_id == spec.pool_id]
            source = sources[where % len(sources)].snapshot_id if sources and count % 2 else ""
            array.create_volume(
                VolumeSpec(f"w{turn}", spec.pool_id, 1 << 30, "" if source else volume, source)
            )
        elif array.snapshots and count % 2:
            array.delete_snapshot(sorted(array.snapshots)[where % len(array.snapshots)])
        elif volume[0] == "w" and not any(s.volume_id == volume for s in array.snapshots.values()):
            array.delete_volume(volume)
        check_sums(array)
    assert len(array.state["page"]) >= kernel_rows
