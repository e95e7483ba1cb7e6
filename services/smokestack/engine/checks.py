"""Checks of single fields, each refusing with the field's path and what would be right."""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import IntEnum

from .errors import FailedPrecondition, InvalidArgument

_SHOWN = 3

_IDENTIFIER = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")


def identifier(field: str, value: str) -> None:
    """Refuses what is no resource id: lower-case letters, digits and hyphens, 1 to 63."""
    if not _IDENTIFIER.fullmatch(value):
        raise InvalidArgument.at(
            field,
            f"{value!r} is no id: use 1 to 63 lower-case letters, digits and hyphens, "
            "a letter first, no hyphen last",
        )


def in_range(field: str, value: int | float, least: int | float, most: int | float) -> None:
    """Refuses a number outside [least, most]."""
    if not least <= value <= most:
        raise InvalidArgument.at(field, f"{value} is not within {least} to {most}")


def one_of(field: str, value: int, kind: type[IntEnum]) -> None:
    """Refuses what is no member of an enumeration."""
    if value not in tuple(kind):
        raise InvalidArgument.at(field, f"is none of {', '.join(kind.__members__)}")


def in_length(field: str, value: str, least: int, most: int) -> None:
    """Refuses a text that is too short or too long."""
    if not least <= len(value) <= most:
        raise InvalidArgument.at(field, f"{value!r} is not {least} to {most} characters long")


def multiple_of(field: str, value: int, unit: int) -> None:
    """Refuses what is not a positive multiple of a unit."""
    if value <= 0 or value % unit:
        below = max(value, 0) // unit * unit
        near = f"{below} or {below + unit}" if below else f"{unit} or more"
        raise InvalidArgument.at(field, f"{value} is not a positive multiple of {unit}: use {near}")


def unused(name: str, users: Collection[str], how: str) -> None:
    """Refuses to remove what others use; ``how`` says in which way: "is in use by volumes"."""
    if users:
        found = sorted(set(users))
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise FailedPrecondition(
            f"{name} {how} {', '.join(found[:_SHOWN])}{more}: remove those first",
            reason="IN_USE",
            resource=name,
        )
