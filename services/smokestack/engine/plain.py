"""Plain values as JSON and back: what a snapshot's file holds besides raw memory.

Known classes only, each by its name and its fields; arrays and bytes stand beside the JSON, as
blobs.  Nothing that is read can name code: what is not as it was written is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidArgument

_SCALARS: Final = (bool, int, float, str, type(None))
_DEPTH_MAX: Final = 32


class Blobs:
    """The arrays and bytes of some values, each content once."""

    def __init__(self) -> None:
        self.all: list[NDArray[Any] | bytes] = []
        self._known: dict[int, int] = {}

    def add(self, blob: NDArray[Any] | bytes) -> int:
        """Returns the number of a blob; the same object has the same one."""
        number = self._known.setdefault(id(blob), len(self.all))
        if number == len(self.all):
            self.all.append(blob)
        return number


def to_json(value: Any, blobs: Blobs) -> Any:
    """Returns a value as JSON; its arrays and bytes are added to the blobs."""
    if isinstance(value, Enum):
        return {"enum": type(value).__name__, "value": value.value}
    if type(value) in _SCALARS:
        return value
    if isinstance(value, bytes):
        return {"bytes": blobs.add(value)}
    if isinstance(value, np.ndarray):
        return {"array": blobs.add(value), "dtype": dtype_to_json(value.dtype)}
    if isinstance(value, Mapping):
        pairs = [[to_json(k, blobs), to_json(v, blobs)] for k, v in value.items()]
        return {"map": pairs}
    if is_dataclass(value) and not isinstance(value, type):
        held = {f.name: to_json(getattr(value, f.name), blobs) for f in fields(value)}
        return {"class": type(value).__name__, "fields": held}
    if isinstance(value, tuple):
        items = [to_json(item, blobs) for item in value]
        name = type(value).__name__
        return {"tuple": items} if type(value) is tuple else {"named": name, "items": items}
    if isinstance(value, list):
        return [to_json(item, blobs) for item in value]
    raise TypeError(f"a snapshot cannot hold a {type(value).__name__}")


def from_json(json: Any, blobs: Sequence[Any], classes: Mapping[str, type], depth: int = 0) -> Any:
    """Returns the value that was written; InvalidArgument says what cannot have been."""
    if depth > _DEPTH_MAX:
        raise _damaged("is nested too deeply")
    if type(json) in _SCALARS:
        return json
    if isinstance(json, list):
        return [from_json(item, blobs, classes, depth + 1) for item in json]
    if not isinstance(json, dict) or not json:
        raise _damaged(f"holds {json!r:.40}")
    try:
        return _from_tagged(json, blobs, classes, depth + 1)
    except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
        raise _damaged(f"holds {next(iter(json))} that is none: {error}") from None


def _from_tagged(json: dict[str, Any], blobs: Sequence[Any], classes: Any, depth: int) -> Any:
    if "map" in json:
        return {
            from_json(k, blobs, classes, depth): from_json(v, blobs, classes, depth)
            for k, v in json["map"]
        }
    if "tuple" in json:
        return tuple(from_json(item, blobs, classes, depth) for item in json["tuple"])
    if "bytes" in json:
        return bytes(blobs[_index(json["bytes"])])
    if "array" in json:
        return np.frombuffer(blobs[_index(json["array"])], dtype_of_json(json["dtype"]))
    if "enum" in json:
        return _known(classes, json["enum"])(json["value"])
    if "named" in json:
        items = [from_json(item, blobs, classes, depth) for item in json["items"]]
        return _known(classes, json["named"])(*items)
    kind = _known(classes, json["class"])
    held = {k: from_json(v, blobs, classes, depth) for k, v in json["fields"].items()}
    if set(held) != {f.name for f in fields(kind)}:
        raise _damaged(f"holds a {kind.__name__} with other fields than this version's")
    return kind(**held)


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


def _known(classes: Mapping[str, type], name: str) -> Any:
    if name not in classes:
        raise _damaged(f"holds a {name!r:.40}, which this version does not know")
    return classes[name]


def _index(number: Any) -> int:
    if type(number) is not int or number < 0:
        raise ValueError(f"{number!r} counts nothing")
    return number


def _damaged(what: str) -> InvalidArgument:
    return InvalidArgument(
        f"the snapshot {what}: it was not written by this version, or is damaged; take it anew",
        reason="SNAPSHOT_DAMAGED",
    )
