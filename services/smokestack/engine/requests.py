"""How a service carries out requests: at a border, once per request_id, refusing in its own terms.

What a request and its answer are is the wire's business; here a request is something that has a
``request_id`` and can be turned into bytes.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Final, NoReturn, Protocol, TypeVar

from .errors import InvalidArgument, Refused, Violation

REQUEST_ID_LENGTH_MAX = 128
REMEMBERED_MAX = 4_096  # a retry comes within seconds; this bounds the memory, not the time

_T = TypeVar("_T")
# Models name a new resource's identifier "port.port_id"; in a request it stands beside "port".
_OWN_ID = re.compile(r"(\w+)\.\1_id")


class Mutation(Protocol):
    """A request that changes something."""

    @property
    def request_id(self) -> str:
        """What tells a retry from a new request; empty: nothing."""

    def SerializeToString(self, *, deterministic: bool = ...) -> bytes:
        """Returns the request as bytes, equal for equal requests."""


class Recorder:
    """What is told of every change of a service; this one keeps nothing of it."""

    def begin(self) -> None:
        """Lets a change be made, at its border; Unavailable says that it could not be kept."""

    def record(self, request: Any) -> int:
        """Notes a request that has just changed something, at its border; returns its number."""
        return 0

    def settle(self, number: int) -> None:
        """Returns once a request is as safe as it will be; Unavailable says that it is not."""


UNRECORDED: Final = Recorder()
Answer = tuple[str, bytes, Any]  # to a request_id: the request's content, and the answer


class Border(Protocol):
    """What lets changes in between two windows, one at a time."""

    def change(self) -> AbstractContextManager[Any]:
        """Waits for the running window and holds the next one back."""


class Requests:
    """Carries out the requests of one service on its model."""

    def __init__(
        self,
        border: Border,
        fields: Mapping[str, str] | None = None,
        recorder: Recorder = UNRECORDED,
    ) -> None:
        """Takes the border, and what the model's words for fields begin with in requests.

        ``{"host.": "array_host."}`` turns a violation of ``host.initiators`` into one of
        ``array_host.initiators``; the first entry that fits counts.  ``recorder`` is told of every
        request that changes something.
        """
        self._border = border
        self.recorder = recorder
        self._fields = dict(fields or {})
        self._answers: OrderedDict[str, tuple[bytes, Any, int]] = OrderedDict()
        self._fresh: list[str] | None = None  # whose answers are new, for who wants to know

    def read(self) -> AbstractContextManager[Any]:
        """Holds time still while something is read."""
        return self._border.change()

    def change(self, request: Mutation, call: Callable[[], _T]) -> _T:
        """Makes a change at a border and returns its answer; a retry gets the first one's."""
        with self._border.change():
            if request.request_id:
                made, number = self._once(request, call)
            else:
                made = self._make(call)
                number = self.recorder.record(request)
        self.recorder.settle(number)
        return made

    def _make(self, call: Callable[[], _T]) -> _T:
        self.recorder.begin()
        try:
            return call()
        except Refused as refused:
            self._tell(refused)

    def _once(self, request: Mutation, call: Callable[[], _T]) -> tuple[_T, int]:
        request_id = request.request_id
        if len(request_id) > REQUEST_ID_LENGTH_MAX:
            raise InvalidArgument.at(
                "request_id", f"has {len(request_id)} characters: use up to {REQUEST_ID_LENGTH_MAX}"
            )
        content = type(request).__name__.encode() + request.SerializeToString(deterministic=True)
        if request_id in self._answers:
            known, answer, number = self._answers[request_id]
            if known != content:
                raise _reused(request_id)
            self._answers.move_to_end(request_id)
            first: _T = answer
            return first, number
        made = self._make(call)
        self._answers[request_id] = (content, made, 0)  # before it is kept, for it is kept with it
        if self._fresh is not None:
            self._fresh.append(request_id)
        number = self.recorder.record(request)
        self._answers[request_id] = (content, made, number)
        if len(self._answers) > REMEMBERED_MAX:
            self._answers.popitem(last=False)
        return made, number

    def keep_fresh(self) -> None:
        """Begins to note which answers are new."""
        self._fresh = []

    def take_fresh(self) -> list[Answer]:
        """Returns the answers given since the last call."""
        fresh = self._fresh or []
        self._fresh = None if self._fresh is None else []
        return [(key, *self._answers[key][:2]) for key in fresh if key in self._answers]

    def answers(self) -> list[Answer]:
        """Returns what a retry would be told, the oldest answer first."""
        return [(key, content, made) for key, (content, made, _) in self._answers.items()]

    def remember(self, answers: Iterable[Answer]) -> None:
        """Lets retries be told these answers, as if they had been given here."""
        for request_id, content, made in answers:
            self._answers[request_id] = (content, made, 0)

    def save(self) -> None:
        """Holds nothing for a snapshot: what was answered after it has not happened then."""

    def load(self, saved: None) -> Callable[[], None]:
        """Returns what forgets all answers."""
        return self._answers.clear

    def refusing(self, call: Callable[[], _T]) -> _T:
        """Makes a call and returns its answer; a refusal is told in the request's terms."""
        try:
            return call()
        except Refused as refused:
            self._tell(refused)

    def _tell(self, refused: Refused) -> NoReturn:
        violations = [Violation(self._field(v.field), v.description) for v in refused.violations]
        if violations == list(refused.violations):
            raise refused
        message = "; ".join(f"{v.field}: {v.description}" for v in violations)
        raise type(refused)(
            message,
            reason=refused.reason,
            resource=refused.resource,
            violations=violations,
        ) from refused

    def _field(self, field: str) -> str:
        for begins, instead in self._fields.items():
            if field.startswith(begins):
                return instead + field.removeprefix(begins)
        own = _OWN_ID.fullmatch(field)
        return f"{own[1]}_id" if own else field


def _reused(request_id: str) -> InvalidArgument:
    description = f"{request_id!r} was used for another request: make a new one"
    return InvalidArgument(
        f"request_id: {description}",
        reason="REQUEST_ID_REUSED",
        violations=[Violation("request_id", description)],
    )
