"""What a pool's disks take: by kind, for reads and writes, and for accesses that follow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smokestack.array.model import ArrayModel
from smokestack.array.requests import pool_spec
from smokestack.array.specs import Access as Kind
from smokestack.array.specs import (
    AccessSpec,
    ArrayHostSpec,
    ControllerSpec,
    ExportSpec,
    FamilySpec,
    InitiatorSpec,
    MediaKind,
    PortSpec,
    VolumeSpec,
)
from smokestack.engine.errors import InvalidArgument
from smokestack.engine.hints import GIVEN, NOT_OWNER
from smokestack.engine.records import Op
from smokestack.v1 import array_pb2 as pb
from tests.array.test_array import PAGE, attach, serve

MS = 1_000_000


def make_array(**pool: Any) -> ArrayModel:
    """Two disks that take the times given, and nothing else that takes any."""
    array = ArrayModel("a1")
    array.create_controller(
        ControllerSpec("c0", read_ns=0, write_ns=0, read_hit_ratio=0.0, write_back=False)
    )
    array.create_controller(ControllerSpec("c1"))
    array.create_port(PortSpec("p0", "c0", "fa", command_ns=0, bandwidth_bytes_per_second=1 << 40))
    array.create_port(PortSpec("p1", "c1", "fb"))
    message = pb.Pool(
        capacity_bytes=64 * PAGE,
        disk_count=2,
        media_distribution=pb.MEDIA_DISTRIBUTION_CONSTANT,
        **pool,
    )
    array.create_pool(pool_spec("q", message, FamilySpec()))
    array.create_volume(VolumeSpec("v1", "q", 64 * PAGE))
    array.create_host(ArrayHostSpec("h1", (InitiatorSpec("i", "fa"), InitiatorSpec("j", "fb"))))
    array.create_export(ExportSpec("v1", "h1", 0))
    return array


def times(array: ArrayModel, op: Op, *pages: int) -> list[int]:
    """What accesses to pages take, one after the other, in microseconds."""
    took = []
    for page in pages:
        (done,) = serve(array, (array.now_ns, page + 1, op, page * PAGE, 4096))
        took.append(int(done["array_ns"]) // 1_000)
    return took


@pytest.mark.parametrize(
    ("kind", "read", "write", "sequential"),
    [
        (pb.MEDIA_KIND_FLASH, 150, 60, 50),
        (pb.MEDIA_KIND_DISK_10K, 7_000, 7_500, 250),
        (pb.MEDIA_KIND_DISK_7K2, 12_500, 13_500, 350),
    ],
)
def test_media_take_what_their_kind_takes(
    kind: int, read: int, write: int, sequential: int
) -> None:
    array = attach(make_array(media_kind=kind))
    # Two disks: pages 0 and 1 are the first on each, 2 and 3 follow them.
    assert times(array, Op.WRITE, *range(8)) == [write, write, *[sequential] * 6]
    assert times(array, Op.READ, 0, 2, 2, 6, 4, 7) == [
        read,  # back from page 6
        sequential,
        sequential,  # the same page
        read,
        read,
        sequential,  # where the other disk is still
    ]


def test_what_a_pool_says_goes_before_its_kind() -> None:
    message = pb.Pool(capacity_bytes=PAGE, media_kind=pb.MEDIA_KIND_FLASH, media_write_ns=0)
    spec = pool_spec("q", message, FamilySpec())
    assert (spec.media_kind, spec.media_ns) == (MediaKind.FLASH, 150_000)
    assert (spec.media_write_ns, spec.media_sequential_ns) == (0, 50_000)


def test_custom_media_take_one_time_for_all_unless_told_otherwise() -> None:
    assert times(attach(make_array(media_ns=2 * MS)), Op.WRITE, 0, 1, 2) == [2_000] * 3
    array = attach(make_array(media_ns=2 * MS, media_sequential_ns=MS))
    assert times(array, Op.WRITE, 0, 1, 2) == [2_000, 2_000, 1_000]


def test_where_disks_are_is_part_of_a_snapshot_and_forgotten_at_a_power_on() -> None:
    array = attach(make_array(media_kind=pb.MEDIA_KIND_DISK_10K))
    times(array, Op.WRITE, 0)
    kept = array.keeper.parts["model"].save()
    assert times(array, Op.WRITE, 1, 3) == [7_500, 250]
    array.keeper.parts["model"].load(kept)()
    assert np.count_nonzero(array.state["head"]) == 1
    assert times(array, Op.WRITE, 0) == [250]
    array._power_on()
    assert not array.state["head"].any()


@pytest.mark.parametrize("field", ["media_write_ns", "media_sequential_ns"])
def test_times_out_of_range_are_refused(field: str) -> None:
    with pytest.raises(InvalidArgument, match=f"pool.{field}"):
        make_array(**{field: -1})


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="media_kind"):
        make_array(media_kind=9)


@pytest.mark.parametrize("owner", ["c0", "c1"])
def test_hints_say_whether_the_ports_controller_owns_the_volume(owner: str) -> None:
    array = make_array()
    array.ownership.configure(AccessSpec(Kind.ALUA, transition_ns=1))
    array.ownership.assign("v1", owner)
    array.update_product(hints_enabled=True)
    attach(array)
    serve(array, (MS, 1, Op.READ, 0, 4096))  # hears of the move
    (done,) = serve(array, (array.now_ns, 2, Op.READ, 0, 4096))
    assert done["cause"] == GIVEN | (NOT_OWNER if owner == "c1" else 0)
