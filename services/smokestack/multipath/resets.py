"""Resets by hand, as ``sg_reset`` asks for them: of a device's logical unit, or of its target.

The kernel sends one at the border, by the first path that can be used, and goes on from there as
after aborts that are not answered (``aborts.h``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from smokestack.engine.errors import FailedPrecondition
from smokestack.engine.records import Task

from .queues import fit_limit
from .specs import PathState

if TYPE_CHECKING:
    from .model import MultipathModel


def reset_device(model: MultipathModel, host_id: str, device: str, *, target: bool = False) -> None:
    """Has a device's logical unit reset, or all units behind the port of its first usable path."""
    found, state = model.device(host_id, device), model.state
    name = f"{model.name}/hosts/{host_id}/devices/{device}"
    row = state["device"][found.row]
    if row["recovering"]:
        raise FailedPrecondition(
            f"{name} is being reset already: wait until that is complete",
            reason="RESETTING",
            resource=name,
        )
    active = state["path"]["state"] == PathState.ACTIVE
    rows = [path.row for path in found.paths.values() if active[path.row]]
    if not rows:
        raise FailedPrecondition(
            f"{name} has no usable path to send a reset by: bring a path back first",
            reason="NO_PATH",
            resource=name,
        )
    recovery, now_ns = state["recovery"][found.row], model.now_ns
    recovery["path"], recovery["told"] = rows[0], 0
    recovery["function"] = Task.TARGET_RESET if target else Task.LOGICAL_UNIT_RESET
    recovery["deadline_ns"] = now_ns
    row["recovering"] = 1
    fit_limit(row)
    state.row["recovering"] += 1
    state.row["timer_ns"] = min(int(state.row["timer_ns"]), now_ns)
