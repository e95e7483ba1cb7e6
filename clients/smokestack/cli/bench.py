"""`smokestack bench`: measures this machine with the benchmarks that budgets are set by."""

from __future__ import annotations

from typing import Any

import click

from .output import print_json, print_table


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON, nothing else.")
def bench(names: tuple[str, ...], as_json: bool) -> None:
    """Run benchmarks: all of them, or those named. Takes minutes; let nothing else run."""
    from smokestack.server.bench import BENCHMARKS

    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        raise click.UsageError(f"{unknown[0]!r} is no benchmark: use {', '.join(BENCHMARKS)}")
    figures: dict[str, dict[str, Any]] = {}
    for name in names or BENCHMARKS:
        click.echo(f"{name} ...", err=True)
        figures[name] = BENCHMARKS[name]()
        if not as_json:
            _print(name, figures[name])
    if as_json:
        print_json(figures)


def _print(name: str, figures: dict[str, Any]) -> None:
    rows = figures.get("rows", [])
    if rows:
        print_table(name, [{k: _text(v) for k, v in row.items()} for row in rows])
    for key, value in figures.items():
        if key != "rows":
            click.echo(f"{name}  {key:<34} {_text(value):>16}")


def _text(value: Any) -> str:
    return f"{value:,}" if isinstance(value, (int, float)) else str(value)
