"""consolidation: mean value analysis by other means, and what must hold can fail."""

from __future__ import annotations

from typing import Any

import pytest

from smokestack.experiments.consolidation import (
    CLASSES,
    Consolidation,
    mean_value_analysis,
)
from tests.experiments.broken import Change, broken

EXPERIMENT = Consolidation()
PARAMETERS = EXPERIMENT.sizes["small"]


def test_a_customer_alone_waits_for_nobody() -> None:
    for application in CLASSES.values():
        alone = mean_value_analysis(application, 1)
        assert alone == pytest.approx(application.delay_ns + application.demand_ns)


def test_two_customers_by_hand() -> None:
    # The second finds the first at each disk as often as it is there: U / K of its time.
    application = CLASSES["backup"]
    at_disk, cycle_ns = application.demand_ns / 4, application.cycle_ns
    by_hand = application.delay_ns + 4 * at_disk * (1 + at_disk / cycle_ns)
    assert mean_value_analysis(application, 2) == pytest.approx(by_hand)


def test_far_beyond_the_knee_all_disks_are_busy() -> None:
    for application in CLASSES.values():
        response = mean_value_analysis(application, 2_000)
        cycle_ns = application.think_ns + 2_500 + response
        assert 2_000 / cycle_ns == pytest.approx(4 / application.demand_ns, rel=0.005)


def rows(change: Change) -> list[dict[str, Any]]:
    found = []
    for name, application in CLASSES.items():
        for case in EXPERIMENT.cases(PLAN):
            if case.application != name:
                continue
            response = mean_value_analysis(application, case.customers)
            cycle_ns = application.think_ns + 2_500 + response
            row = {
                "seed": 1,
                "application": name,
                "policy": case.policy,
                "vms": case.vms,
                "customers": case.customers,
                "iops": case.customers * 1e9 / cycle_ns,
                "response_ns": response,
                "mva_response_ns": response,
                "kernel_ns": 0,
                "p99_ns": 5 * response,
                "knee_vms": application.knee / application.depth,
            }
            change(row)
            found.append(row)
    return found


class PLAN:
    seed = 1
    parameters = PARAMETERS


def slower(row: dict[str, Any]) -> None:
    if row["application"] == "OLTP" and row["customers"] > 1:
        row["response_ns"] *= 1.03


def elsewhere(row: dict[str, Any]) -> None:
    if row["application"] == "web" and row["customers"] == 1:
        row["response_ns"] *= 2


def flat(row: dict[str, Any]) -> None:
    if row["application"] == "backup" and 1 < row["customers"] < 400:
        row["response_ns"] = row["mva_response_ns"] = 10_000_000


@pytest.mark.parametrize(
    ("change", "claims"),
    [
        (lambda row: None, set()),
        (slower, {"gets-worse-as-computed"}),
        (elsewhere, {"knee-web"}),
        (flat, {"rises-past-the-knee-backup"}),
    ],
)
def test_what_must_hold_can_fail(change: Change, claims: set[str]) -> None:
    assert broken(EXPERIMENT.claims(PARAMETERS, rows(change))) == claims
