"""Fault rules in plain Python: whether one is in force at a time, and whether it hits an I/O.

A rule whose times are known beforehand acts before all else of its time; one that is injected or
cleared acts after all other changes of its time that were made with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

from smokestack.engine.fault_rules import FaultRule
from tests.reference import draws
from tests.reference.agenda import CHANGE, Agenda

BEFORE, AFTER = -1, 1  # all other changes of one time
FORESEEN_NS = 1_000_000  # of what flaps without end, at a time: more than arrays run ahead of hosts


@dataclass(eq=False)
class Rule:
    """A rule and what has become of it."""

    asked: FaultRule
    uid: int
    begin_ns: int
    end_ns: int | None
    at_once: bool
    cleared: bool = False
    hits: int = 0

    def matches(self, kind: str, subject: str) -> bool:
        """Whether it breaks this in this way."""
        ways = "([^/]*)".join(re.escape(part) for part in self.asked.target.split("*"))
        return kind == self.asked.kind and re.fullmatch(ways, subject) is not None

    def in_force(self, now: int, phase: int = AFTER) -> bool:
        """Whether it acts at a time, before or after the other changes of that time."""
        if self.begin_ns == now and self.at_once and phase == BEFORE:
            return False
        ends = self.end_ns
        over = ends is not None and ends <= now
        if ends == now and self.cleared and phase == BEFORE:
            over = False
        return self.begin_ns <= now and not over and self._is_down(now)

    def _is_down(self, now: int) -> bool:
        """Whether what flaps is down at a time at which the rule lasts."""
        down = self.asked.down_ns
        return not down or (now - self.begin_ns) % (down + self.asked.up_ns) < down


class Rules:
    """The rules of one service; a change of now acts ``ahead_ns`` later."""

    def __init__(self, agenda: Agenda, service: str, seed: int, ahead_ns: int = 0) -> None:
        self.rules: list[Rule] = []
        self.moved: Callable[[int, int], None] = lambda _time, _phase: None
        self._agenda = agenda
        self._service = service
        self._seed = seed
        self._ahead_ns = ahead_ns

    def inject(self, asked: FaultRule) -> None:
        """Adds a rule now."""
        acts = self._agenda.now + self._ahead_ns
        name = f"{self._service}/faults/{asked.fault_id}".encode()
        uid = int.from_bytes(blake2b(name, digest_size=8).digest(), "little")
        begin = max(asked.start_ns, acts)
        end = begin + asked.duration_ns if asked.duration_ns else None
        self.rules.append(Rule(asked, uid, begin, end, at_once=begin == acts))
        self.moved(begin, AFTER if begin == acts else BEFORE)
        if asked.down_ns:
            period = asked.down_ns + asked.up_ns
            if asked.count:
                last = begin + (asked.count - 1) * period + asked.down_ns
                end = self.rules[-1].end_ns = last if end is None else min(end, last)
            self._flap(self.rules[-1], begin)
        if end is not None:
            self.moved(end, BEFORE)

    def _flap(self, rule: Rule, since: int) -> None:
        """Foresees when what flaps comes back and goes down: to its end, or for a while."""
        end, period = rule.end_ns, rule.asked.down_ns + rule.asked.up_ns
        until = since + 2 * FORESEEN_NS if end is None else end
        for time in range(since, until, period):
            self.moved(time + rule.asked.down_ns, BEFORE)
            self.moved(since := time + period, BEFORE)
        if end is None:
            self._agenda.add(
                (since - FORESEEN_NS, CHANGE, BEFORE, 0, 0), self._flap_on, rule, since
            )

    def _flap_on(self, rule: Rule, since: int) -> None:
        if rule.end_ns is None and rule in self.rules:
            self._flap(rule, since)

    def clear(self, fault_id: str) -> None:
        """Ends a rule now, if it is still there to end."""
        acts = self._agenda.now + self._ahead_ns
        [rule] = [rule for rule in self.rules if rule.asked.fault_id == fault_id]
        if rule.begin_ns > acts:
            self.rules.remove(rule)
        elif rule.end_ns is None or rule.end_ns > acts:
            rule.end_ns, rule.cleared = acts, True
            self.moved(acts, AFTER)

    def holds(self, kind: str, subject: str, now: int, phase: int = AFTER) -> bool:
        """Whether a rule breaks this at a time."""
        return any(r.matches(kind, subject) and r.in_force(now, phase) for r in self.rules)

    def factor(self, kind: str, subject: str, now: int) -> int:
        """What the first rule in force at a time makes of something, per mille; 0: none does."""
        found = (r for r in self.rules if r.matches(kind, subject) and r.in_force(now))
        return next((rule.asked.factor_per_mille for rule in found), 0)

    def ends(self, kind: str, subject: str) -> list[int]:
        """When each rule that breaks this is over, as far as that is known."""
        return [r.end_ns for r in self.rules if r.matches(kind, subject) and r.end_ns is not None]

    def hit(
        self, kind: str, subject: str, ident: int, attempt: int, now: int | None = None
    ) -> Rule | None:
        """The first rule that hits an I/O now, or did at a time; the hit counts."""
        now = self._agenda.now if now is None else now
        for rule in self.rules:
            asked = rule.asked
            if not rule.matches(kind, subject) or not rule.in_force(now):
                continue
            if asked.count and rule.hits == asked.count:
                continue
            key = (self._seed, draws.FAULT)
            word = draws.philox(key, (ident, attempt, rule.uid, 0))[0]
            if asked.probability < 1 and word >= int(asked.probability * (1 << 64)):
                continue
            rule.hits += 1
            return rule
        return None

    def slowed(self, kind: str, subject: str, ident: int, attempt: int, service_ns: int) -> int:
        """A service time as a rule makes it."""
        rule = self.hit(kind, subject, ident, attempt)
        return service_ns if rule is None else service_ns * rule.asked.factor_per_mille // 1000
