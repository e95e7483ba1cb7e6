"""Adaptive queue depth and latency windows, step by step, as the rules are written down."""

from __future__ import annotations

import pytest

from smokestack.multipath.specs import DepthRule, QueueControl
from tests.reference.throttle import Throttle, Window


def depths(settings: QueueControl, answers: str, configured: int = 64) -> list[int]:
    """The depth after each answer: r is a refusal, g is GOOD."""
    throttle = Throttle(settings, configured)
    found = []
    for answer in answers:
        (throttle.refused if answer == "r" else throttle.succeeded)()
        found.append(throttle.depth)
    return found


COUNTER = QueueControl(DepthRule.COUNTER, 4, 2)
WINDOW = QueueControl(DepthRule.WINDOW, 4, 2)


@pytest.mark.parametrize(
    ("settings", "answers", "after"),
    [
        (COUNTER, "rrrr", [64, 64, 64, 32]),
        (COUNTER, "rggrgrgr", [64] * 7 + [32]),  # however many good ones come between
        (WINDOW, "rr", [64, 32]),
        (WINDOW, "rgggrr", [64] * 5 + [32]),  # the first is out of the window by then
        (WINDOW, "rrgg", [64, 32, 32, 33]),
        (WINDOW, "rrgrg", [64, 32, 32, 32, 32]),  # not two in a row
        (WINDOW, "rrggr", [64, 32, 32, 33, 33]),  # a step forgets what was counted
        (QueueControl(DepthRule.FIXED, 4, 2), "rrrrrr", [64] * 6),
        (QueueControl(), "rrrrrr", [64] * 6),  # no sample: off, as shipped
    ],
)
def test_a_depth_moves_as_its_rule_says(
    settings: QueueControl, answers: str, after: list[int]
) -> None:
    assert depths(settings, answers) == after


def test_a_depth_stays_between_one_and_what_was_configured() -> None:
    assert depths(WINDOW, "rr" * 5, configured=5)[1::2] == [2, 1, 1, 1, 1]
    assert depths(WINDOW, "rr" + "gg" * 5, configured=5)[3::2] == [3, 4, 5, 5, 5]


def test_the_rules_differ_eightfold_with_the_values_of_3par() -> None:
    def refusals(rule: DepthRule) -> int:
        return depths(QueueControl(rule, 32, 4), "r" * 40).index(32) + 1

    assert (refusals(DepthRule.COUNTER), refusals(DepthRule.WINDOW)) == (32, 4)


def test_a_window_follows_latency_and_shares() -> None:
    settings = QueueControl(
        congestion_threshold_ns=20_000_000, congestion_smoothing=0, congestion_gain=512
    )
    window = Window(settings)
    window.move(40_000_000, configured=64)  # half of 64, and half of (20/40 x 64 + 4)
    assert window.size == 1024 * 50
    for _ in range(50):
        window.move(40_000_000, configured=64)
    # It settles where (1 - 20/40) w is what the shares give.
    assert window.size is not None
    assert window.size // 1024 in (7, 8)
    window.move(1_000_000, configured=64)
    assert window.size == 64 * 1024
