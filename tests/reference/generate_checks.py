"""Hypothesis strategies for how hosts find out what has become of their paths, and what they do."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from smokestack.multipath.specs import Failback, NoPathRetry, PathChecker, PathFailureHandling

NONE, TUR = PathChecker
COUNT, QUEUE, FAIL = NoPathRetry.COUNT, NoPathRetry.QUEUE, NoPathRetry.FAIL
# Presets: a single draw leaves hypothesis room for all the rest.
HANDLING = (
    PathFailureHandling(),
    PathFailureHandling(TUR, 100_000, 400_000, 200_000),
    PathFailureHandling(TUR, 30_000, 30_000, 1_000, no_path_retry=COUNT, no_path_retry_count=2),
    PathFailureHandling(TUR, 50_000, 0, 10**9, fast_io_fail_ns=70_000),
    PathFailureHandling(TUR, 700_001, 3_000_000, 150_000, dev_loss_ns=300_000),
    PathFailureHandling(TUR, 20_000, 0, 90_000, 10_000, 60_000, QUEUE),
    PathFailureHandling(
        TUR,
        20_000,
        0,
        10**9,
        path_error_threshold=1,
        path_error_forget_checks=3,
        path_error_recovery_ns=300_000,
    ),
    PathFailureHandling(NONE, fast_io_fail_ns=40_000, dev_loss_ns=200_000, no_path_retry=FAIL),
    PathFailureHandling(NONE, 50_000, fast_io_fail_ns=10**9),
    PathFailureHandling(NONE, 90_000, 0, 10**9, 250_000, 0, COUNT, 3),
)

FAILBACK = st.sampled_from(
    (
        *({"failback": kind} for kind in Failback if kind is not Failback.DELAYED),
        {"failback": Failback.DELAYED, "failback_delay_ns": 50_000},
    )
)


def path_failure_handling() -> st.SearchStrategy[PathFailureHandling]:
    """Draws whether, how often and how patiently paths are checked, and what waits for them."""
    handling = st.sampled_from(HANDLING[:1] * 5 + HANDLING)
    return st.tuples(handling, FAILBACK).map(lambda drawn: replace(drawn[0], **drawn[1]))
