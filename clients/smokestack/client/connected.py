"""What holds a connection: closed when it is no longer needed, best by ``with``."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from types import TracebackType
from typing import Any, TypeVar, overload

from .operations import Async, Bound, Session, Sync, Way
from .sessions import AsyncSession


class Connected(Bound[Way]):
    """A client that holds connections until it is closed."""

    def _sessions(self) -> Sequence[Session]:
        return (self._session,)

    @overload
    def close(self: Connected[Sync]) -> None: ...
    @overload
    def close(self: Connected[Async]) -> Coroutine[Any, Any, None]: ...
    def close(self) -> Any:
        """Closes the connections; what runs on the services goes on."""
        if isinstance(self._session, AsyncSession):
            return self._close_awaited()
        for session in self._sessions():
            session.close()
        return None

    async def _close_awaited(self) -> None:
        for session in self._sessions():
            await session.close()

    def __enter__(self: _Blocking) -> _Blocking:
        return self

    def __exit__(
        self: Connected[Sync],
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self: _Awaited) -> _Awaited:
        return self

    async def __aexit__(
        self: Connected[Async],
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


_Blocking = TypeVar("_Blocking", bound=Connected[Sync])
_Awaited = TypeVar("_Awaited", bound=Connected[Async])
