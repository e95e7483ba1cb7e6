"""Checked paths: what a host finds out, when, and by which command."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from smokestack.array.specs import Access, AccessSpec, ControllerSpec
from smokestack.engine.errors import InvalidArgument
from smokestack.engine.event_kinds import EventKind
from smokestack.engine.fault_rules import FaultRule
from smokestack.engine.records import Attention
from smokestack.multipath.specs import (
    ApdHandling,
    CheckerState,
    DeviceState,
    MultipathHostSpec,
    MultipathSpec,
    PathChecker,
    PathFailureHandling,
    PathState,
)
from smokestack.multipath.status import PathStatus
from tests.reference.agreement import differences
from tests.reference.build import Models, build_models
from tests.reference.config import Change, PortEnabled, Rescanned, StackConfig
from tests.reference.samples import array, job, port, stack

MS = 1_000_000
POLLING = PathFailureHandling(PathChecker.TUR, MS, 4 * MS, 10 * MS)
PORTS = (port("p0", "fa"), port("p1", "fb"))


def checked(*changes: Change, handling: PathFailureHandling = POLLING, **jobs: Any) -> StackConfig:
    """A host with two paths, one on each fabric; a job unless it has no I/Os."""
    plan = job(**{"io_limit": 1, "start_ns": 40 * MS, **jobs})
    plain = stack(plan, arrays=(array(ports=PORTS),), ios_per_path=1)
    hosts = tuple(replace(h, path_failure_handling=handling) for h in plain.multipath_hosts)
    return replace(plain, multipath_hosts=hosts, changes=changes)


def path(models: Models, name: str = "h1-a.p0") -> PathStatus:
    (device,) = models.multipath.devices("h1")
    return next(path for path in device.paths if path.name == name)


def told(models: Models, kind: EventKind) -> list[tuple[int, dict[str, Any]]]:
    events = models.multipath.events.after(0, 1_000)
    return [(e.time_ns, dict(e.detail)) for e in events if e.kind == kind]


def test_the_interval_doubles_while_a_path_stays_good() -> None:
    models = build_models(checked())
    begins = []
    assert path(models).checker_state is CheckerState.UNCHECKED
    for time in range(500_000, 20 * MS, MS // 2):
        models.run(time)
        begins.append(path(models).next_check_ns)
    assert sorted(set(begins)) == [MS * n for n in (1, 3, 7, 11, 15, 19, 23)]
    assert path(models).checker_state is CheckerState.UP
    assert path(models).check_count == 6


def test_an_idle_path_that_is_dead_is_found_by_a_check_and_so_is_its_return() -> None:
    models = build_models(
        checked(PortEnabled(8 * MS, "a1", "p0", False), PortEnabled(13 * MS, "a1", "p0", True))
    )
    models.run(10 * MS)
    assert path(models).state is PathState.ACTIVE
    models.run(12 * MS)  # the check at 11 ms
    assert (path(models).state, path(models).checker_state) == (
        PathState.DEAD,
        CheckerState.DOWN,
    )
    assert path(models).next_check_ns == 12 * MS
    models.run(14 * MS)
    assert path(models).state is PathState.DEAD  # the port is back, and nobody has looked
    models.run(15 * MS)
    assert path(models).state is PathState.ACTIVE
    (down,) = told(models, EventKind.PATH_DOWN)
    (up,) = told(models, EventKind.PATH_UP)
    assert down[0] == 11 * MS
    assert 14 * MS < up[0] < 14 * MS + 100_000
    assert up[1]["checker"] == "UP"


def test_a_command_finds_a_dead_path_before_a_check_does_and_leaves_on_another() -> None:
    models = build_models(
        checked(PortEnabled(8 * MS, "a1", "p0", False), start_ns=9 * MS, io_limit=4)
    )
    models.run(10 * MS)
    assert path(models).state is PathState.DEAD
    assert told(models, EventKind.PATH_DOWN)[0][0] == 9 * MS + 2_000
    assert [c.attempt for c in models.completions] == [0] * 4


def test_a_load_feels_the_loss_at_once() -> None:
    models = build_models(
        checked(PortEnabled(8 * MS, "a1", "p0", False), start_ns=0, io_limit=10_000, slots=8)
    )
    models.run(9 * MS)
    assert path(models).state is PathState.DEAD
    ((time, _),) = told(models, EventKind.PATH_DOWN)
    assert time == 8 * MS + 30_000


def test_all_paths_found_dead_by_checks_are_all_paths_down_until_one_is_found() -> None:
    config = checked(
        PortEnabled(8 * MS, "a1", "p0", False),
        PortEnabled(8 * MS, "a1", "p1", False),
        PortEnabled(30 * MS, "a1", "p1", True),
        start_ns=15 * MS,
    )
    held = MultipathSpec(apd_handling=ApdHandling.HOLD)
    models = build_models(replace(config, multipath=held))
    models.run(25 * MS)
    (device,) = models.multipath.devices("h1")
    assert (device.state, device.queued_count) == (DeviceState.APD, 1)
    models.run(32 * MS)
    (answer,) = models.completions
    assert answer.time > 30 * MS


def test_a_check_hears_unit_attentions_and_asks_again() -> None:
    models = build_models(checked())
    models.run(MS // 2)
    for attention in (Attention.MODE_CHANGED, Attention.RESERVATIONS_RELEASED):
        models.arrays["a1"].establish_attention(
            attention, volume_id="v1", port_id="", host_id="", initiator=""
        )
    models.run(2 * MS)
    assert path(models).checker_state is CheckerState.UP
    assert path(models).check_count == 3
    assert len(told(models, EventKind.UNIT_ATTENTION)) == 2


def test_a_check_that_a_full_port_refuses_is_sent_again() -> None:
    models = build_models(checked())
    models.run(MS // 2)
    full = FaultRule("TASK_SET_FULL", "arrays/a1/ports/p0", duration_ns=MS)
    models.arrays["a1"].faults.inject(full)
    models.run(2 * MS)
    assert (path(models).state, path(models).checker_state) == (
        PathState.ACTIVE,
        CheckerState.UP,
    )
    assert path(models).check_count == 8  # every 80 us, until half a millisecond is over


def test_a_check_without_an_answer_times_out_and_fails_its_path() -> None:
    config = checked(handling=replace(POLLING, checker_timeout_ns=MS // 2))
    slow = array(ports=PORTS, read_ns=2 * MS)
    models = build_models(replace(config, arrays=(slow,)))
    models.run(2 * MS - 1)
    assert path(models).checker_state is CheckerState.TIMEOUT
    assert path(models).state is PathState.DEAD
    assert told(models, EventKind.PATH_DOWN)[0] == (
        3 * MS // 2,
        {"checker": "TIMEOUT", "array": "a1", "initiator": "h1-a", "port": "p0"},
    )


@pytest.mark.parametrize("access", [Access.STANDBY, Access.ACTIVE_PASSIVE], ids=lambda a: a.name)
def test_the_other_sides_paths_are_ghosts_and_no_check_pulls_the_volume_over(
    access: Access,
) -> None:
    plain = array(ports=(port("p0", "fa"), port("p1", "fb", controller_id="c1")))
    controllers = (*plain.controllers, replace(plain.controllers[0], controller_id="c1"))
    two = replace(plain, controllers=controllers, access=AccessSpec(access))
    models = build_models(replace(checked(), arrays=(two,)))
    models.run(20 * MS)
    (owner, other) = (path(models), path(models, "h1-b.p1"))
    assert (owner.checker_state, other.checker_state) == (CheckerState.UP, CheckerState.GHOST)
    assert (owner.state, other.state) == (PathState.ACTIVE, PathState.STANDBY)
    assert isinstance(two.controllers[1], ControllerSpec)


def test_a_damaged_frame_fails_a_checked_path() -> None:
    models = build_models(checked(start_ns=0, io_limit=100, slots=4))
    models.run(MS // 4)
    link = "multipaths/m1/fabrics/fa/links/h1-a"
    models.multipath.faults.inject(FaultRule("FRAME_DAMAGED", link, duration_ns=MS // 4))
    models.run(MS)
    ((_, detail),) = told(models, EventKind.PATH_DOWN)
    assert detail["host_status"] == "PARITY"
    assert path(models).state is PathState.DEAD
    models.run(2 * MS)
    assert path(models).state is PathState.ACTIVE


def test_a_rescan_knows_at_once() -> None:
    down = PortEnabled(8 * MS, "a1", "p0", False)
    models = build_models(checked(down, Rescanned(9 * MS, "h1")))
    models.run(9 * MS + 1)
    assert path(models).state is PathState.DEAD


def test_without_a_checker_any_more_a_host_knows_what_it_would_have_been_told() -> None:
    models = build_models(checked(PortEnabled(8 * MS, "a1", "p0", False)))
    models.run(9 * MS)
    assert path(models).state is PathState.ACTIVE
    models.multipath.update_device("h1", "a1.v1", path_failure_handling=PathFailureHandling())
    assert (path(models).state, path(models).checker_state) == (PathState.DEAD, None)
    assert path(models).next_check_ns is None


def test_a_snapshot_in_the_midst_of_checks_goes_on_as_before() -> None:
    config = checked(start_ns=0, io_limit=10_000, slots=8)
    models = build_models(config)
    models.run(3 * MS + 15_000)  # checks are on their way
    assert models.multipath.state["health"]["out"].any()
    pieces = {piece.service: piece for piece in models.hypervisor.snapshot("s1")}
    models.run(9 * MS)
    digest, checks = models.digest(), path(models).check_count
    models.hypervisor.restore(pieces)
    models.run(9 * MS)
    assert (models.digest(), path(models).check_count) == (digest, checks)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"polling_interval_ns": 999}, "polling_interval_ns"),
        ({"polling_interval_ns": MS, "max_polling_interval_ns": MS - 1}, "is less than"),
        ({"checker_timeout_ns": 0}, "checker_timeout_ns"),
        ({"checker": 7}, "is none of NONE, TUR"),
    ],
)
def test_settings_that_cannot_be_are_refused(fields: dict[str, Any], says: str) -> None:
    models = build_models(checked())
    wrong = replace(POLLING, **fields)
    with pytest.raises(InvalidArgument, match=says):
        models.multipath.update_device("h1", "a1.v1", path_failure_handling=wrong)
    with pytest.raises(InvalidArgument, match=says):
        models.multipath.create_host(MultipathHostSpec("h2", ("x",), path_failure_handling=wrong))


@pytest.mark.parametrize("step_ns", [50 * MS, 700_000, 9_000])
def test_checks_agree_with_the_reference_however_finely_they_are_cut(step_ns: int) -> None:
    changes = (
        PortEnabled(3 * MS + 5_000, "a1", "p0", False),
        PortEnabled(4 * MS, "a1", "p0", True),
        PortEnabled(9 * MS, "a1", "p1", False),
        PortEnabled(9 * MS + 200_000, "a1", "p0", False),
        PortEnabled(12 * MS, "a1", "p1", True),
    )
    config = checked(*changes, start_ns=0, io_limit=500, slots=3, think_ns=90_000)
    assert not differences(config, 20 * MS, tuple(range(0, 20 * MS, step_ns)))
