"""Messages as plain data, and back: fields that a message and a spec both have are named alike.

What a message is, is the wire's business; here it is something that can list the fields it sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields, is_dataclass
from enum import IntEnum
from functools import cache
from typing import Any, Protocol, TypeVar

from .errors import InvalidArgument

_E = TypeVar("_E", bound=IntEnum)
_FLAT = frozenset((int, str, bool, float))


class Message(Protocol):
    """Something with fields, of which some are set."""

    def ListFields(self) -> Sequence[tuple[Any, Any]]:
        """Returns descriptor and value of each field that is set."""


def present(message: Message) -> dict[str, Any]:
    """Returns the fields that a message sets."""
    return {descriptor.name: value for descriptor, value in message.ListFields()}


def given(message: Message, spec: type[Any]) -> dict[str, Any]:
    """Returns those fields of a message that a spec has too; the spec's defaults fill the rest."""
    kind: Any = spec
    names = _names(kind, ())
    return {name: value for name, value in present(message).items() if name in names}


def settings(spec: Any, *without: str) -> dict[str, Any]:
    """Returns a spec's fields but for some, for a message."""
    kind: Any = type(spec)
    names = _names(kind, without)
    return {name: _plain(getattr(spec, name)) for name in names}


@cache
def _names(kind: Any, without: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind) if field.name not in without)


def _plain(value: Any) -> Any:
    """Returns a value as messages take it; most are so already, and asdict would copy each."""
    if type(value) in _FLAT:
        return value
    if isinstance(value, tuple | list):
        return type(value)(map(_plain, value))
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def member(enum: type[_E], value: int, field: str, default: _E) -> _E:
    """Returns an enum's member; 0, which is what is not set, means the default."""
    if not value:
        return default
    try:
        return enum(value)
    except ValueError:
        choice = ", ".join(each.name for each in enum)
        raise InvalidArgument.at(field, f"{value} is none of {choice}") from None
