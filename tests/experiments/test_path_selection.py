"""The claims about path selection can fail, each for what it is about."""

from __future__ import annotations

from typing import Any

import pytest

from smokestack.experiments import find, plan, run
from tests.experiments.broken import Change, broken, changed

EXPERIMENT = find("path-selection")
PLAN = plan(EXPERIMENT, size="small")


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return list(run(EXPERIMENT, PLAN).rows)


def spread(row: dict[str, Any]) -> None:
    if row["policy"] == "FIRST_AVAILABLE" and row["paths"] == 2:
        row["busiest_share"] = 0.99


def crowd(row: dict[str, Any]) -> None:
    if row["policy"] == "QUEUE_LENGTH" and row["shape"] == "symmetric":
        row["iops"] //= 2


def wait(row: dict[str, Any]) -> None:
    if row["policy"] == "SERVICE_TIME" and row["shape"] == "degraded":
        row["p99_ns"] *= 3


def stray(row: dict[str, Any]) -> None:
    if row["policy"] == "LATENCY" and row["shape"] == "alua":
        row["non_optimized_ios"] = 1


def boast(row: dict[str, Any]) -> None:
    if row["policy"] == "LEAST_BLOCKS":
        row["iops"] = row["iops"] * 105 // 100


@pytest.mark.parametrize(
    ("change", "claims"),
    [
        (lambda row: None, set()),
        (spread, {"first-port-skew"}),
        (crowd, {"balanced-beats-first"}),
        (wait, {"degraded-path-service-time"}),
        (stray, {"optimized-only"}),
        (boast, {"within-bounds"}),
    ],
)
def test_a_claim_fails_when_what_it_says_is_not_so(
    rows: list[dict[str, Any]], change: Change, claims: set[str]
) -> None:
    assert broken(EXPERIMENT.claims(PLAN.parameters, changed(rows, change))) == claims
