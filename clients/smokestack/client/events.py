"""Events: what happened, and why; looked through, watched as they come, waited for."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Generator, Iterable, Iterator
from typing import Any, Generic, TypeVar

from smokestack.v1 import simulation_pb2 as pb

from .kinds import Kind, name_of
from .operations import Async, Bound, Call, Session, Sync, Way, operation, procedure
from .resources import Collection, Resource
from .sessions import AsyncSession, BlockingSession

_SERVICE = "SimulationService"
_Item = TypeVar("_Item")


class Event(Resource[Way]):
    """One thing that happened in a service, at a virtual time."""

    of_kind = Kind(pb, _SERVICE, "Event", "events")
    time_ns: int
    kind: str
    subject: str
    cause: str
    details: tuple[pb.EventDetail, ...]

    @property
    def number(self) -> int:
        """Its place among the events of its service, from 1."""
        return int(self.id)

    @property
    def detail(self) -> dict[str, str | int]:
        """What else there is to say, by key, e.g. {"free_bytes": 0}."""
        return {
            each.key: each.number if each.HasField("number") else each.text for each in self.details
        }


class Events(Collection[Way, Event[Way]]):
    """The events of one service, by number; iterated from the oldest that is kept."""

    resource = Event
    has_parent = False

    @operation
    def find(
        self,
        *,
        kinds: Iterable[str] = (),
        subject: str | Resource[Any] = "",
        newest_first: bool = False,
        limit: int = 1_000,
    ) -> Call[list[Event[Way]]]:
        """Finds up to ``limit`` (at most 10,000) events of these kinds, of a resource and below."""
        request = _filtered(pb.ListEventsRequest, kinds, subject)
        request.newest_first, request.page_size = newest_first, limit
        return Call(f"{_SERVICE}.ListEvents", request, self._listed)

    @operation
    def token(self) -> Call[str]:
        """Returns the token of now: a watch that starts with it misses nothing that comes."""
        return _token()

    def watch(
        self,
        *,
        kinds: Iterable[str] = (),
        subject: str | Resource[Any] = "",
        resume_token: str = "",
        follow: bool = True,
        timeout_seconds: float | None = None,
    ) -> Watch[Way]:
        """Watches events: from a token on (of `token`, or of an earlier watch), or from the oldest.

        A connection that breaks is made again, and the watch goes on without gap or repeat.
        ``follow`` False ends it with the newest event; at the time-out DeadlineExceeded is raised.
        """
        request = _filtered(pb.WatchEventsRequest, kinds, subject)
        request.resume_token, request.follow = resume_token, follow
        return Watch(self._session, request, timeout_seconds)

    @procedure
    def wait_for(
        self,
        kind: str,
        subject: str | Resource[Any] = "",
        *,
        resume_token: str = "",
        timeout_seconds: float | None = None,
    ) -> Generator[Any, Any, Event[Way]]:
        """Waits for the next event of a kind: from now on, or from a token of `token` on.

        The clock must move by itself or by somebody else; `Clock.advance_until_event` moves it.
        """
        start = resume_token or (yield _token())
        watch = self.watch(
            kinds=[kind], subject=subject, resume_token=start, timeout_seconds=timeout_seconds
        )
        event: Event[Way] = yield watch
        return event

    def _listed(self, answer: pb.ListEventsResponse) -> Any:
        return [self._made(event) for event in answer.events]


class Stream(Bound[Way], ABC, Generic[_Item, Way]):
    """A stream of what happens: iterate over it, with ``async for`` in an asynchronous client."""

    _rpc: str

    @abstractmethod
    def _parts(self, answer: Any) -> Iterable[Any]:
        """Returns the messages of an answer."""

    @abstractmethod
    def _number(self, message: Any) -> int:
        """Returns the number of the event that a message tells."""

    @abstractmethod
    def _item(self, message: Any) -> _Item:
        """Returns what is yielded of a message."""

    def __init__(self, session: Session, request: Any, timeout_seconds: float | None) -> None:
        super().__init__(session)
        self._request = request
        self._timeout_seconds = timeout_seconds
        # A service's token counts whole answers; what of the next one was seen is added to it.
        request.resume_token, _, seen = request.resume_token.partition("+")
        self._seen = int(seen or 0)
        self._waiting: Iterator[Any] = iter(())
        self._begun: Any = None

    @property
    def resume_token(self) -> str:
        """The token with which another watch goes on after the last event that this one gave."""
        token = str(self._request.resume_token)
        return f"{token}+{self._seen}" if self._seen else token

    def __iter__(self: Stream[_Item, Sync]) -> Iterator[_Item]:
        """Yields each as it comes."""
        if not isinstance(self._session, BlockingSession):
            raise TypeError("a watch of this client: use async for")
        yield from self._unseen()
        for answer in self._session.stream(self._call, self._began):
            self._take(answer)
            yield from self._unseen()
            self._pass(answer)

    def cancel(self: Stream[_Item, Sync]) -> None:
        """Ends it from another thread: who iterates gets Cancelled."""
        if self._begun is not None:
            self._begun.cancel()

    async def __aiter__(self: Stream[_Item, Async]) -> AsyncIterator[_Item]:
        """Yields each as it comes."""
        if not isinstance(self._session, AsyncSession):
            raise TypeError("a watch of this client: use for")
        for event in self._unseen():
            yield event
        async for answer in self._session.stream(self._call):
            self._take(answer)
            for event in self._unseen():
                yield event
            self._pass(answer)

    def _call(self) -> Call[Any]:
        return Call(
            self._rpc,
            self._request,
            lambda answer: answer,
            timeout_seconds=self._timeout_seconds,
            streams=True,
        )

    def _began(self, begun: Any) -> None:
        self._begun = begun

    def _take(self, answer: Any) -> None:
        seen = self._seen
        self._waiting = itertools.dropwhile(
            lambda message: self._number(message) <= seen, iter(self._parts(answer))
        )

    def _unseen(self) -> Iterator[_Item]:
        for message in self._waiting:
            self._seen = self._number(message)
            yield self._item(message)

    def _pass(self, answer: Any) -> None:
        self._request.resume_token, self._seen = answer.resume_token, 0


class Watch(Stream[Event[Way], Way]):
    """A stream of events."""

    _rpc = f"{_SERVICE}.WatchEvents"

    def _parts(self, answer: pb.WatchEventsResponse) -> Iterable[Any]:
        return answer.events

    def _number(self, message: Any) -> int:
        return number_of(message.name)

    def _item(self, message: Any) -> Event[Way]:
        return Event(self._session, message.name, message)


def _token() -> Call[str]:
    request = pb.ListEventsRequest(newest_first=True, page_size=1)
    return Call(f"{_SERVICE}.ListEvents", request, lambda answer: str(answer.resume_token))


def number_of(event: str) -> int:
    """Returns the number of an event by its full name."""
    return int(event.rpartition("/")[2])


def _filtered(message: Any, kinds: Iterable[str], subject: str | Resource[Any]) -> Any:
    wanted = [kinds] if isinstance(kinds, str) else kinds
    return message(kinds=wanted, subject=name_of(subject))
