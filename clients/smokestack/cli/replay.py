"""`smokestack recording` and `smokestack replay`: what was done to a stack, and doing it again."""

from __future__ import annotations

from pathlib import Path

import click

from .connection import prepare
from .estate import stack_at, stack_option
from .output import NS_PER_SECOND, print_json, time_text
from .scenario import read_scenario


@click.command()
@click.option(
    "--output",
    "-o",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write it. Default: standard output.",
)
@stack_option
def recording(file: Path | None, address: tuple[str, ...]) -> None:
    """Print what was done to a stack since its scenario was built: a line of JSON for each call.

    Each has the virtual time at which it was applied, so that `smokestack replay` can do the same.
    """
    with stack_at(address) as stack:
        data = stack.recording()
    if file is None:
        click.echo(data.decode(), nl=False)
        return
    file.write_bytes(data)
    calls = len(data.splitlines()) - 2  # less the first line and the last
    click.echo(f"{file}: {calls:,} calls")


@click.command()
@click.argument("file", metavar="RECORDING", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--scenario",
    type=click.Path(path_type=Path),
    help="Build this instead of the scenario that the recording holds; it must be equal.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON, nothing else.")
def replay(file: Path, scenario: Path | None, as_json: bool) -> None:
    """Build a recording's stack, make every call again at its time, and compare the digests.

    Exits with 1 if they differ.
    """
    prepare()
    data = file.read_bytes()
    from smokestack.server.replay import replay as replayed_from

    found = replayed_from(data, read_scenario(scenario) if scenario else None)
    found.stack.close()
    figures = {
        "calls": len(found.recorded.lines),
        "virtual_seconds": found.recorded.end_ns / NS_PER_SECOND,
        "digest": found.digest,
        "recorded_digest": found.recorded.digest,
        "same": found.same,
    }
    if as_json:
        print_json(figures)
    elif found.same:
        click.echo(
            f"{figures['calls']:,} calls, {time_text(found.recorded.end_ns)} of virtual time: "
            f"the same digest, {found.digest}"
        )
    if not found.same:
        raise click.ClickException(
            f"another history: digest {found.digest}, the recording has {found.recorded.digest}"
        )
