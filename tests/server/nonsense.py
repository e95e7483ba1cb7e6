"""Requests that are right, nearly right and wrong, for any method: made from its descriptor.

What a field should look like is taken from the example in its comment, so examples are tried, too.
"""

from __future__ import annotations

import importlib
import random
import re
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from smokestack.client.kinds import is_repeated
from tests.house.comments import PROTOS, elements, package

F = FieldDescriptor
GIB = 1 << 30
TEXTS = (
    *("", " ", "x", "a" * 63, "a" * 64, "a" * 5000, "ü", "日本", "\0", "a\nb", "-", "*", "../.."),
    *("%s", "{}", "nan", "0", "-1", "a1", "arrays", "arrays/", "arrays//pools/p1", "arrays/-"),
    *("arrays/a9", "arrays/a1/pools/-", "arrays/a1/volumes/v99", "hosts/h1/vms/none"),
    *("arrays/a1/events/0", f"arrays/a1/events/{10**30}", "snapshots/none", "v1.h1", "AAAA"),
)
NUMBERS = (
    *(0, 1, -1, 2, 3, 7, 100, 511, 512, 4096, 1 << 20, GIB, 10**9),
    *(1 << 31, -(1 << 31), (1 << 31) - 1, 1 << 40, 1 << 62, (1 << 63) - 1, -(1 << 63)),
)
REALS = (0.0, 0.5, 1.0, -1.0, 1.0000001, 1e308, 5e-324, float("nan"), float("inf"), float("-inf"))
WHOLE = {F.TYPE_INT32: 32, F.TYPE_INT64: 64, F.TYPE_UINT32: 32, F.TYPE_UINT64: 64}
NEVER_SET = ("follow", "until_idle")  # what they ask for does not end


def form(name: str) -> tuple[str, ...]:
    """`arrays/a1/pools/p1` has the form `arrays`, `pools`."""
    return tuple(name.split("/")[::2])


@cache
def comments() -> dict[str, str]:
    """The comments of methods and fields by full name, as `smokestack.v1.Pool.capacity_bytes`."""
    found = {}
    for path in PROTOS:
        importlib.import_module(f"{package(path)}.{path.stem}_pb2")
        prefix = "csi.v1" if "csi" in path.parts else package(path)
        owner = ""
        for element in elements(path):
            owner = owner if element.name[0].islower() else element.name
            name = element.name if owner == element.name else f"{owner}.{element.name}"
            found[f"{prefix}.{name}"] = element.comment
    return found


def documented(method: MethodDescriptor) -> set[str]:
    """Returns the codes that a method's comment lists."""
    prefix = method.full_name.rsplit(".", 2)[0]
    return set(re.findall(r"^ +([A-Z_]{6,}) +\S", comments()[f"{prefix}.{method.name}"], re.M))


class Nonsense:
    """Makes requests about resources that exist, or nearly."""

    def __init__(self, names: Iterable[str]) -> None:
        """Takes full names of what there is."""
        self._named: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for name in names:
            self._named[form(name)].append(name)

    def request(self, method: MethodDescriptor, number: int) -> Any:
        """Returns a method's request of a number: always the same one."""
        chance = random.Random(f"{method.full_name} {number}")
        wrong, given = chance.choice((0.0, 0.1, 0.3, 0.6)), chance.choice((0.05, 0.2, 0.5, 1.0))
        return Making(chance, self._named, wrong, given).message(method.input_type, 0)


class Making:
    """The making of one request: how often its fields are wrong, and how often given at all."""

    def __init__(
        self,
        chance: random.Random,
        named: dict[tuple[str, ...], list[str]],
        wrong: float,
        given: float,
    ) -> None:
        self._chance, self._named, self._wrong, self._given = chance, named, wrong, given

    def message(self, kind: Descriptor, depth: int) -> Any:
        """Returns a message of a kind."""
        made = GetMessageClass(kind)()
        for field in kind.fields:
            if field.name not in NEVER_SET and depth < 5 and self._is_given(field, depth):
                self._give(made, field, depth)
        return made

    def _is_given(self, field: FieldDescriptor, depth: int) -> bool:
        if field.name == "name" and depth and "OUTPUT" in comments().get(field.full_name, ""):
            return False
        needed = "REQUIRED" in comments().get(field.full_name, "") or (
            depth == 0 and field.message_type and "Mask" not in field.message_type.name
        )
        return self._chance.random() < (1 - self._wrong / 3 if needed else self._given)

    def _give(self, made: Any, field: FieldDescriptor, depth: int) -> None:
        if field.message_type and field.message_type.GetOptions().map_entry:
            if self._chance.random() < self._wrong:
                key, value = field.message_type.fields
                getattr(made, field.name)[self._value(key, depth)] = self._value(value, depth)
        elif is_repeated(field):
            values = [self._value(field, depth) for _ in range(self._chance.choice((1, 1, 2, 3)))]
            if self._chance.random() < self._wrong:
                values.append(values[0])
            getattr(made, field.name).extend(values)
        elif field.message_type:
            getattr(made, field.name).CopyFrom(self._value(field, depth))
        else:
            setattr(made, field.name, self._value(field, depth))

    def _value(self, field: FieldDescriptor, depth: int) -> Any:
        chance = self._chance
        wrong = chance.random() < self._wrong
        if field.type == F.TYPE_MESSAGE:
            return self.message(field.message_type, depth + 1)
        if field.type == F.TYPE_STRING:
            return self._text() if wrong else self._name(field)
        if field.type in WHOLE:
            return self._number(field, wrong)
        if field.type == F.TYPE_ENUM:
            known = [value.number for value in field.enum_type.values]
            return chance.choice((99, -1, 1 << 30) if wrong else known)
        if field.type == F.TYPE_DOUBLE:
            return chance.choice(REALS if wrong else (0.25, 0.5, 1.0))
        if field.type == F.TYPE_BYTES:
            return chance.randbytes(chance.choice((0, 1, 64)))
        assert field.type == F.TYPE_BOOL, field.full_name
        return chance.random() < 0.5

    def _text(self) -> str:
        every = [name for names in self._named.values() for name in names]
        return self._chance.choice((*TEXTS, self._chance.choice(every)))

    def _number(self, field: FieldDescriptor, wrong: bool) -> int:
        bits = WHOLE[field.type]
        if wrong:
            least = 0 if field.type in (F.TYPE_UINT32, F.TYPE_UINT64) else -(1 << bits - 1)
            fits = [number for number in NUMBERS if least <= number < 1 << bits - 1]
            return self._chance.choice(fits)
        if field.name.endswith("_bytes"):
            return self._chance.choice((65536, 1 << 20, GIB))
        return self._chance.choice((1, 2, 4, 8, 1000))

    def _name(self, field: FieldDescriptor) -> str:
        examples = re.findall(r'"([^"\s]+)"', comments().get(field.full_name, ""))
        if examples and self._named.get(form(examples[0])):
            return self._chance.choice(self._named[form(examples[0])])
        if field.name.endswith("_id") or not examples:
            return f"n{self._chance.randrange(1000)}"
        return str(self._chance.choice(examples))
