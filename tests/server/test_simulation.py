"""The clock over the wire: who may move it, how far, and how a running advance is ended."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from smokestack.engine.errors import FailedPrecondition, InvalidArgument
from smokestack.server.simulation import SimulationService
from smokestack.v1 import hypervisor_pb2
from smokestack.v1 import simulation_pb2 as pb
from tests.api import Stack


@pytest.fixture
def stack() -> Stack:
    return Stack()


class Context:
    """A call that its client can cancel."""

    def __init__(self, active: bool = True) -> None:
        self._active = active
        self.cancel: Callable[[], None] = lambda: None

    def add_callback(self, callback: Callable[[], None]) -> bool:
        self.cancel = callback
        return self._active


def array_clock(stack: Stack) -> SimulationService:
    return SimulationService(stack.array_model, stack.border)


def test_time_stands_still_until_it_is_moved(stack: Stack) -> None:
    simulation = stack.simulation.GetSimulation(pb.GetSimulationRequest())
    assert (simulation.name, simulation.seed, simulation.now_ns) == ("hypervisors/hv1", 1, 0)
    assert simulation.clock.mode == pb.CLOCK_MODE_MANUAL
    assert simulation.lookahead_ns == 100_000
    assert stack.simulation.Advance(pb.AdvanceRequest(duration_ns=7)).now_ns == 7
    assert stack.simulation.Advance(pb.AdvanceRequest(until_ns=9)).now_ns == 9


def test_an_advance_counts_what_completed_in_it(stack: Stack) -> None:
    stack.create_job("j0", io_limit=30)
    answer = stack.simulation.Advance(pb.AdvanceRequest(until_idle=True))
    assert (answer.io_count, answer.error_count) == (30, 0)
    assert answer.now_ns > 30 * 100_000
    assert stack.simulation.Advance(pb.AdvanceRequest(until_idle=True)).io_count == 0


def test_a_limit_ends_what_would_never_be_idle(stack: Stack) -> None:
    stack.create_job("j0")
    answer = stack.simulation.Advance(pb.AdvanceRequest(until_idle=True, limit_ns=3_000_000))
    assert answer.now_ns == 3_000_000


def test_slicing_changes_no_result() -> None:
    digests = set()
    for step_ns in (50_000_000, 777_777, 10_000):
        stack = Stack()
        stack.create_job("j0", iodepth=4, read_ratio=0.5)
        while stack.hypervisor_model.now_ns < 50_000_000:
            until_ns = min(stack.hypervisor_model.now_ns + step_ns, 50_000_000)
            stack.simulation.Advance(pb.AdvanceRequest(until_ns=until_ns))
        statistics = stack.hypervisor.GetStatistics(hypervisor_pb2.GetStatisticsRequest())
        digests.add((statistics.digest, statistics.io_count))
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.AdvanceRequest(), "goal"),
        (pb.AdvanceRequest(until_idle=False), "goal"),
        (pb.AdvanceRequest(duration_ns=-1), "duration_ns"),
        (pb.AdvanceRequest(duration_ns=(1 << 63) - 1), "duration_ns"),
        (pb.AdvanceRequest(until_ns=9), "until_ns"),
        (pb.AdvanceRequest(until_idle=True, limit_ns=9), "limit_ns"),
    ],
)
def test_a_goal_out_of_reach_is_refused(
    stack: Stack, request_: pb.AdvanceRequest, field: str
) -> None:
    stack.simulation.Advance(pb.AdvanceRequest(until_ns=10))
    with pytest.raises(InvalidArgument) as caught:
        stack.simulation.Advance(request_)
    assert [v.field for v in caught.value.violations] == [field]
    assert stack.hypervisor_model.now_ns == 10


def test_an_array_alone_drives_itself_and_one_with_a_driver_names_it(stack: Stack) -> None:
    clock = array_clock(stack)
    assert clock.Advance(pb.AdvanceRequest(duration_ns=5)).now_ns == 5
    assert clock.Advance(pb.AdvanceRequest(until_idle=True)).now_ns == 5

    stack = Stack()
    clock = array_clock(stack)
    stack.simulation.Advance(pb.AdvanceRequest(until_ns=10))
    assert clock.GetSimulation(pb.GetSimulationRequest()).driver == "multipaths/m1"
    for request in (pb.AdvanceRequest(duration_ns=5), pb.AdvanceRequest(until_idle=True)):
        with pytest.raises(FailedPrecondition, match="driven by multipaths/m1") as caught:
            clock.Advance(request)
        assert caught.value.reason == "DRIVEN"


def test_multipath_refers_to_the_hypervisor(stack: Stack) -> None:
    clock = SimulationService(stack.multipath_model, stack.border)
    with pytest.raises(FailedPrecondition, match="hypervisor"):
        clock.Advance(pb.AdvanceRequest(duration_ns=5))


def test_a_second_advance_is_refused_and_a_cancelled_one_ends(stack: Stack) -> None:
    stack.create_job("j0")
    context = Context()
    answers: list[pb.AdvanceResponse] = []

    def run() -> None:
        answers.append(stack.simulation.Advance(pb.AdvanceRequest(duration_ns=10**15), context))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        while not stack.hypervisor_model.now_ns:
            pass
        with pytest.raises(FailedPrecondition) as caught:
            stack.simulation.Advance(pb.AdvanceRequest(duration_ns=1))
        assert caught.value.reason == "ADVANCING"
        assert stack.simulation.GetSimulation(pb.GetSimulationRequest()).now_ns > 0
    finally:
        context.cancel()
        thread.join()
    assert 0 < answers[0].now_ns < 10**15


def test_a_call_that_is_cancelled_already_moves_nothing(stack: Stack) -> None:
    answer = stack.simulation.Advance(pb.AdvanceRequest(duration_ns=5), Context(active=False))
    assert answer.now_ns == 0
