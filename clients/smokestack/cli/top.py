"""`smokestack top`: a live view of queues, paths and ports, as esxtop has it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import click

from .estate import stack_at, stack_option
from .output import NS_PER_SECOND, print_json, print_table
from .parameters import duration as duration_ns

if TYPE_CHECKING:
    from smokestack.client import Stack

_NAMES = ("adapters", "devices", "worlds", "paths", "ports")
_BY_KEY = {"a": "adapters", "d": "devices", "w": "worlds", "p": "paths", "t": "ports"}
_QUIT = ("q", "\x03", "\x04")
_CHROME_LINES = 5  # title, head, rule, caption


@click.command()
@click.option("--view", type=click.Choice(_NAMES), default="devices", show_default=True)
@click.option(
    "--delay", default=1.0, show_default=True, help="Seconds of the wall clock between readings."
)
@click.option("--once", is_flag=True, help="Print one table and end.")
@click.option("--json", "as_json", is_flag=True, help="Print one reading as JSON and end.")
@click.option(
    "--over",
    type=duration_ns,
    default=None,
    metavar="DURATION",
    help="With --once or --json: move virtual time so far, and show what happened meanwhile.",
)
@stack_option
def top(
    *,
    view: str,
    delay: float,
    once: bool,
    as_json: bool,
    over: int | None,
    address: tuple[str, ...],
) -> None:
    """Show queues, paths and ports, live: DAVG, KAVG, QAVG, GAVG, ACTV, QUED, %USD, LOAD.

    Rates are by virtual time, between two readings; the first is since the start. Keys change
    what is shown: a adapters, d devices, w worlds (VMs), p paths, t ports of arrays; q quits.
    """
    if over is not None and not (once or as_json):
        raise click.UsageError("--over goes with --once or --json")
    if delay <= 0:
        raise click.BadParameter("want more than 0 seconds", param_hint="--delay")
    with stack_at(address) as stack:
        if once or as_json:
            _once(stack, view, as_json, over)
        else:
            _live(stack, view, delay)


def _once(stack: Stack, view: str, as_json: bool, over: int | None) -> None:
    from .top_reading import Reading, read
    from .top_view import figures, texts, title

    before = Reading()
    if over is not None:
        before = read(stack, view)
        stack.advance(seconds=over / NS_PER_SECOND)
    after = read(stack, view)
    rows = figures(before, after)
    if as_json:
        elapsed_ns = after.time_ns - before.time_ns
        print_json({"view": view, "time_ns": after.time_ns, "elapsed_ns": elapsed_ns, "rows": rows})
    else:
        print_table(title(view, before, after), [texts(row) for row in rows])


def _live(stack: Stack, view: str, delay: float) -> None:
    from rich.console import Console
    from rich.live import Live

    from .top_reading import Reading, read
    from .top_view import screen

    console = Console(highlight=False)
    if not console.is_terminal:
        raise click.UsageError("no terminal to show it on: use --once or --json")
    before, after = Reading(), read(stack, view)
    with _keys() as keyed, Live(console=console, auto_refresh=False, screen=True) as live:
        while True:
            rows_most = console.height - _CHROME_LINES
            live.update(screen(view, before, after, rows_most), refresh=True)
            key = keyed(delay)
            if key in _QUIT:
                return
            if _BY_KEY.get(key, view) != view:
                view, before = _BY_KEY[key], Reading()
                after = read(stack, view)
            else:
                before, after = after, read(stack, view)


class _Keyed:
    """Waits for a key, for so many seconds at most; without a terminal it only waits."""

    def __call__(self, seconds: float) -> str:
        threading.Event().wait(seconds)
        return ""


class _Typed(_Keyed):
    def __call__(self, seconds: float) -> str:
        import select

        ready, _, _ = select.select([sys.stdin], [], [], seconds)
        return sys.stdin.read(1) if ready else ""


@contextmanager
def _keys() -> Iterator[_Keyed]:
    """Lets keys be read one by one while it lasts, where the system can."""
    try:
        import termios
        import tty
    except ImportError:
        yield _Keyed()
        return
    if not sys.stdin.isatty():
        yield _Keyed()
        return
    kept = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield _Typed()
    finally:
        with suppress(termios.error):
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, kept)
