"""The claims about guilty layers can fail, each for what it is about."""

from __future__ import annotations

from typing import Any

import pytest

from smokestack.experiments import find, plan, run
from tests.experiments.broken import Change, broken, changed

EXPERIMENT = find("guilty-layer")
PLAN = plan(EXPERIMENT, size="small")


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return list(run(EXPERIMENT, PLAN).rows)


def accuse_the_victims_port(row: dict[str, Any]) -> None:
    if row["kind"] == "slow-drain-elsewhere":
        row["named"] = "multipaths/m1/fabrics/a/links/a1.p0"


def accuse_the_clean(row: dict[str, Any]) -> None:
    if row["layer"] == "NONE":
        row["named_layer"] = "ARRAY"


def wait_longer(row: dict[str, Any]) -> None:
    if row["layer"] == "HOST":
        row["guest_mean_ns"] = row["guest_mean_ns"] * 12 // 10


def lose_a_nanosecond(row: dict[str, Any]) -> None:
    row["shares_ns"] -= 1


@pytest.mark.parametrize(
    ("change", "claims"),
    [
        (lambda row: None, set()),
        (accuse_the_victims_port, {"names-the-culprit"}),
        (accuse_the_clean, {"names-the-culprit"}),
        (wait_longer, {"guests-wait-alike"}),
        (lose_a_nanosecond, {"shares-add-up"}),
    ],
)
def test_a_claim_fails_when_what_it_says_is_not_so(
    rows: list[dict[str, Any]], change: Change, claims: set[str]
) -> None:
    assert broken(EXPERIMENT.claims(PLAN.parameters, changed(rows, change))) == claims
