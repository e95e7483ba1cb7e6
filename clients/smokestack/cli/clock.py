"""`smokestack clock`: shows or sets how the virtual time of a running stack moves."""

from __future__ import annotations

import click

from .clock_options import MODES
from .connection import DEFAULT_ADDRESS, address_option, connected
from .output import print_json


@click.command()
@click.argument("mode", type=click.Choice(MODES), required=False)
@click.option(
    "--factor",
    type=click.FloatRange(0, 1_000_000, min_open=True),
    help="Of a paced clock: virtual seconds per second.",
)
@click.option(
    "--autojump/--no-autojump",
    default=None,
    help="Whether a request that waits makes a manual clock jump to its end.",
)
@address_option(default=DEFAULT_ADDRESS, help="The hypervisor.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def clock(
    *, mode: str | None, factor: float | None, autojump: bool | None, address: str, as_json: bool
) -> None:
    """Set how virtual time moves: MODE is manual, paced or flat-out. Without changes: show it."""
    with connected(address) as channel:
        from smokestack.v1 import simulation_pb2 as pb
        from smokestack.v1 import simulation_pb2_grpc

        stub = simulation_pb2_grpc.SimulationServiceStub(channel)
        if mode is None and factor is None and autojump is None:
            found = stub.GetSimulation(pb.GetSimulationRequest()).clock
        else:
            new = pb.Clock(factor=factor)
            if autojump is not None:
                new.autojump = autojump
            if mode:
                new.MergeFrom(pb.Clock(mode=f"CLOCK_MODE_{mode.upper().replace('-', '_')}"))
            found = stub.UpdateClock(pb.UpdateClockRequest(clock=new))
        name = pb.ClockMode.Name(found.mode)
    shown = name.removeprefix("CLOCK_MODE_").lower().replace("_", "-")
    if as_json:
        fields = {"mode": shown, "factor": found.factor, "autojump": found.autojump}
        print_json(fields, one_line=True)
        return
    pace = f" at {found.factor:g} × real time" if shown == "paced" else ""
    click.echo(f"{shown}{pace}, autojump {'on' if found.autojump else 'off'}")
