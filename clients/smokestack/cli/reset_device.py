"""`smokestack reset-device`: resets a device's logical unit, or its target."""

from __future__ import annotations

import click

from .estate import estate_at, stack_option
from .kinds import kind_of
from .show import output_option, show_one


@click.command("reset-device")
@click.argument("device")
@click.option("--target", is_flag=True, help="All units behind the device's first usable path.")
@stack_option
@output_option
def reset_device(device: str, target: bool, address: tuple[str, ...], output: str) -> None:
    """Reset a device's logical unit; what it has out is sent again: `reset-device h1/a1.v1`."""
    kind = kind_of("device")
    with estate_at(address) as estate:
        show_one(kind, estate.act(kind, "Reset", device, target=target), output)
