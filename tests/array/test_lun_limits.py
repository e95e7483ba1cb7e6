"""A volume's own limit of commands: who is turned away, and with what."""

from __future__ import annotations

import pytest

from smokestack.array.specs import ArrayHostSpec, ExportSpec, InitiatorSpec, VolumeSpec
from smokestack.engine.errors import InvalidArgument
from smokestack.engine.records import Op, Status
from tests.array.test_array import attach, batch, make_array, serve


def statuses(*limits: int) -> list[dict[int, int]]:
    """What four reads at once get, under one limit after the other."""
    array = attach(make_array())
    found = []
    for limit in limits:
        array.set_volume_queue_limit("v1", limit)
        now = array.now_ns + 1
        reads = [(now, n, Op.READ, 0, 4096) for n in range(4)]
        found.append({int(r["id"]): int(r["status"]) for r in serve(array, *reads)})
    assert not array.state["volume"]["outstanding"].any()
    return found


def test_a_volume_takes_no_more_than_its_limit() -> None:
    full, good = Status.TASK_SET_FULL, Status.GOOD
    three = {0: good, 1: good, 2: good, 3: full}
    one = {0: good, 1: full, 2: full, 3: full}
    assert statuses(3, 0, 1) == [three, dict.fromkeys(range(4), good), one]


def test_whoever_has_nothing_there_hears_busy() -> None:
    array = make_array()
    array.create_host(ArrayHostSpec("h2", (InitiatorSpec("h2-a", "fabric-a"),)))
    array.create_export(ExportSpec("v1", "h2", 0))
    array.set_volume_queue_limit("v1", 1)
    attach(array)
    ios = batch((0, 1, Op.READ, 0, 4096), (0, 2, Op.READ, 0, 4096))
    ios.records["nexus"][1] = 1
    reply = array.exchange(10**9, ios)
    got = {int(r["id"]): int(r["status"]) for r in reply.records[: reply.count]}
    assert got == {1: Status.GOOD, 2: Status.BUSY}


@pytest.mark.parametrize("limit", [-1, (1 << 20) + 1])
def test_limits_out_of_range_are_refused_whole(limit: int) -> None:
    array = make_array()
    with pytest.raises(InvalidArgument, match="queue_limit"):
        array.set_volume_queue_limit("v1", limit)
    with pytest.raises(InvalidArgument, match="queue_limit"):
        array.create_volume(VolumeSpec("v2", "p1", 1 << 20, queue_limit=limit))
    assert "v2" not in array.volumes
