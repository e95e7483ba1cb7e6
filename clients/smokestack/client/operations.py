"""One plan, two ways to carry it out: with calls that block, or with calls that are awaited.

Every operation of the SDK is written once, as a method that plans a single call and says what is
to be made of the answer.  What carries the plan out is the session that the object lives in: a
blocking one returns the result, an asynchronous one a coroutine of it.  Types follow: ``Volume``
blocks, ``Volume[Async]`` is awaited.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    Protocol,
    TypeVar,
    cast,
    overload,
)

if TYPE_CHECKING:
    from typing_extensions import TypeVar as TypeVarWithDefault


class Sync:
    """The way of what blocks until its answer is there."""


class Async:
    """The way of what is awaited."""


if TYPE_CHECKING:
    Way = TypeVarWithDefault("Way", default=Sync)
else:  # defaults of type variables are for checkers only until Python 3.13
    Way = TypeVar("Way")
_P = ParamSpec("_P")
_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)

DEFAULT_TIMEOUT = -1.0  # of the session, where None is none at all


@dataclass(frozen=True)
class Call(Generic[_T_co]):
    """One call of one method of the API, and what its answer becomes."""

    rpc: str  # e.g. "ArrayService.CreateVolume"
    request: Any  # a message; of an upload: a function that returns its messages
    read: Callable[[Any], _T_co]
    repeatable: bool = True  # whether a repeat of this very request is known to do no harm
    timeout_seconds: float | None = DEFAULT_TIMEOUT
    streams: bool = False  # whether the answer comes in parts, which are read together


class Session(Protocol):
    """What carries out calls to one service."""

    address: str
    multipath: str  # full name of the multipath layer that devices are looked for in

    def run(self, call: Call[Any]) -> Any:
        """Carries out a call: returns what came of it, or a coroutine that does."""

    def follow(self, steps: Generator[Any, Any, Any]) -> Any:
        """Carries out calls that depend on each other: returns the end, or a coroutine of it."""

    def close(self) -> Any:
        """Closes the channel."""


class Bound(Generic[Way]):
    """What lives in a session, which carries out its operations."""

    _session: Session

    def __init__(self, session: Session) -> None:
        self._session = session


class Operation(Generic[_P, _T_co]):
    """What type checkers see of an operation: a method that blocks, or one to be awaited."""

    @overload
    def __get__(self, owner: None, kind: Any = None) -> Callable[..., Call[_T_co]]: ...
    @overload
    def __get__(self, owner: Bound[Sync], kind: Any = None) -> Callable[_P, _T_co]: ...
    @overload
    def __get__(
        self, owner: Bound[Async], kind: Any = None
    ) -> Callable[_P, Coroutine[Any, Any, _T_co]]: ...
    def __get__(self, owner: Any, kind: Any = None) -> Any:
        """Binds the operation to what it works on."""


def operation(plan: Callable[Concatenate[Any, _P], Call[_T]]) -> Operation[_P, _T]:
    """Makes a method that plans a call into one that has it carried out."""

    @functools.wraps(plan)
    def carry_out(owner: Bound[Any], *args: _P.args, **kwargs: _P.kwargs) -> Any:
        return owner._session.run(plan(owner, *args, **kwargs))

    return cast("Operation[_P, _T]", carry_out)


def planned(method: Any, owner: Bound[Any], *args: Any, **kwargs: Any) -> Call[Any]:
    """Returns the call that an operation plans, without carrying it out."""
    call: Call[Any] = method.__wrapped__(owner, *args, **kwargs)
    return call


def procedure(
    plan: Callable[Concatenate[Any, _P], Generator[Any, Any, _T]],
) -> Operation[_P, _T]:
    """Makes a method that plans several calls, one after the other, into one that does them.

    It yields each call (of another session: with that in front), or a watch whose next event it
    needs, and is sent what came of it.
    """

    @functools.wraps(plan)
    def carry_out(owner: Bound[Any], *args: _P.args, **kwargs: _P.kwargs) -> Any:
        return owner._session.follow(plan(owner, *args, **kwargs))

    return cast("Operation[_P, _T]", carry_out)


def as_it_is(answer: _T) -> _T:
    """Reads an answer that is what was wanted."""
    return answer
