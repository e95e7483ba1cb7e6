"""The path that would be done first, by its relative throughput."""

from __future__ import annotations

from fractions import Fraction
from functools import cmp_to_key

from .base import Candidate, Choice, LastInTurn


class ServiceTime(LastInTurn):
    """dm-multipath's service-time."""

    def select(self, choice: Choice) -> Candidate | None:
        """Returns the path to use."""
        usable = self.usable()
        if not usable:
            return None

        def compare(a: Candidate, b: Candidate) -> int:
            return _compare(a, b, choice.length)

        # The relation is not transitive, so what counts is who meets whom: in the order of use.
        best = usable[0]
        for path in usable[1:]:
            best = min(best, path, key=cmp_to_key(compare))
        return self.used(best)


def _compare(a: Candidate, b: Candidate, length: int) -> int:
    """Says whether a (negative) or b (positive) is better."""
    if a.relative_throughput == b.relative_throughput:
        return a.in_flight_bytes - b.in_flight_bytes
    faster = b.relative_throughput - a.relative_throughput
    if a.in_flight_bytes == b.in_flight_bytes:
        return faster
    if not a.relative_throughput or not b.relative_throughput:
        return faster
    time_a = Fraction(a.in_flight_bytes + length, a.relative_throughput)
    time_b = Fraction(b.in_flight_bytes + length, b.relative_throughput)
    if time_a == time_b:
        return faster
    return -1 if time_a < time_b else 1
