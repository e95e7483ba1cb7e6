"""Marginal paths: those that fail and return too often are set aside while others live."""

from __future__ import annotations

from dataclasses import replace

import pytest

from smokestack.engine.errors import InvalidArgument
from smokestack.engine.event_kinds import EventKind
from smokestack.multipath.specs import CheckerState, PathChecker, PathFailureHandling, PathState
from tests.multipath.test_checkers import MS, checked, path, told
from tests.reference.agreement import differences
from tests.reference.build import build_models
from tests.reference.config import PortEnabled
from tests.server.test_snapshot_pieces import sealed, taken

SHAKY = PathFailureHandling(
    PathChecker.TUR,
    MS,
    MS,
    path_error_threshold=2,
    path_error_forget_checks=20,
    path_error_recovery_ns=15 * MS,
)
FLAP = tuple(
    PortEnabled((2 * n + half) * 2 * MS + MS // 2, "a1", "p0", bool(half))
    for n in range(1, 4)
    for half in (0, 1)
)


def test_a_flapping_path_is_set_aside_and_comes_back_when_it_has_been_good_for_long() -> None:
    models = build_models(checked(*FLAP, handling=SHAKY))
    models.run(20 * MS)
    assert (path(models).state, path(models).checker_state) == (
        PathState.DEAD,
        CheckerState.DELAYED,
    )
    ((time, detail),) = told(models, EventKind.PATH_MARGINAL)
    assert detail["failures"] == 3
    models.run(time + 16 * MS)
    assert path(models).state is PathState.ACTIVE


def test_a_marginal_path_is_used_when_no_other_can_be() -> None:
    down = PortEnabled(18 * MS + MS // 2, "a1", "p1", False)
    models = build_models(checked(*FLAP, down, handling=SHAKY))
    models.run(22 * MS)
    assert path(models).state is PathState.ACTIVE
    assert path(models, "h1-b.p1").state is PathState.DEAD


def test_a_marginal_path_is_set_aside_as_long_after_a_restore() -> None:
    models, later = build_models(checked(*FLAP, handling=SHAKY)), []
    models.run(20 * MS)
    pieces = sealed(taken(models.hypervisor))
    for _ in range(2):
        assert path(models).checker_state is CheckerState.DELAYED
        models.hypervisor.advance(50 * MS)
        later.append((models.digest(), path(models), list(models.multipath.events.after(0, 999))))
        models.hypervisor.restore(pieces)
    assert later[0] == later[1]
    assert later[0][1].state is PathState.ACTIVE
    assert later[0][1].checker_state is CheckerState.UP


@pytest.mark.parametrize("step_ns", [50 * MS, 9_000])
def test_marginal_paths_agree_with_the_reference(step_ns: int) -> None:
    config = checked(*FLAP, handling=SHAKY, start_ns=0, io_limit=500, slots=3, think_ns=90_000)
    assert not differences(config, 40 * MS, tuple(range(0, 20 * MS, step_ns)))


@pytest.mark.parametrize(
    ("handling", "says"),
    [
        (replace(SHAKY, path_error_recovery_ns=0), "set all three, or none"),
        (replace(SHAKY, checker=PathChecker.NONE), "nothing checks paths"),
    ],
)
def test_settings_that_cannot_be_are_refused(handling: PathFailureHandling, says: str) -> None:
    models = build_models(checked())
    with pytest.raises(InvalidArgument, match=says):
        models.multipath.update_device("h1", "a1.v1", path_failure_handling=handling)
