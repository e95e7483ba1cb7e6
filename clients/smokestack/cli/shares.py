"""`smokestack shares`: what a VM gets of its devices' queues, by its name."""

from __future__ import annotations

import click

from .estate import Estate, stack_at, stack_option
from .kinds import kind_of


@click.command()
@click.argument("vm")
@click.option("--shares", type=int, metavar="N", help="Part of what is left over: 500, 1000, 2000.")
@click.option("--reservation", type=int, metavar="IOPS", help="I/Os a second that it gets first.")
@click.option("--limit", type=int, metavar="IOPS", help="I/Os a second that it gets at most.")
@click.option("--none", "nothing", is_flag=True, help="Nothing of its own any more.")
@click.option("--device", "devices", multiple=True, metavar="NAME", help="Only of this: h1/a1.v1.")
@stack_option
def shares(
    *,
    vm: str,
    shares: int | None,
    reservation: int | None,
    limit: int | None,
    nothing: bool,
    devices: tuple[str, ...],
    address: tuple[str, ...],
) -> None:
    """Give a VM shares, a reservation or a limit in its devices' queues (mClock).

    VM is its name, such as h1/v1. What is not given has its default.
    """
    given = any(value is not None for value in (shares, reservation, limit))
    if given == nothing:
        raise click.UsageError("say what it gets, by --shares, --reservation, --limit, or --none")
    with stack_at(address) as stack:
        estate = Estate(stack.sessions)
        done = stack.set_io_shares(
            estate.resolve(kind_of("vm"), vm),
            shares=shares,
            reservation_iops=reservation,
            limit_iops=limit,
            devices=[estate.resolve(kind_of("device"), device) for device in devices],
        )
    for device in done.devices:
        click.echo(f"{device}: world {done.vm_number}")
