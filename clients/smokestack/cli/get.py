"""`smokestack get`: shows one resource."""

from __future__ import annotations

import click

from .complete import complete_words as complete
from .estate import estate_at, stack_option
from .kinds import kind_and_name
from .show import output_option, show_one


@click.command()
@click.argument("words", metavar="KIND NAME", nargs=-1, required=True, shell_complete=complete)
@stack_option
@output_option
def get(words: tuple[str, ...], address: tuple[str, ...], output: str) -> None:
    """Show all of one resource: `get port p0`, `get arrays/a1/ports/p0`.

    A short name will do where only one resource has it.
    """
    kind, typed = kind_and_name(words)
    with estate_at(address) as estate:
        show_one(kind, estate.act(kind, "Get", typed), output)
