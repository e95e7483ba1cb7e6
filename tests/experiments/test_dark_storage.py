"""`dark-storage`: its ledger by hand, and what must hold can fail."""

from __future__ import annotations

from typing import Any

from smokestack.experiments import Claim, find
from smokestack.experiments.dark_storage import CATEGORIES, PHASES, Ledger

EXPERIMENT = find("dark-storage")
PAGE = 16 << 10


def rows(**changed: Any) -> list[dict[str, Any]]:
    made = [
        {
            "seed": 1,
            "phase": phase,
            "category": category,
            "physical_bytes": 3,
            "planted_physical_bytes": 3,
            "subscribed_bytes": 5,
            "planted_subscribed_bytes": 5,
            "raw_bytes": 3 * len(CATEGORIES),
        }
        for phase in PHASES
        for category in CATEGORIES
    ]
    made[-1] |= changed
    return made


def claims(**changed: Any) -> dict[str, Claim]:
    found = EXPERIMENT.claims(EXPERIMENT.sizes["small"], rows(**changed))
    return {claim.id: claim for claim in found}


def test_one_byte_that_is_not_where_it_was_planted_breaks_the_claims() -> None:
    assert all(claims()[name].holds for name in ("sums-to-raw", "ground-truth"))
    assert not claims(physical_bytes=4)["sums-to-raw"].holds
    assert not claims(physical_bytes=4)["ground-truth"].holds
    assert not claims(subscribed_bytes=4)["ground-truth"].holds
    assert claims(subscribed_bytes=4)["sums-to-raw"].holds


def test_the_ledger_gives_a_shared_page_to_who_is_nearest_to_use() -> None:
    ledger = Ledger()
    for name, where in (("v", "IN_USE"), ("c", "UNASSIGNED")):
        ledger.volumes[name], ledger.where[name], ledger.sizes[name] = {}, where, 100 * PAGE
    ledger.write("v", range(4))
    ledger.snapshots["v"] = dict(ledger.volumes["v"])
    ledger.volumes["c"] = dict(ledger.volumes["v"])
    ledger.write("v", range(2))  # two of them become new pages, the old ones are the copies'
    found = ledger.physical(50 * PAGE)
    assert (found["IN_USE"], found["UNASSIGNED"], found["SNAPSHOT"]) == (4 * PAGE, 2 * PAGE, 0)
    assert found["POOL_FREE"] == 44 * PAGE
    ledger.reclaim()
    assert ledger.physical(50 * PAGE)["SNAPSHOT"] == 2 * PAGE
    assert ledger.subscribed()["UNASSIGNED"] == 0
