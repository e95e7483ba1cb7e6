"""The fault rules of one service: when each begins, what it hits, when it ends.

A rule begins and ends at exact virtual times, and one that flaps goes up and down at such.  Whether
it hits an I/O is a draw keyed by the rule and the I/O, never by the order in which things were
simulated, so the seed repeats it.  The book knows rules and times; what a fault does is the room's,
which registers the kinds that it models.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Final

from .checks import identifier
from .errors import AlreadyExists, InvalidArgument, NotFound, ResourceExhausted
from .event_kinds import EventKind
from .events import Detail, EventLog
from .fault_rules import FaultKind, FaultRule, check_numbers, check_target, pattern_of
from .records import NEVER_NS
from .streams import uid_of

FAULT_RULES_MAX: Final = 1_000


class FaultState(IntEnum):
    """Where a rule is in its life."""

    PENDING = 1  # it has not begun
    ACTIVE = 2
    EXHAUSTED = 3  # it has hit as often as it may
    ENDED = 4  # its duration is over, or it was cleared


@dataclass
class Fault:
    """A rule in the book, and what has become of it."""

    rule: FaultRule
    kind: FaultKind
    name: str  # e.g. "arrays/a1/faults/slow"
    begin_ns: int
    end_ns: int  # NEVER_NS: until it is cleared
    state: FaultState = FaultState.PENDING
    hits: int = 0
    told: str = ""  # full name of the newest event about it
    told_number: int = 0
    turns: int = 0  # of one that flaps: how often it has gone up or down again since it began
    uid: int = field(init=False)
    _pattern: re.Pattern[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.uid = uid_of(self.name)
        self._pattern = pattern_of(self.rule.target)

    def matches(self, subject: str) -> bool:
        """Returns whether the rule is about this resource."""
        return self._pattern.fullmatch(subject) is not None

    @property
    def flaps(self) -> bool:
        """Whether it comes and goes while it is in force."""
        return self.rule.down_ns > 0

    @property
    def holds(self) -> bool:
        """Whether it breaks something now: it is in force, and not between two times."""
        return self.state is FaultState.ACTIVE and self.turns % 2 == 0

    @property
    def next_ns(self) -> int:
        """When it next begins, turns or ends; NEVER_NS: by itself no more."""
        if self.state is FaultState.PENDING:
            return self.begin_ns
        if self.state is not FaultState.ACTIVE:
            return NEVER_NS
        return min(self.end_ns, self._turn_ns) if self.flaps else self.end_ns

    @property
    def _turn_ns(self) -> int:
        """When one that flaps next goes up or down: counted from its beginning, so never late."""
        rounds, is_up = divmod(self.turns, 2)
        period_ns = self.rule.down_ns + self.rule.up_ns
        return self.begin_ns + rounds * period_ns + (period_ns if is_up else self.rule.down_ns)


class FaultBook(ABC):
    """The rules of one service, in the order in which they came: the first one that hits counts."""

    def __init__(self, service: str, kinds: Sequence[FaultKind], events: EventLog) -> None:
        self.service = service
        self.kinds = {kind.name: kind for kind in kinds}
        self.next_ns = NEVER_NS  # when the next rule begins or ends
        self._events = events
        self._faults: dict[str, Fault] = {}

    # --- what a room says -------------------------------------------------------------------

    @property
    @abstractmethod
    def now_ns(self) -> int:
        """The service's virtual time."""

    @property
    def acts_ns(self) -> int:
        """When a change of now acts."""
        return self.now_ns

    @abstractmethod
    def subjects(self, kind: FaultKind) -> Sequence[str]:
        """Returns the full names of all that a kind could break, in order."""

    @abstractmethod
    def apply(self, at_ns: int, changed: Sequence[Fault]) -> None:
        """Makes the model be as the rules in force want it, from a time on."""

    @abstractmethod
    def count(self) -> None:
        """Brings the rules' hits up to date."""

    # --- rules ------------------------------------------------------------------------------

    def inject(self, rule: FaultRule) -> Fault:
        """Adds a rule, which begins no sooner than a change of now acts; refuses what is wrong."""
        rule = self._checked(rule)
        begin_ns = max(rule.start_ns, self.acts_ns)
        fault = Fault(
            rule=rule,
            kind=self.kinds[rule.kind],
            name=f"{self.service}/faults/{rule.fault_id}",
            begin_ns=begin_ns,
            end_ns=begin_ns + rule.duration_ns if rule.duration_ns else NEVER_NS,
        )
        self._faults[rule.fault_id] = fault
        self._look_ahead()
        self.run_to(self.acts_ns)
        return fault

    def clear(self, fault_id: str) -> Fault:
        """Takes a rule out and returns it; one in force ends when a change of now acts."""
        fault = self.get(fault_id)
        del self._faults[fault_id]
        if fault.state is FaultState.ACTIVE:
            fault.state, fault.end_ns = FaultState.ENDED, self.acts_ns
            self._tell(fault, fault.end_ns, "cleared")
            self.apply(fault.end_ns, [fault])
        self._look_ahead()
        return fault

    def get(self, fault_id: str) -> Fault:
        """Returns a rule as it stands."""
        if fault_id not in self._faults:
            raise NotFound.of(f"{self.service}/faults/{fault_id}")
        self.count()
        return self._faults[fault_id]

    def all(self) -> dict[str, Fault]:
        """Returns the rules as they stand, by identifier, in order."""
        self.count()
        return dict(self._faults)

    # --- time -------------------------------------------------------------------------------

    def run_to(self, time_ns: int) -> None:
        """Lets begin, turn and end all rules whose time comes up to a time, this one included."""
        while self.next_ns <= time_ns:
            at_ns = self.next_ns
            changed = [fault for fault in self._faults.values() if fault.next_ns == at_ns]
            changed.sort(key=lambda fault: fault.state is FaultState.PENDING)  # ends come first
            for fault in changed:
                self._step(fault, at_ns)
            self._look_ahead()
            self.apply(at_ns, changed)

    def _step(self, fault: Fault, at_ns: int) -> None:
        """Lets a rule begin, end, or go up or down."""
        if fault.state is FaultState.PENDING:
            fault.state = FaultState.ACTIVE
            fault.hits = int(fault.flaps)
            self._tell(fault, at_ns, "")
        elif fault.end_ns == at_ns:
            fault.state = FaultState.ENDED
            self._tell(fault, at_ns, "duration")
        elif fault.holds and fault.hits == fault.rule.count:
            self.exhaust(fault, at_ns)
        else:
            fault.turns += 1
            fault.hits += fault.holds

    def exhaust(self, fault: Fault, at_ns: int) -> None:
        """Notes that a rule has hit as often as it may."""
        fault.state, fault.end_ns = FaultState.EXHAUSTED, at_ns
        fault.hits = fault.rule.count
        self._tell(fault, at_ns, "count")
        self._look_ahead()

    def active(self, kind: str = "") -> list[Fault]:
        """Returns the rules that break something now, of one kind or of all, in order."""
        return [
            fault
            for fault in self._faults.values()
            if fault.holds and kind in ("", fault.rule.kind)
        ]

    def holding(self, kind: str, subject: str) -> Fault | None:
        """Returns the first rule in force of a kind that is about a resource."""
        if not self._faults:
            return None
        return next((fault for fault in self.active(kind) if fault.matches(subject)), None)

    def _look_ahead(self) -> None:
        self.next_ns = min((fault.next_ns for fault in self._faults.values()), default=NEVER_NS)

    def _tell(self, fault: Fault, at_ns: int, because: str) -> None:
        if because:
            self.count()
            detail: Detail = {"because": because, "hits": fault.hits}
            told = self._events.add(at_ns, EventKind.FAULT_ENDED, fault.name, fault.told, detail)
        else:
            detail = {"kind": fault.rule.kind, "target": fault.rule.target}
            told = self._events.add(at_ns, EventKind.FAULT_STARTED, fault.name, detail=detail)
        fault.told, fault.told_number = told.name, told.number

    # --- checks -----------------------------------------------------------------------------

    def _checked(self, rule: FaultRule) -> FaultRule:
        """Returns a rule that can be added, with its identifier, or refuses it field by field."""
        kind = self.kinds.get(rule.kind)
        if kind is None:
            raise InvalidArgument.at(
                "fault.kind",
                f"{rule.kind!r} is no kind that {self.service} models: "
                f"use one of {', '.join(self.kinds)}",
            )
        check_numbers(rule, kind, self.now_ns)
        check_target(rule, kind, self.service, self.subjects(kind))
        if rule.fault_id:
            identifier("fault.fault_id", rule.fault_id)
        if rule.fault_id in self._faults:
            raise AlreadyExists.of(f"{self.service}/faults/{rule.fault_id}")
        if len(self._faults) >= FAULT_RULES_MAX:
            raise ResourceExhausted(
                f"{self.service} has {FAULT_RULES_MAX} fault rules: clear those of no more use",
                resource=f"{self.service}/faults",
            )
        return rule if rule.fault_id else replace(rule, fault_id=self._free_id(kind))

    def _free_id(self, kind: FaultKind) -> str:
        stem = kind.name.lower().replace("_", "-")
        number = 1
        while f"{stem}-{number}" in self._faults:
            number += 1
        return f"{stem}-{number}"
