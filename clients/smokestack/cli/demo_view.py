"""What the demo shows: a live table on a terminal, elsewhere a line every ten virtual seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from .demo import DURING, END_SECONDS, INTRODUCTION, NEIGHBOUR, VICTIM, short
from .output import latency_text, print_table, sparkline
from .tables import as_text

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from smokestack.server.watch import Seen

_NOTHING = "–"
_SPARK_COLUMNS = 30
_PLAIN_STEP = 10


class View:
    """Shows nothing: for programs, which read the result."""

    step = 1  # virtual seconds between two looks
    is_paced = False  # whether somebody watches, so that it should not rush by

    def show(self, start: int, end: int, seen: Mapping[str, Seen]) -> None:
        """Takes what VMs saw between two virtual seconds."""

    def __enter__(self) -> View:
        return self

    def __exit__(self, *error: object) -> None:
        pass


class PlainView(View):
    """Lines, for logs and pipes."""

    step = _PLAIN_STEP

    def __enter__(self) -> View:
        click.echo(INTRODUCTION)
        return self

    def show(self, start: int, end: int, seen: Mapping[str, Seen]) -> None:
        cells = [f"{start:3}–{end:2} s"]
        for vm in (VICTIM, NEIGHBOUR):
            name = short(vm).partition(" ")[0]
            iops, p50, p99 = _figures(seen[vm], end - start)
            quiet = iops == _NOTHING
            cells.append(
                f"{name} idle" if quiet else f"{name} {iops:>6} IOPS  p50 {p50:>7}  p99 {p99:>7}"
            )
        click.echo("   ".join(cells))


class LiveView(View):
    """A table that moves, for people."""

    is_paced = True

    def __init__(self, console: Console) -> None:
        from rich.live import Live

        self._end = 0
        self._p99: dict[str, list[float]] = {VICTIM: [], NEIGHBOUR: []}
        self._rows: dict[str, tuple[str, str, str]] = dict.fromkeys(self._p99, (_NOTHING,) * 3)
        self._live = Live(self._table(), console=console, auto_refresh=False)

    def __enter__(self) -> View:
        self._live.console.print(INTRODUCTION, highlight=False)
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def show(self, start: int, end: int, seen: Mapping[str, Seen]) -> None:
        self._end = end
        for vm, series in self._p99.items():
            series.append(seen[vm].latency.p99_ns)
            self._rows[vm] = _figures(seen[vm], end - start)
        self._live.update(self._table(), refresh=True)

    def _table(self) -> RenderableType:
        from rich.box import SIMPLE_HEAD
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        clock = Table.grid(padding=(0, 1))
        noisy = DURING.start < self._end <= DURING.end
        clock.add_row(
            "virtual time",
            f"{self._end:2} of {END_SECONDS} s",
            ProgressBar(total=END_SECONDS, completed=self._end, width=30),
            "[bold red]neighbour is noisy[/]" if noisy else "neighbour is quiet",
        )
        table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        table.add_column("VM", width=8)
        for name in ("IOPS", "p50", "p99"):
            table.add_column(name, justify="right", width=8)
        table.add_column("p99 so far", width=_SPARK_COLUMNS, no_wrap=True)
        for vm, series in self._p99.items():
            table.add_row(short(vm), *self._rows[vm], sparkline(_thinned(series)))
        return Group(clock, table)


def view_for(as_json: bool) -> View:
    """Returns the view that fits where the output goes."""
    if as_json:
        return View()
    from rich.console import Console

    console = Console()
    is_live = console.is_terminal and not console.is_dumb_terminal
    return LiveView(console) if is_live else PlainView()


def print_result(result: Mapping[str, Any]) -> None:
    """Prints what came of it: latencies, paths, space, and how to see it again."""
    click.echo()
    print_table(
        "What each VM saw",
        [
            {
                "VM": short(vm["vm"]),
                "when": f"{row['phase']}, {row['from_seconds']}–{row['until_seconds']} s",
                "I/Os": f"{row['ios']:,}",
                "IOPS": f"{row['iops']:,.0f}",
                **_latencies(row),
            }
            for vm in result["vms"]
            for row in vm["phases"]
            if row["ios"]
        ],
    )
    print_table("Paths", as_text(result["paths"]))
    print_table("Pools", as_text(result["pools"]))
    before, during = (_row(result, VICTIM, phase)["p99_ns"] for phase in ("before", "during"))
    click.echo(
        f"{short(VICTIM)} shares neither host nor volume with {short(NEIGHBOUR)}, only the array: "
        f"its p99 went from {latency_text(before)} to {latency_text(during)}."
    )
    click.echo(
        f"{result['ios']:,} I/Os, {result['errors']:,} errors, digest {result['digest'][:16]}: "
        f"the same on every machine for seed {result['seed']}."
    )
    click.echo("Next: `smokestack up` serves this stack; `smokestack --help` shows the rest.")


def _latencies(row: Mapping[str, Any]) -> dict[str, str]:
    return {k: latency_text(row[f"{k}_ns"]) for k in ("mean", "p50", "p99", "max")}


def _row(result: Mapping[str, Any], vm: str, phase: str) -> Mapping[str, Any]:
    [found] = [
        row
        for entry in result["vms"]
        if entry["vm"] == vm
        for row in entry["phases"]
        if row["phase"] == phase
    ]
    return dict(found)


def _figures(seen: Seen, seconds: int) -> tuple[str, str, str]:
    if not seen.io_count:
        return (_NOTHING,) * 3
    rate = seen.io_count / seconds
    return f"{rate:,.0f}", latency_text(seen.latency.p50_ns), latency_text(seen.latency.p99_ns)


def _thinned(values: Sequence[float]) -> list[float]:
    """Returns the greatest value of each stretch, so that a long series fits its column."""
    stretch = -(-END_SECONDS // _SPARK_COLUMNS)
    return [max(values[i : i + stretch]) for i in range(0, len(values), stretch)]
