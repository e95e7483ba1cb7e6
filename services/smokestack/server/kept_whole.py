"""What a journal holds of a service that is kept whole: what has become of it, call by call.

A driver's calls and a multipath layer's rest on what services below answered; nobody could make
them again later.  So a row holds what differs since the row before: of tables those that changed,
of inventories what was added, replaced and removed, the events since, and the answers to retries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from smokestack.engine.requests import Requests
from smokestack.engine.tables_copy import TableCopy

from .answers import packed, remember

_VALUES: Final = (int, str, bool, float, bytes, type(None))


class WholeDurable:
    """One service, as its journal sees it; the caller holds the border."""

    whole: Final = True
    size: Final = 0  # rows differ little from one another: a thousand are read in a blink
    is_far: Final = False

    def __init__(
        self,
        model: Any,
        parts: Sequence[str],
        requests: Sequence[Requests],
        power_on: Callable[[Mapping[str, str | int]], None],
    ) -> None:
        """Takes the parts that are kept besides the events, and what begins anew from them."""
        self.parts = (*parts, "events")
        self._model = model
        self._names = parts
        self._requests = requests
        self._power_on = power_on
        self._held: dict[str, Any] | None = None  # as last taken, or read
        self._last = self._now_ns = 0

    @property
    def now_ns(self) -> int:
        """The service's virtual time."""
        return int(self._model.now_ns)

    @property
    def changed(self) -> bool:
        """Whether time has moved, or anything was told."""
        model = self._model
        return bool(model.now_ns != self._now_ns or model.events.last != self._last)

    def begin(self) -> None:
        """Takes all of it next time, for it may be another one."""
        self._held = None
        for some in self._requests:
            some.keep_fresh()

    def skip(self) -> None:
        """Notes that all of it is kept elsewhere, up to here."""
        self._last, self._now_ns = self._model.events.last, self._model.now_ns
        for some in self._requests:
            some.take_fresh()

    def take(self) -> dict[str, Any]:
        """Returns what differs since the last call, as a copy."""
        model = self._model
        held = {name: model.keeper.parts[name].save() for name in self._names}
        differs = {"set": held} if self._held is None else difference(held, self._held)
        events = tuple(model.events.since(self._last))
        self._last, self._now_ns, self._held = model.events.last, model.now_ns, held
        answers = [list(map(packed, some.take_fresh())) for some in self._requests]
        return {"parts": differs, "events": events, "answers": answers}

    def placed(self, parts: Mapping[str, Any]) -> None:
        """Notes what a checkpoint has put in place."""
        self._held = {name: parts[name] for name in self._names}

    def repeat(self, taken: Mapping[str, Any]) -> None:
        """Takes in a row; all of it is put in place at the end, by ``power_on``."""
        assert self._held is not None
        self._held = merged(self._held, taken["parts"])
        self._model.events.take_in(taken["events"])
        remember(self._requests, taken["answers"])

    def power_on(self, detail: Mapping[str, str | int]) -> None:
        """Puts in place what was read, and begins anew from it."""
        if self._held is not None:
            keeper = self._model.keeper
            puts = [keeper.parts[name].load(self._held[name]) for name in self._names]
            for put in puts:
                put()
        self._model.state["state"]["event_count"] = self._model.events.last
        self._power_on(detail)


def difference(new: Mapping[Any, Any], old: Mapping[Any, Any]) -> dict[str, Any]:
    """Returns what makes one mapping of another: what is removed, set, and different within."""
    changed: dict[Any, Any] = {}
    within: dict[Any, Any] = {}
    for key, value in new.items():
        if key not in old:
            changed[key] = value
        elif isinstance(value, Mapping) and isinstance(old[key], Mapping) and old[key]:
            differs = difference(value, old[key])
            if any(differs.values()):
                within[key] = differs
        elif not _same(value, old[key]):
            changed[key] = value
    removed = [key for key in old if key not in new]
    return {"removed": removed, "set": changed, "within": within}


def merged(old: Mapping[Any, Any], differs: Mapping[str, Any]) -> dict[Any, Any]:
    """Returns what a difference makes of a mapping."""
    new = dict(old)
    for key in differs.get("removed", ()):
        del new[key]
    new.update(differs["set"])
    for key, inner in differs.get("within", {}).items():
        new[key] = merged(old[key], inner)
    return new


def _same(one: Any, other: Any) -> bool:
    """Whether two values are surely equal; what takes long to compare counts as different."""
    if one is other:
        return True
    if isinstance(one, TableCopy) and isinstance(other, TableCopy):
        return (
            (one.length, one.used) == (other.length, other.used)
            and _equal(one.content, other.content)
            and (one.places is None or _equal(one.places, other.places))
        )
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and isinstance(one, _VALUES) and bool(one == other)


def _equal(one: Any, other: Any) -> bool:
    """Whether two arrays have the same bytes."""
    if other is None or one.dtype != other.dtype or one.shape != other.shape:
        return False
    return bool(np.array_equal(one.view(np.uint8), other.view(np.uint8)))
