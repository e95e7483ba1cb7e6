"""A host's own limits of commands, and how many initiators ports and arrays know."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from smokestack.array.model import ArrayModel
from smokestack.array.specs import (
    GIB,
    ArrayHostSpec,
    ControllerSpec,
    ExportSpec,
    InitiatorSpec,
    PoolSpec,
    PortSpec,
    VolumeSpec,
)
from smokestack.engine.errors import InvalidArgument, NotFound, ResourceExhausted
from smokestack.engine.records import Op, Status
from smokestack.v1 import array_pb2 as pb
from smokestack.v1.types_pb2 import Initiator
from tests.api import ARRAY, Stack
from tests.array.test_array import attach, batch

GOOD, FULL, BUSY = Status.GOOD, Status.TASK_SET_FULL, Status.BUSY


def make_array(**limits: int) -> ArrayModel:
    """Two hosts that see two volumes through two ports: nexuses by host, volume, port."""
    array = ArrayModel("a1")
    array.create_controller(ControllerSpec("c0"))
    for port in ("p0", "p1"):
        array.create_port(PortSpec(port, "c0", "fa"))
    array.create_pool(PoolSpec("p1", GIB))
    for volume in ("v1", "v2"):
        array.create_volume(VolumeSpec(volume, "p1", GIB))
    for host in ("h1", "h2"):
        array.create_host(ArrayHostSpec(host, (InitiatorSpec(f"{host}-a", "fa"),)))
        for lun, volume in enumerate(("v1", "v2")):
            array.create_export(ExportSpec(volume, host, lun))
    array.update_host("h1", **limits)
    return attach(array)


def nexus(host: str, volume: str, port: str) -> int:
    return 4 * (host == "h2") + 2 * (volume == "v2") + (port == "p1")


def at_once(array: ArrayModel, *nexuses: int) -> list[Status]:
    """What reads get that are sent together, in order."""
    now = array.now_ns + 1
    ios = batch(*((now, n, Op.READ, 0, 4096) for n in range(len(nexuses))))
    ios.records["nexus"] = nexuses
    reply = array.exchange(array.now_ns + 10**9, ios)
    got = {int(r["id"]): Status(int(r["status"])) for r in reply.records[: reply.count]}
    return [got[n] for n in range(len(nexuses))]


def test_a_host_has_no_more_in_the_array_than_it_may() -> None:
    array = make_array(queue_limit=2)
    one, other = nexus("h1", "v1", "p0"), nexus("h1", "v2", "p1")
    third, neighbour = nexus("h1", "v2", "p0"), nexus("h2", "v1", "p0")
    assert at_once(array, one, other, one, third, neighbour, neighbour) == [
        *(GOOD, GOOD),
        *(FULL, BUSY),  # by what the nexus has there
        *(GOOD, GOOD),
    ]
    assert array.quotas.refused("h1") == 2
    assert array.quotas.refused("h2") == 0
    assert not array.state["quota"]["outstanding"].any()


def test_a_host_has_no_more_at_a_port_than_it_may() -> None:
    array = make_array(port_queue_limit=1)
    here, there = nexus("h1", "v1", "p0"), nexus("h1", "v2", "p1")
    assert at_once(array, here, here, nexus("h1", "v2", "p0"), there, there) == [
        *(GOOD, FULL, BUSY),
        *(GOOD, FULL),
    ]
    assert array.quotas.refused("h1") == 3


def test_a_limit_counts_what_is_there_when_it_is_set() -> None:
    array = make_array()
    assert not array.state.row["host_limits"]
    now = array.now_ns + 1
    array.exchange(now + 1, batch((now, 1, Op.READ, 0, 4096), (now, 2, Op.READ, 0, 4096)))
    assert array.state["itl"]["outstanding"][0] == 2
    array.update_host("h1", queue_limit=3)
    assert array.state["quota"]["outstanding"].sum() == 4  # in the array, and at the port
    ios = batch((now + 2, 3, Op.READ, 0, 4096), (now + 2, 4, Op.READ, 0, 4096))
    reply = array.exchange(now + 10**9, ios)
    got = {int(r["id"]): Status(int(r["status"])) for r in reply.records[: reply.count]}
    assert got == {1: GOOD, 2: GOOD, 3: GOOD, 4: FULL}
    array.update_host("h1", queue_limit=0)
    assert at_once(array, 0, 0, 0, 0, 0) == [GOOD] * 5


def test_a_port_created_later_has_the_hosts_limit() -> None:
    array = make_array(port_queue_limit=1)
    array.create_port(PortSpec("p2", "c0", "fa"))
    late = len(array.itls) - 1
    assert array.itls[late][1:] == ("h2", "h2-a", "p2")
    mine = next(i for i, itl in enumerate(array.itls) if itl[1:] == ("h1", "h1-a", "p2"))
    assert at_once(array, mine, mine) == [GOOD, FULL]


@pytest.mark.parametrize("field", ["queue_limit", "port_queue_limit"])
def test_limits_out_of_range_are_refused_whole(field: str) -> None:
    array = make_array()
    for limit in (-1, (1 << 20) + 1):
        with pytest.raises(InvalidArgument, match=rf"host\.{field}"):
            array.update_host("h1", **{field: limit})
        spec: Any = replace(array.hosts["h1"], host_id="h9", **{field: limit})
        spec = replace(spec, initiators=(InitiatorSpec("h9-a", "fa"),))
        with pytest.raises(InvalidArgument, match=rf"host\.{field}"):
            array.create_host(spec)
    assert "h9" not in array.hosts


def test_the_api_sets_limits_and_tells_of_refusals() -> None:
    stack = Stack()
    name = f"{ARRAY}/hosts/h1"
    host = pb.ArrayHost(name=name, queue_limit=16, port_queue_limit=4)
    made = stack.array.UpdateArrayHost(pb.UpdateArrayHostRequest(array_host=host))
    assert (made.queue_limit, made.port_queue_limit, made.refused_count) == (16, 4, 0)
    assert stack.array.GetArrayHost(pb.GetArrayHostRequest(name=name)) == made
    back = pb.UpdateArrayHostRequest(array_host={"name": name}, update_mask={"paths": ["*"]})
    assert stack.array.UpdateArrayHost(back).queue_limit == 0
    wrong = pb.UpdateArrayHostRequest(array_host={"name": name, "queue_limit": -1})
    with pytest.raises(InvalidArgument, match=r"array_host\.queue_limit"):
        stack.array.UpdateArrayHost(wrong)
    wrong.array_host.name = f"{ARRAY}/hosts/h7"
    with pytest.raises(NotFound):
        stack.array.UpdateArrayHost(wrong)
    named = pb.UpdateArrayHostRequest(array_host=host, update_mask={"paths": ["initiators"]})
    with pytest.raises(InvalidArgument, match="update_mask"):
        stack.array.UpdateArrayHost(named)


def add_host(stack: Stack, host_id: str, count: int) -> pb.ArrayHost:
    initiators = [Initiator(name=f"{host_id}-{n}", fabric="a") for n in range(count)]
    request = pb.CreateArrayHostRequest(parent=ARRAY, array_host_id=host_id)
    request.array_host.initiators.extend(initiators)
    return stack.array.CreateArrayHost(request)


def test_a_3par_knows_so_many_initiators_at_a_port() -> None:
    stack = Stack()
    family = pb.Array(name=ARRAY, profile=pb.POOL_PROFILE_INSERV_3PAR)
    assert stack.array.UpdateArray(pb.UpdateArrayRequest(array=family)).initiator_limit == 1024
    port = pb.Port(controller=f"{ARRAY}/controllers/c0", fabric="a")
    request = pb.CreatePortRequest(parent=ARRAY, port_id="p2", port=port)
    assert stack.array.CreatePort(request).initiator_limit == 64
    add_host(stack, "h2", 63)
    with pytest.raises(ResourceExhausted, match="ports/p2 would have 65 initiators"):
        add_host(stack, "h3", 1)
    port.initiator_limit = 63
    request = pb.CreatePortRequest(parent=ARRAY, port_id="p3", port=port)
    with pytest.raises(ResourceExhausted, match="ports/p3 would have 64 initiators"):
        stack.array.CreatePort(request)
    assert "p3" not in stack.array_model.ports


def test_an_array_knows_so_many_initiators_and_no_more() -> None:
    stack = Stack()
    limited = pb.Array(name=ARRAY, initiator_limit=5)
    stack.array.UpdateArray(pb.UpdateArrayRequest(array=limited))
    with pytest.raises(ResourceExhausted, match=f"{ARRAY} would have 6 initiators"):
        add_host(stack, "h2", 4)
    add_host(stack, "h2", 3)
    back = pb.UpdateArrayRequest(array={"name": ARRAY}, update_mask={"paths": ["initiator_limit"]})
    assert stack.array.UpdateArray(back).initiator_limit == 0
    add_host(stack, "h3", 9)
