"""The queues on a command's way through a host: what limits them, and changing that at a border."""

from __future__ import annotations

from typing import Any

from .specs import DeviceSettings, MultipathSpec
from .state import NIL, MultipathState

# By host and initiator: the adapter's row.
Adapters = dict[tuple[str, str], int]


# Settings of the whole layer, and the columns of the kernel's row that they stand in.
_SETTINGS = {
    "qfull_retry_delay_ns": "retry_delay_ns",
    "not_ready_retry_delay_ns": "not_ready_delay_ns",
    "apd_timeout_ns": "apd_timeout_ns",
    "task_management_timeout_ns": "task_timeout_ns",
    "escalation": "escalation",
    "apd_handling": "apd_handling",
    "probing": "probing",
}


def configure(state: MultipathState, spec: MultipathSpec) -> None:
    """Writes the settings of the whole layer."""
    for name, column in _SETTINGS.items():
        state.row[column] = getattr(spec, name)
    _set_timeout(state, spec.command_timeout_ns)


def _set_timeout(state: MultipathState, timeout_ns: int) -> None:
    """Has commands leave with a time-out; each that is out keeps its own."""
    known = [int(each) for each in state.used("timeout")]
    if timeout_ns not in known:
        row = state.append("timeout")
        state["timeout"][row] = timeout_ns
        known.append(timeout_ns)
    state.row["timeout"], state.row["timeouts"] = known.index(timeout_ns), any(known)


def fit_limit(device: Any) -> None:
    """Works out anew how many commands a device may have out: the twin of ``worlds.h``."""
    limit = int(device["depth"])
    if device["window"]:
        limit = min(limit, int(device["window"]))
    if device["worlds_active"] >= 2:
        limit = min(limit, int(device["dsnro"]))
    device["limit"] = 0 if device["recovering"] else limit


def set_limits(state: MultipathState, row: int, settings: DeviceSettings) -> None:
    """Changes what limits a device, as far as anything is said about it."""
    depth = settings.get("lun_queue_depth")
    shared = settings.get("sched_num_req_outstanding")
    if depth is None and shared is None:
        return
    device = state["device"][row]
    if depth is not None:
        device["depth"] = device["depth_configured"] = depth
        control = state["control"][row]
        control["bad"] = control["good"] = control["history"] = control["told"] = 0
    if shared is not None:
        device["dsnro"] = shared
    fit_limit(device)
    device["stirred"] = state.row["stirred"] = 1


def add_adapter(state: MultipathState, depth: int) -> int:
    """Appends the row of an initiator's adapter."""
    row = state.append("adapter")
    state.row["adapter_count"] = row + 1
    adapter = state["adapter"][row]
    adapter["depth"] = depth
    adapter["head"] = adapter["tail"] = NIL
    return row


def set_adapter_depth(state: MultipathState, row: int, depth: int) -> None:
    """Changes how many commands an adapter may have out."""
    state["adapter"]["depth"][row] = depth
    state["adapter"]["stirred"][row] = state.row["stirred"] = 1


def empty(state: MultipathState) -> None:
    """Lets go of every command on its way: what was in flight is gone."""
    state["slot"]["phase"] = 0
    state["path"]["in_flight"] = state["path"]["in_flight_bytes"] = 0
    for table in ("device", "adapter"):
        state[table]["active"] = state[table]["queued"] = 0
    state["device"]["queue_head"] = state["device"]["queue_tail"] = NIL
    state["adapter"]["head"] = state["adapter"]["tail"] = NIL
    state["world"]["outstanding"] = state["world"]["active"] = 0
    state["device"]["worlds_active"] = state["device"]["recovering"] = 0
    for column in ("function", "id", "answer_ns"):
        state["recovery"][column] = 0
    for device in state.used("device"):
        fit_limit(device)
    for column in ("hand_count", "hand_told", "born_count", "held_count", "recovering"):
        state.row[column] = 0
    state["link"]["free_ns"] = 0
    for column in ("out", "again_ns", "fail_ns", "loss_ns"):
        state["health"][column] = 0
    state["health"]["head"] = state["health"]["tail"] = NIL
    state["path"]["blocked"] = 0
