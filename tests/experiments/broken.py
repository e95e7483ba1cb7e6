"""Which claims that must hold do not, given rows that somebody has changed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

from smokestack.experiments import Claim
from smokestack.experiments.experiment import MUST_HOLD

Row = dict[str, Any]
Change = Callable[[Row], None]


def changed(rows: Sequence[Row], change: Change) -> list[Row]:
    """Returns rows that are changed one by one; those that were given stay as they are."""
    found = copy.deepcopy(list(rows))
    for row in found:
        change(row)
    return found


def broken(claims: Sequence[Claim]) -> set[str]:
    """Returns the identifiers of claims that must hold and do not."""
    return {claim.id for claim in claims if claim.kind == MUST_HOLD and not claim.holds}
