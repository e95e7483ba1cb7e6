"""`smokestack stop`: makes a job issue nothing more."""

from __future__ import annotations

import click

from .estate import estate_at, stack_option
from .kinds import kind_of
from .show import output_option, show_one


@click.command()
@click.argument("job")
@stack_option
@output_option
def stop(job: str, address: tuple[str, ...], output: str) -> None:
    """Make a job issue nothing more, for good: `stop h1/v1/j0`. What is outstanding completes."""
    kind = kind_of("job")
    with estate_at(address) as estate:
        show_one(kind, estate.act(kind, "Stop", job), output)
