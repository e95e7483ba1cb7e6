"""`smokestack advance`: moves the virtual time of a running stack."""

from __future__ import annotations

import click

from .connection import DEFAULT_ADDRESS, address_option, connected
from .output import NS_PER_SECOND, print_json, seconds_text
from .parameters import duration as duration_ns


@click.command()
@click.option(
    "--duration", type=duration_ns, metavar="DURATION", help="How far to go, e.g. 250ms, 1s, 2h."
)
@click.option(
    "--until", type=duration_ns, metavar="DURATION", help="Virtual time to go to, e.g. 90s."
)
@click.option("--until-idle", is_flag=True, help="Go on until no I/O is left to do.")
@click.option(
    "--limit",
    type=duration_ns,
    metavar="DURATION",
    help="With --until-idle: virtual time to stop at anyway.",
)
@address_option(default=DEFAULT_ADDRESS, help="The hypervisor, or an array that stands alone.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def advance(
    *,
    duration: int | None,
    until: int | None,
    until_idle: bool,
    limit: int | None,
    address: str,
    as_json: bool,
) -> None:
    """Move virtual time, as fast as the machine allows.

    Without a goal: by one second. Ctrl-C cancels; what was reached stays.
    """
    if (duration is not None) + (until is not None) + until_idle > 1:
        raise click.UsageError("choose one of --duration, --until and --until-idle")
    if limit is not None and not until_idle:
        raise click.UsageError("--limit goes with --until-idle")
    with connected(address) as channel:
        from smokestack.v1 import simulation_pb2 as pb
        from smokestack.v1 import simulation_pb2_grpc

        if until_idle:
            request = pb.AdvanceRequest(until_idle=True, limit_ns=limit or 0)
        elif until is not None:
            request = pb.AdvanceRequest(until_ns=until)
        else:
            request = pb.AdvanceRequest(duration_ns=NS_PER_SECOND if duration is None else duration)
        done = simulation_pb2_grpc.SimulationServiceStub(channel).Advance(request)
    if as_json:
        counts = {"io_count": done.io_count, "error_count": done.error_count}
        print_json({"now_ns": done.now_ns, **counts}, one_line=True)
    else:
        click.echo(
            f"now {seconds_text(done.now_ns / NS_PER_SECOND)} of virtual time; "
            f"{done.io_count:,} I/Os completed, {done.error_count:,} failed"
        )
