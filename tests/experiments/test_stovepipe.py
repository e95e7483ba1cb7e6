"""The claims about stovepipes can fail, each for what it is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from smokestack.experiments import find, plan, run
from tests.experiments.broken import broken

EXPERIMENT = find("stovepipe")
PLAN = plan(EXPERIMENT, size="small")


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return list(run(EXPERIMENT, PLAN).rows)


def row_of(rows: list[dict[str, Any]], array: str) -> dict[str, Any]:
    return next(row for row in rows if (row["mode"], row["array"]) == ("one plug-in", array))


@pytest.mark.parametrize(
    ("array", "change", "claims"),
    [
        ("a1", lambda row: row, set()),
        ("a1", lambda row: row | {"p99_ns": 12 * row["p99_ns"]}, {"only-its-own-helps"}),
        ("a2", lambda row: row | {"plugin": "VENDOR"}, {"only-its-own-claims"}),
        ("a3", lambda row: row | {"digest": "other"}, {"only-its-own-apart"}),
        ("a2", lambda row: row | {"iops": row["iops"] * 9 // 10}, {"only-its-own-shared"}),
    ],
)
def test_a_claim_fails_when_what_it_says_is_not_so(
    rows: list[dict[str, Any]],
    array: str,
    change: Callable[[dict[str, Any]], dict[str, Any]],
    claims: set[str],
) -> None:
    changed = list(rows)
    row = row_of(changed, array)
    changed[changed.index(row)] = change(row)
    assert broken(EXPERIMENT.claims(PLAN.parameters, changed)) == claims


def test_what_the_arrays_share_can_be_felt(rows: list[dict[str, Any]]) -> None:
    default = next(r for r in rows if (r["mode"], r["array"]) == ("default", "a2"))
    assert row_of(rows, "a2")["digest"] != default["digest"]
