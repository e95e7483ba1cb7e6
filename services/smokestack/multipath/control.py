"""What moves a device's depth: settings of its rule, and the window that its latency allows.

The rule acts on each answer, in ``throttle.h``.  The window is PARDA's (FACTS 2.5): at each
multiple of the evaluation period, the hosts of a volume put what they saw of it together, as in the
shared file of SIOC, and each sets its own:

    L(t) = (1 - a) l + a L(t-1)
    w(t+1) = (1 - g) w(t) + g (threshold / L(t) w(t) + beta), within window_min to window_max

in integers, windows and weights in 1/1024.  l is the mean device latency of all the hosts' I/Os
since the last evaluation; a period without any changes nothing.  beta is a command for every 250
shares.  Ours: a, g, beta's unit, and that a window never exceeds the configured depth.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any, Final

import numpy as np

from smokestack.engine.records import NEVER_NS

from .inventory import Device
from .queues import fit_limit
from .specs import DepthRule, QueueControl
from .state import MultipathState

UNIT: Final = 1024
SHARES_PER_COMMAND: Final = 250


def set_control(state: MultipathState, device: int, settings: QueueControl) -> None:
    """Writes a device's settings; its depth is as configured, its window as wide as can be."""
    row, control = state["device"][device], state["control"][device]
    for field in fields(QueueControl):
        control[field.name] = getattr(settings, field.name)
    legacy = settings.rule is DepthRule.LEGACY_NO_THROTTLE
    adapts = settings.rule is not DepthRule.FIXED and settings.qfull_sample_size > 0
    row["adaptive"] = settings.rule if adapts or legacy else 0
    row["depth"] = row["depth_configured"]
    control["bad"] = control["good"] = control["history"] = control["told"] = 0
    control["latency_ns"] = 0
    control["window"] = _widest(row, control) * UNIT if settings.congestion_threshold_ns else 0
    row["window"] = control["window"] // UNIT
    ios, device_ns = _totals(state)
    control["seen_ios"], control["seen_ns"] = ios[device], device_ns[device]
    fit_limit(row)
    row["stirred"] = state.row["stirred"] = 1


def control_of(state: MultipathState, device: int) -> QueueControl:
    """Returns a device's settings."""
    row = state["control"][device]
    found: dict[str, Any] = {f.name: int(row[f.name]) for f in fields(QueueControl)}
    return QueueControl(**found | {"rule": DepthRule(found["rule"])})


def next_evaluation_ns(state: MultipathState, now_ns: int, period_ns: int) -> int:
    """Returns when latency is looked at next after now; never, if no device's is."""
    if not state.used("control")["congestion_threshold_ns"].any():
        return NEVER_NS
    return (now_ns // period_ns + 1) * period_ns


def evaluate(state: MultipathState, devices: Iterable[Device]) -> None:
    """Sets the windows of these devices anew, at a border."""
    ios, device_ns = _totals(state)
    volumes: dict[str, list[int]] = {}
    for device in devices:
        if state["control"]["congestion_threshold_ns"][device.row]:
            volumes.setdefault(device.name, []).append(device.row)
    for rows in volumes.values():
        seen = state["control"][rows]
        count = int(ios[rows].sum() - seen["seen_ios"].sum())
        if not count:
            continue
        mean_ns = int(device_ns[rows].sum() - seen["seen_ns"].sum()) // count
        state["control"]["seen_ios"][rows] = ios[rows]
        state["control"]["seen_ns"][rows] = device_ns[rows]
        for row in rows:
            _move(state["device"][row], state["control"][row], mean_ns)
            state["device"]["stirred"][row] = 1
        state.row["stirred"] = 2  # they send at this very border


def _move(device: Any, control: Any, mean_ns: int) -> None:
    """Sets one device's window, from the latency that all hosts have seen."""
    before, weight = int(control["latency_ns"]), int(control["congestion_smoothing"])
    latency_ns = mean_ns
    if before:
        latency_ns = ((UNIT - weight) * mean_ns + weight * before) // UNIT
    latency_ns = max(1, latency_ns)
    window, gain = int(control["window"]), int(control["congestion_gain"])
    wanted = int(control["congestion_threshold_ns"]) * window // latency_ns
    wanted += int(control["shares"]) * UNIT // SHARES_PER_COMMAND
    window = ((UNIT - gain) * window + gain * wanted) // UNIT
    widest = _widest(device, control)
    window = min(max(window, min(int(control["window_min"]), widest) * UNIT), widest * UNIT)
    control["latency_ns"], control["window"] = latency_ns, window
    device["window"] = window // UNIT
    fit_limit(device)


def _widest(device: Any, control: Any) -> int:
    return min(int(control["window_max"]), int(device["depth_configured"]))


def _totals(state: MultipathState) -> tuple[Any, Any]:
    """Returns the I/Os that each device's paths have carried, and their device time."""
    paths = state.used("path")
    totals = np.zeros((2, len(state.used("device"))), np.uint64)
    np.add.at(totals[0], paths["device"], paths["ios"])
    np.add.at(totals[1], paths["device"], paths["device_ns"])
    return totals[0].astype(np.int64), totals[1].astype(np.int64)
