"""`smokestack rescan`: has hosts look for devices and paths."""

from __future__ import annotations

import click

from .estate import estate_at, stack_option
from .kinds import kind_of
from .show import output_option, plain, print_data


@click.command()
@click.argument("hosts", metavar="[HOST]...", nargs=-1)
@stack_option
@output_option
def rescan(hosts: tuple[str, ...], address: tuple[str, ...], output: str) -> None:
    """Have hosts look for devices and paths that are new or gone: HOST, or all of them."""
    kind = kind_of("multipath-host")
    shown = []
    with estate_at(address) as estate:
        names = [estate.resolve(kind, host) for host in hosts]
        for name in names or [host.name for host in estate.all(kind)]:
            answer = plain(estate.call(kind, "Rescan", name, name=name))
            shown.append({"name": name, **answer})
    if output != "table":
        print_data(shown, output)
        return
    for row in shown:
        changes = [
            f"{what} +{row[f'{what}_added_count']} -{row[f'{what}_removed_count']}"
            for what in ("devices", "paths")
        ]
        click.echo(f"{row['name']}: {', '.join(changes)}")
