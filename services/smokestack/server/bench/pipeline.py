"""Measures the whole pipeline in one process: broker, queues, paths, ports, cores, cache, pages.

About one attempt in twenty meets TASK SET FULL.  Beside it: a storm of refusals, and what an I/O
costs as ever more are outstanding.
"""

from __future__ import annotations

from typing import Any, Final

from ..stack import Stack
from .stacks import Load, best, scenario, turn, warm

STEADY: Final = Load(vms=64, depth=32, disks=2_048, queue_limit=220)
STORM: Final = Load(vms=64, depth=32, disks=2_048, queue_limit=110, retry_delay_ns=100_000)
GROWTH: Final = tuple(Load(vms=vms, depth=64, disks=vms * 64) for vms in (32, 128, 512, 1_024))
_WARM_NS: Final = 20_000_000
_STEP_NS: Final = 5_000_000


def run(
    *,
    ios: int = 2_000_000,
    turns: int = 10,
    steady: Load = STEADY,
    storm: Load = STORM,
    growth: tuple[Load, ...] = GROWTH,
) -> dict[str, Any]:
    """Returns the steady rate, and a row for each load."""
    rows = [_row("steady", steady, ios, turns), _row("storm", storm, ios // 2, turns)]
    rows += [_row("growth", load, ios, turns) for load in growth]
    first, *_, last = rows[2:]
    return {
        "ios_per_wall_second": rows[0]["ios_per_wall_second"],
        "refused_ratio": rows[0]["refused_ratio"],
        "storm_ios_per_wall_second": rows[1]["ios_per_wall_second"],
        "storm_attempts_per_wall_second": rows[1]["attempts_per_wall_second"],
        "growth_change_ratio": round(
            last["ios_per_wall_second"] / first["ios_per_wall_second"] - 1, 3
        ),
        "rows": rows,
    }


def _row(name: str, load: Load, ios: int, turns: int) -> dict[str, Any]:
    with Stack(scenario(load)) as stack:
        warm(stack.api, _WARM_NS)
        found = best(turns, lambda: turn(stack.api, ios // turns, _STEP_NS))
    attempts = found.ios + found.refusals
    return {
        "load": name,
        "outstanding": load.outstanding,
        "ios_per_window": found.ios // found.windows,
        "refused_ratio": round(found.refusals / attempts, 3),
        "ios_per_wall_second": round(found.ios / found.seconds),
        "attempts_per_wall_second": round(attempts / found.seconds),
    }
