"""Paths without transport: blocked, failed, removed; and what commands do meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from smokestack.engine.errors import InvalidArgument
from smokestack.engine.event_kinds import EventKind
from smokestack.engine.fault_rules import FaultRule
from smokestack.engine.records import HostStatus, Kind
from smokestack.multipath.specs import (
    DeviceState,
    NoPathRetry,
    PathChecker,
    PathFailureHandling,
    PathState,
)
from tests.multipath.test_checkers import MS, checked, path, told
from tests.reference.agreement import differences
from tests.reference.build import Models, build_models
from tests.reference.config import FaultInjected, PortEnabled, Rescanned

BLOCKING = PathFailureHandling(fast_io_fail_ns=5 * MS, dev_loss_ns=20 * MS)
BUSY: dict[str, Any] = {"start_ns": 0, "io_limit": 100_000, "slots": 4, "think_ns": 50_000}
DOWN = PortEnabled(8 * MS, "a1", "p0", False)
HEARD = 8 * MS + 30_000  # there and back


def kinds(models: Models) -> list[tuple[int, str]]:
    events = models.multipath.events.after(0, 1_000)
    return [(e.time_ns, e.kind) for e in events if "/paths/" in e.subject]


def test_a_short_loss_of_transport_costs_time_and_no_path() -> None:
    up = PortEnabled(10 * MS, "a1", "p0", True)
    models = build_models(checked(DOWN, up, handling=BLOCKING, **BUSY))
    models.run(9 * MS)
    assert path(models).state is PathState.BLOCKED
    assert path(models).in_flight_count == 4  # all that there is: they wait
    models.run(12 * MS)
    assert path(models).state is PathState.ACTIVE
    assert kinds(models) == [(HEARD, "PATH_BLOCKED"), (10 * MS + 30_000, "PATH_UNBLOCKED")]
    slowest = max(c.time for c in models.completions if c.time < 10 * MS + 200_000)
    assert slowest > 10 * MS + 30_000
    assert {c.attempt for c in models.completions} <= {0, 1}


def test_commands_fail_over_when_the_time_is_up_and_the_path_is_removed_later() -> None:
    up = PortEnabled(40 * MS, "a1", "p0", True)
    models = build_models(checked(DOWN, up, handling=BLOCKING, **BUSY))
    models.run(13 * MS)
    assert path(models).state is PathState.BLOCKED
    models.run(14 * MS)
    assert path(models).state is PathState.DEAD
    models.run(50 * MS)
    assert path(models).state is PathState.ACTIVE
    assert kinds(models) == [
        (HEARD, "PATH_BLOCKED"),
        (HEARD + 5 * MS, "PATH_DOWN"),
        (HEARD + 20 * MS, "PATH_REMOVED"),
        (40 * MS + 30_000, "PATH_ADDED"),
        (40 * MS + 30_000, "PATH_UP"),
    ]
    down, removed = (
        next(e for e in models.multipath.events.after(0, 99) if e.kind == kind)
        for kind in (EventKind.PATH_DOWN, EventKind.PATH_REMOVED)
    )
    assert down.cause == removed.cause
    assert down.cause.startswith("arrays/a1/")


def test_a_link_of_ours_is_the_cause_of_what_it_blocks() -> None:
    models = build_models(checked(handling=BLOCKING, **BUSY))
    models.run(2 * MS)
    link = "multipaths/m1/fabrics/fa/links/h1-a"
    models.multipath.faults.inject(FaultRule("LINK_DOWN", link, duration_ns=MS))
    models.run(4 * MS)
    events = [e for e in models.multipath.events.after(0, 99) if "BLOCKED" in e.kind]
    assert [e.kind for e in events] == ["PATH_BLOCKED", "PATH_UNBLOCKED"]
    assert all(e.cause.startswith("multipaths/m1/") for e in events)


def test_a_checked_path_that_is_removed_is_not_checked_and_is_back_without_a_check() -> None:
    handling = replace(BLOCKING, checker=PathChecker.TUR, polling_interval_ns=MS)
    up = PortEnabled(40 * MS + 1, "a1", "p0", True)
    models = build_models(checked(DOWN, up, handling=handling))
    models.run(30 * MS)
    assert (path(models).state, path(models).next_check_ns) == (PathState.DEAD, None)
    models.run(40 * MS + 50_000)
    assert path(models).state is PathState.ACTIVE
    assert path(models).next_check_ns == 41 * MS + 30_001


def test_a_rescan_finds_a_removed_path_that_is_back() -> None:
    config = checked(DOWN, handling=BLOCKING)
    models = build_models(config)
    models.run(30 * MS)
    models.arrays["a1"].set_port_enabled("p0", True)
    models.multipath.rescan("h1")
    assert path(models).state is PathState.ACTIVE
    models.run(60 * MS)
    assert len(models.completions) == 1


def test_no_path_retry_counts_polling_intervals() -> None:
    handling = PathFailureHandling(
        polling_interval_ns=2 * MS, no_path_retry=NoPathRetry.COUNT, no_path_retry_count=3
    )
    other = replace(DOWN, port_id="p1")
    models = build_models(checked(DOWN, other, handling=handling, start_ns=9 * MS))
    models.run(14 * MS)
    (device,) = models.multipath.devices("h1")
    assert (device.state, device.queued_count) == (DeviceState.APD, 1)
    models.run(15 * MS)
    (device,) = models.multipath.devices("h1")
    assert (device.state, device.queued_count) == (DeviceState.APD_TIMEOUT, 0)
    (answer,) = models.completions
    assert (answer.kind, answer.status) == (Kind.HOST, HostStatus.NO_CONNECT)
    assert answer.time == HEARD + 6 * MS + models.multipath.lookahead_ns


def test_no_path_retry_is_a_devices_own_whatever_the_layer_does() -> None:
    handling = PathFailureHandling(no_path_retry=NoPathRetry.QUEUE)
    other = replace(DOWN, port_id="p1")
    models = build_models(checked(DOWN, other, handling=handling, start_ns=9 * MS))
    models.run(200 * MS)
    assert not models.completions
    models.arrays["a1"].set_port_enabled("p1", True)
    models.run(201 * MS)
    assert len(models.completions) == 1


def test_a_snapshot_of_what_waits_for_transport_goes_on_as_before() -> None:
    up = PortEnabled(10 * MS, "a1", "p0", True)
    models = build_models(checked(DOWN, handling=BLOCKING, **BUSY))
    models.run(9 * MS)
    pieces = {piece.service: piece for piece in models.hypervisor.snapshot("s1")}
    digests = []
    for _ in range(2):
        models.arrays["a1"].set_port_enabled("p0", up.enabled)
        models.run(20 * MS)
        digests.append((models.digest(), len(models.multipath.events.after(0, 999))))
        models.hypervisor.restore(pieces)
        assert path(models).state is PathState.BLOCKED
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"fast_io_fail_ns": 5, "dev_loss_ns": 5}, "is not more than fast_io_fail_ns"),
        ({"fast_io_fail_ns": -1}, "fast_io_fail_ns"),
        ({"no_path_retry": NoPathRetry.COUNT}, "say how many polling intervals"),
        ({"no_path_retry_count": 3}, "no_path_retry is not COUNT"),
        ({"no_path_retry": 9}, "is none of LAYER, FAIL, COUNT, QUEUE"),
    ],
)
def test_settings_that_cannot_be_are_refused(fields: dict[str, Any], says: str) -> None:
    models = build_models(checked())
    wrong = replace(PathFailureHandling(), **fields)
    with pytest.raises(InvalidArgument, match=says):
        models.multipath.update_device("h1", "a1.v1", path_failure_handling=wrong)


@pytest.mark.parametrize("checker", list(PathChecker), ids=lambda c: c.name)
@pytest.mark.parametrize("step_ns", [50 * MS, 700_000, 9_000])
def test_blocked_paths_agree_with_the_reference(checker: PathChecker, step_ns: int) -> None:
    link = FaultRule("LINK_DOWN", "multipaths/m1/fabrics/fb/links/*", "f1", duration_ns=3 * MS)
    changes = (
        PortEnabled(3 * MS + 5_000, "a1", "p0", False),
        FaultInjected(3 * MS + 200_000, "multipaths/m1", link),
        PortEnabled(4 * MS, "a1", "p0", True),
        PortEnabled(9 * MS, "a1", "p1", False),
        Rescanned(9 * MS + 100_000, "h1"),
        PortEnabled(16 * MS, "a1", "p1", True),
    )
    handling = PathFailureHandling(checker, MS, 0, 3 * MS, 2 * MS, 4 * MS, NoPathRetry.COUNT, 2)
    config = checked(*changes, handling=handling, **BUSY)
    assert not differences(config, 20 * MS, tuple(range(0, 20 * MS, step_ns)))


def test_what_blocked_paths_tell_is_told_by_path() -> None:
    models = build_models(checked(DOWN, handling=BLOCKING, **BUSY))
    models.run(9 * MS)
    assert told(models, EventKind.PATH_BLOCKED)[0][1]["port"] == "p0"


def test_links_that_come_up_together_each_name_the_end_of_their_own_rule() -> None:
    models = build_models(checked(**BUSY))
    faults, links = models.multipath.faults, ("fa/links/h1-a", "fb/links/h1-b")
    for number, link in enumerate(links):
        name = f"multipaths/m1/fabrics/{link}"
        faults.inject(FaultRule("LINK_DOWN", name, f"f{number}"))
    models.run(4 * MS)
    for number in range(2):
        faults.clear(f"f{number}")
    models.run(8 * MS)
    ended = [e.name for e in models.multipath.events.after(0, 999) if e.kind == "FAULT_ENDED"]
    ups = [e for e in models.multipath.events.after(0, 999) if e.kind == "LINK_UP"]
    assert [event.cause for event in ups] == ended
    assert len(ended) == 2
