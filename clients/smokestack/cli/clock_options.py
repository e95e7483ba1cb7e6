"""How time moves, as it is said on the command line, the same for all who serve a clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from smokestack.server.clocks import ClockSettings

MODES = ("manual", "paced", "flat-out")
_F = TypeVar("_F", bound=Callable[..., Any])


def clock_options(default: str) -> Callable[[_F], _F]:
    """Adds --clock, --factor and --autojump, as ``clock``, ``factor`` and ``autojump``."""
    options = (
        click.option(
            "--clock",
            type=click.Choice(MODES),
            default=default,
            show_default=True,
            help="How virtual time moves: when told, with the wall clock, or as fast as it can.",
        ),
        click.option(
            "--factor",
            type=click.FloatRange(0, 1_000_000, min_open=True),
            default=1.0,
            show_default=True,
            help="With --clock paced: virtual seconds per second.",
        ),
        click.option(
            "--autojump",
            is_flag=True,
            help="With --clock manual: a request that waits makes time jump to its end.",
        ),
    )

    def add(function: _F) -> _F:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def clock_settings(clock: str, factor: float, autojump: bool) -> ClockSettings:
    """Returns what these options say."""
    from smokestack.server.clocks import ClockMode, ClockSettings

    return ClockSettings(ClockMode[clock.upper().replace("-", "_")], factor, autojump)
