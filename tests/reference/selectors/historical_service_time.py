"""The path with the least product of measured service time and I/Os in flight plus one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .base import Candidate, Choice, LastInTurn

ONE = 1024  # of weights, and of service times in nanoseconds
BUCKET_NS = 1 << 24
BUCKETS = 64


@dataclass
class _Measure:
    hst: int = ONE
    stale_after: int = 0
    last_finish: int = 0


class HistoricalServiceTime(LastInTurn):
    """dm-multipath's historical-service-time."""

    def __init__(self, paths: Sequence[Candidate]) -> None:
        super().__init__(paths)
        self._measures = {id(path): _Measure() for path in paths}

    def select(self, choice: Choice) -> Candidate | None:
        """Returns the path to use."""
        best: Candidate | None = None
        for path in self.usable():
            if best is None or self._better(path, best, choice):
                best = path
        return None if best is None else self.used(best)

    def _better(self, a: Candidate, b: Candidate, choice: Choice) -> bool:
        """Whether a beats b; on a tie it does not."""
        ma, mb = self._measures[id(a)], self._measures[id(b)]
        more, less = max(ma.hst, mb.hst), min(ma.hst, mb.hst)
        if more <= choice.settings.hst_threshold_multiplier * less:
            return a.in_flight < b.in_flight
        stale_a, stale_b = ma.stale_after < choice.now, mb.stale_after < choice.now
        probe_a, probe_b = not a.in_flight and stale_a, not b.in_flight and stale_b
        if probe_a or probe_b or not (a.in_flight or b.in_flight):
            if a.in_flight:
                return False
            if b.in_flight:
                # As the rule has it: never answered counts as 0, and so does not win.
                return mb.stale_after > 0
            return ma.stale_after < mb.stale_after
        hst_a, hst_b = ma.hst, mb.hst
        if a.in_flight != b.in_flight and max(a.in_flight, b.in_flight) >= ONE:
            hst_a, hst_b = hst_a // ONE, hst_b // ONE
        b_wins = (1 + a.in_flight) * hst_a > (1 + b.in_flight) * hst_b
        if stale_b if b_wins else stale_a:
            return a.in_flight < b.in_flight
        return not b_wins

    def answered(self, path: Candidate, choice: Choice, start_ns: int) -> None:
        """Takes an I/O's service time into the path's average."""
        measure = self._measures[id(path)]
        took = choice.now - max(start_ns, measure.last_finish)
        measure.last_finish = choice.now
        weight = _weight(choice.settings.hst_base_weight, took // BUCKET_NS)
        measure.hst = _rounded(measure.hst * weight + took * ONE * (ONE - weight))
        usable = sum(each.usable for each in self.paths)
        measure.stale_after = choice.now + usable * (measure.hst // ONE)


def _weight(base: int, bucket: int) -> int:
    """What the past weighs against a service time of some bucket, of 1,024."""
    if bucket >= BUCKETS - 1:
        return 0
    return _power(base, bucket + 1)


def _power(base: int, exponent: int) -> int:
    """A weight to the power of something, every step of the squaring rounded."""
    power = ONE
    while exponent:
        if exponent % 2:
            power = _rounded(power * base)
        base = _rounded(base * base)
        exponent //= 2
    return power


def _rounded(product: int) -> int:
    return (product + ONE // 2) // ONE
