"""Sessions: a channel to one service, and what carries out calls over it, again if need be.

A call that finds nobody, or no answer in time, is repeated with the same request and so with the
same ``request_id``: a service that had carried it out gives its first answer again.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import grpc
import grpc.aio

from smokestack.v1 import (
    array_pb2_grpc,
    estate_pb2_grpc,
    hypervisor_pb2_grpc,
    multipath_pb2_grpc,
    simulation_pb2_grpc,
)

from .errors import DeadlineExceeded, Error, Unavailable, error_from
from .operations import DEFAULT_TIMEOUT, Call

STUBS: Mapping[str, Any] = {
    "ArrayService": array_pb2_grpc.ArrayServiceStub,
    "EstateService": estate_pb2_grpc.EstateServiceStub,
    "HypervisorService": hypervisor_pb2_grpc.HypervisorServiceStub,
    "MultipathService": multipath_pb2_grpc.MultipathServiceStub,
    "SimulationService": simulation_pb2_grpc.SimulationServiceStub,
}
MULTIPATH_DEFAULT = "multipaths/m1"
_OPTIONS = (
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.enable_http_proxy", 0),
    # A service that starts again is found again within our own waits, not within gRPC's seconds.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
_T = TypeVar("_T")


@dataclass(frozen=True)
class Patience:
    """How long to wait for an answer, and how often to ask again."""

    timeout_seconds: float | None = 30.0  # for each attempt; moving time and I/O have none
    attempts: int = 5
    wait_seconds: float = 0.1  # before the second attempt; doubled before each one after it
    wait_seconds_max: float = 2.0

    def waits(self) -> Iterator[float]:
        """Yields the wait before each further attempt."""
        for attempt in range(self.attempts - 1):
            yield min(self.wait_seconds * 2**attempt, self.wait_seconds_max)


GLANCE = Patience(timeout_seconds=2.0, attempts=1)  # for whoever need not be there


class _Channelled:
    """What both kinds of sessions have: an address, stubs, and patience."""

    def __init__(self, address: str, channel: Any, patience: Patience) -> None:
        self.address = address
        self.multipath = MULTIPATH_DEFAULT
        self._channel = channel
        self._patience = patience
        self._methods: dict[str, Any] = {}

    def _method(self, rpc: str) -> Any:
        if rpc not in self._methods:
            service, method = rpc.split(".")
            self._methods[rpc] = getattr(STUBS[service](self._channel), method)
        return self._methods[rpc]

    def _begin(self, call: Call[Any]) -> Any:
        timeout = call.timeout_seconds
        if timeout == DEFAULT_TIMEOUT:
            timeout = self._patience.timeout_seconds
        request = call.request() if callable(call.request) else call.request
        return self._method(call.rpc)(request, timeout=timeout)

    def _waits(self, call: Call[Any]) -> Iterator[float]:
        return self._patience.waits() if call.repeatable else iter(())

    def _next_wait(self, call: Call[Any], failure: grpc.RpcError, waits: Iterator[float]) -> float:
        """Returns how long to wait before the next attempt; raises if there is none."""
        error: Error = error_from(failure, call.rpc, self.address)
        wait = next(waits, None) if isinstance(error, (Unavailable, DeadlineExceeded)) else None
        if wait is None:
            raise error from None
        return wait

    def _begin_again(self, call: Call[Any], left_seconds: float | None) -> Any:
        """Begins a stream; ``left_seconds`` is what an attempt before it has left of the time."""
        if left_seconds is not None:
            call = replace(call, timeout_seconds=max(left_seconds, 0.0))
        return self._begin(call)

    def _next_stream_wait(
        self, call: Call[Any], failure: grpc.RpcError, waits: Iterator[float]
    ) -> float:
        """Returns how long to wait before a stream goes on; one whose time is over does not."""
        error: Error = error_from(failure, call.rpc, self.address)
        if isinstance(error, DeadlineExceeded):
            raise error from None
        return self._next_wait(call, failure, waits)


class BlockingSession(_Channelled):
    """Carries out calls one after the other; threads may share it."""

    def __init__(self, address: str, patience: Patience) -> None:
        super().__init__(address, grpc.insecure_channel(address, options=_OPTIONS), patience)

    def run(self, call: Call[_T]) -> _T:
        """Carries out a call and returns what came of it."""
        waits = self._waits(call)
        while True:
            try:
                return call.read(self._begin(call))
            except grpc.RpcError as failure:
                wait = self._next_wait(call, failure, waits)
            threading.Event().wait(wait)

    def stream(
        self, plan: Callable[[], Call[Any]], began: Callable[[Any], object] = bool
    ) -> Iterator[Any]:
        """Yields a stream's answers; one that breaks is planned anew, to go on where it was.

        ``began`` is given each stream, which another thread may cancel.
        """
        waits, left = self._patience.waits(), None
        while True:
            call = plan()
            begun = self._begin_again(call, left)
            began(begun)
            try:
                for answer in begun:
                    waits = self._patience.waits()
                    yield answer
                return
            except grpc.RpcError as failure:
                left = begun.time_remaining()
                wait = self._next_stream_wait(call, failure, waits)
            finally:
                begun.cancel()
            threading.Event().wait(wait)

    def follow(self, steps: Generator[Any, Any, _T]) -> _T:
        """Carries out calls that depend on each other; of a watch its next event is awaited."""
        try:
            step = next(steps)
            while True:
                step = steps.send(self._carry_out(step))
        except StopIteration as end:
            result: _T = end.value
            return result

    def _carry_out(self, step: Any) -> Any:
        if isinstance(step, Call):
            return self.run(step)
        if isinstance(step, tuple):
            session, call = step
            return session.run(call)
        for event in step:
            return event
        raise Unavailable(f"{self.address} has ended the watch")

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()


class AsyncSession(_Channelled):
    """Carries out calls within the running event loop."""

    def __init__(self, address: str, patience: Patience) -> None:
        super().__init__(address, grpc.aio.insecure_channel(address, options=_OPTIONS), patience)

    def run(self, call: Call[_T]) -> Coroutine[Any, Any, _T]:
        """Returns a coroutine that carries out a call."""
        return self._run(call)

    async def _run(self, call: Call[_T]) -> _T:
        waits = self._waits(call)
        while True:
            try:
                begun = self._begin(call)
                answer = [part async for part in begun] if call.streams else await begun
                return call.read(answer)
            except grpc.RpcError as failure:
                wait = self._next_wait(call, failure, waits)
            await asyncio.sleep(wait)

    async def stream(self, plan: Callable[[], Call[Any]]) -> AsyncIterator[Any]:
        """Yields a stream's answers; one that breaks is planned anew, to go on where it was."""
        waits, left = self._patience.waits(), None
        while True:
            call = plan()
            begun = self._begin_again(call, left)
            try:
                async for answer in begun:
                    waits = self._patience.waits()
                    yield answer
                return
            except grpc.RpcError as failure:
                left = begun.time_remaining()
                wait = self._next_stream_wait(call, failure, waits)
            finally:
                begun.cancel()
            await asyncio.sleep(wait)

    async def follow(self, steps: Generator[Any, Any, _T]) -> _T:
        """Carries out calls that depend on each other; of a watch its next event is awaited."""
        try:
            step = next(steps)
            while True:
                step = steps.send(await self._carry_out(step))
        except StopIteration as end:
            result: _T = end.value
            return result

    async def _carry_out(self, step: Any) -> Any:
        if isinstance(step, Call):
            return await self.run(step)
        if isinstance(step, tuple):
            session, call = step
            return await session.run(call)
        async with aclosing(aiter(step)) as events:
            async for event in events:
                return event
        raise Unavailable(f"{self.address} has ended the watch")

    async def close(self) -> None:
        """Closes the channel."""
        await self._channel.close()
