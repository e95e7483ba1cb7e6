"""The event log: bounded, without gaps, readable by any thread while one writes."""

from __future__ import annotations

import threading
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smokestack.engine.errors import FailedPrecondition, InvalidArgument, NotFound, OutOfRange
from smokestack.engine.event_kinds import EventKind
from smokestack.engine.events import Event, EventLog, event_name
from smokestack.engine.resume import ResumeTokens


def filled(count: int, kept: int = 10) -> EventLog:
    log = EventLog("arrays/a1", kept)
    for number in range(1, count + 1):
        log.add(10 * number, EventKind.PORT_DOWN, f"arrays/a1/ports/p{number}")
    return log


def numbers(events: list[Event]) -> list[int]:
    return [event.number for event in events]


def test_events_are_named_after_their_service_and_place() -> None:
    log = EventLog("arrays/a1")
    first = log.add(5, EventKind.PORT_DOWN, "arrays/a1/ports/p0")
    second = log.add(7, EventKind.PORT_UP, "arrays/a1/ports/p0", first.name, {"after_ns": 2})
    assert (first.name, second.name) == ("arrays/a1/events/1", "arrays/a1/events/2")
    assert second == Event(
        "arrays/a1", 2, 7, EventKind.PORT_UP, "arrays/a1/ports/p0", first.name, {"after_ns": 2}
    )
    assert event_name("arrays/a1", 0) == ""


def test_times_never_decrease() -> None:
    log = EventLog("arrays/a1")
    times = [log.add(t, EventKind.PORT_UP, "x").time_ns for t in (5, 3, 5, 9)]
    assert times == [5, 5, 5, 9]


@given(
    st.integers(0, 40), st.integers(1, 12), st.integers(0, 41), st.integers(0, 41), st.booleans()
)
def test_what_is_kept_is_found_and_what_is_gone_is_refused(
    count: int, kept: int, number: int, most: int, forward: bool
) -> None:
    log = filled(count, kept)
    held = list(range(1, count + 1))[-kept:]
    assert (log.first, log.last) == (held[0] if held else 1, count)
    if not forward:
        assert numbers(log.before(number, most)) == [n for n in held if n < number][::-1][:most]
    elif number > count:
        with pytest.raises(InvalidArgument):
            log.after(number, most)
    elif number + 1 < log.first:
        with pytest.raises(OutOfRange) as caught:
            log.after(number, most)
        assert caught.value.reason == "EVENTS_DROPPED"
    else:
        assert numbers(log.after(number, most)) == [n for n in held if n > number][:most]


def test_a_single_event_is_there_or_gone_or_never_was() -> None:
    log = filled(12)
    assert log.get(3).number == 3
    with pytest.raises(NotFound, match="gone: the oldest kept is 3"):
        log.get(2)
    for never in (0, 13):
        with pytest.raises(NotFound, match="does not exist"):
            log.get(never)


def test_who_waits_hears_of_the_next_event_or_is_told_to_stop() -> None:
    log = filled(3)
    assert log.wait(2, lambda: False)
    heard: list[bool] = []
    stopped = threading.Event()
    waiters = [
        threading.Thread(target=lambda: heard.append(log.wait(3, stopped.is_set))),
        threading.Thread(target=lambda: heard.append(log.wait(4, stopped.is_set))),
    ]
    for waiter in waiters:
        waiter.start()
    log.add(99, EventKind.PORT_UP, "x")
    waiters[0].join()
    stopped.set()
    log.wake()
    waiters[1].join()
    assert heard == [True, False]


def test_readers_see_every_event_once_while_another_thread_writes() -> None:
    log = EventLog("arrays/a1", 5_000)
    seen: list[list[int]] = [[], [], []]

    def read(mine: list[int]) -> None:
        while not mine or mine[-1] < 5_000:
            log.wait(mine[-1] if mine else 0, lambda: False)
            mine += numbers(log.after(mine[-1] if mine else 0, 7))

    readers = [threading.Thread(target=read, args=(mine,)) for mine in seen]
    for reader in readers:
        reader.start()
    for number in range(5_000):
        log.add(number, EventKind.PORT_UP, "x")
    for reader in readers:
        reader.join()
    assert seen == [list(range(1, 5_001))] * 3


def test_every_kind_is_a_stable_word_with_a_sentence() -> None:
    for kind in EventKind:
        assert kind == kind.name == str(kind)
        assert kind.name.isupper()
        assert kind.sentence[0].isupper() and kind.sentence.endswith(".")
    sentences = [kind.sentence for kind in EventKind]
    assert len(set(sentences)) == len(sentences)


# --- resume tokens ----------------------------------------------------------------------------


def test_a_token_says_where_it_was_made() -> None:
    log = filled(12)
    tokens = ResumeTokens(log, "run1")
    for number in (0, 7, 12):
        assert ResumeTokens(log, "run1").read(tokens.make(number)) == number
    made = {tokens.make(number) for number in range(13)}
    assert len(made) == 13


@pytest.mark.parametrize("change", ["", "!", "AAAA", "cut", "flip", "ä"])
def test_a_damaged_token_is_refused(change: str) -> None:
    tokens = ResumeTokens(filled(3), "run1")
    token = tokens.make(2)
    if change == "cut":
        token = token[:-6]
    elif change == "flip":
        token = token[:10] + ("B" if token[10] == "A" else "A") + token[11:]
    else:
        token = change
    with pytest.raises(InvalidArgument, match="damaged") as caught:
        tokens.read(token)
    assert caught.value.reason == "DAMAGED_TOKEN"
    assert [v.field for v in caught.value.violations] == ["resume_token"]


def test_a_token_of_another_service_is_refused_by_name() -> None:
    token = ResumeTokens(filled(3), "run1").make(2)
    with pytest.raises(InvalidArgument, match="is of arrays/a1, not of arrays/a2") as caught:
        ResumeTokens(EventLog("arrays/a2"), "run1").read(token)
    assert caught.value.reason == "FOREIGN_TOKEN"


def test_a_token_of_an_earlier_run_is_refused() -> None:
    log = filled(3)
    token = ResumeTokens(log, "run1").make(2)
    with pytest.raises(FailedPrecondition, match="earlier run") as caught:
        ResumeTokens(log, "run2").read(token)
    assert caught.value.reason == "STALE_TOKEN"
    with pytest.raises(FailedPrecondition):
        ResumeTokens(filled(1), "run1").read(token)  # counts events that are yet to come


def test_times_of_a_log_ascend_with_numbers() -> None:
    events = filled(12).after(2, 99)
    assert all(a.time_ns <= b.time_ns and a.number + 1 == b.number for a, b in pairwise(events))
