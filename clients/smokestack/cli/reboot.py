"""`smokestack reboot`: takes a controller down and lets it come back."""

from __future__ import annotations

import click

from .estate import estate_at, stack_option
from .kinds import kind_of
from .show import output_option, show_one


@click.command()
@click.argument("controller")
@stack_option
@output_option
def reboot(controller: str, address: tuple[str, ...], output: str) -> None:
    """Take a controller down at once; it is back after its reboot_ns: `reboot a1/c0`."""
    kind = kind_of("controller")
    with estate_at(address) as estate:
        show_one(kind, estate.act(kind, "Reboot", controller), output)
