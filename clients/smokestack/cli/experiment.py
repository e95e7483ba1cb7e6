"""`smokestack experiment`: shows a behaviour with figures, and checks what must hold of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .groups import Group
from .output import print_json, print_table
from .parameters import SEED
from .tables import as_text

if TYPE_CHECKING:
    from smokestack.experiments import Result
    from smokestack.experiments.sweep import Progress

_TELLS = {True: "holds", False: "does not hold"}


@click.group(cls=Group)
def experiment() -> None:
    """Measure a behaviour on private stacks, and check what must hold of it."""


@experiment.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_experiments(as_json: bool) -> None:
    """Show what there is, with the sizes that each has."""
    from smokestack.experiments import EXPERIMENTS, find

    rows: list[dict[str, Any]] = [
        {"name": e.name, "shows": e.summary, "sizes": list(e.sizes), "replays_trace": e.replays}
        for e in map(find, EXPERIMENTS)
    ]
    if as_json:
        print_json(rows)
        return
    print_table("experiments", as_text([{**r, "sizes": " ".join(r["sizes"])} for r in rows]))


@experiment.command()
@click.argument("name")
@click.option("--seed", type=SEED, default=1, show_default=True)
@click.option("--size", default="default", show_default=True, help="How much of it: see `list`.")
@click.option("--trace", type=click.Path(path_type=Path), help="Of those that replay one.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, nothing else.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw it: .png, .svg or .pdf.")
@click.option(
    "--workers",
    type=click.IntRange(1, 1024),
    help="Processes that share the work; the result is the same. Default: one for each core.",
)
def run(
    *,
    name: str,
    seed: int,
    size: str,
    trace: Path | None,
    as_json: bool,
    plot: Path | None,
    workers: int | None,
) -> None:
    """Run an experiment. Exit code 1 says that something does not hold that must."""
    from smokestack import experiments

    try:
        found = experiments.find(name)
        planned = experiments.plan(found, seed=seed, size=size, trace=trace)
    except (KeyError, ValueError) as error:
        raise click.UsageError(str(error.args[0])) from None
    if plot is not None:
        _check_plot(plot)
    many = min(workers or os.cpu_count() or 1, len(found.cases(planned)))
    workforce = experiments.processes(many) if many > 1 else nullcontext()
    with workforce as executor, _progress(name, as_json) as progress:
        result = experiments.run(found, planned, executor, progress)
    if plot is not None:
        from smokestack.experiments import plots

        plots.save(found, planned, result, plot)
    if as_json:
        print_json(result.as_json())
    else:
        _print(result)
    if not result.is_right:
        click.get_current_context().exit(1)


def _check_plot(file: Path) -> None:
    """Refuses before the work what could not be drawn after it."""
    try:
        from matplotlib.backend_bases import FigureCanvasBase
    except ImportError:
        raise click.ClickException(
            "--plot needs matplotlib: pip install 'smokestack-emulator[plot]'"
        ) from None
    known = FigureCanvasBase.get_supported_filetypes()
    if file.suffix[1:].lower() not in known:
        raise click.UsageError(f"--plot {file}: no suffix of {', '.join(sorted(known))}")
    if not file.parent.is_dir():
        raise click.UsageError(f"--plot {file}: there is no folder {file.parent}")


@contextmanager
def _progress(name: str, quiet: bool) -> Iterator[Progress]:
    """Yields what shows how far it is: a bar on a terminal, else a line for each case."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda done, cases: None if quiet else _say(f"{name}: {done} of {cases}")
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Remaining())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, cases: bar.update(task, completed=done, total=cases)


def _say(line: str) -> None:
    click.echo(line, err=True)


def _print(result: Result) -> None:
    print_table(f"{result.name}, seed {result.seed}", as_text([_shown(r) for r in result.rows]))
    for claim in result.claims:
        kind = "must hold" if claim.kind == "must_hold" else "finding"
        click.echo(f"{kind:<9}  {claim.id}: {_TELLS[claim.holds]}")
        click.echo(f"           {claim.says}: {claim.figure} (against {claim.baseline})")


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """Returns a row whose long values a table can show."""
    return {key: _short(value) for key, value in row.items()}


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    if isinstance(value, str) and len(value) == 64:  # a digest
        return value[:16]
    return value
