"""Events of a whole stack: each service counts its own, and causes lead from one to another."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from .errors import NotFound
from .events import Event, Events, Watch
from .kinds import name_of
from .operations import Async, Bound, Session, Sync, Way, planned, procedure
from .resources import Resource
from .sessions import AsyncSession, BlockingSession


class StackEvents(Bound[Way]):
    """The events of all services of a stack."""

    def __init__(self, session: Session, sessions: Mapping[str, Session]) -> None:
        super().__init__(session)
        self._by_name = sessions

    def of(self, service: str) -> Events[Way]:
        """Returns those of one service, by its full name, e.g. "arrays/a1"."""
        if service not in self._by_name:
            raise NotFound(f"no {service} is known here, but {', '.join(self._by_name)}")
        return Events(self._by_name[service], service)

    @procedure
    def find(
        self,
        *,
        kinds: Iterable[str] = (),
        subject: str | Resource[Any] = "",
        newest_first: bool = False,
        limit: int = 1_000,
    ) -> Generator[Any, Any, list[Event[Way]]]:
        """Finds up to ``limit`` events of all services, by virtual time."""
        wanted = [kinds] if isinstance(kinds, str) else [*kinds]
        found: list[Event[Way]] = []
        for service, session in self._by_name.items():
            own = Events(session, service)
            found += yield (
                session,
                planned(
                    Events.find,
                    own,
                    kinds=wanted,
                    subject=subject,
                    newest_first=newest_first,
                    limit=limit,
                ),
            )
        found.sort(key=lambda event: (event.time_ns, event.name), reverse=newest_first)
        return found[:limit]

    @procedure
    def why(self, event: Event[Any] | str) -> Generator[Any, Any, list[Event[Way]]]:
        """Returns an event, the event that caused it, and so on to the first cause."""
        name = name_of(event)
        chain: list[Event[Way]] = []
        while name:
            events = self.of(name.rpartition("/events/")[0])
            call = planned(Events.get, events, name.rpartition("/")[2])
            chain.append((yield events._session, call))
            name = chain[-1].cause
        return chain

    def watch(
        self,
        *,
        kinds: Iterable[str] = (),
        subject: str | Resource[Any] = "",
        resume_tokens: Mapping[str, str] | None = None,
        follow: bool = True,
    ) -> StackWatch[Way]:
        """Watches the events of all services, each in its own order, from tokens by service on."""
        tokens = resume_tokens or {}
        watches = {
            service: Events(session, service).watch(
                kinds=kinds, subject=subject, resume_token=tokens.get(service, ""), follow=follow
            )
            for service, session in self._by_name.items()
        }
        return StackWatch(self._session, watches)


class StackWatch(Bound[Way]):
    """The watches of all services as one."""

    def __init__(self, session: Session, watches: Mapping[str, Watch[Any]]) -> None:
        super().__init__(session)
        self._watches = watches
        self._given = {service: watch.resume_token for service, watch in watches.items()}

    @property
    def resume_tokens(self) -> dict[str, str]:
        """By service, the token with which a watch goes on after the last event given here."""
        return dict(self._given)

    def __iter__(self: StackWatch[Sync]) -> Iterator[Event[Sync]]:
        """Yields each event as it comes; ends when all services' watches have ended."""
        if not isinstance(self._session, BlockingSession):
            raise TypeError("a watch of this client: use async for")
        arrived: queue.Queue[Any] = queue.Queue(maxsize=1)
        over = threading.Event()
        for service in self._watches:
            threading.Thread(
                target=self._listen, args=(service, arrived, over), daemon=True
            ).start()
        try:
            for _ in self._watches:
                while (come := arrived.get()) is not None:
                    yield self._given_now(come)
        finally:
            over.set()
            for watch in self._watches.values():
                watch.cancel()

    async def __aiter__(self: StackWatch[Async]) -> AsyncIterator[Event[Async]]:
        """Yields each event as it comes; ends when all services' watches have ended."""
        if not isinstance(self._session, AsyncSession):
            raise TypeError("a watch of this client: use for")
        arrived: asyncio.Queue[Any] = asyncio.Queue(maxsize=1)
        tasks = [asyncio.create_task(self._hear(service, arrived)) for service in self._watches]
        try:
            for _ in self._watches:
                while (come := await arrived.get()) is not None:
                    yield self._given_now(come)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _given_now(self, come: Any) -> Any:
        if isinstance(come, BaseException):
            raise come
        service, event, token = come
        self._given[service] = token
        return event

    def _listen(self, service: str, arrived: queue.Queue[Any], over: threading.Event) -> None:
        def put(come: Any) -> None:
            while not over.is_set():
                with suppress(queue.Full):
                    arrived.put(come, timeout=0.1)
                    return

        watch = self._watches[service]
        try:
            for event in watch:
                put((service, event, watch.resume_token))
                if over.is_set():
                    return
        except Exception as error:
            put(error)
        put(None)

    async def _hear(self, service: str, arrived: asyncio.Queue[Any]) -> None:
        watch = self._watches[service]
        try:
            async for event in watch:
                await arrived.put((service, event, watch.resume_token))
        except Exception as error:
            await arrived.put(error)
        await arrived.put(None)
