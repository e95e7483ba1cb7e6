"""A path's parameters on both sides: multipath's, and those of the array at its end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from smokestack.client import connect
from smokestack.engine.errors import InvalidArgument, NotFound, Unavailable
from smokestack.server.estate import EstateService, Peer, local_peers, remote
from smokestack.server.stack import Stack
from smokestack.v1 import array_pb2, simulation_pb2
from smokestack.v1 import multipath_pb2 as pb
from tests.server.scenarios import small_scenario

PATH = "multipaths/m1/hosts/h1/devices/a1.v1/paths/h1-b.p1"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(small_scenario(io_limit=0)) as stack:
        stack.api.simulation.Advance(simulation_pb2.AdvanceRequest(duration_ns=10_000_000))
        yield stack


def asked(stack: Stack, *parameters: str, name: str = PATH) -> pb.PathStatistics:
    estate = EstateService(local_peers(stack.rooms))
    request = pb.GetPathStatisticsRequest(name=name, parameters=parameters)
    return estate.GetPathStatistics(request)


def test_all_of_both_sides(stack: Stack) -> None:
    found = asked(stack)
    hosts = stack.api.multipath.GetPathStatistics(pb.GetPathStatisticsRequest(name=PATH))
    count = len(hosts.parameters)
    assert found.parameters[:count] == hosts.parameters
    arrays = {p.name.removeprefix("smokestack_"): p for p in found.parameters[count:]}
    assert {p.level for p in arrays.values()} == {"port", "controller", "pool", "lun"}
    port = stack.arrays["a1"].api.GetPort(array_pb2.GetPortRequest(name="arrays/a1/ports/p1"))
    commands = arrays["target_port_commands_total"]
    assert commands.count == port.command_count > 0
    assert commands.labels == {"array": "a1", "fabric": "b", "port": "p1"}
    assert arrays["port_oper_state"].state == "up"
    assert arrays["array_controller_busy_seconds_total"].number > 0
    assert arrays["thin_volume_written_bytes"].labels["lun"] == "a1.v1"
    pool = arrays["thin_pool_allocated_bytes"].count
    assert arrays["thin_volume_written_bytes"].count <= pool <= 8 << 20


def test_some_of_either_side(stack: Stack) -> None:
    both = ("smokestack_target_port_queue_limit", "smokestack_path_ios_total")
    assert {p.name for p in asked(stack, *both).parameters} == set(both)
    [limit] = asked(stack, both[0]).parameters
    assert limit.count == 6
    with stack_client(stack) as client:
        assert client.path_statistics(PATH, both[:1]).parameters == [limit]


def stack_client(stack: Stack) -> object:
    return connect([stack.serve(metrics_ports=None)[0].address])


def test_what_is_not_there_is_refused(stack: Stack) -> None:
    with pytest.raises(InvalidArgument, match="smokestack_nothing"):
        asked(stack, "smokestack_target_port_queue_limit", "smokestack_nothing")
    for name in (PATH.replace("p1", "p9"), PATH.replace("m1", "m9")):
        with pytest.raises(NotFound):
            asked(stack, name=name)


def test_without_the_array_its_side_is_not_told(stack: Stack) -> None:
    peers: list[Peer] = [p for p in local_peers(stack.rooms) if p.kind != "arrays"]
    peers.append(remote("arrays", "127.0.0.1:1", "arrays/a1"))
    with pytest.raises(Unavailable, match="a1"):
        EstateService(peers).GetPathStatistics(pb.GetPathStatisticsRequest(name=PATH))
