"""Rules that hit single I/Os, as a kernel reads them: a row each, and chains of those in force.

The rows of what they break hold the head of a chain; ``faults.h`` follows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .faults import Fault
from .tables import Tables


class FaultChains:
    """The tables ``fault`` and ``chain`` of one kernel."""

    def __init__(self, tables: Tables, codes: Mapping[str, int]) -> None:
        self._tables = tables
        self._codes = codes
        self.linked: list[Fault] = []  # by row of the kernel's table
        self.links = 0

    def count(self) -> None:
        """Brings the rules' hits up to date."""
        hits = self._tables["fault"]["hits"]
        for row, fault in enumerate(self.linked):
            fault.hits = int(hits[row])

    def write(self, faults: Sequence[Fault]) -> None:
        """Puts these rules in force, none of them on anything yet."""
        self.count()
        self._tables.reserve("fault", len(faults))
        self.linked, self.links = list(faults), 0
        for row, fault in zip(self._tables["fault"], faults, strict=False):
            row["uid"], row["threshold"] = fault.uid, fault.rule.threshold
            row["always"] = fault.rule.probability >= 1
            row["hits"], row["limit"] = fault.hits, fault.rule.count
            row["event"], row["kind"] = fault.told_number, self._codes[fault.rule.kind]
            row["per_mille"] = fault.rule.factor_per_mille

    def chain(self, heads: NDArray[np.uint32], at: int, name: str, kinds: Iterable[str]) -> None:
        """Writes one resource's chain: the rules of some kinds that are about it, in order."""
        rows = [
            row
            for row, fault in enumerate(self.linked)
            if fault.rule.kind in kinds and fault.matches(name)
        ]
        self._tables.reserve("chain", self.links + len(rows))
        head = 0
        for row in reversed(rows):
            self._tables["chain"][self.links] = (row, head)
            self.links += 1
            head = self.links
        heads[at] = head
