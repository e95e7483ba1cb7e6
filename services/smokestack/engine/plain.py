"""Plain values as JSON and back: what a snapshot's file holds besides raw memory.

A scalar is itself; everything else is an array that begins with a word: what it is.  Known classes
only, each by its name and its fields; arrays of numbers and bytes stand beside the JSON, as blobs.
Nothing that is read can name code: what is not as it was written is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidArgument

_SCALARS: Final = frozenset((bool, int, float, str, type(None)))
_TYPES: Final[Mapping[str, type]] = {"int": int, "str": str, "bool": bool}
_DEPTH_MAX: Final = 32


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
        if kind is tuple:
            return ["tuple", *self._all(value)]
        if kind is list:
            return ["list", *self._all(value)]
        if isinstance(value, Enum):
            return ["enum", kind.__name__, value.value]
        if isinstance(value, Mapping):
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

    def _held(self, value: Any) -> list[Any]:
        name = type(value).__name__
        if name not in self.classes:
            self.classes[name] = [field.name for field in fields(value)]
        return [getattr(value, field) for field in self.classes[name]]

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
            "map": lambda keys, values: dict(zip(self._all(keys), self._all(values), strict=True)),
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
