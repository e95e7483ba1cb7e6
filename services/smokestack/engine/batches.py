"""Batches: many requests of one kind in one, of which all are carried out or none.

Everything is checked before anything is changed.  A refusal names the request that it is about by
its index, as in ``requests[3].vm.broker_ns``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

from .errors import AlreadyExists, InvalidArgument, Refused, Violation
from .requests import Requests

REQUESTS_MAX = 10_000

_T = TypeVar("_T")


class Batch(Protocol):
    """A request that holds others."""

    @property
    def parent(self) -> str:
        """The parent of them all; empty where each has its own."""

    @property
    def requests(self) -> Sequence[Any]:
        """What is to be carried out."""


def planned(
    batch: Batch, requests: Requests, plan: Callable[[Any, str], tuple[str, _T]]
) -> list[_T]:
    """Returns the plan of each request in order; refuses the batch if one is refused.

    ``plan`` takes a request and its parent, checks all that can be checked, and returns the full
    name of what will be created, and how.
    """
    if not 1 <= len(batch.requests) <= REQUESTS_MAX:
        raise InvalidArgument.at(
            "requests", f"has {len(batch.requests)} entries: give 1 to {REQUESTS_MAX}"
        )
    plans: list[_T] = []
    names: set[str] = set()
    for index, request in enumerate(batch.requests):
        try:
            parent = _parent(batch, request)
            name, made = requests.refusing(partial(plan, request, parent))
            if name in names:
                raise AlreadyExists(f"{name} stands in this batch twice", resource=name)
        except Refused as refused:
            raise _within(refused, f"requests[{index}]") from None
        names.add(name)
        plans.append(made)
    return plans


def _parent(batch: Batch, request: Any) -> str:
    own: str = request.parent
    if batch.parent and own not in ("", batch.parent):
        raise InvalidArgument.at(
            "parent", f"{own!r} is not the batch's: use {batch.parent!r}, or leave it out"
        )
    return own or batch.parent


def _within(refused: Refused, place: str) -> Refused:
    """Returns a refusal as one of the batch."""
    violations = [Violation(f"{place}.{v.field}", v.description) for v in refused.violations]
    message = "; ".join(f"{v.field}: {v.description}" for v in violations)
    return type(refused)(
        message or f"{place}: {refused.message}",
        reason=refused.reason,
        resource=refused.resource,
        violations=violations,
    )
