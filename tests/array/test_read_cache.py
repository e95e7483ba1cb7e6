"""A read cache of a size: what is in it hits, what comes in, and what goes for that."""

from __future__ import annotations

from typing import Any

import pytest

from smokestack.array.model import ArrayModel
from smokestack.array.specs import (
    GIB,
    ArrayHostSpec,
    ControllerSpec,
    ExportSpec,
    InitiatorSpec,
    MediaDistribution,
    PoolSpec,
    PortSpec,
    VolumeSpec,
)
from smokestack.engine.errors import InvalidArgument
from smokestack.engine.records import Op
from smokestack.v1 import array_pb2 as pb
from tests.api import ARRAY, Stack
from tests.array.test_array import PAGE, attach, serve

MS = 1_000_000
BLOCK = 4096


def make(blocks: int = 3, **settings: Any) -> ArrayModel:
    """An array with a cache of so many blocks, and a volume whose first 64 pages are mapped."""
    array = ArrayModel("a1")
    cache: dict[str, Any] = {
        "read_cache_bytes": blocks * BLOCK,
        "read_cache_block_bytes": BLOCK,
        "read_hit_ratio": 1.0,  # which a cache of a size knows nothing of
        "write_back": False,
    }
    array.create_controller(ControllerSpec("c0", read_ns=0, write_ns=0, **cache | settings))
    array.create_port(PortSpec("p0", "c0", "fabric-a", command_ns=0))
    array.create_pool(
        PoolSpec("p1", GIB, media_ns=MS, media_distribution=MediaDistribution.CONSTANT)
    )
    array.create_volume(VolumeSpec("v1", "p1", GIB))
    array.create_host(ArrayHostSpec("h1", (InitiatorSpec("h1-a", "fabric-a"),)))
    array.create_export(ExportSpec("v1", "h1", 0))
    attach(array)
    serve(array, (0, 1, Op.WRITE, 0, 64 * PAGE))
    return array


def hits(array: ArrayModel, *blocks: int) -> str:
    """Reads blocks one after the other; "h" is a hit, "m" a miss."""
    told = ""
    for block in blocks:
        (done,) = serve(array, (array.now_ns, array.now_ns, Op.READ, block * BLOCK, 512))
        told += "m" if int(done["array_ns"]) >= MS else "h"
    return told


def test_what_was_read_hits_until_it_has_to_go() -> None:
    array = make(3)
    assert hits(array, 0, 0, 1, 2, 0, 1, 2) == "mhmmhhh"
    assert hits(array, 3) == "m"  # all three are marked: the hand goes round, and 0 goes
    assert hits(array, 1, 2, 3) == "hhh"
    assert hits(array, 0) == "m"
    usage = array.controller_usage("c0")
    assert (usage.read_hit_count, usage.read_miss_count) == (7, 5)
    assert (usage.read_cached_bytes, usage.read_eviction_count) == (3 * BLOCK, 2)


def test_what_was_hit_stays_a_round_longer() -> None:
    array = make(3)
    assert hits(array, 0, 1, 2, 0) == "mmmh"
    assert hits(array, 3) == "m"  # 0 is marked, so 1 goes
    assert hits(array, 0, 2, 3) == "hhh"
    assert hits(array, 1) == "m"


def test_a_scan_larger_than_the_cache_never_hits() -> None:
    array = make(8)
    assert hits(array, *range(9), *range(9)) == 18 * "m"


def test_a_block_is_there_once_the_media_have_given_it() -> None:
    array = make(3)
    now = array.now_ns
    done = serve(array, (now, 7, Op.READ, 0, 512), (now, 8, Op.READ, 0, 512))
    assert all(int(each["array_ns"]) >= MS for each in done)
    assert hits(array, 0) == "h"


def test_a_write_to_a_cache_that_writes_back_brings_its_block_in() -> None:
    array = make(3, write_back=True)
    array.state.forget_reads(0)
    serve(array, (array.now_ns, 5, Op.WRITE, 9 * BLOCK, 512))
    assert hits(array, 9, 8) == "hm"


def test_zeros_are_in_no_cache() -> None:
    array = make(3)
    far = 1_000 * PAGE // BLOCK
    assert hits(array, far, far) == "hh"  # quick, for they need no media
    assert array.controller_usage("c0").read_cached_bytes == 0


def test_a_controller_that_goes_down_loses_its_cache() -> None:
    array = make(3, reboot_ns=MS)
    assert hits(array, 0, 0) == "mh"
    array.reboot_controller("c0")
    serve(array, (array.now_ns, 99, Op.READ, 0, 512))  # lost with it
    assert array.controller_usage("c0").read_cached_bytes == 0
    assert hits(array, 0, 0) == "mh"


def test_what_another_write_has_moved_is_not_found() -> None:
    array = make(3)
    assert hits(array, 0, 0) == "mh"
    array.create_snapshot("s1", "v1")
    serve(array, (array.now_ns, 5, Op.WRITE, 0, 512))  # which takes a new page
    assert hits(array, 0, 0) == "mh"


def test_a_restored_array_has_its_cache_again() -> None:
    array = make(2)
    assert hits(array, 0, 1) == "mm"
    saved = array.keeper.parts["model"].save()
    assert hits(array, 5, 6) == "mm"
    array.keeper.parts["model"].load(saved)()
    assert hits(array, 0, 1) == "hh"


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"read_cache_bytes": -1}, "read_cache_bytes"),
        ({"read_cache_bytes": BLOCK + 1, "read_cache_block_bytes": BLOCK}, "read_cache_bytes"),
        ({"read_cache_bytes": 1 << 40}, "read_cache_bytes"),
        ({"read_cache_block_bytes": 512}, "read_cache_block_bytes"),
        ({"read_cache_block_bytes": 4097}, "read_cache_block_bytes"),
    ],
)
def test_caches_that_cannot_be_are_refused_whole(fields: dict[str, int], place: str) -> None:
    stack = Stack()
    controller = pb.Controller()
    controller.MergeFrom(pb.Controller(**fields))
    request = pb.CreateControllerRequest(parent=ARRAY, controller_id="c9", controller=controller)
    with pytest.raises(InvalidArgument, match=rf"controller\.{place}"):
        stack.array.CreateController(request)
    assert "c9" not in stack.array_model.controllers


def test_the_api_tells_of_the_cache() -> None:
    stack = Stack()
    controller = pb.Controller(read_cache_bytes=1 << 20)
    made = stack.array.CreateController(
        pb.CreateControllerRequest(parent=ARRAY, controller_id="c9", controller=controller)
    )
    assert (made.read_cache_bytes, made.read_cache_block_bytes) == (1 << 20, 16 << 10)
    assert (made.read_hit_count, made.read_cached_bytes) == (0, 0)
