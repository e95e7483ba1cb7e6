"""`smokestack delete`: removes a resource."""

from __future__ import annotations

import click

from .complete import complete_words as complete
from .estate import estate_at, stack_option
from .kinds import kind_and_name


@click.command()
@click.argument("words", metavar="KIND NAME", nargs=-1, required=True, shell_complete=complete)
@stack_option
def delete(words: tuple[str, ...], address: tuple[str, ...]) -> None:
    """Delete a resource: `delete volume v9`, `delete arrays/a1/exports/v9.h1`."""
    kind, typed = kind_and_name(words)
    with estate_at(address) as estate:
        api = kind.rules
        if not hasattr(api.api, f"Delete{api.word}Request"):
            raise click.UsageError(f"{kind.plural} cannot be deleted: they come and go by rescan")
        name = estate.resolve(kind, typed)
        estate.call(kind, "Delete", name, name=name)
        click.echo(f"{name} deleted")
