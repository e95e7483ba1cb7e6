"""`smokestack list`: shows the resources of a kind."""

from __future__ import annotations

import click

from .complete import complete_parent, complete_words
from .estate import estate_at, stack_option
from .kinds import kind_of, kind_of_form
from .show import output_option, show_all


@click.command("list")
@click.argument("words", metavar="KIND", nargs=1, shell_complete=complete_words)
@click.argument("parent", default="", shell_complete=complete_parent)
@stack_option
@output_option
def list_resources(words: str, parent: str, address: tuple[str, ...], output: str) -> None:
    """Show the resources of a kind: all, or those below PARENT.

    `list volumes`, `list paths h1/a1.v1`, `list vms hosts/h1`. A table leaves tuning knobs out;
    `get` shows them all.
    """
    kind = kind_of(words)
    above = kind_of_form(kind.parent_form)
    with estate_at(address) as estate:
        if parent and above is None:
            raise click.UsageError(f"{kind.plural} lie below nothing")
        below = estate.resolve(above, parent) if parent and above else ""
        show_all(kind, list(estate.all(kind, below)), output)
