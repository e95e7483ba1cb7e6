"""How figures are printed: three significant digits and a unit, or JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

NS_PER_SECOND = 1_000_000_000
_SPARKS = "▁▂▃▄▅▆▇█"
_NO_FIGURE = ("", "–")
_WIDTH_MAX = 1000


def print_json(value: Any, *, one_line: bool = False) -> None:
    """Prints JSON for programs; on one line where a program waits for that line."""
    click.echo(json.dumps(value, indent=None if one_line else 2))


def print_table(title: str, rows: Sequence[Mapping[str, str]]) -> None:
    """Prints rows of the same keys: text to the left, figures to the right."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    if not rows:
        click.echo(f"{title}: none\n")
        return
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
    )
    for key in rows[0]:
        is_figure = all(row[key][:1].isdigit() or row[key] in _NO_FIGURE for row in rows)
        table.add_column(key, justify="right" if is_figure else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row.values())
    console = Console(highlight=False)
    if not console.is_terminal:  # a pipe has no width: never cut a figure for it
        natural = Console(width=_WIDTH_MAX).measure(table).maximum
        console = Console(highlight=False, width=max(80, natural))
    console.print(table)
    console.print()


def latency_text(ns: float) -> str:
    """Returns a latency for people: 812 µs, 1.24 ms."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= size:
            return f"{_three_digits(ns / size)} {unit}"
    return f"{ns:.0f} ns"


def seconds_text(seconds: float) -> str:
    """Returns a stretch of time for people: 28 s, 12.3 s, 2 h 0 min 5 s."""
    if seconds < 60 and seconds == int(seconds):
        return f"{seconds:.0f} s"
    if seconds < 60:
        return f"{_three_digits(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min {rest} s" if hours else f"{minutes} min {rest} s"


def time_text(ns: int) -> str:
    """Returns a virtual time for people: 0 ns, 1.24 ms, 28 s, 2 h 0 min 5 s."""
    return latency_text(ns) if ns < NS_PER_SECOND else seconds_text(ns / NS_PER_SECOND)


def bytes_text(count: float) -> str:
    """Returns a size for people: 512 B, 4 KiB, 31.3 GiB."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if count < 1024 or unit == "TiB":
            break
        count /= 1024
    return f"{count:,.0f} {unit}" if count == int(count) else f"{_three_digits(count)} {unit}"


def sparkline(values: Sequence[float]) -> str:
    """Returns one bar for each value, the tallest for the greatest."""
    most = max(values, default=0)
    top = len(_SPARKS) - 1
    return "".join(_SPARKS[round(value / most * top) if most else 0] for value in values)


def _three_digits(value: float) -> str:
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:,.0f}"
