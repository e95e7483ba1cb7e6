"""Hypothesis strategies for how hosts find out what has become of their paths."""

from __future__ import annotations

from hypothesis import strategies as st

from smokestack.multipath.specs import PathChecker, PathFailureHandling

TUR = PathChecker.TUR
# Presets: a single draw leaves hypothesis room for all the rest.
CHECKS = (
    PathFailureHandling(),
    PathFailureHandling(TUR, 100_000, 400_000, 200_000),
    PathFailureHandling(TUR, 30_000, 30_000, 1_000),
    PathFailureHandling(TUR, 50_000, 0, 10**9),
    PathFailureHandling(TUR, 700_001, 3_000_000, 150_000),
)


def path_failure_handling() -> st.SearchStrategy[PathFailureHandling]:
    """Draws whether, how often and how patiently paths are checked."""
    return st.sampled_from(CHECKS[:1] * 3 + CHECKS)
