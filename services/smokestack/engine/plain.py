"""Plain values as JSON and back: what a snapshot's file holds besides raw memory.

A scalar is itself; everything else is an array that begins with a word: what it is.  Known classes
only, each by its name and its fields; arrays of numbers and bytes stand beside the JSON, as blobs.
Many of a kind are written field by field, for a hundred thousand volumes are read so in a blink.
Nothing that is read can name code: what is not as it was written is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from itertools import islice
from operator import attrgetter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidArgument

_SCALARS: Final = frozenset((bool, int, float, str, type(None)))
_TYPES: Final[Mapping[str, type]] = {"int": int, "str": str, "bool": bool}
_DEPTH_MAX: Final = 32
_MANY: Final = 8  # from here on values of one kind are written field by field


class Writer:
    """Turns values into JSON; collects their blobs, and the fields of their classes."""

    def __init__(self) -> None:
        self.blobs: list[NDArray[Any] | bytes] = []
        self.classes: dict[str, list[str]] = {}
        self._numbers: dict[int, int] = {}

    def json(self, value: Any) -> Any:
        """Returns a value as JSON."""
        kind = type(value)
        if kind in _SCALARS:
            return value
        if kind in (tuple, list):
            many = self._many(value)
            return (
                [kind.__name__, *self._all(value)] if many is None else [f"{kind.__name__}s", many]
            )
        if isinstance(value, Enum):
            return ["enum", kind.__name__, value.value]
        if isinstance(value, Mapping):
            if len(value) >= _MANY:
                return ["table", self.json(list(value)), self.json(list(value.values()))]
            return ["map", self._all(value), self._all(value.values())]
        if is_dataclass(value):
            return ["class", kind.__name__, *self._all(self._held(value))]
        if isinstance(value, tuple):
            return ["named", kind.__name__, *self._all(value)]
        if isinstance(value, np.ndarray):
            return ["array", self._blob(value), dtype_to_json(value.dtype)]
        if isinstance(value, bytes):
            return ["bytes", self._blob(value)]
        raise TypeError(f"a snapshot cannot hold a {kind.__name__}")

    def _all(self, values: Iterable[Any]) -> list[Any]:
        return [v if type(v) in _SCALARS else self.json(v) for v in values]

    def _many(self, values: Sequence[Any]) -> list[Any] | None:
        """Returns values of one kind as lists of their fields, or None: they are few or mixed."""
        if len(values) < _MANY or len(set(map(type, values))) > 1:
            return None
        kind = type(values[0])
        if issubclass(kind, Enum):
            return ["enum", kind.__name__, *[value.value for value in values]]
        if issubclass(kind, Mapping):
            return self._many_maps(values)
        held: Iterable[tuple[Any, ...]]
        if is_dataclass(kind) and len(self._fields(kind)) > 1:
            what, held = "class", map(attrgetter(*self._fields(kind)), values)
        elif issubclass(kind, tuple) and values[0] and len(set(map(len, values))) == 1:
            what, held = "tuple" if kind is tuple else "named", values
        else:
            return None
        return [what, kind.__name__, *[self.json(list(c)) for c in zip(*held, strict=True)]]

    def _many_maps(self, maps: Sequence[Mapping[Any, Any]]) -> list[Any]:
        """Returns maps as the different sets of keys, which of them each has, and all values."""
        shapes: dict[tuple[Any, ...], int] = {}
        which = [shapes.setdefault(tuple(one), len(shapes)) for one in maps]
        values = [value for one in maps for value in one.values()]
        return ["map", "", self.json([list(s) for s in shapes]), which, self.json(values)]

    def _fields(self, kind: type) -> list[str]:
        name = kind.__name__
        if name not in self.classes:
            self.classes[name] = [field.name for field in fields(kind)]
        return self.classes[name]

    def _held(self, value: Any) -> list[Any]:
        return [getattr(value, field) for field in self._fields(type(value))]

    def _blob(self, blob: NDArray[Any] | bytes) -> int:
        """Returns the number of a blob; the same object has the same one."""
        number = self._numbers.setdefault(id(blob), len(self.blobs))
        if number == len(self.blobs):
            self.blobs.append(blob)
        return number


class Reader:
    """Turns JSON into the values that were written; refuses what cannot have been."""

    def __init__(
        self,
        blobs: Sequence[Any],
        classes: Mapping[str, type],
        written: Mapping[str, Sequence[str]],
    ) -> None:
        """Takes the classes that are known, and the fields of those that were written."""
        self._blobs = blobs
        self._classes = classes
        self._depth = 0
        for name, held in written.items():
            kind = self._class(name)
            if not is_dataclass(kind) or [field.name for field in fields(kind)] != held:
                raise _damaged(f"holds a {name} with other fields than this version's")
        self._written = frozenset(written)
        self._readers: Mapping[str, Callable[..., Any]] = {
            "tuple": lambda *items: tuple(self._all(items)),
            "list": lambda *items: self._all(items),
            "enum": lambda name, value: self._class(name)(value),
            "tuples": lambda many: tuple(self._many(*many)),
            "lists": lambda many: self._many(*many),
            "map": lambda keys, values: dict(zip(self._all(keys), self._all(values), strict=True)),
            "table": lambda *both: dict(zip(*self._all(both), strict=True)),
            "class": self._object,
            "named": lambda name, *items: self._class(name)(*self._all(items)),
            "array": lambda number, dtype: np.frombuffer(self._blob(number), dtype_of_json(dtype)),
            "bytes": lambda number: bytes(self._blob(number)),
        }

    def value(self, json: Any) -> Any:
        """Returns the value of some JSON; InvalidArgument says what is wrong with it."""
        try:
            return self._value(json)
        except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
            raise _damaged(f"holds what was never written: {error}") from None

    def _value(self, json: Any) -> Any:
        if type(json) in _SCALARS:
            return json
        if self._depth > _DEPTH_MAX:
            raise ValueError("it is nested too deeply")
        self._depth += 1
        read = self._readers[json[0]](*json[1:])
        self._depth -= 1
        return read

    def _all(self, items: Iterable[Any]) -> list[Any]:
        return [i if type(i) in _SCALARS else self._value(i) for i in items]

    def _many(self, what: str, name: str, *columns: Any) -> list[Any]:
        """Returns values of one kind from their fields."""
        if what == "enum":
            kind = self._class(name)
            members = {value: kind(value) for value in set(columns)}
            return [members[value] for value in columns]
        if what == "map":
            return self._many_maps(*columns)
        held = self._all(columns)
        if what == "tuple":
            return list(zip(*held, strict=True))
        if what == "class":
            self._check_fields(name, held)
        elif what != "named":
            raise ValueError(f"{what!r:.40} is no kind of which there are many")
        if len(set(map(len, held))) != 1:
            raise ValueError(f"the fields of {name!r:.40} differ in number")
        kind = self._class(name)
        if what == "class" and any(field.kw_only for field in fields(kind)):
            names = [field.name for field in fields(kind)]
            return [kind(**dict(zip(names, row, strict=True))) for row in zip(*held, strict=True)]
        return list(map(kind, *held))

    def _many_maps(self, shapes: Any, which: Any, values: Any) -> list[Any]:
        keys, left = self._value(shapes), iter(self._value(values))
        maps = [dict(zip(keys[n], islice(left, len(keys[n])), strict=True)) for n in which]
        if next(left, self) is not self:
            raise ValueError("there are more values than keys")
        return maps

    def _check_fields(self, name: str, held: Sequence[Sequence[Any]]) -> None:
        if name not in self._written:
            raise ValueError(f"the fields of {name!r:.40} are not listed")
        for field, column in zip(fields(self._class(name)), held, strict=True):
            wanted = _TYPES.get(str(field.type))
            if wanted is not None and set(map(type, column)) - {wanted}:
                raise ValueError(f"{name}.{field.name} is not everywhere of type {field.type}")

    def _object(self, name: str, *held: Any) -> Any:
        if name not in self._written:
            raise ValueError(f"the fields of {name!r:.40} are not listed")
        kind = self._class(name)
        values = {}
        for field, value in zip(fields(kind), self._all(held), strict=True):
            wanted = _TYPES.get(str(field.type))
            if wanted is not None and type(value) is not wanted:
                raise ValueError(f"{name}.{field.name} is {value!r:.40}, not a {field.type}")
            values[field.name] = value
        return kind(**values)

    def _class(self, name: str) -> Any:
        if name not in self._classes:
            raise _damaged(f"holds a {name!r:.40}, which this version does not know")
        return self._classes[name]

    def _blob(self, number: Any) -> Any:
        if type(number) is not int or number < 0:
            raise ValueError(f"{number!r} counts nothing")
        return self._blobs[number]


def dtype_to_json(dtype: np.dtype[Any]) -> Any:
    """Returns a dtype's layout in full: two that are equal here are equal in memory."""
    if dtype.names is None:
        return dtype.str
    assert dtype.fields is not None
    return {
        "size": dtype.itemsize,
        "fields": [[n, dtype.fields[n][0].str, int(dtype.fields[n][1])] for n in dtype.names],
    }


def dtype_of_json(json: Any) -> np.dtype[Any]:
    """Returns the dtype of a layout."""
    if isinstance(json, str):
        dtype = np.dtype(json)
    else:
        names, formats, offsets = (list(column) for column in zip(*json["fields"], strict=True))
        dtype = np.dtype(
            {
                "names": names,
                "formats": formats,
                "offsets": offsets,
                "itemsize": json["size"],
            }
        )
    if dtype.hasobject:
        raise ValueError("memory is never objects")
    return dtype


def size_bytes(value: Any) -> int:
    """Returns about how much memory a value takes, its arrays above all."""
    if isinstance(value, bytes):
        return len(value)
    if hasattr(value, "nbytes"):
        return int(value.nbytes)
    if isinstance(value, Mapping):
        return sum(64 + size_bytes(v) for v in value.values())
    if isinstance(value, list | tuple):
        return sum(8 + size_bytes(v) for v in value)
    return 64


def _damaged(what: str) -> InvalidArgument:
    return InvalidArgument(
        f"the snapshot {what}: it was not written by this version, or is damaged; take it anew",
        reason="SNAPSHOT_DAMAGED",
    )
