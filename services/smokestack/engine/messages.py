"""Messages as plain data, and back: fields that a message and a spec both have are named alike.

What a message is, is the wire's business; here it is something that can list the fields it sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from enum import IntEnum
from typing import Any, Protocol, TypeVar

from .errors import InvalidArgument

_E = TypeVar("_E", bound=IntEnum)


class Message(Protocol):
    """Something with fields, of which some are set."""

    def ListFields(self) -> Sequence[tuple[Any, Any]]:
        """Returns descriptor and value of each field that is set."""


def present(message: Message) -> dict[str, Any]:
    """Returns the fields that a message sets."""
    return {descriptor.name: value for descriptor, value in message.ListFields()}


def given(message: Message, spec: type[Any]) -> dict[str, Any]:
    """Returns those fields of a message that a spec has too; the spec's defaults fill the rest."""
    names = {field.name for field in fields(spec)}
    return {name: value for name, value in present(message).items() if name in names}


def settings(spec: Any, *without: str) -> dict[str, Any]:
    """Returns a spec's fields but for some, for a message."""
    return {name: value for name, value in asdict(spec).items() if name not in without}


def member(enum: type[_E], value: int, field: str, default: _E) -> _E:
    """Returns an enum's member; 0, which is what is not set, means the default."""
    if value and value not in tuple(enum):
        choice = ", ".join(each.name for each in enum)
        raise InvalidArgument.at(field, f"{value} is none of {choice}")
    return enum(value) if value else default
