"""Parameters of devices: LUNs as a host sees them, as esxtop has them."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..specs import DeviceState
from .parameter import Parameter
from .reading import Reading


def _congestion(reading: Reading) -> NDArray[np.float64]:
    """Returns each device's latency over its threshold."""
    control = reading.control
    ratio = np.full(len(control), np.nan)
    known = (control["congestion_threshold_ns"] > 0) & (control["latency_ns"] > 0)
    np.divide(control["latency_ns"], control["congestion_threshold_ns"], out=ratio, where=known)
    return ratio


def _gauge(name: str, unit: str, text: str, cause: str, column: str) -> Parameter:
    return Parameter(name, "gauge", unit, text, cause, lambda r: r.device[column])


def _count(name: str, unit: str, text: str, cause: str, column: str) -> Parameter:
    return Parameter(name, "counter", unit, text, cause, lambda r: r.device[column])


def _moves(name: str, text: str, cause: str, column: str) -> Parameter:
    return Parameter(name, "counter", "events", text, cause, lambda r: r.control[column])


_STATES: Final = (
    Parameter(
        "smokestack_device_state",
        "gauge",
        "enum",
        "State of the device: 1 for the one that it is in; apd while none of its paths is active, "
        "pdl once each has answered that there is no such unit.",
        "LINK_DOWN of all its links; an export that is deleted",
        lambda r: r.device["state"].astype(np.int64) - 1,
        "states",
        tuple(state.name.lower() for state in DeviceState),  # which begin at 1
    ),
    _count(
        "smokestack_commands_aborted_total",
        "commands",
        "Commands of the device that were taken back because no answer came in time.",
        "a time-out that is shorter than what the array takes",
        "timed_out",
    ),
    _count(
        "smokestack_apd_events_total",
        "events",
        "Times that the device lost all paths (APD).",
        "LINK_DOWN of all its links",
        "apd_count",
    ),
    _count(
        "smokestack_pdl_events_total",
        "events",
        "Times that the device was lost for good (PDL).",
        "an export that is deleted",
        "pdl_count",
    ),
    _count(
        "smokestack_device_errors_total",
        "commands",
        "Commands of the device that ended in an error.",
        "a pool without space, APD, PDL",
        "errors",
    ),
    _count(
        "smokestack_device_no_connect_total",
        "commands",
        "Commands of the device that failed for want of a path (NO_CONNECT).",
        "APD",
        "no_connect",
    ),
)
_QUEUES: Final = (
    _gauge(
        "smokestack_device_queue_depth",
        "commands",
        "Commands that the device may have outstanding now (DQLEN).",
        "UpdateDevice; refusals, under an adaptive rule",
        "depth",
    ),
    _gauge(
        "smokestack_device_queue_depth_configured",
        "commands",
        "Commands that the device may have outstanding as configured.",
        "UpdateDevice",
        "depth_configured",
    ),
    _gauge(
        "smokestack_device_sched_num_req_outstanding",
        "commands",
        "Commands that the device may have outstanding while worlds compete (DSNRO).",
        "UpdateDevice",
        "dsnro",
    ),
    _gauge(
        "smokestack_device_queue_limit",
        "commands",
        "Commands that the device may have outstanding, by all that limits it now.",
        "worlds that compete; an adaptive rule",
        "limit",
    ),
    _gauge(
        "smokestack_device_active_worlds",
        "worlds",
        "Worlds that have a command at the device.",
        "a VM's load",
        "worlds_active",
    ),
    _gauge(
        "smokestack_device_active_commands",
        "commands",
        "Commands outstanding at the array (ACTV).",
        "load",
        "active",
    ),
    _gauge(
        "smokestack_device_queued_commands",
        "commands",
        "Commands that wait for a place in the device's queue (QUED).",
        "more load than the device's queue has places",
        "queued",
    ),
    _count(
        "smokestack_device_refusals_total",
        "commands",
        "Commands of the device that an array refused with TASK SET FULL.",
        "more load than the port's queue has places",
        "task_set_full",
    ),
    _count(
        "smokestack_device_busy_total",
        "commands",
        "Commands of the device that an array refused as BUSY.",
        "more load than the port's queue has places, when the nexus has nothing outstanding",
        "busy",
    ),
    _count(
        "smokestack_device_retries_total",
        "commands",
        "Commands of the device that came back to its queue: refused, or lost with a path.",
        "refusals, LINK_DOWN",
        "retries",
    ),
)
_LOADS: Final = (
    _count(
        "smokestack_device_read_commands_total",
        "commands",
        "Reads that the device has answered (READS).",
        "reads",
        "reads",
    ),
    _count(
        "smokestack_device_write_commands_total",
        "commands",
        "Writes that the device has answered (WRITES).",
        "writes",
        "writes",
    ),
    _count(
        "smokestack_device_read_bytes_total",
        "bytes",
        "Length of the reads that the device has answered (MBREAD).",
        "reads",
        "read_bytes",
    ),
    _count(
        "smokestack_device_write_bytes_total",
        "bytes",
        "Length of the writes that the device has answered (MBWRTN).",
        "writes",
        "write_bytes",
    ),
)
_ADAPTIVE: Final = (
    _moves(
        "smokestack_device_queue_throttles_total",
        "Times that refusals halved the device's queue depth.",
        "refusals, under an adaptive rule",
        "throttles",
    ),
    _moves(
        "smokestack_device_queue_recoveries_total",
        "Times that good answers let the device's queue depth grow by one.",
        "answers after refusals, under an adaptive rule",
        "recoveries",
    ),
    _moves(
        "smokestack_device_hung_commands_total",
        "Commands that were refused, and taken for accepted.",
        "refusals, under LEGACY_NO_THROTTLE",
        "hung",
    ),
    Parameter(
        "smokestack_device_smoothed_latency_seconds",
        "gauge",
        "seconds",
        "Device latency of all hosts as latency windows smooth it; 0 while it is not known.",
        "load, with a congestion threshold",
        lambda r: r.control["latency_ns"] / 1e9,
        "number",
    ),
    Parameter(
        "smokestack_device_latency_window_commands",
        "gauge",
        "commands",
        "Commands that the device's latency lets it have out; 0: latency moves nothing.",
        "load, with a congestion threshold",
        lambda r: r.device["window"],
    ),
    Parameter(
        "smokestack_datastore_congestion_ratio",
        "gauge",
        "ratio",
        "Smoothed device latency, of all hosts, over the threshold that the host's device has for "
        "it; NaN where latency moves nothing, or is not known yet.",
        "load, with a congestion threshold",
        _congestion,
        "number",
    ),
    Parameter(
        "smokestack_path_imbalance_ratio",
        "gauge",
        "ratio",
        "I/Os of the device's busiest path over an equal share of all since the start; 1 is even, "
        "NaN none yet.",
        "a policy that does not balance",
        lambda r: r.imbalance,
        "number",
    ),
)
_LATENCIES: Final = (
    Parameter(
        "smokestack_device_latency_seconds",
        "histogram",
        "seconds",
        "Virtual time from a command's last dispatch to the device to its final answer (DAVG).",
        "load, a slow link, a busy array",
        lambda r: r.device_latency,
        "seconds",
    ),
    Parameter(
        "smokestack_kernel_latency_seconds",
        "histogram",
        "seconds",
        "Virtual time from a command's submission to its last dispatch: queue and retries (KAVG).",
        "more load than the device's queue has places",
        lambda r: r.kernel_latency,
        "seconds",
    ),
    Parameter(
        "smokestack_queue_latency_seconds",
        "histogram",
        "seconds",
        "Virtual time of the kernel's share that a command spent in queues (QAVG).",
        "more load than the device's queue has places",
        lambda r: r.kernel_latency + r.detours,
        "seconds",
    ),
)
DEVICES: Final = _STATES + _QUEUES + _LOADS + _ADAPTIVE + _LATENCIES
