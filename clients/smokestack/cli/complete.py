"""What a shell completes: kinds, then the names that a running stack has just now."""

from __future__ import annotations

from contextlib import suppress

import click

from .estate import estate_at
from .kinds import Kind, complete_kind, kind_of, kind_of_form

_SHOWN_MAX = 1_000


def complete_words(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Completes KIND NAME: the kind first, then names of that kind."""
    typed = context.params.get("words") or ()
    if not typed:
        return complete_kind(context, parameter, incomplete)
    with suppress(click.ClickException):
        return _names(context, kind_of(typed[0]), incomplete)
    return []


def complete_parent(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Completes the name of what resources of the kind lie below."""
    with suppress(click.ClickException):
        above = kind_of_form(kind_of(context.params["words"]).parent_form)
        return _names(context, above, incomplete) if above else []
    return []


def _names(context: click.Context, kind: Kind, incomplete: str) -> list[str]:
    """Returns full names if one is being typed, else identifiers; nothing without a stack."""
    found: list[str] = []
    with suppress(Exception), estate_at(context.params["address"]) as estate:
        for message in estate.all(kind):
            short = "/".join(message.name.split("/")[1::2])
            found += [name for name in (short, message.name) if name.startswith(incomplete)][:1]
            if len(found) == _SHOWN_MAX:
                break
    return found
