"""A stack in a state directory goes on after a crash as if there had been none, digest included."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import pytest

from smokestack.engine.errors import FailedPrecondition, Refused
from smokestack.engine.timekeeper import ClockSettings
from smokestack.server import journal, kept_stack
from smokestack.server.build import Api
from smokestack.server.replay import replay
from smokestack.server.scenario import default_scenario
from smokestack.server.stack import Stack
from smokestack.v1 import (
    array_pb2,
    array_pb2_grpc,
    hypervisor_pb2,
    hypervisor_pb2_grpc,
    multipath_pb2_grpc,
    simulation_pb2,
    snapshots_pb2,
)
from smokestack.v1.simulation_pb2_grpc import SimulationServiceStub
from tests.server.scenarios import small_scenario
from tests.server.test_replay import (
    MS,
    add_job,
    advance,
    break_port,
    busy_day,
    calls_around_a_window_without_time,
    digest,
    recorded,
    set_depth,
    set_port,
)


@contextmanager
def kept(path: Path, clock: ClockSettings | None = None) -> Iterator[Stack]:
    with kept_stack.kept_stack(None, small_scenario(io_limit=0), clock, path) as stack:
        yield stack


@contextmanager
def after_a_crash(path: Path) -> Iterator[Stack]:
    """Yields what comes back from the directory as it is at this instant, in another place."""
    copy = path.parent / f"{path.name}-crashed"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(path, copy)
    with kept(copy) as stack:
        yield stack


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_it_comes_to_the_digest_of_a_stack_that_was_never_killed(state: Path) -> None:
    with Stack(small_scenario(io_limit=0)) as whole:
        whole.attach()
        busy_day(whole.api)
        advance(whole.api, 20 * MS)
        expected = digest(whole.api)
    with kept(state) as stack:
        busy_day(stack.api)
        now_ns = stack.hypervisor.model.now_ns
        with after_a_crash(state) as recovered:
            assert recovered.hypervisor.model.now_ns == now_ns
            assert digest(recovered.api) == digest(stack.api)
            advance(recovered.api, 20 * MS)
            assert digest(recovered.api) == expected
            told = {event.kind for event in recovered.hypervisor.model.events.state()[0]}
            assert "RECOVERED" in told
            replayed = replay(recorded(recovered.api))
            replayed.stack.close()
            assert replayed.same


def test_calls_of_one_time_settle_where_each_did(state: Path) -> None:
    with kept(state) as stack:
        calls_around_a_window_without_time(stack)
        advance(stack.api, 4 * MS)
        with after_a_crash(state) as recovered:
            advance(stack.api, 8 * MS)
            advance(recovered.api, 8 * MS)
            assert digest(recovered.api) == digest(stack.api)


def test_a_copy_may_be_made_anywhere(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "TICK_SECONDS", 0.01)
    monkeypatch.setattr(kept_stack, "_FAR_SECONDS", 0.0)
    with kept(state) as stack:
        for number in range(1, 6):
            set_port(stack.api, "p0", bool(number % 2))
            advance(stack.api, number * MS)
            add_job(stack.api, f"more-{number}")
            threading.Event().wait(0.2)  # a copy or two; then nothing is left to copy
            with after_a_crash(state) as recovered:
                assert digest(recovered.api) == digest(stack.api)
                assert f"more-{number}" in {job[2] for job in recovered.hypervisor.model.jobs}
                with replay(recorded(recovered.api)).stack as again:
                    assert digest(again.api) == digest(recovered.api)


def test_kills_while_time_runs_leave_a_history_that_can_be_had_again(state: Path) -> None:
    rng = random.Random(1)
    with kept(state):
        pass
    made = [""]
    for _ in range(3):
        command = [sys.executable, "-m", "smokestack.cli", "up", "--state", str(state)]
        options = ["--port-base", "0", "--json", "--factor", "0.02"]
        with subprocess.Popen([*command, *options], stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout is not None
                served = json.loads(process.stdout.readline())["services"]
                with connected({one["name"]: one["address"] for one in served}) as api:
                    for _ in range(rng.randrange(3, 12)):
                        set_port(api, "p0", rng.random() < 0.5)
                        break_port(api, rng.randrange(1, MS))
                        set_depth(api, rng.randrange(1, 9))
                        made.append(f"more-{len(made)}")
                        add_job(api, made[-1])
                        threading.Event().wait(rng.uniform(0, 0.05))
            finally:
                process.kill()
        with kept(state) as stack:
            assert set(made[1:]) <= {job[2] for job in stack.hypervisor.model.jobs}
            assert stack.hypervisor.model.now_ns > 0
            with replay(recorded(stack.api)).stack as again:
                assert digest(again.api) == digest(stack.api)


@contextmanager
def connected(addresses: Mapping[str, str]) -> Iterator[Api]:
    """Yields the API of a stack that another process serves."""
    with ExitStack() as channels:
        at = {
            name: channels.enter_context(grpc.insecure_channel(address))
            for name, address in addresses.items()
        }
        simulations = {name: SimulationServiceStub(channel) for name, channel in at.items()}
        yield Api(
            arrays={"a1": array_pb2_grpc.ArrayServiceStub(at["arrays/a1"])},
            multipath=multipath_pb2_grpc.MultipathServiceStub(at["multipaths/m1"]),
            hypervisor=hypervisor_pb2_grpc.HypervisorServiceStub(at["hypervisors/hv1"]),
            simulation=simulations["hypervisors/hv1"],
            simulations=simulations,
        )


def test_a_stop_in_order_loses_nothing_and_a_retry_gets_the_first_answer(state: Path) -> None:
    request = hypervisor_pb2.CreateVmRequest(parent="hosts/h1", vm_id="new", request_id="once")
    with kept(state) as stack:
        advance(stack.api, MS)
        made = stack.api.hypervisor.CreateVm(request)
        with after_a_crash(state) as recovered:
            assert recovered.api.hypervisor.CreateVm(request) == made
        expected = digest(stack.api)
    with kept(state) as stack:
        assert digest(stack.api) == expected
        assert stack.api.hypervisor.CreateVm(request) == made
        told = stack.hypervisor.model.events.state()[0][-1]
        assert (told.kind, told.detail["after"]) == ("RECOVERED", "a stop")


def test_a_reset_and_a_restored_snapshot_are_kept(state: Path) -> None:
    with kept(state) as stack:
        simulation = stack.api.simulation
        advance(stack.api, 2 * MS)
        simulation.CreateSnapshot(snapshots_pb2.CreateSnapshotRequest(snapshot_id="s1"))
        there = digest(stack.api)
        advance(stack.api, 4 * MS)
        simulation.RestoreSnapshot(snapshots_pb2.RestoreSnapshotRequest(name="snapshots/s1"))
        with after_a_crash(state) as recovered:
            assert (digest(recovered.api), recovered.hypervisor.model.now_ns) == (there, 2 * MS)
        simulation.Reset(simulation_pb2.ResetRequest(seed=5))
        with after_a_crash(state) as recovered:
            assert recovered.hypervisor.model.now_ns == 0
            assert recovered.hypervisor.model.seed == 5
        set_depth(stack.api, 3)
        advance(stack.api, 3 * MS)
        with after_a_crash(state) as recovered:
            assert digest(recovered.api) == digest(stack.api)


def test_a_directory_of_another_scenario_is_refused(state: Path) -> None:
    with kept(state):
        pass
    other = default_scenario()
    with (
        pytest.raises(FailedPrecondition, match="of another scenario"),
        kept_stack.kept_stack(other, other, None, state),
    ):
        pass
    same = small_scenario(io_limit=0)
    with kept_stack.kept_stack(same, other, None, state) as stack:
        assert "a1" in stack.arrays


def test_what_is_asked_of_a_stack_that_has_ended_is_refused(state: Path) -> None:
    with kept(state) as stack:
        written = stack.hypervisor.simulation.recording.journal
        written.close()
        with pytest.raises(Refused, match="has ended"):
            stack.api.arrays["a1"].DeleteVolume(
                array_pb2.DeleteVolumeRequest(name="arrays/a1/volumes/v1")
            )
