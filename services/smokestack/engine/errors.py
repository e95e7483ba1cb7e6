"""Refusals: what a service answers to a request that it will not carry out.

Models raise these; the wire turns each into the gRPC status of the same name with rich details.
A refused request has changed nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Violation:
    """One field that is wrong: its path in the request, and what would be right."""

    field: str
    description: str


class Refused(Exception):
    """Base of all refusals; ``reason`` is a stable UPPER_SNAKE_CASE word for programs."""

    code = "FAILED_PRECONDITION"

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        resource: str = "",
        violations: Sequence[Violation] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.code
        self.resource = resource
        self.violations = tuple(violations)


class InvalidArgument(Refused):
    """A field's value is wrong whatever the state; the violations say which and what is right."""

    code = "INVALID_ARGUMENT"

    @classmethod
    def at(cls, field: str, description: str) -> InvalidArgument:
        """Returns the refusal of one field."""
        return cls(f"{field}: {description}", violations=[Violation(field, description)])


class NotFound(Refused):
    """The named resource does not exist."""

    code = "NOT_FOUND"

    @classmethod
    def of(cls, resource: str) -> NotFound:
        """Returns the refusal that names the missing resource."""
        return cls(f"{resource} does not exist", resource=resource)


class AlreadyExists(Refused):
    """A resource of that name exists already."""

    code = "ALREADY_EXISTS"

    @classmethod
    def of(cls, resource: str) -> AlreadyExists:
        """Returns the refusal that names the resource in the way."""
        return cls(f"{resource} exists already", resource=resource)


class FailedPrecondition(Refused):
    """The state forbids it now; the message says what must change first."""

    code = "FAILED_PRECONDITION"


class Aborted(Refused):
    """What the request was about has ended under it; the message says what to do instead."""

    code = "ABORTED"


class ResourceExhausted(Refused):
    """The request is more than the service takes; the message says how much that is."""

    code = "RESOURCE_EXHAUSTED"


class OutOfRange(Refused):
    """What is asked for lies outside what is kept; the message says what is there."""

    code = "OUT_OF_RANGE"


class Unavailable(Refused):
    """A peer that the request needs cannot be reached."""

    code = "UNAVAILABLE"
