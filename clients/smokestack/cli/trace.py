"""`smokestack trace`: says what is in a recorded trace, without a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .groups import Group
from .output import bytes_text, print_json, seconds_text


@click.group(cls=Group)
def trace() -> None:
    """Look at recorded block I/O."""


@trace.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--format", "trace_format", default="", help="Format, if sniffing guesses wrong.")
@click.option("--volume", default="", help="The disk to take from a file that holds several.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(file: Path, trace_format: str, volume: str, as_json: bool) -> None:
    """Describe a trace: commands, bytes, duration, sizes, and the pages that it touches.

    The file is read whole and checked; the formats are those that `smokestack run --trace` replays.
    """
    from smokestack.server.tracefile import describe

    described = describe(file, trace_format, volume)
    if as_json:
        print_json(described)
    else:
        click.echo("\n".join(_lines(described)))


def _lines(found: dict[str, Any]) -> list[str]:
    commands = found["commands"]
    pages = bytes_text(found["page_bytes"])
    rows = [
        ("commands", f"{commands:,}"),
        ("reads", f"{found['reads']:,} ({bytes_text(found['read_bytes'])})"),
        ("writes", f"{found['writes']:,} ({bytes_text(found['write_bytes'])})"),
        ("duration", seconds_text(found["duration_seconds"])),
        ("reaches", bytes_text(found["end_bytes"])),
        ("pages touched", f"{found['pages_touched']:,} of {pages}"),
        ("pages written", f"{found['pages_written']:,} of {pages}"),
    ]
    sizes = [
        (f"of {bytes_text(size['bytes'])}", f"{size['commands']:,}") for size in found["sizes"]
    ]
    return [f"{label:<14}  {value}" for label, value in rows + sizes]
