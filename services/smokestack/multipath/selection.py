"""Path selection between windows: a policy's settings, and what it keeps of its paths.

The policies themselves are C, one file each under ``selectors/``; they remember in the tables
"policy" (by device) and "measure" (by path).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from smokestack.engine.records import AccessState

from .specs import PathState, Selector, SelectorSettings
from .state import NIL, MultipathState

# By whom a device's ``current`` says which path it stays on.
_STAYING = (Selector.ROUND_ROBIN, Selector.ROUND_ROBIN_BYTES, Selector.MOST_RECENTLY_USED)
HST_UNIT = 1024  # historical service times count in 1/1024 ns


def set_settings(state: MultipathState, device: int, settings: SelectorSettings) -> None:
    """Writes a device's settings; what its policy remembers stays."""
    for field in fields(SelectorSettings):
        state["policy"][device][field.name] = getattr(settings, field.name)


def settings_of(state: MultipathState, device: int) -> SelectorSettings:
    """Returns a device's settings."""
    row = state["policy"][device]
    return SelectorSettings(**{f.name: int(row[f.name]) for f in fields(SelectorSettings)})


_RANKS: Final = {
    AccessState.UNKNOWN: 0,
    AccessState.OPTIMIZED: 1,
    AccessState.NON_OPTIMIZED: 3,
    AccessState.TRANSITIONING: 4,
    AccessState.STANDBY: 5,
    AccessState.PASSIVE: 6,
    AccessState.UNAVAILABLE: 7,
}


def set_path_state(state: MultipathState, path: int, found: PathState) -> None:
    """Sets a path's state at a border; its policy hears when that changes whether it is usable."""
    row = state["path"][path]
    if row["access"]:
        row["want"] = found
        state.kernel.regroup(int(row["device"]))
        return
    was = PathState(int(row["state"]))
    row["state"] = found
    if (was == PathState.ACTIVE) != (found == PathState.ACTIVE):
        state.kernel.turned(path)


def group_paths(state: MultipathState, paths: Sequence[int]) -> None:
    """Lets only the best target port group of new paths be in use; no policy knows them yet."""
    rows = state["path"]
    alive = [p for p in paths if rows["state"][p] in (PathState.ACTIVE, PathState.STANDBY)]
    best = min((_rank(state, rows[p]) for p in alive), default=0)
    for path in alive:
        in_use = _rank(state, rows[path]) == best
        rows["state"][path] = PathState.ACTIVE if in_use else PathState.STANDBY


def _rank(state: MultipathState, path: Any) -> int:
    """Which target port group is used before others; ``access.h`` has the same ranks."""
    if path["preferred"] and state["failback"]["on"][path["device"]]:
        return 0
    access = AccessState(int(path["access"]))
    if access is AccessState.NON_OPTIMIZED and path["preferred"]:
        return 2
    return _RANKS[access]


def mask_of(cpus: Iterable[int]) -> int:
    """Returns the mask of some CPUs."""
    return sum(1 << cpu for cpu in set(cpus))


def cpus_of(mask: int) -> tuple[int, ...]:
    """Returns the CPUs of a mask, ascending."""
    return tuple(cpu for cpu in range(64) if mask >> cpu & 1)


def map_cpus(state: MultipathState, paths: Sequence[int]) -> None:
    """Gives those paths that were given no CPUs theirs: every path_count-th one."""
    for place, path in enumerate(paths):
        row = state["measure"][path]
        if not row["mapped"]:
            row["cpu_mask"] = mask_of(range(place, 64, len(paths)))


def set_cpus(state: MultipathState, path: int, cpus: Iterable[int]) -> None:
    """Maps a path to these CPUs; none given: to its share of all, after ``map_cpus``."""
    row = state["measure"][path]
    row["cpu_mask"] = mask_of(cpus)
    row["mapped"] = row["cpu_mask"] != 0


@dataclass(frozen=True)
class SelectionStatus:
    """What a policy knows of a path; None is what it does not keep."""

    dispatched_count: int
    relative_throughput: int
    cpus: tuple[int, ...]
    latency_ns: int | None = None
    sample_count: int | None = None
    historical_service_time_ns: int | None = None
    stale_after_ns: int | None = None


def selection_status(state: MultipathState, path: int) -> SelectionStatus:
    """Returns what the policy of a path's device knows of it."""
    row, measure = state["path"][path], state["measure"][path]
    selector = Selector(int(state["device"]["selector"][int(row["device"])]))
    found = {}
    if selector is Selector.LATENCY:
        found["sample_count"] = int(measure["sampled"])
        if measure["latency_ns"]:
            found["latency_ns"] = int(measure["latency_ns"])
    elif selector is Selector.HISTORICAL_SERVICE_TIME:
        found["historical_service_time_ns"] = int(measure["hst"]) // HST_UNIT
        found["stale_after_ns"] = int(measure["stale_after_ns"])
    return SelectionStatus(
        dispatched_count=int(row["dispatched"]),
        relative_throughput=int(measure["relative_throughput"]),
        cpus=cpus_of(int(measure["cpu_mask"])),
        **found,
    )


def current_path(state: MultipathState, device: int, paths: Sequence[int]) -> int | None:
    """Returns the place of the path that the policy stays on; None when it stays on none.

    ``paths`` are the rows of the device's paths in boot order.
    """
    row = state["device"][device]
    selector, current = Selector(int(row["selector"])), int(row["current"])
    if selector in _STAYING:
        return None if current == NIL else current
    if selector not in (Selector.FIXED, Selector.FIRST_AVAILABLE):
        return None
    usable = [n for n, path in enumerate(paths) if state["path"]["state"][path] == PathState.ACTIVE]
    if selector is Selector.FIXED and int(row["preferred"]) in usable:
        return int(row["preferred"])
    return usable[0] if usable else None
