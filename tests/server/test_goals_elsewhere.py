"""Time runs until something happens in another process, and stops at the border after it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from smokestack.engine.errors import InvalidArgument, NotFound, Unavailable
from smokestack.server.errors import refused_from
from smokestack.server.processes import Processes
from smokestack.v1 import array_pb2, simulation_pb2
from tests.server.scenarios import small_scenario

MS = 1_000_000
POOL = "arrays/a1/pools/p1"


@pytest.fixture
def processes() -> Iterator[Processes]:
    """Jobs on one array that never end."""
    with Processes(small_scenario(1, io_limit=0)) as processes:
        yield processes


def advance(processes: Processes, **goal: Any) -> simulation_pb2.AdvanceResponse:
    request = simulation_pb2.AdvanceRequest(limit_ns=2_000 * MS, **goal)
    return processes.api.simulation.Advance(request)


def pool(processes: Processes) -> array_pb2.Pool:
    return processes.api.arrays["a1"].GetPool(array_pb2.GetPoolRequest(name=POOL))


def test_a_pool_of_another_process_is_run_until_it_is_so_full(processes: Processes) -> None:
    ratio = (pool(processes).allocated_bytes + (8 << 20)) / pool(processes).capacity_bytes
    end = advance(processes, until_pool_fill=simulation_pb2.PoolFill(pool=POOL, ratio=ratio))
    assert 0 < end.now_ns < 2_000 * MS
    filled = pool(processes)
    page = filled.page_bytes
    assert filled.allocated_bytes + page > ratio * filled.capacity_bytes
    assert filled.allocated_bytes < ratio * filled.capacity_bytes + (16 << 20)


def test_an_event_of_another_process_ends_the_advance(processes: Processes) -> None:
    ports = processes.api.arrays["a1"]
    port = ports.ListPorts(array_pb2.ListPortsRequest(parent="arrays/a1")).ports[0]
    rule = {"kind": "PORT_DOWN", "target": port.name, "start_ns": 20 * MS}
    processes.api.simulations["arrays/a1"].InjectFault(_inject(rule))
    goal = simulation_pb2.EventMatch(kind="PATH_DOWN")
    end = advance(processes, until_event=goal).now_ns
    assert 20 * MS <= end < 21 * MS


def _inject(rule: dict[str, Any]) -> Any:
    from smokestack.v1 import faults_pb2

    return faults_pb2.InjectFaultRequest(fault=faults_pb2.FaultRule(**rule))


def test_what_cannot_be_reached_is_refused_before_time_passes(processes: Processes) -> None:
    def refused(**goal: Any) -> Exception:
        with pytest.raises(grpc.RpcError) as caught:
            advance(processes, **goal)
        return refused_from(caught.value)

    fill = simulation_pb2.PoolFill
    assert isinstance(refused(until_pool_fill=fill(pool=POOL, ratio=2.0)), InvalidArgument)
    none = "arrays/a1/pools/none"
    assert isinstance(refused(until_pool_fill=fill(pool=none, ratio=0.5)), NotFound)
    other = "arrays/a9/pools/p1"
    assert isinstance(refused(until_pool_fill=fill(pool=other, ratio=0.5)), Unavailable)
