"""Parameters of paths, as hosts keep them."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from smokestack.engine.records import AccessState

from ..selection import HST_UNIT
from ..specs import PathState, Selector
from .parameter import Parameter
from .reading import Reading


def _estimates(reading: Reading) -> NDArray[np.float64]:
    """Returns what each path's policy expects of it in seconds; NaN where it estimates nothing."""
    selector = reading.device["selector"][reading.owner]
    measure = reading.measure
    sampled = np.where(measure["latency_ns"] > 0, measure["latency_ns"], np.nan) / 1e9
    measured = measure["hst"] / (HST_UNIT * 1e9)
    estimate = np.where(selector == Selector.LATENCY, sampled, np.nan)
    found: NDArray[np.float64] = np.where(
        selector == Selector.HISTORICAL_SERVICE_TIME, measured, estimate
    )
    return found


def _count(name: str, unit: str, text: str, cause: str, column: str) -> Parameter:
    return Parameter(name, "counter", unit, text, cause, lambda r: r.path[column])


def _seconds(name: str, text: str, cause: str, column: str) -> Parameter:
    return Parameter(
        name, "counter", "seconds", text, cause, lambda r: r.path[column] / 1e9, "number"
    )


PATHS: Final = (
    Parameter(
        "smokestack_path_state",
        "gauge",
        "enum",
        "State of the path: 1 for the one that it is in.",
        "LINK_DOWN, a port that is disabled, PATH_DISABLED",
        lambda r: np.where(
            r.path["blocked"] & (r.path["state"] != PathState.DEAD),
            PathState.BLOCKED - 1,
            r.path["state"].astype(np.int64) - 1,
        ),
        "states",
        tuple(state.name.lower() for state in PathState),  # which begin at 1
    ),
    Parameter(
        "smokestack_path_alua_state",
        "gauge",
        "enum",
        "Asymmetric access state of the path, as the host learnt it: 1 for the one that it is in.",
        "a volume whose owner moves, on an array that serves it unequally",
        lambda r: r.path["access"],
        "states",
        tuple(state.name.lower() for state in AccessState),
    ),
    _count(
        "smokestack_path_dispatched_total",
        "commands",
        "Commands that the device's policy has sent on the path, repeats included.",
        "load, the device's policy",
        "dispatched",
    ),
    _count(
        "smokestack_path_ios_total",
        "commands",
        "Commands that got their final answer by the path.",
        "load, the device's policy",
        "ios",
    ),
    _count(
        "smokestack_path_bytes_total",
        "bytes",
        "Length of the commands that got their final answer by the path.",
        "load, the device's policy",
        "bytes",
    ),
    _count(
        "smokestack_path_errors_total",
        "events",
        "Commands that ended in an error on the path, or were lost with it.",
        "a pool without space, COMMAND_FAILED",
        "errors",
    ),
    _count(
        "smokestack_path_failovers_total",
        "events",
        "Times that the path went down.",
        "LINK_DOWN, a port that is disabled",
        "failovers",
    ),
    _count(
        "smokestack_path_refusals_total",
        "commands",
        "Commands that the array refused on the path: TASK SET FULL or BUSY.",
        "more load than the port's queue has places",
        "refused",
    ),
    Parameter(
        "smokestack_path_checks_total",
        "counter",
        "commands",
        "TEST UNIT READYs that the path's checker has sent.",
        "a path checker",
        lambda r: r.checks,
    ),
    _seconds(
        "smokestack_path_kernel_seconds_total",
        "Virtual time from submission to last dispatch of the commands that the path answered.",
        "refusals, more load than queues have places",
        "kernel_ns",
    ),
    _seconds(
        "smokestack_path_queue_seconds_total",
        "Virtual time that the commands which the path answered spent in queues.",
        "more load than queues have places",
        "queue_ns",
    ),
    Parameter(
        "smokestack_path_active_commands",
        "gauge",
        "commands",
        "Commands in flight on the path.",
        "load",
        lambda r: r.path["in_flight"],
    ),
    Parameter(
        "smokestack_path_active_bytes",
        "gauge",
        "bytes",
        "Length of the commands in flight on the path.",
        "load",
        lambda r: r.path["in_flight_bytes"],
    ),
    Parameter(
        "smokestack_path_estimated_latency_seconds",
        "gauge",
        "seconds",
        "What the device's policy expects of the path: the mean of its samples, or its historical "
        "service time; NaN under policies that estimate nothing.",
        "load, under the latency policy or historical service time",
        _estimates,
        "number",
    ),
    Parameter(
        "smokestack_path_latency_seconds",
        "histogram",
        "seconds",
        "Virtual time from a command's dispatch on the path to its final answer.",
        "load, a slow link, a busy array",
        lambda r: r.path_latency,
        "seconds",
    ),
)
