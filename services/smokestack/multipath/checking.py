"""Checks of paths between windows: settings, and when the next one begins.

Within windows it is ``checkers.h`` that sends them and acts on what they find.
"""

from __future__ import annotations

from .inventory import Device
from .selection import set_path_state
from .specs import CheckerState, Failback, NoPathRetry, PathChecker, PathFailureHandling, PathState
from .state import MultipathState

_COLUMNS = {
    "polling_interval_ns": "polling_ns",
    "max_polling_interval_ns": "polling_max_ns",
    "checker_timeout_ns": "check_timeout_ns",
    "fast_io_fail_ns": "fast_fail_ns",
    "dev_loss_ns": "loss_ns",
    "no_path_retry_count": "no_path_retries",
    "path_error_threshold": "error_threshold",
    "path_error_forget_checks": "error_forget",
    "path_error_recovery_ns": "error_recovery_ns",
}


def set_handling(state: MultipathState, device: Device, settings: PathFailureHandling) -> None:
    """Writes a device's settings; its paths are checked anew, the first time after an interval.

    What is under way is still to be answered.  Without a checker a host knows what it would have
    been told.
    """
    row = state["care"][device.row]
    row["checker"], row["no_path_retry"] = settings.checker, settings.no_path_retry
    for name, column in _COLUMNS.items():
        row[column] = getattr(settings, name)
    back = state["failback"][device.row]
    back["policy"], back["delay_ns"] = settings.failback, settings.failback_delay_ns
    back["seen"] = back["owed"] = back["on"] = back["due_ns"] = 0
    row["polling_max_ns"] = settings.max_polling_interval_ns or 4 * settings.polling_interval_ns
    for path in device.paths.values():
        if settings.checker is PathChecker.NONE:
            hear(state, path.row)
    if any(state["path"]["access"][path.row] for path in device.paths.values()):
        state.kernel.regroup(device.row)
    care, health = state["care"], state["health"]
    cares = (care["checker"] == PathChecker.TUR) | (care["fast_fail_ns"] + care["loss_ns"] > 0)
    pending = (health["out"] > 0) | (health["fail_ns"] + health["loss_ns"] > 0)
    state.row["caring"] = cares.any() or pending.any()
    begin(state, device, [path.row for path in device.paths.values()])


def begin(state: MultipathState, device: Device, paths: list[int]) -> None:
    """Has paths of a device, that are new or under new settings, be checked from now on."""
    care, now_ns = state["care"][device.row], int(state.row["until_ns"])
    for path in paths:
        health = state["health"][path]
        health["verdict"] = CheckerState.UNCHECKED
        health["interval_ns"] = care["polling_ns"]
        if care["checker"] == PathChecker.TUR:
            health["due_ns"] = now_ns + int(care["polling_ns"])
            state.row["timer_ns"] = min(int(state.row["timer_ns"]), int(health["due_ns"]))
        elif not health["out"]:
            health["due_ns"] = 0
    if state.row["caring"]:
        state.fit_checks()


def hear(state: MultipathState, path: int) -> None:
    """Has a host know of a path's transport at once."""
    row = state["path"][path]
    if row["blocked"]:
        return
    dead = row["links_down"] or row["target_down"] or row["gone"] or row["lost"]
    if bool(dead) != (row["state"] == PathState.DEAD):
        found = PathState.DISABLED if row["disabled"] else PathState.ACTIVE
        set_path_state(state, path, PathState.DEAD if dead else found)


def found_again(state: MultipathState, device: Device) -> None:
    """Has paths that were removed, and that a rescan has found, be checked like new ones."""
    rows, health = state["path"], state["health"]
    paths = [path.row for path in device.paths.values()]
    found = [p for p in paths if health["removed"][p] and rows["state"][p] != PathState.DEAD]
    for path in found:
        health["removed"][path] = 0
    begin(state, device, found)


def apd_lasts_ns(state: MultipathState, device: int) -> int:
    """How long a device is in APD before it is timed out; ``losses.h`` has the same."""
    row = state["care"][device]
    if row["no_path_retry"] == NoPathRetry.COUNT:
        return int(row["no_path_retries"]) * int(row["polling_ns"])
    return int(state.row["apd_timeout_ns"])


def resume(state: MultipathState, now_ns: int) -> None:
    """Begins checks anew where time goes on from; what was under way is gone."""
    health = state.used("health")
    health["out"] = health["again_ns"] = 0
    due = health["due_ns"]
    due[(due > 0) & (due < now_ns)] = now_ns
    if len(due[due > 0]):
        state.row["timer_ns"] = min(int(state.row["timer_ns"]), int(due[due > 0].min()))


def handling_of(state: MultipathState, device: int) -> PathFailureHandling:
    """Returns a device's settings."""
    row = state["care"][device]
    back = state["failback"][device]
    times = {name: int(row[column]) for name, column in _COLUMNS.items()}
    return PathFailureHandling(
        PathChecker(int(row["checker"])),
        **times,
        no_path_retry=NoPathRetry(int(row["no_path_retry"])),
        failback=Failback(int(back["policy"])),
        failback_delay_ns=int(back["delay_ns"]),
    )


def next_check_ns(state: MultipathState, path: int) -> int | None:
    """Returns when a path's next check begins; None: it is not checked, or just now is."""
    health = state["health"][path]
    return int(health["due_ns"]) if health["due_ns"] and not health["out"] else None


def verdict_of(state: MultipathState, path: int) -> CheckerState | None:
    """Returns what a path's last check has found; None: it is not checked."""
    checker = state["care"]["checker"][int(state["path"]["device"][path])]
    if checker != PathChecker.TUR:
        return None
    return CheckerState(int(state["health"]["verdict"][path]))
