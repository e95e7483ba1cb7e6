"""Fault rules: what is refused, when a rule is in force, which I/Os it hits, counted exactly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from smokestack.engine.errors import AlreadyExists, InvalidArgument, NotFound, ResourceExhausted
from smokestack.engine.event_kinds import EventKind
from smokestack.engine.events import EventLog
from smokestack.engine.fault_rules import FaultKind, FaultRule
from smokestack.engine.faults import FAULT_RULES_MAX, Fault, FaultBook, FaultState
from smokestack.engine.faults_copy import FaultsPart
from smokestack.engine.records import NEVER_NS, Sense
from smokestack.engine.streams import Stream, uid_of
from tests.reference.build import Models, build_models
from tests.reference.config import Change, FaultInjected
from tests.reference.samples import array, job, stack

DOWN = FaultKind("DOWN", "arrays/a1/ports/p0", "It is down.", per_io=False)
SLOW = FaultKind("SLOW", "arrays/a1/pools/p1", "It is slow.", takes_factor=True)
FLAP = FaultKind("FLAP", "arrays/a1/ports/p0", "It may flap.", per_io=False, flaps=True)
PORTS = [f"arrays/a1/ports/p{n}" for n in range(9)]


class Book(FaultBook):
    """A book whose room only notes what is asked of it."""

    now_ns = 1_000

    def __init__(self) -> None:
        self.log = EventLog("arrays/a1")
        super().__init__("arrays/a1", (DOWN, SLOW, FLAP), self.log)
        self.applied: list[tuple[int, list[tuple[str, str]]]] = []

    def subjects(self, kind: FaultKind) -> Sequence[str]:
        return ["arrays/a1/pools/p1"] if kind is SLOW else PORTS

    def apply(self, at_ns: int, changed: Sequence[Fault]) -> None:
        self.applied.append((at_ns, [(f.rule.fault_id, f.state.name) for f in changed]))

    def count(self) -> None:
        """Nothing is hit here."""


def down(fault_id: str = "", **fields: int) -> FaultRule:
    return FaultRule("DOWN", "arrays/a1/ports/p1", fault_id, **fields)


@pytest.mark.parametrize(
    ("rule", "field", "right"),
    [
        (FaultRule("UP", "arrays/a1/ports/p0"), "kind", "use one of DOWN, SLOW, FLAP"),
        (FaultRule("DOWN", "arrays/a1/pools/p1"), "target", "such as 'arrays/a1/ports/p0'"),
        (FaultRule("DOWN", "arrays/a1/ports"), "target", "such as 'arrays/a1/ports/p0'"),
        (FaultRule("DOWN", ""), "target", "such as 'arrays/a1/ports/p0'"),
        (FaultRule("DOWN", "arrays/a2/ports/*"), "target", "p0, arrays/a1/ports/p1"),
        (FaultRule("DOWN", "arrays/a1/ports/P*"), "target", "and 4 more"),
        (FaultRule("DOWN", "arrays/a1/ports/" + "p" * 500), "target", "use up to 500"),
        (FaultRule("DOWN", PORTS[0], "No"), "fault_id", "lower-case"),
        (FaultRule("DOWN", PORTS[0], probability=0.5), "probability", "leave it out"),
        (FaultRule("DOWN", PORTS[0], count=1), "count", "duration_ns"),
        (FaultRule("DOWN", PORTS[0], factor_per_mille=2_000), "factor_per_mille", "leave it out"),
        (FaultRule("DOWN", PORTS[0], start_ns=999), "start_ns", "before now, 1000"),
        (FaultRule("DOWN", PORTS[0], start_ns=-1), "start_ns", "within 0"),
        (FaultRule("DOWN", PORTS[0], duration_ns=1 << 63), "duration_ns", "within 0"),
        (FaultRule("DOWN", PORTS[0], down_ns=5_000), "down_ns", "leave it out"),
        (FaultRule("FLAP", PORTS[0], down_ns=5_000), "up_ns", "leave both out"),
        (FaultRule("FLAP", PORTS[0], up_ns=5_000), "down_ns", "1000 to 86400000000000"),
        (FaultRule("FLAP", PORTS[0], down_ns=999, up_ns=5_000), "down_ns", "999 is not within"),
        (FaultRule("FLAP", PORTS[0], count=3), "count", "duration_ns"),
        (FaultRule("SLOW", "arrays/a1/pools/p1"), "factor_per_mille", "as fast as ever"),
        (FaultRule("SLOW", "arrays/a1/pools/*", probability=1.5), "probability", "0 to 1"),
        (FaultRule("SLOW", "arrays/a1/pools/*", probability=float("nan")), "probability", "0 to 1"),
        (FaultRule("SLOW", "arrays/a1/pools/*", count=-1), "count", "within 0"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_whole(rule: FaultRule, field: str, right: str) -> None:
    book = Book()
    with pytest.raises(InvalidArgument, match=r"fault\.") as refused:
        book.inject(rule)
    assert [v.field for v in refused.value.violations] == [f"fault.{field}"]
    assert right in refused.value.violations[0].description
    assert not book.all() and book.log.last == 0


def test_a_rule_is_pending_then_active_then_ended() -> None:
    book = Book()
    fault = book.inject(down("x", start_ns=5_000, duration_ns=100))
    assert (fault.state, book.next_ns) == (FaultState.PENDING, 5_000)
    book.run_to(4_999)
    assert not book.applied
    book.run_to(5_000)
    assert (fault.state, book.next_ns) == (FaultState.ACTIVE, 5_100)
    assert book.holding("DOWN", PORTS[1]) is fault
    assert book.holding("DOWN", PORTS[2]) is None
    book.run_to(9_000)
    assert (fault.state, book.next_ns) == (FaultState.ENDED, NEVER_NS)
    assert book.applied == [(5_000, [("x", "ACTIVE")]), (5_100, [("x", "ENDED")])]
    started, ended = book.log.after(0, 9)
    assert (started.kind, started.time_ns) == (EventKind.FAULT_STARTED, 5_000)
    assert (ended.kind, ended.time_ns, ended.cause) == (EventKind.FAULT_ENDED, 5_100, started.name)


def flap(**fields: int) -> FaultRule:
    return FaultRule("FLAP", PORTS[1], "x", down_ns=1_000, up_ns=3_000, **fields)


def test_a_rule_that_flaps_goes_down_so_many_times_and_ends() -> None:
    book = Book()
    fault = book.inject(flap(count=2))
    seen = []
    while book.next_ns < NEVER_NS:
        seen.append((book.next_ns, fault.holds, fault.hits))
        book.run_to(book.next_ns)
    assert seen == [(2_000, True, 1), (5_000, False, 1), (6_000, True, 2)]
    assert (fault.state, fault.hits, fault.end_ns) == (FaultState.EXHAUSTED, 2, 6_000)
    assert book.holding("FLAP", PORTS[1]) is None
    assert [event.kind for event in book.log.after(0, 9)] == ["FAULT_STARTED", "FAULT_ENDED"]


def test_what_flaps_ends_with_its_duration_up_or_down() -> None:
    for duration_ns, turns in ((4_500, 2), (3_999, 1), (1_000, 0)):
        book = Book()
        fault = book.inject(flap(duration_ns=duration_ns))
        assert book.holding("FLAP", PORTS[1]) is fault
        book.run_to(10**6)
        assert (fault.state, fault.turns) == (FaultState.ENDED, turns)
        assert book.holding("FLAP", PORTS[1]) is None


def test_what_flaps_goes_on_from_a_snapshot() -> None:
    book, other = Book(), Book()
    fault = book.inject(flap(count=2))
    book.run_to(2_000)
    FaultsPart(other).load(FaultsPart(book).save())()
    copy = other.get("x")
    assert (copy.holds, copy.hits, copy.next_ns, other.next_ns) == (False, 1, 5_000, 5_000)
    other.run_to(10**6)
    assert (copy.state, copy.hits, copy.end_ns) == (FaultState.EXHAUSTED, 2, 6_000)
    assert (fault.state, fault.turns) == (FaultState.ACTIVE, 1)


def test_rules_of_one_time_change_together_and_ends_come_first() -> None:
    book = Book()
    book.inject(down("later", start_ns=2_000))
    book.inject(down("first", duration_ns=1_000))
    book.applied.clear()
    book.run_to(2_000)
    assert book.applied == [(2_000, [("first", "ENDED"), ("later", "ACTIVE")])]


def test_a_rule_that_is_cleared_ends_now_and_is_gone() -> None:
    book = Book()
    book.inject(down("x"))
    assert book.clear("x").state is FaultState.ENDED
    assert book.applied[-1] == (1_000, [("x", "ENDED")])
    assert not book.active()
    with pytest.raises(NotFound, match="arrays/a1/faults/x does not exist"):
        book.clear("x")


def test_rules_are_named_by_themselves_and_never_twice() -> None:
    book = Book()
    names = [book.inject(down()).name for _ in range(2)]
    assert names == ["arrays/a1/faults/down-1", "arrays/a1/faults/down-2"]
    with pytest.raises(AlreadyExists):
        book.inject(down("down-2"))
    for _ in range(FAULT_RULES_MAX - 2):
        book.inject(down())
    with pytest.raises(ResourceExhausted, match="clear those of no more use"):
        book.inject(down())


# --- what is hit, counted from the draws ------------------------------------------------------


def run(*rules: FaultRule) -> Models:
    """A closed loop of 400 writes, under rules from the start."""
    changes: tuple[Change, ...] = tuple(FaultInjected(0, "arrays/a1", rule) for rule in rules)
    loop = job(io_limit=400, slots=4, error_backoff_ns=1_000)
    models = build_models(stack(loop, arrays=(array(),), changes=changes))
    models.run_until_idle(10**12)
    return models


def failed(models: Models) -> set[int]:
    records = models.links["a1"].completions
    return {record.ident for record in records if record.sense == Sense.INTERNAL_FAILURE}


def drawn(name: str, ident: int, attempt: int = 0, seed: int = 1) -> float:
    """The draw of one rule for one I/O, by NumPy's Philox: its counter is stepped before use."""
    counter = [ident, attempt, uid_of(f"arrays/a1/faults/{name}"), 0]
    value = sum(word << 64 * place for place, word in enumerate(counter))
    words = np.random.Philox(key=[seed, int(Stream.FAULT)], counter=value - 1).random_raw(4)
    return int(words[0]) / 2**64


def rule(fault_id: str, probability: float = 1.0, count: int = 0, **fields: int) -> FaultRule:
    volume = "arrays/a1/volumes/v1"
    return FaultRule("COMMAND_FAILED", volume, fault_id, probability, count, **fields)


def test_hits_are_those_that_the_seed_draws() -> None:
    models = run(rule("some", 0.2))
    idents = {record.ident for record in models.completions}
    assert len(idents) == 400
    expected = {ident for ident in idents if drawn("some", ident) < 0.2}
    assert failed(models) == expected
    assert models.arrays["a1"].faults.get("some").hits == len(expected) > 40


def test_a_count_takes_the_first_in_virtual_time() -> None:
    some = failed(run(rule("some", 0.2)))
    few = run(rule("some", 0.2, count=10))
    records = [r for r in few.links["a1"].completions if r.ident in failed(few)]
    assert len(records) == 10
    fault = few.arrays["a1"].faults.get("some")
    assert (fault.state, fault.hits) == (FaultState.EXHAUSTED, 10)
    assert len(failed(few) & some) >= 1
    [ended] = [e for e in few.arrays["a1"].events.after(0, 99) if e.kind == EventKind.FAULT_ENDED]
    assert ended.detail == {"because": "count", "hits": 10}
    assert ended.time_ns == fault.end_ns <= records[-1].time


def test_of_two_rules_the_first_that_hits_counts() -> None:
    models = run(rule("first", 0.5, count=30), rule("second"))
    faults = models.arrays["a1"].faults.all()
    assert faults["first"].hits == 30
    assert faults["second"].hits == 370
    assert len(failed(models)) == 400


@pytest.mark.parametrize(("probability", "hits"), [(0.0, 0), (1.0, 400)])
def test_never_and_always_are_exact(probability: float, hits: int) -> None:
    assert run(rule("x", probability)).arrays["a1"].faults.get("x").hits == hits
