"""`misadvertised`: what must hold can fail, and a lie is of the seed's choosing."""

from __future__ import annotations

from typing import Any

from smokestack.experiments import Claim, find, plan
from smokestack.experiments.misadvertised import HONEST, LIES, VIEWS

EXPERIMENT = find("misadvertised")
SMALL = EXPERIMENT.sizes["small"]


def rows(**changed: Any) -> list[dict[str, Any]]:
    made = [
        {
            "seed": 1,
            "lie": lie,
            "target": "x",
            "view": view,
            "begin_ns": None if lie == HONEST else 5,
            "blind_ns": 7 if view == "JOINED" and lie != HONEST else None,
            "false_findings": 0,
        }
        for lie in (HONEST, *LIES)
        for view in VIEWS
    ]
    made[-1] |= changed
    return made


def joined_sees_all(**changed: Any) -> Claim:
    claims = EXPERIMENT.claims(SMALL, rows(**changed))
    return next(claim for claim in claims if claim.id == "joined-sees-all")


def test_one_lie_that_is_missed_or_one_false_finding_breaks_the_claim() -> None:
    assert joined_sees_all().holds
    assert not joined_sees_all(blind_ns=None).holds
    assert not joined_sees_all(false_findings=1).holds


def test_what_a_view_never_sees_is_reported() -> None:
    found = {claim.id: claim for claim in EXPERIMENT.claims(SMALL, rows())}
    assert (found["host-alone-is-blind"].figure, found["host-alone-is-blind"].baseline) == (0, 7)


def test_the_seed_draws_what_a_lie_is_about_and_when_it_begins() -> None:
    first, again, other = (
        [
            (case.lie, case.target, case.begin_ns)
            for case in EXPERIMENT.cases(plan(EXPERIMENT, seed=s))
        ]
        for s in (1, 1, 99)
    )
    assert first == again != other
    assert {lie for lie, _, _ in first} == {HONEST, *LIES}
