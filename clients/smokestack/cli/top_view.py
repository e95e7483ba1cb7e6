"""How `smokestack top` shows two readings: esxtop's columns, for people or for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .output import NS_PER_SECOND, latency_text, seconds_text
from .top_reading import Reading, Row

if TYPE_CHECKING:
    from rich.console import RenderableType

# A mean latency by its column and its total; what a view does not count has no column.
_AVERAGES = {
    "DAVG": "device_ns",
    "KAVG": "kernel_ns",
    "QAVG": "queue_ns",
    "GAVG": "guest_ns",
}
_RATES = {"IOPS": "ios", "B/s": "bytes"}
_COUNTS = {"REFUSED": "refused", "ERRORS": "errors", "DROPPED": "dropped"}
_KEYS = "a adapters · d devices · w worlds · p paths · t ports · q quit"
_MIB = 1 << 20


def figures(before: Reading, after: Reading) -> list[dict[str, Any]]:
    """Returns a row for each name: esxtop's figures; latencies in ns, None where nothing ended.

    Rates are by virtual time, 0 while it stands still.  What is new, or has begun anew, counts
    from nothing.
    """
    return [
        {"name": name, **_figures(before.rows.get(name), row, after.time_ns - before.time_ns)}
        for name, row in after.rows.items()
    ]


def _figures(before: Row | None, after: Row, elapsed_ns: int) -> dict[str, Any]:
    old: Mapping[str, int] = before.counters if before else {}
    if any(value < old.get(name, 0) for name, value in after.counters.items()):
        old = {}
    grown = {name: value - old.get(name, 0) for name, value in after.counters.items()}
    found = dict(after.now)
    for column, name in _RATES.items():
        found[column] = grown[name] * NS_PER_SECOND / elapsed_ns if elapsed_ns > 0 else 0.0
    for column, name in _AVERAGES.items():
        if name in grown:
            found[column] = grown[name] / grown["ios"] if grown["ios"] else None
    for column, name in _COUNTS.items():
        if name in grown:
            found[column] = grown[name]
    return found


def texts(row: Mapping[str, Any]) -> dict[str, str]:
    """Returns a row for people."""
    return {
        "MiB/s" if column == "B/s" else column: _text(column, value)
        for column, value in row.items()
    }


def _text(column: str, value: Any) -> str:
    if column in _AVERAGES:
        return "–" if value is None else latency_text(value)
    if column == "B/s":
        return f"{value / _MIB:,.1f}"
    if column == "%USD":
        return f"{100 * value:.0f}"
    if column == "LOAD":
        return f"{value:.2f}"
    return f"{value:,.0f}" if isinstance(value, (int, float)) else str(value)


def title(view: str, before: Reading, after: Reading) -> str:
    """Returns what the rows are, and of which stretch of virtual time."""
    over = seconds_text((after.time_ns - before.time_ns) / NS_PER_SECOND)
    if after.time_ns == before.time_ns:
        over = "nothing: virtual time stands still"
    return f"{view} at {seconds_text(after.time_ns / NS_PER_SECOND)}, over {over}"


def screen(view: str, before: Reading, after: Reading, rows_most: int) -> RenderableType:
    """Returns a screen for people: the busiest first, as many as fit."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    rows = sorted(figures(before, after), key=lambda row: (-row["IOPS"], row["name"]))
    table = Table(
        title=title(view, before, after),
        caption=f"{len(rows)} rows · {_KEYS}",
        title_justify="left",
        caption_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
    )
    shown = [texts(row) for row in rows[: max(1, rows_most)]]
    for column in shown[0] if shown else ():
        left = column in ("name", "STATE")
        table.add_column(column, justify="left" if left else "right", no_wrap=True)
    for cells in shown:
        table.add_row(*cells.values())
    return table
