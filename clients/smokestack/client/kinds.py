"""Kinds of resources: what the API calls each, and how its fields read in Python.

Names are full on the wire, and short here where the context fills in the rest: a volume's ``pool``
is "p1", sent as "arrays/a1/pools/p1".  Enum values lose their prefix, as in scenario files.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping, MutableMapping, MutableSequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from .errors import InvalidArgument

Fields = Mapping[str, Any]


@dataclass(frozen=True)
class Kind:
    """One kind of resource: everything about it that its methods have in common."""

    api: ModuleType  # e.g. array_pb2
    service: str  # e.g. "ArrayService"
    word: str  # as in the API's methods, e.g. "ArrayHost" in CreateArrayHost
    collection: str  # as in full names, e.g. "hosts"
    # Fields that name other resources → what stands before the identifier, in terms of {parent},
    # {name}, {host} and {multipath}.
    references: Mapping[str, str] = field(default_factory=dict)
    name: str = ""  # of its message, where that is not the word

    @property
    def message(self) -> Any:
        """The class of its messages."""
        return getattr(self.api, self.name or self.word)

    @property
    def snake(self) -> str:
        """The word as in fields, e.g. "array_host"."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", self.word).lower()

    @property
    def plural(self) -> str:
        """The word as in answers to lists, e.g. "array_hosts"."""
        return f"{self.snake}s"

    def rpc(self, verb: str, plural: str = "") -> str:
        """Returns a method's full name, e.g. "ArrayService.ListPools"."""
        return f"{self.service}.{verb}{self.word}{plural}"

    def request(self, verb: str, plural: str = "", **fields: Any) -> Any:
        """Returns the request of a method; one that changes something gets a fresh request_id."""
        message = getattr(self.api, f"{verb}{self.word}{plural}Request")
        if "request_id" in message.DESCRIPTOR.fields_by_name:
            fields.setdefault("request_id", fresh_request_id())
        return message(**fields)

    def encode(self, fields: Fields, scope: Mapping[str, str]) -> Any:
        """Returns the message that these fields describe; None leaves a field out."""
        message = self.message
        known = message.DESCRIPTOR.fields_by_name
        encoded = {}
        for name, value in fields.items():
            if name not in known or name == "name":
                choice = ", ".join(n for n in known if n != "name")
                raise TypeError(f"a {self.snake} has no field {name!r}: it has {choice}")
            if value is not None:
                encoded[name] = self._encode(known[name], value, scope)
        try:
            return message(**encoded)
        except (TypeError, ValueError):
            raise _blamed(message, encoded, self.snake) from None

    def decode(self, message: Any, scope: Mapping[str, str]) -> dict[str, Any]:
        """Returns a message's fields as Python has them."""
        return {
            name: self._decode(descriptor, message, scope)
            for name, descriptor in message.DESCRIPTOR.fields_by_name.items()
        }

    def _encode(self, descriptor: Any, value: Any, scope: Mapping[str, str]) -> Any:
        if descriptor.name in self.references and value:
            home = self.references[descriptor.name].format_map(scope)
            if is_repeated(descriptor) and not isinstance(value, str):
                return [full(home, name) for name in value]
            if not isinstance(value, str):
                raise TypeError(f"{self.snake}.{descriptor.name} cannot be {value!r}")
            return full(home, value)
        if descriptor.enum_type is not None:
            return _enum_number(f"{self.snake}.{descriptor.name}", descriptor.enum_type, value)
        if descriptor.message_type is not None:
            return _nested(f"{self.snake}.{descriptor.name}", descriptor.message_type, value)
        return value

    def _decode(self, descriptor: Any, message: Any, scope: Mapping[str, str]) -> Any:
        if descriptor.has_presence and not message.HasField(descriptor.name):
            return None
        value = getattr(message, descriptor.name)
        if descriptor.name in self.references:
            home = self.references[descriptor.name].format_map(scope)
            if isinstance(value, MutableSequence):
                return tuple(name.removeprefix(f"{home}/") for name in value)
            return value.removeprefix(f"{home}/")
        if descriptor.enum_type is not None:
            return enum_word(descriptor.enum_type, value)
        if isinstance(value, MutableMapping):
            return dict(sorted(value.items()))  # the wire has no order
        return tuple(value) if isinstance(value, MutableSequence) else value


def fresh_request_id() -> str:
    """Returns what tells a retry from a new request."""
    return uuid.uuid4().hex


def full(home: str, name: str) -> str:
    """Returns a full name; one that is full already stays as it is."""
    return name if "/" in name else f"{home}/{name}"


def name_of(one: Any) -> str:
    """Returns a resource's full name; one that is a name already stays as it is."""
    return one if isinstance(one, str) else str(one.name)


def is_repeated(field: Any) -> bool:
    """Tells a field that holds a list, with every protobuf: the newest warns of the older way."""
    if hasattr(field, "is_repeated"):
        return bool(field.is_repeated)
    return bool(field.label == field.LABEL_REPEATED)


def is_map(field: Any) -> bool:
    """Tells a field that holds values by key."""
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def enum_word(enum: Any, number: int) -> str | None:
    """Returns an enum's value without its prefix, None for what is not set.

    One that only a newer server knows is told by its number.
    """
    known = enum.values_by_number
    if not number:
        return None
    return known[number].name.removeprefix(_prefix(enum)) if number in known else str(number)


def enum_words(enum: Any) -> list[str]:
    """Returns all values that may be given."""
    return [word for number in enum.values_by_number if (word := enum_word(enum, number))]


def _enum_number(field: str, enum: Any, word: str) -> int:
    value = enum.values_by_name.get(f"{_prefix(enum)}{word}")
    if value is None:
        raise InvalidArgument.at(field, f"{word!r} is none of {', '.join(enum_words(enum))}")
    return int(value.number)


def _nested(field: str, message: Any, value: Any) -> Any:
    """Returns a message's fields with numbers for the words of enums, and so in a list of them."""
    if isinstance(value, (list, tuple)):
        return [_nested(f"{field}[{index}]", message, each) for index, each in enumerate(value)]
    if not isinstance(value, dict):
        return value
    enums = {f.name: f.enum_type for f in message.fields if f.enum_type is not None}
    return {
        name: _enum_number(f"{field}.{name}", enums[name], each)
        if isinstance(each, str) and name in enums
        else each
        for name, each in value.items()
    }


def _prefix(enum: Any) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", enum.name).upper() + "_"


def _blamed(message: type[Message], fields: Fields, resource: str) -> Exception:
    """Returns the error that names the field whose value does not fit its type."""
    for name, value in fields.items():
        try:
            message(**{name: value})
        except TypeError:
            return TypeError(f"{resource}.{name} cannot be {value!r}")
        except ValueError:
            return InvalidArgument.at(f"{resource}.{name}", f"{value!r} is out of range")
    return TypeError(f"these are no fields of a {resource}: {dict(fields)!r}")


def mask(fields: Iterable[str]) -> FieldMask:
    """Returns the update mask of these fields."""
    return FieldMask(paths=fields)
