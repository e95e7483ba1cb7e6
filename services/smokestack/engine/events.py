"""A service's events: what happened, when in virtual time, to what, and because of what.

A log is append-only and bounded: it keeps the newest events and drops the oldest.  Numbers count
from 1 and times never decrease.  Both come from the simulation, never from when somebody looked, so
one scenario and seed give one log, in one process or in many, wherever windows are cut.  Nothing is
written per I/O.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from .errors import InvalidArgument, NotFound, OutOfRange
from .event_kinds import EventKind

EVENTS_KEPT: Final = 65_536

Detail = Mapping[str, str | int]
NO_DETAIL: Final[Detail] = MappingProxyType({})


class Event(NamedTuple):
    """One thing that happened."""

    service: str  # whose log it stands in, e.g. "arrays/a1"
    number: int  # its place in that log, from 1
    time_ns: int
    kind: EventKind
    subject: str  # full name of what it happened to
    cause: str  # full name of the event that caused it, of whatever service; empty: none known
    detail: Detail

    @property
    def name(self) -> str:
        """Its full name, e.g. "arrays/a1/events/17"."""
        return event_name(self.service, self.number)


def event_name(service: str, number: int) -> str:
    """Returns an event's full name; number 0 is no event and has none."""
    return f"{service}/events/{number}" if number else ""


LogState = tuple[tuple[Event, ...], int, int]


class EventLog:
    """The events of one service; any thread may read and wait while one writes."""

    def __init__(self, service: str, kept: int = EVENTS_KEPT) -> None:
        self.service = service
        self.kept = kept
        self._ring: list[Event] = []  # number n stands at (n - 1) % kept
        self._last = 0
        self._time_ns = 0
        self.generation = 0  # counts how often the log has gone back to an earlier state
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._waiting = 0  # threads: mostly there is none to be woken

    @property
    def last(self) -> int:
        """Number of the newest event; 0 while there is none."""
        return self._last

    @property
    def first(self) -> int:
        """Number of the oldest event that is kept; one more than ``last`` while there is none."""
        return self._last - len(self._ring) + 1

    def add(
        self,
        time_ns: int,
        kind: EventKind,
        subject: str,
        cause: str = "",
        detail: Detail = NO_DETAIL,
    ) -> Event:
        """Appends an event.  Its time is at least that of the event before it."""
        with self._lock:
            number = self._last + 1
            self._time_ns = max(time_ns, self._time_ns)
            event = Event(self.service, number, self._time_ns, kind, subject, cause, detail)
            if len(self._ring) < self.kept:
                self._ring.append(event)
            else:
                self._ring[(number - 1) % self.kept] = event
            self._last = number
            if self._waiting:
                self._changed.notify_all()
        return event

    def get(self, number: int) -> Event:
        """Returns one event; NotFound says whether it is gone or has never been."""
        with self._lock:
            if self.first <= number <= self._last:
                return self._ring[(number - 1) % self.kept]
        name = event_name(self.service, number)
        if 0 < number < self.first:
            raise NotFound(f"{name} is gone: the oldest kept is {self.first}", resource=name)
        raise NotFound.of(name or f"{self.service}/events/0")

    def after(self, number: int, most: int) -> list[Event]:
        """Returns the events that follow a number, up to ``most``, without a gap.

        OutOfRange says that some of them are gone, InvalidArgument that the number is yet to come.
        """
        with self._lock:
            if number > self._last:
                raise InvalidArgument.at("number", f"{number} is beyond the newest, {self._last}")
            if number + 1 < self.first:
                raise OutOfRange(
                    f"{self.service} has dropped its events {number + 1} to {self.first - 1}: "
                    f"it keeps the newest {self.kept}, from {self.first} on",
                    reason="EVENTS_DROPPED",
                    resource=self.service,
                )
            end = min(self._last, number + most)
            return [self._ring[n % self.kept] for n in range(number, end)]

    def before(self, number: int, most: int) -> list[Event]:
        """Returns the events that precede a number, newest first: up to ``most`` of those kept."""
        with self._lock:
            end = min(number, self._last + 1)
            start = max(self.first, end - most)
            return [self._ring[(n - 1) % self.kept] for n in range(end - 1, start - 1, -1)]

    def wait(self, number: int, stop: Callable[[], bool]) -> bool:
        """Waits until an event follows a number; False once ``stop()`` says so first.

        Whoever makes ``stop()`` true calls ``wake`` then.
        """
        with self._lock:
            self._waiting += 1
            try:
                self._changed.wait_for(lambda: self._last > number or stop())
            finally:
                self._waiting -= 1
            return self._last > number

    def since(self, number: int) -> list[Event]:
        """Returns the events after a number that are kept: after a gap, all that are."""
        return self.after(max(number, self.first - 1), self.kept)

    def state(self) -> LogState:
        """Returns the events that are kept, the newest one's number, and the last time told."""
        with self._lock:
            at = self._last % self.kept if len(self._ring) == self.kept else 0
            return (*self._ring[at:], *self._ring[:at]), self._last, self._time_ns

    def go_back(self, state: LogState) -> None:
        """Makes the log as it once was; whoever waits is woken and finds another generation."""
        with self._lock:
            events, self._last, self._time_ns = state
            at = self._last % self.kept if len(events) == self.kept else 0
            self._ring = [*events[len(events) - at :], *events[: len(events) - at]]
            self.generation += 1
            self._changed.notify_all()

    def take_in(self, events: Sequence[Event]) -> None:
        """Appends events that were told before, as they were; after a gap they are all there is."""
        if events and events[0].number != self._last + 1:
            self.go_back((tuple(events), events[-1].number, events[-1].time_ns))
            return
        for event in events:
            self.add(event.time_ns, event.kind, event.subject, event.cause, event.detail)

    def wake(self) -> None:
        """Makes all who wait look whether they are to stop."""
        with self._lock:
            self._changed.notify_all()
