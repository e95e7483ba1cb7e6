"""Connecting with calls that are awaited: ``async with aio.connect(address) as stack``.

What comes of it is the same as in `smokestack.client`, typed ``Stack[Async]``, ``Array[Async]`` and
so on: operations are awaited, collections iterated with ``async for``.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping
from types import TracebackType
from typing import Any, Generic, TypeVar

from smokestack.v1 import simulation_pb2 as pb

from .array import Array
from .blocking import PATIENCE
from .clock import get_simulation
from .connected import Connected
from .discovery import Question, checked, walk
from .errors import Error
from .hypervisor import Hypervisor
from .multipath import Multipath
from .operations import Async, Session
from .sessions import GLANCE, AsyncSession, Patience
from .stack import Stack

_Client = TypeVar("_Client", bound=Connected[Async])


class Connecting(Generic[_Client]):
    """A connection to be made: await it, or enter it by ``async with``."""

    def __init__(self, make: Callable[[], Coroutine[Any, Any, _Client]]) -> None:
        self._make = make

    def __await__(self) -> Generator[Any, None, _Client]:
        return self._make().__await__()

    async def __aenter__(self) -> _Client:
        self._client = await self._make()
        return self._client

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._client.close()


def connect(
    addresses: str | Iterable[str] | Mapping[str, str] | None = None,
    patience: Patience = PATIENCE,
) -> Connecting[Stack[Async]]:
    """Connects to a stack, found as `smokestack.client.connect` finds it."""

    async def make() -> Stack[Async]:
        found = addresses
        if not isinstance(found, Mapping):
            found = await _discovered(found, patience)
        return Stack({name: AsyncSession(place, patience) for name, place in found.items()})

    return Connecting(make)


def connect_hypervisor(
    address: str, patience: Patience = PATIENCE
) -> Connecting[Hypervisor[Async]]:
    """Connects to a hypervisor alone."""

    async def make() -> Hypervisor[Async]:
        return Hypervisor(*await _service(address, patience, "hypervisors"))

    return Connecting(make)


def connect_multipath(address: str, patience: Patience = PATIENCE) -> Connecting[Multipath[Async]]:
    """Connects to a multipath layer alone."""

    async def make() -> Multipath[Async]:
        return Multipath(*await _service(address, patience, "multipaths"))

    return Connecting(make)


def connect_array(address: str, patience: Patience = PATIENCE) -> Connecting[Array[Async]]:
    """Connects to an array alone."""

    async def make() -> Array[Async]:
        return Array(*await _service(address, patience, "arrays"))

    return Connecting(make)


async def _service(address: str, patience: Patience, collection: str) -> tuple[Session, str]:
    session = AsyncSession(address, patience)
    try:
        return session, checked(await session.run(get_simulation()), collection, address)
    except BaseException:
        await session.close()
        raise


async def _discovered(addresses: str | Iterable[str] | None, patience: Patience) -> dict[str, str]:
    steps = walk(addresses)
    try:
        question = next(steps)
        while True:
            question = steps.send(await _answer(question, patience))
    except StopIteration as found:
        names: dict[str, str] = found.value
        return names


async def _answer(question: Question, patience: Patience) -> pb.Simulation | None:
    session = AsyncSession(question.address, patience if question.must_answer else GLANCE)
    try:
        return await session.run(get_simulation())
    except Error:
        if question.must_answer:
            raise
        return None
    finally:
        await session.close()
