"""How virtual time moves: by hand, in step with the wall clock, flat out, or by who waits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from smokestack.engine.clock import Stopwatch, sleep_ns
from smokestack.engine.errors import Aborted, FailedPrecondition, InvalidArgument, NotFound
from smokestack.engine.events import EventLog
from smokestack.engine.pace import ARREARS_NS, Pace
from smokestack.server.goals import Goals
from smokestack.server.simulation import SimulationService
from smokestack.v1 import array_pb2, hypervisor_pb2
from smokestack.v1 import simulation_pb2 as pb
from tests.api import DISK, GIB, Stack

MS = 1_000_000
POOL = "arrays/a1/pools/pool1"
WRITE = hypervisor_pb2.SubmitIoRequest(
    disk=DISK, operation=hypervisor_pb2.IO_OPERATION_WRITE, length_bytes=4096
)


@pytest.fixture
def stack() -> Iterator[Stack]:
    stack = Stack()
    stack.simulation.goals = Goals(logs(stack), {"a1": stack.array_model})
    yield stack
    stack.simulation.clock.close()


def logs(stack: Stack) -> list[EventLog]:
    return [stack.hypervisor_model.events, stack.array_model.events]


def update(stack: Stack, *mask: str, **fields: object) -> pb.Clock:
    request = pb.UpdateClockRequest(clock=pb.Clock(**fields))
    request.update_mask.paths.extend(mask)
    return stack.simulation.UpdateClock(request)


def now_ns(stack: Stack) -> int:
    return stack.simulation.GetSimulation(pb.GetSimulationRequest()).now_ns


def eventually(holds: Callable[[], bool], seconds: float = 120) -> None:
    with Stopwatch() as watch:
        while not holds():
            assert watch.elapsed_seconds < seconds
            sleep_ns(MS)


# --- settings -----------------------------------------------------------------------------------


def test_what_is_set_is_shown_and_the_rest_stays(stack: Stack) -> None:
    assert update(stack, autojump=True).mode == pb.CLOCK_MODE_MANUAL
    assert update(stack, factor=4.0) == pb.Clock(mode="CLOCK_MODE_MANUAL", factor=4, autojump=True)
    shown = stack.simulation.GetSimulation(pb.GetSimulationRequest()).clock
    assert (shown.factor, shown.autojump) == (4, True)
    assert update(stack, "*") == pb.Clock(mode="CLOCK_MODE_MANUAL", factor=1, autojump=False)


@pytest.mark.parametrize("factor", [0, -1, float("nan"), float("inf"), 1e7])
def test_a_pace_that_no_clock_can_keep_is_refused(stack: Stack, factor: float) -> None:
    with pytest.raises(InvalidArgument) as caught:
        update(stack, mode=pb.CLOCK_MODE_PACED, factor=factor)
    assert [v.field for v in caught.value.violations] == ["clock.factor"]
    assert stack.simulation.clock.settings.mode == pb.CLOCK_MODE_MANUAL


def test_an_unknown_mode_and_an_empty_update_are_refused(stack: Stack) -> None:
    with pytest.raises(InvalidArgument, match="none of MANUAL"):
        update(stack, mode=9)
    with pytest.raises(InvalidArgument, match="names nothing"):
        update(stack)


def test_who_has_no_io_of_its_own_has_no_clock_to_set(stack: Stack) -> None:
    for model in (stack.array_model, stack.multipath_model):
        service = SimulationService(model, stack.border)
        with pytest.raises(FailedPrecondition, match="hypervisor") as caught:
            service.UpdateClock(pb.UpdateClockRequest(clock=pb.Clock(autojump=True)))
        assert caught.value.reason == "DRIVEN"


# --- clocks that run by themselves ----------------------------------------------------------------


def test_a_pace_is_kept_and_arrears_are_bounded() -> None:
    pace = Pace(10, now_ns=500, wall_ns=1_000)
    assert pace.due_ns(500, 1_000) == 500
    assert pace.due_ns(500, 1_100) == 1_500
    late_ns = 1_000 + 3600 * ARREARS_NS  # the machine slept for an hour
    assert pace.due_ns(1_500, late_ns) == 1_500 + 10 * ARREARS_NS
    assert pace.due_ns(1_500 + 10 * ARREARS_NS, late_ns + 7) == 1_500 + 10 * ARREARS_NS + 70


def test_a_paced_clock_keeps_step_with_the_wall(stack: Stack) -> None:
    stack.create_job("j0", rate_iops=100)
    with Stopwatch() as watch:
        update(stack, mode=pb.CLOCK_MODE_PACED, factor=10.0)
        eventually(lambda: now_ns(stack) > 1000 * MS)
        assert 1000 * MS < now_ns(stack) <= 10 * watch.elapsed_ns, "never ahead of the wall"
    statistics = stack.hypervisor.GetStatistics(hypervisor_pb2.GetStatisticsRequest())
    assert statistics.io_count >= 100


def test_time_that_moves_by_itself_is_not_advanced_by_hand(stack: Stack) -> None:
    update(stack, mode=pb.CLOCK_MODE_PACED)
    with pytest.raises(FailedPrecondition, match=r"paced at 1 × real time.*UpdateClock") as caught:
        stack.simulation.Advance(pb.AdvanceRequest(duration_ns=1))
    assert caught.value.reason == "CLOCK_RUNS"
    update(stack, mode=pb.CLOCK_MODE_MANUAL)
    stands_at = now_ns(stack)
    assert stack.simulation.Advance(pb.AdvanceRequest(duration_ns=1)).now_ns == stands_at + 1


def test_changes_get_in_while_time_runs(stack: Stack) -> None:
    stack.create_job("j0", iodepth=32)
    update(stack, mode=pb.CLOCK_MODE_FLAT_OUT)
    stack.create_volume("v2")
    eventually(lambda: now_ns(stack) > MS)
    assert stack.hypervisor.SubmitIo(WRITE).succeeded


def test_flat_out_time_rests_while_nothing_is_left_to_do(stack: Stack) -> None:
    update(stack, mode=pb.CLOCK_MODE_FLAT_OUT)
    stack.create_job("j0", io_limit=10)
    eventually(lambda: stack.hypervisor_model.idle)
    first = now_ns(stack)
    stack.create_job("j1", io_limit=10)
    eventually(lambda: stack.hypervisor_model.state.row["ios"] == 20)
    assert first < now_ns(stack) < 10**10


def test_a_clock_stops_cleanly_under_load(stack: Stack) -> None:
    stack.create_job("j0", iodepth=64)
    for mode in (pb.CLOCK_MODE_FLAT_OUT, pb.CLOCK_MODE_PACED, pb.CLOCK_MODE_MANUAL):
        update(stack, mode=mode)
    stands_at = now_ns(stack)
    sleep_ns(50 * MS)
    assert now_ns(stack) == stands_at
    assert not [t for t in threading.enumerate() if t.name == "clock"]


def test_an_error_below_stops_time_and_is_told_to_who_waits() -> None:
    stack = Stack()
    clock = stack.simulation.clock

    def gone(*_: object) -> int:
        raise FailedPrecondition("the device is gone")

    stack.hypervisor_model.advance = gone  # type: ignore[method-assign]
    update(stack, mode=pb.CLOCK_MODE_PACED)
    with pytest.raises(FailedPrecondition, match="device is gone"):
        stack.hypervisor.SubmitIo(WRITE)
    clock.close()


# --- autojump -------------------------------------------------------------------------------------


def test_with_autojump_who_waits_makes_time_jump(stack: Stack) -> None:
    update(stack, autojump=True)
    answer = stack.hypervisor.SubmitIo(WRITE)
    assert answer.succeeded and answer.issue_ns == 0
    assert answer.latency_ns <= now_ns(stack) <= answer.latency_ns + 200_000


def test_a_jump_goes_no_further_than_it_must(stack: Stack) -> None:
    stack.create_job("j0", iodepth=4)
    update(stack, autojump=True)
    ends = set()
    for _ in range(2):
        answer = stack.hypervisor.SubmitIo(WRITE)
        assert answer.latency_ns < 10 * MS
        ends.add(now_ns(stack) - answer.issue_ns - answer.latency_ns)
    assert all(0 <= end <= 200_000 for end in ends)


def test_the_same_calls_jump_to_the_same_time() -> None:
    seen = set()
    for _ in range(2):
        stack = Stack()
        stack.create_job("j0", iodepth=4)
        update(stack, autojump=True)
        for _ in range(5):
            stack.hypervisor.SubmitIo(WRITE)
        seen.add((now_ns(stack), stack.hypervisor_model.digest()))
    assert len(seen) == 1


def test_many_who_wait_at_once_all_come_to_their_end(stack: Stack) -> None:
    update(stack, autojump=True)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: stack.hypervisor.SubmitIo(WRITE), range(40)))
    assert all(answer.succeeded for answer in answers)


def test_an_advance_waits_for_a_jump_and_a_jump_for_an_advance(stack: Stack) -> None:
    update(stack, autojump=True)
    with ThreadPoolExecutor(2) as pool:
        ios = [pool.submit(stack.hypervisor.SubmitIo, WRITE) for _ in range(20)]
        for _ in range(20):
            stack.simulation.Advance(pb.AdvanceRequest(duration_ns=10_000))
        assert all(io.result().succeeded for io in ios)


def test_waiting_for_a_time_jumps_there(stack: Stack) -> None:
    update(stack, autojump=True)
    keeper = stack.simulation.clock
    assert keeper.wait_until(lambda: now(stack) >= 5 * MS or None, until_ns=5 * MS)
    assert now(stack) == 5 * MS


def test_waiting_for_what_never_comes_is_refused(stack: Stack) -> None:
    update(stack, autojump=True)
    with pytest.raises(FailedPrecondition) as caught:
        stack.simulation.clock.wait_until(lambda: None)
    assert caught.value.reason == "NEVER_COMES"


def test_who_waits_is_told_when_the_clock_is_closed(stack: Stack) -> None:
    stack.create_job("j0")
    update(stack, autojump=True)
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(stack.simulation.clock.wait_until, lambda: None)
        eventually(lambda: now(stack) > MS)
        stack.simulation.clock.close("is over")
        with pytest.raises(Aborted, match="is over"):
            waits.result()


def now(stack: Stack) -> int:
    return stack.hypervisor_model.now_ns


# --- goals ----------------------------------------------------------------------------------------


def until_full(ratio: float, pool: str = POOL, **more: int) -> pb.AdvanceRequest:
    return pb.AdvanceRequest(until_pool_fill=pb.PoolFill(pool=pool, ratio=ratio), **more)


def test_time_stops_at_the_border_at_which_a_pool_is_so_full() -> None:
    ends = set()
    for _ in range(2):
        stack = Stack()
        stack.simulation.goals = Goals(logs(stack), {"a1": stack.array_model})
        stack.create_job("j0", iodepth=8, read_ratio=0.0)
        end = stack.simulation.Advance(until_full(0.0001)).now_ns
        pages = stack.array_model.state["pool"][0]["allocated_pages"]
        assert 52 <= pages <= 60  # of 524,288; eight writes are under way at a time
        ends.add((end, int(pages), stack.hypervisor_model.digest()))
        assert stack.simulation.Advance(until_full(0.0001)).now_ns == end
    assert len(ends) == 1


def test_a_goal_out_of_reach_is_refused_and_a_limit_ends_the_way_there(stack: Stack) -> None:
    with pytest.raises(FailedPrecondition, match="nothing is left to do") as caught:
        stack.simulation.Advance(until_full(0.5))
    assert caught.value.reason == "GOAL_OUT_OF_REACH"
    stack.create_job("j0", read_ratio=1.0)
    assert stack.simulation.Advance(until_full(0.5, limit_ns=MS)).now_ns == MS


def test_a_pool_that_cannot_be_watched_is_refused(stack: Stack) -> None:
    with pytest.raises(NotFound):
        stack.simulation.Advance(until_full(0.5, "arrays/a1/pools/none"))
    for ratio in (0, 1.5, float("nan")):
        with pytest.raises(InvalidArgument):
            stack.simulation.Advance(until_full(ratio))
    stack.simulation.goals = Goals([])
    with pytest.raises(FailedPrecondition, match="another process") as caught:
        stack.simulation.Advance(until_full(0.5))
    assert caught.value.reason == "GOAL_NOT_HERE"


def until_event(kind: str, subject: str = "", **more: int) -> pb.AdvanceRequest:
    return pb.AdvanceRequest(until_event=pb.EventMatch(kind=kind, subject=subject), **more)


def test_time_stops_at_the_border_at_which_something_happens(stack: Stack) -> None:
    stack.create_job("j0", io_limit=20)
    stack.create_job("j1")
    job = "hosts/h1/vms/vm1/jobs/j0"
    end = stack.simulation.Advance(until_event("JOB_FINISHED", job)).now_ns
    [event] = stack.simulation.ListEvents(pb.ListEventsRequest(kinds=["JOB_FINISHED"])).events
    assert event.subject == job
    assert event.time_ns <= end <= event.time_ns + 200_000
    assert stack.simulation.Advance(until_event("JOB_FINISHED", limit_ns=end + MS)).now_ns == (
        end + MS
    ), "one that has happened is not waited for"


def test_an_event_of_another_service_of_the_stack_is_seen(stack: Stack) -> None:
    stack.create_job("j0", read_ratio=0.0)
    fill(stack, 0.4999)
    pool = array_pb2.Pool(name=POOL, capacity_bytes=4 * GIB)
    stack.array.UpdatePool(array_pb2.UpdatePoolRequest(pool=pool))
    stack.create_volume("v2")
    fill(stack, 1.0, "arrays/a1/volumes/v2")
    assert stack.simulation.Advance(until_event("POOL_EXHAUSTED", "arrays/a1")).error_count == 0
    [event] = [e for e in stack.array_model.events.after(0, 99) if e.kind == "POOL_EXHAUSTED"]
    assert event.time_ns <= now(stack) + 50_000


def test_an_event_that_cannot_be_is_refused(stack: Stack) -> None:
    with pytest.raises(FailedPrecondition, match="nothing is left to do"):
        stack.simulation.Advance(until_event("PATH_DOWN"))
    with pytest.raises(InvalidArgument, match="none of"):
        stack.simulation.Advance(until_event("NO_SUCH_KIND"))
    with pytest.raises(InvalidArgument, match="missing"):
        stack.simulation.Advance(until_event(""))


# --- filling without I/O --------------------------------------------------------------------------


def fill(stack: Stack, ratio: float, volume: str = "") -> array_pb2.Pool:
    return stack.array.FillPool(array_pb2.FillPoolRequest(name=POOL, ratio=ratio, volume=volume))


def test_a_filled_pool_is_as_full_as_asked_and_a_goal_sees_it(stack: Stack) -> None:
    stack.create_volume("v2")
    pool = fill(stack, 0.75)
    assert pool.allocated_bytes == 6 * GIB
    v1, v2 = (stack.array_model.volume_usage(v).allocated_bytes for v in ("v1", "v2"))
    assert (v1, v2) == (4 * GIB, 2 * GIB)
    assert stack.simulation.Advance(until_full(0.75)).now_ns == 0
    assert fill(stack, 0.5) == pool


def test_filling_maps_what_writes_in_ascending_order_would_map() -> None:
    written, filled = Stack(), Stack()
    job = {"pattern": "PATTERN_SEQUENTIAL", "read_ratio": 0.0, "io_limit": 100}
    size = hypervisor_pb2.BlockSize(length_bytes=16384)
    written.create_job("j0", block_sizes=[size], **job)
    written.simulation.Advance(pb.AdvanceRequest(until_idle=True))
    fill(filled, 100 * 16384 / (8 * GIB))
    tables = [stack.array_model.state["page"] for stack in (written, filled)]
    maps = [sorted(table[table["key"] != 0].tolist()) for table in tables]
    assert maps[0] == maps[1] and len(maps[0]) == 100


def test_a_full_pool_refuses_the_next_new_page(stack: Stack) -> None:
    stack.create_volume("v2")
    fill(stack, 1.0)
    update(stack, autojump=True)
    assert stack.hypervisor.SubmitIo(WRITE).succeeded  # a page that is mapped
    stack.create_volume("v3")
    stack.create_export("v3")
    stack.rescan()
    disk = hypervisor_pb2.Disk(device="multipaths/m1/hosts/h1/devices/a1.v3")
    stack.hypervisor.CreateDisk(
        hypervisor_pb2.CreateDiskRequest(parent="hosts/h1/vms/vm1", disk_id="d3", disk=disk)
    )
    new = hypervisor_pb2.SubmitIoRequest()
    new.CopyFrom(WRITE)
    new.disk = "hosts/h1/vms/vm1/disks/d3"
    assert stack.hypervisor.SubmitIo(new).sense == 0x072707


def test_what_cannot_be_filled_stays_as_it_is(stack: Stack) -> None:
    with pytest.raises(FailedPrecondition, match="unmapped pages") as caught:
        fill(stack, 0.75)
    assert caught.value.reason == "VOLUMES_TOO_SMALL"
    with pytest.raises(InvalidArgument, match="no volume of the pool"):
        fill(stack, 0.1, "arrays/a1/volumes/none")
    for ratio in (0, -1, 1.01, float("nan")):
        with pytest.raises(InvalidArgument):
            fill(stack, ratio)
    assert stack.array_model.pool_usage("pool1").allocated_bytes == 0
