"""Events on the wire: lists, and streams that resume without a gap and without a repeat.

A watcher is a cursor into the log, nothing more: one that is too slow meets the end of what is kept
and is told how to resume.  Each holds a thread while it watches, so their number is bounded.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from smokestack.engine.errors import Aborted, InvalidArgument, OutOfRange, ResourceExhausted
from smokestack.engine.event_kinds import EventKind
from smokestack.engine.events import Event, EventLog
from smokestack.engine.paging import PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX
from smokestack.engine.resume import ResumeTokens
from smokestack.v1 import simulation_pb2 as pb

WATCHERS_MAX: Final = 6  # of a server's 16 threads
BATCH_EVENTS: Final = 256
# After so many events that a filter leaves out, the watcher hears how far the stream has got.
SILENT_EVENTS_MAX: Final = 4_096
_LOOK: Final = 4_096  # events that a filtered list looks at in one go


class Filter(NamedTuple):
    """What somebody wants to hear of."""

    kinds: frozenset[str]
    subject: str

    @classmethod
    def of(cls, kinds: Iterable[str], subject: str) -> Filter:
        """Returns a request's filter; refuses a kind that does not exist."""
        wanted = frozenset(kinds)
        unknown = sorted(wanted - {str(kind) for kind in EventKind})
        if unknown:
            raise InvalidArgument.at(
                "kinds", f"{unknown[0]!r} is none of {', '.join(sorted(EventKind))}"
            )
        return cls(wanted, subject.rstrip("/"))

    def passes(self, event: Event) -> bool:
        """Says whether an event is wanted."""
        if self.kinds and event.kind not in self.kinds:
            return False
        subject, above = event.subject, self.subject
        return not above or subject == above or subject.startswith(f"{above}/")


class EventFeed:
    """Serves the events of one log."""

    def __init__(self, log: EventLog, watchers_max: int = WATCHERS_MAX) -> None:
        self._log = log
        self._tokens = ResumeTokens(log, secrets.token_hex(8))
        self._watchers_max = watchers_max
        self._seats = threading.BoundedSemaphore(watchers_max)
        self._over = ""

    def close(self, why: str) -> None:
        """Ends all streams: nothing more will happen here."""
        self._over = why
        self._log.wake()

    def get(self, request: pb.GetEventRequest) -> pb.Event:
        """Returns one event."""
        service, _, number = request.name.rpartition("/events/")
        if not re.fullmatch(r"[a-z]+/[^/]+", service) or not re.fullmatch(r"[0-9]{1,18}", number):
            raise InvalidArgument.at(
                "name",
                f"{request.name!r} does not have the form of a full name such as "
                f"'{self._log.service}/events/17'",
            )
        if service != self._log.service:
            raise InvalidArgument.at(
                "name", f"{request.name!r} is an event of {service}: ask that service for it"
            )
        return message(self._log.get(int(number)))

    # --- lists ------------------------------------------------------------------------------

    def page(self, request: pb.ListEventsRequest) -> pb.ListEventsResponse:
        """Returns one page of the events that a filter lets pass."""
        if request.page_size < 0:
            raise InvalidArgument.at(
                "page_size",
                f"{request.page_size} is negative: use 1 to {PAGE_SIZE_MAX}, or 0 for the default",
            )
        size = min(request.page_size or PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)
        wanted = Filter.of(request.kinds, request.subject)
        position = -self._log.last - 1 if request.newest_first else self._log.first - 1
        if request.page_token:
            position = self._tokens.read(request.page_token, "page_token")
            if (position < 0) != request.newest_first:
                raise InvalidArgument.at(
                    "page_token", "is of a list in the other order: start again without one"
                )
        if request.newest_first:
            return self._newest(-position, wanted, size)
        return self._oldest(position, wanted, size)

    def _oldest(self, seen: int, wanted: Filter, size: int) -> pb.ListEventsResponse:
        end = self._log.last
        found: list[Event] = []
        while seen < end and len(found) < size:
            some = self._after(seen, min(_LOOK, end - seen))
            seen = _take(some, wanted, found, size)
        token = self._tokens.make(seen)
        return pb.ListEventsResponse(
            events=map(message, found),
            next_page_token=token if seen < end else "",
            resume_token=token,
        )

    def _newest(self, next_number: int, wanted: Filter, size: int) -> pb.ListEventsResponse:
        newest = self._log.last
        found: list[Event] = []
        while len(found) < size and (some := self._log.before(next_number, _LOOK)):
            next_number = _take(some, wanted, found, size)
        more = next_number > self._log.first
        return pb.ListEventsResponse(
            events=map(message, found),
            next_page_token=self._tokens.make(-next_number) if more else "",
            resume_token=self._tokens.make(newest),
        )

    # --- streams ----------------------------------------------------------------------------

    def watch(
        self, request: pb.WatchEventsRequest, context: Any = None
    ) -> Iterator[pb.WatchEventsResponse]:
        """Yields what follows a token, and with ``follow`` what comes until the caller leaves."""
        wanted = Filter.of(request.kinds, request.subject)
        if request.resume_token:
            seen = self._tokens.read(request.resume_token)
            if seen < 0:
                raise InvalidArgument.at(
                    "resume_token", "is a page_token of a list: give the list's resume_token"
                )
        else:
            seen = self._log.last if request.only_new else self._log.first - 1
        if not self._seats.acquire(blocking=False):
            raise ResourceExhausted(
                f"{self._log.service} has {self._watchers_max} watchers already: end one first",
                reason="WATCHERS",
                resource=self._log.service,
            )
        try:
            yield from self._stream(seen, wanted, request.follow, _left(context, self._log))
        finally:
            self._seats.release()

    def _stream(
        self, seen: int, wanted: Filter, follow: bool, left: Callable[[], bool]
    ) -> Iterator[pb.WatchEventsResponse]:
        generation = self._log.generation

        def over() -> bool:
            return bool(self._over) or left() or self._log.generation != generation

        told = -1  # up to where the watcher knows that it has heard all
        while not left():
            if self._log.generation != generation:
                raise Aborted(
                    f"{self._log.service} has gone back to a snapshot: what was told since then "
                    "has not happened; watch again without a token",
                    reason="SNAPSHOT_RESTORED",
                    resource=self._log.service,
                )
            some = self._after(seen, BATCH_EVENTS)
            seen = some[-1].number if some else seen
            found = [message(event) for event in some if wanted.passes(event)]
            if found or told < 0 or seen - told >= SILENT_EVENTS_MAX:
                yield pb.WatchEventsResponse(events=found, resume_token=self._tokens.make(seen))
                told = seen
            if some:
                continue
            if not follow:
                if told != seen:
                    yield pb.WatchEventsResponse(resume_token=self._tokens.make(seen))
                return
            self._log.wait(seen, over)
            if self._over and self._log.last == seen:
                raise Aborted(self._over, reason="RESET", resource=self._log.service)

    def _after(self, seen: int, most: int) -> list[Event]:
        try:
            return self._log.after(seen, most)
        except OutOfRange as gone:
            token = self._tokens.make(self._log.first - 1)
            raise OutOfRange(
                f"{gone.message}; to go on there resume with {token}",
                reason=gone.reason,
                resource=gone.resource,
            ) from None


def message(event: Event) -> pb.Event:
    """Returns an event as it travels."""
    return pb.Event(
        name=event.name,
        time_ns=event.time_ns,
        kind=event.kind,
        subject=event.subject,
        cause=event.cause,
        details=[
            pb.EventDetail(key=key, text=value)
            if isinstance(value, str)
            else pb.EventDetail(key=key, number=value)
            for key, value in sorted(event.detail.items())
        ],
    )


def _take(events: Iterable[Event], wanted: Filter, found: list[Event], size: int) -> int:
    """Adds the events that pass until there are enough; returns the last number looked at."""
    number = 0
    for event in events:
        number = event.number
        if wanted.passes(event):
            found.append(event)
            if len(found) == size:
                break
    return number


def _left(context: Any, log: EventLog) -> Callable[[], bool]:
    """Returns what says that a call's client has left; whoever waits for events is woken then."""
    if context is None:
        return lambda: False
    left = threading.Event()

    def leave() -> None:
        left.set()
        log.wake()

    if not context.add_callback(leave):
        left.set()
    return left.is_set
