"""Measures what processes of their own cost: the same stack in one process and in three.

1,024 VMs with 64 I/Os outstanding each and a lookahead of 100 us, so that more than a thousand I/Os
share a window's two round trips; and those round trips by themselves, with one I/O outstanding.
"""

from __future__ import annotations

from typing import Any, Final

from ..processes import Processes
from ..stack import Stack
from .stacks import Load, Turn, best, scenario, turn, warm

LOAD: Final = Load(vms=1_024, depth=64, disks=1_024)
ALONE: Final = Load(vms=1, depth=1, disks=1, volumes=1)
_WARM_NS: Final = 20_000_000
_STEP_NS: Final = 5_000_000


def run(
    *, ios: int = 1_500_000, turns: int = 3, exchanges: int = 2_000, load: Load = LOAD
) -> dict[str, Any]:
    """Returns both rates, their ratio, the I/Os per window, and a bare exchange's time."""
    with Stack(scenario(load)) as stack:
        warm(stack.api, _WARM_NS)
        one = best(turns, lambda: turn(stack.api, ios // turns, _STEP_NS))
    with Processes(scenario(load)) as processes:
        warm(processes.api, _WARM_NS)
        three = best(turns, lambda: turn(processes.api, ios // turns, _STEP_NS))
    return {
        "one_process_ios_per_wall_second": round(one.ios / one.seconds),
        "three_processes_ios_per_wall_second": round(three.ios / three.seconds),
        "ratio": round(three.ios / three.seconds / (one.ios / one.seconds), 3),
        "outstanding": load.outstanding,
        "ios_per_window": three.ios // three.windows,
        "window_ms": _window_ms(three),
        "two_hop_exchange_ms": _window_ms(_alone(exchanges, turns)),
    }


def _alone(exchanges: int, turns: int) -> Turn:
    """Runs windows that carry one I/O or none: what they take is the two round trips."""
    with Processes(scenario(ALONE)) as processes:
        warm(processes.api, _WARM_NS)
        return best(turns, lambda: turn(processes.api, exchanges // turns, 200 * _STEP_NS))


def _window_ms(found: Turn) -> float:
    return round(found.seconds / found.windows * 1e3, 3)
