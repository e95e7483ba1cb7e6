"""`smokestack run`: runs a scenario or a trace flat out, and prints what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .connection import prepare
from .output import NS_PER_SECOND, latency_text, print_json, print_table, seconds_text
from .parameters import SEED
from .scenario import read_scenario, scenario_argument
from .tables import as_text

if TYPE_CHECKING:
    from smokestack.server.run import Progress, Trace
    from smokestack.v1 import scenario_pb2


@click.command()
@scenario_argument(required=False)
@click.option(
    "--trace",
    type=click.Path(path_type=Path),
    help="Replay this file at its recorded times, on disk d0 of VM v1 of host h1.",
)
@click.option("--format", "trace_format", default="", help="Its format, if sniffing guesses wrong.")
@click.option("--volume", default="", help="The disk to take from a file that holds several.")
@click.option("--processes", is_flag=True, help="Start each service as a process of its own.")
@click.option("--seed", type=SEED, help="Replaces the scenario's seed.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    help="Stop after so many virtual seconds; needed when a job has no end.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON, nothing else.")
def run(
    *,
    scenario: Path | None,
    trace: Path | None,
    trace_format: str,
    volume: str,
    processes: bool,
    seed: int | None,
    seconds: float | None,
    as_json: bool,
) -> None:
    """Run a scenario, or a trace on the default stack, flat out.

    Ends when no I/O is left. The digest covers every completion in order: it is the same for one
    process and for many, on every machine.
    """
    if scenario is None and trace is None:
        raise click.UsageError("give a SCENARIO, or a trace to replay with --trace FILE")
    prepare()
    description = read_scenario(scenario)
    if seed is not None:
        description.seed = seed
    replayed, expected = None, _stop_seconds(description)
    if trace is not None:
        replayed, expected = _read_trace(trace, trace_format, volume)
    from smokestack.server.run import run_stack

    with _progress_bar(seconds or expected) as progress:
        result = run_stack(description, replayed, processes, progress, seconds=seconds)
    if as_json:
        print_json(result)
    else:
        _print_result(result)


def _read_trace(path: Path, trace_format: str, volume: str) -> tuple[Trace, float]:
    """Returns a checked trace file and its duration; what is wrong is told with the file's name."""
    from smokestack.server.run import Trace
    from smokestack.server.tracefile import describe

    seconds = float(describe(path, trace_format, volume)["duration_seconds"])
    return Trace(path.read_bytes(), trace_format, volume), seconds


def _stop_seconds(scenario: scenario_pb2.Scenario) -> float | None:
    """Returns when the last job stops in virtual time, if that can be known before."""
    jobs = [job for host in scenario.hosts for vm in host.vms for job in vm.jobs]
    if not all(job.stop_ns for job in jobs):
        return None
    return max((job.stop_ns / NS_PER_SECOND for job in jobs), default=None)


@contextmanager
def _progress_bar(total: float | None) -> Iterator[Callable[[Progress], None] | None]:
    """Yields what draws progress on a terminal's stderr, or None where nobody watches."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal or console.is_dumb_terminal:
        yield None
        return
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    now, ios = TextColumn("virtual time {task.fields[now]}"), TextColumn("{task.fields[ios]}")
    with Bar(now, BarColumn(), ios, console=console, transient=True) as bar:
        task = bar.add_task("run", total=total, now="0 s", ios="")

        def show(come: Progress) -> None:
            rate = come.ios / come.wall_seconds
            bar.update(
                task,
                completed=come.virtual_seconds,
                now=seconds_text(come.virtual_seconds),
                ios=f"{come.ios:,} I/Os, {rate:,.0f} a second",
            )

        yield show


def _print_result(result: dict[str, Any]) -> None:
    speed = result["virtual_seconds"] / result["wall_seconds"]
    latency = result["latency"]
    parts = ("mean", "p50", "p99", "max")
    shown = ", ".join(f"{part} {latency_text(latency[f'{part}_ns'])}" for part in parts)
    print_table("Virtual disks", as_text([row for row in result["disks"] if row["ios"]]))
    print_table("Paths", as_text([row for row in result["paths"] if row["ios"]]))
    click.echo(
        f"{result['ios']:,} I/Os, {result['errors']:,} errors; latency {shown}\n"
        f"{seconds_text(result['virtual_seconds'])} of virtual time in "
        f"{seconds_text(result['wall_seconds'])} ({speed:,.0f} × real time, "
        f"{result['ios_per_wall_second']:,.0f} I/Os a second)\n"
        f"digest {result['digest']}"
    )
