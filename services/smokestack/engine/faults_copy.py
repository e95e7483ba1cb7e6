"""What a snapshot holds of a service's fault rules: each with what has become of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

from .errors import InvalidArgument
from .fault_rules import FaultRule
from .faults import Fault, FaultBook, FaultState


@dataclass(frozen=True)
class FaultCopy:
    """One rule and its state."""

    rule: FaultRule
    begin_ns: int
    end_ns: int
    state: FaultState
    hits: int
    told: str
    told_number: int
    turns: int


CLASSES: Final = (FaultCopy, FaultRule, FaultState)


class FaultsPart:
    """A book of rules as a part of its service, with a room's own lists of rules and its values.

    ``lists`` and ``values`` name attributes of the book, or with a dot of what it holds; a rule in
    two lists is one rule.
    """

    def __init__(
        self, book: FaultBook, lists: Sequence[str] = (), values: Sequence[str] = ()
    ) -> None:
        self._book = book
        self._lists = lists
        self._values = values

    def save(self) -> Any:
        """Returns copies of all rules, and where they stand."""
        book = self._book
        book.count()
        lists = {name: attrgetter(name)(book) for name in self._lists}
        held = [*book._faults.values(), *(fault for some in lists.values() for fault in some)]
        places = {id(fault): n for n, fault in reversed(list(enumerate(held)))}
        return {
            "faults": [_copied(fault) for fault in held],
            "listed": len(book._faults),
            "lists": {name: [places[id(fault)] for fault in some] for name, some in lists.items()},
            "values": {name: _fresh(attrgetter(name)(book)) for name in self._values},
            "next_ns": book.next_ns,
        }

    def load(self, saved: Any) -> Callable[[], None]:
        """Checks copies, and returns what makes them the book's rules."""
        book = self._book
        faults = [self._fault(copy) for copy in saved["faults"]]
        listed = {fault.rule.fault_id: fault for fault in faults[: saved["listed"]]}
        lists = {name: [faults[n] for n in saved["lists"][name]] for name in self._lists}
        values = {name: _fresh(saved["values"][name]) for name in self._values}

        def put() -> None:
            book._faults, book.next_ns = listed, saved["next_ns"]
            for name, value in (lists | values).items():
                holder, _, attribute = name.rpartition(".")
                setattr(attrgetter(holder)(book) if holder else book, attribute, value)

        return put

    def _fault(self, copy: FaultCopy) -> Fault:
        book = self._book
        if copy.rule.kind not in book.kinds:
            raise InvalidArgument(
                f"the snapshot holds a fault of kind {copy.rule.kind!r}, which {book.service} "
                f"does not model: it knows {', '.join(book.kinds) or 'none'}",
                reason="SNAPSHOT_VERSION",
            )
        return Fault(
            rule=copy.rule,
            kind=book.kinds[copy.rule.kind],
            name=f"{book.service}/faults/{copy.rule.fault_id}",
            begin_ns=copy.begin_ns,
            end_ns=copy.end_ns,
            state=copy.state,
            hits=copy.hits,
            told=copy.told,
            told_number=copy.told_number,
            turns=copy.turns,
        )


def _fresh(value: Any) -> Any:
    """Returns a copy of numbers, of lists of them, or of a dictionary of either."""
    if isinstance(value, dict):
        return {key: _fresh(held) for key, held in value.items()}
    return value.copy() if isinstance(value, list) else value


def _copied(fault: Fault) -> FaultCopy:
    return FaultCopy(
        fault.rule,
        fault.begin_ns,
        fault.end_ns,
        fault.state,
        fault.hits,
        fault.told,
        fault.told_number,
        fault.turns,
    )
