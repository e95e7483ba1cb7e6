"""Multipath's metrics, read from its tables at a scrape; the I/O path touches none.

A path is labelled {host, path, lun}, a device {host, lun}: `lun` is the logical unit's name
("a1.v1"), the same in every service's metrics, so that they join on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from smokestack.engine.border import BorderLock
from smokestack.engine.exposition import Family, Level, Samples, octaves, virtual_time
from smokestack.engine.records import AccessState

from .inventory import Path
from .model import MultipathModel
from .selection import HST_UNIT
from .specs import DeviceState, PathState, Selector
from .state import MultipathState

# In the order of PathState, which begins at 1.
_PATH_STATES: Final = tuple(state.name.lower() for state in PathState)
# In the order of DeviceState, which begins at 1.
_DEVICE_STATES: Final = tuple(state.name.lower() for state in DeviceState)

_PATH_STATE: Final = Family(
    "smokestack_path_state", "gauge", "State of the path: 1 for the one that it is in."
)
_ALUA_STATES: Final = tuple(state.name.lower() for state in AccessState)
_ALUA_STATE: Final = Family(
    "smokestack_path_alua_state",
    "gauge",
    "Asymmetric access state of the path, as the host learnt it: 1 for the one that it is in.",
)
_PATH_LATENCY: Final = Family(
    "smokestack_path_latency_seconds",
    "histogram",
    "Virtual time from a command's dispatch on the path to its final answer.",
)
_PATH_ESTIMATE: Final = Family(
    "smokestack_path_estimated_latency_seconds",
    "gauge",
    "What the device's policy expects of the path: the mean of its samples, or its historical "
    "service time; NaN under policies that estimate nothing.",
)
# By column of the path table.
_PATH_COUNTS: Final = {
    "dispatched": Family(
        "smokestack_path_dispatched_total",
        "counter",
        "Commands that the device's policy has sent on the path, repeats included.",
    ),
    "ios": Family(
        "smokestack_path_ios_total", "counter", "Commands that got their final answer by the path."
    ),
    "bytes": Family(
        "smokestack_path_bytes_total",
        "counter",
        "Length of the commands that got their final answer by the path.",
    ),
    "errors": Family(
        "smokestack_path_errors_total",
        "counter",
        "Commands that ended in an error on the path, or were lost with it.",
    ),
    "failovers": Family(
        "smokestack_path_failovers_total", "counter", "Times that the path went down."
    ),
}
_IMBALANCE: Final = Family(
    "smokestack_path_imbalance_ratio",
    "gauge",
    "I/Os of the device's busiest path over an equal share of all since the start; 1 is even, "
    "NaN none yet.",
)
_DEVICE_STATE: Final = Family(
    "smokestack_device_state",
    "gauge",
    "State of the device: 1 for the one that it is in; apd while none of its paths is active, pdl "
    "once each has answered that there is no such unit.",
)
# By column of the device table.
_DEVICE_LOSSES: Final = {
    "timed_out": Family(
        "smokestack_commands_aborted_total",
        "counter",
        "Commands of the device that were taken back because no answer came in time.",
    ),
    "apd_count": Family(
        "smokestack_apd_events_total", "counter", "Times that the device lost all paths (APD)."
    ),
    "pdl_count": Family(
        "smokestack_pdl_events_total", "counter", "Times that the device was lost for good (PDL)."
    ),
}
_DEVICE_LATENCY: Final = Family(
    "smokestack_device_latency_seconds",
    "histogram",
    "Virtual time from a command's last dispatch to the device to its final answer (DAVG).",
)
_KERNEL_LATENCY: Final = Family(
    "smokestack_kernel_latency_seconds",
    "histogram",
    "Virtual time from a command's submission to its last dispatch: queue and retries (KAVG).",
)
_QUEUE_LATENCY: Final = Family(
    "smokestack_queue_latency_seconds",
    "histogram",
    "Virtual time of the kernel's share that a command spent in queues (QAVG).",
)
_DEVICE_GAUGES: Final = (
    (
        "depth",
        Family(
            "smokestack_device_queue_depth",
            "gauge",
            "Commands that the device may have outstanding now (DQLEN).",
        ),
    ),
    (
        "depth_configured",
        Family(
            "smokestack_device_queue_depth_configured",
            "gauge",
            "Commands that the device may have outstanding as configured.",
        ),
    ),
    (
        "dsnro",
        Family(
            "smokestack_device_sched_num_req_outstanding",
            "gauge",
            "Commands that the device may have outstanding while worlds compete (DSNRO).",
        ),
    ),
    (
        "active",
        Family(
            "smokestack_device_active_commands",
            "gauge",
            "Commands outstanding at the array (ACTV).",
        ),
    ),
    (
        "queued",
        Family(
            "smokestack_device_queued_commands",
            "gauge",
            "Commands that wait for a place in the device's queue (QUED).",
        ),
    ),
)
_CONTROL_COUNTS: Final = {
    "throttles": Family(
        "smokestack_device_queue_throttles_total",
        "counter",
        "Times that refusals halved the device's queue depth.",
    ),
    "recoveries": Family(
        "smokestack_device_queue_recoveries_total",
        "counter",
        "Times that good answers let the device's queue depth grow by one.",
    ),
}
_CONGESTION: Final = Family(
    "smokestack_datastore_congestion_ratio",
    "gauge",
    "Smoothed device latency, of all hosts, over the threshold that the host's device has for it; "
    "NaN where latency moves nothing, or is not known yet.",
)
_ADAPTER_GAUGES: Final = (
    (
        "depth",
        Family(
            "smokestack_adapter_queue_depth",
            "gauge",
            "Commands that the adapter may have outstanding (AQLEN).",
        ),
    ),
    (
        "active",
        Family(
            "smokestack_adapter_active_commands",
            "gauge",
            "Commands of the adapter outstanding at arrays (ACTV).",
        ),
    ),
    (
        "queued",
        Family(
            "smokestack_adapter_queued_commands",
            "gauge",
            "Commands with a path that wait for a place in the adapter's queue (QUED).",
        ),
    ),
)


@dataclass(frozen=True)
class _Copy:
    """What one border had: (host, device, row, paths) by host and device, and the tables."""

    now_ns: int
    devices: list[tuple[str, str, int, tuple[Path, ...]]]
    device: NDArray[Any]
    path: NDArray[Any]
    measure: NDArray[Any]
    kernel_latency: NDArray[np.int64]
    detours: NDArray[np.int64]
    adapters: list[tuple[tuple[str, str], int]]
    adapter: NDArray[Any]
    control: NDArray[Any]
    path_latency: NDArray[np.int64]


class MultipathCollector:
    """Reads one multipath layer."""

    def __init__(self, model: MultipathModel, border: BorderLock) -> None:
        self.name = model.name
        self._model = model
        self._border = border
        self._device_level = Level("host", "lun")
        self._adapter_level = Level("host", "hba")
        self._path_level = Level("host", "path", "lun")

    def collect(self) -> list[Samples]:
        """Copies what the tables say at a border, and writes it down after."""
        with self._border.change():
            copy = self._copy()
        samples = [*self._paths(copy), *self._devices(copy), *self._adapters(copy)]
        return [virtual_time(self.name, copy.now_ns), *samples]

    def _copy(self) -> _Copy:
        model, state = self._model, self._model.state
        return _Copy(
            now_ns=model.now_ns,
            devices=[
                (d.host_id, d.name, d.row, tuple(d.paths.values())) for d in model.all_devices()
            ],
            device=state.used("device").copy(),
            path=state.used("path").copy(),
            measure=state.used("measure").copy(),
            adapters=sorted(model.adapters.items()),
            adapter=state.used("adapter").copy(),
            control=state.used("control").copy(),
            detours=_detours(state),
            kernel_latency=octaves(state.used("kernel_histogram")),
            path_latency=octaves(state.used("path_histogram")),
        )

    def _paths(self, copy: _Copy) -> list[Samples]:
        keys = [(host, path.name, lun) for host, lun, _, paths in copy.devices for path in paths]
        rows, at = self._path_level.rows(keys), _path_rows(copy)
        table = copy.path[at]
        return [
            rows.states(_PATH_STATE, _PATH_STATES, table["state"].astype(np.int64) - 1),
            rows.states(_ALUA_STATE, _ALUA_STATES, table["access"]),
            *(rows.counts(family, table[name]) for name, family in _PATH_COUNTS.items()),
            rows.numbers(_PATH_ESTIMATE, _estimates(copy, at)),
            rows.latencies(_PATH_LATENCY, copy.path_latency[at]),
        ]

    def _devices(self, copy: _Copy) -> list[Samples]:
        rows = self._device_level.rows([(host, lun) for host, lun, _, _ in copy.devices])
        at = np.array([row for _, _, row, _ in copy.devices], dtype=np.intp)
        table = copy.device[at]
        imbalance = _over_paths(copy)
        # Paths that a rescan has removed still count: what they carried, the device has done.
        latency = np.zeros((len(copy.device), copy.path_latency.shape[1]), np.int64)
        np.add.at(latency, copy.path["device"], copy.path_latency)
        return [
            rows.states(_DEVICE_STATE, _DEVICE_STATES, table["state"].astype(np.int64) - 1),
            *(rows.counts(family, table[name]) for name, family in _DEVICE_GAUGES),
            *(rows.counts(family, table[name]) for name, family in _DEVICE_LOSSES.items()),
            *(
                rows.counts(family, copy.control[at][name])
                for name, family in _CONTROL_COUNTS.items()
            ),
            rows.numbers(_CONGESTION, _congestion(copy.control[at])),
            rows.numbers(_IMBALANCE, imbalance),
            rows.latencies(_DEVICE_LATENCY, latency[at]),
            rows.latencies(_KERNEL_LATENCY, copy.kernel_latency[at]),
            rows.latencies(_QUEUE_LATENCY, copy.kernel_latency[at] + copy.detours[at]),
        ]

    def _adapters(self, copy: _Copy) -> list[Samples]:
        rows = self._adapter_level.rows([key for key, _ in copy.adapters])
        table = copy.adapter[[row for _, row in copy.adapters]]
        return [rows.counts(family, table[name]) for name, family in _ADAPTER_GAUGES]


def _congestion(control: NDArray[Any]) -> NDArray[np.float64]:
    """Returns each device's latency over its threshold."""
    ratio = np.full(len(control), np.nan)
    known = (control["congestion_threshold_ns"] > 0) & (control["latency_ns"] > 0)
    np.divide(control["latency_ns"], control["congestion_threshold_ns"], out=ratio, where=known)
    return ratio


def _detours(state: MultipathState) -> NDArray[np.int64]:
    """Returns what devices' queue latencies have other than kernel latencies, by device's row."""
    histograms = state.used("detour_histogram")
    rows = np.zeros((len(histograms), octaves(histograms[:0]).shape[1]), np.int64)
    some = np.flatnonzero(state.used("device")["retries"])  # of most it is nothing
    rows[some] = octaves(histograms[some])
    return rows


def _path_rows(copy: _Copy) -> NDArray[np.intp]:
    """Returns the paths' rows, device by device."""
    return np.array([path.row for *_, paths in copy.devices for path in paths], dtype=np.intp)


def _estimates(copy: _Copy, at: NDArray[np.intp]) -> NDArray[np.float64]:
    """Returns what each path's policy expects of it in seconds; NaN where it estimates nothing."""
    selector = copy.device["selector"][copy.path["device"][at]]
    measure = copy.measure[at]
    sampled = np.where(measure["latency_ns"] > 0, measure["latency_ns"], np.nan) / 1e9
    measured = measure["hst"] / (HST_UNIT * 1e9)
    estimate = np.where(selector == Selector.LATENCY, sampled, np.nan)
    found: NDArray[np.float64] = np.where(
        selector == Selector.HISTORICAL_SERVICE_TIME, measured, estimate
    )
    return found


def _over_paths(copy: _Copy) -> NDArray[np.float64]:
    """Returns for each device how unevenly its paths are used."""
    devices = len(copy.devices)
    count = np.array([len(paths) for *_, paths in copy.devices], dtype=np.intp)
    owner = np.repeat(np.arange(devices), count)
    table = copy.path[_path_rows(copy)]
    total = np.bincount(owner, weights=table["ios"], minlength=devices)
    busiest = np.zeros(devices)
    np.maximum.at(busiest, owner, table["ios"].astype(np.float64))
    imbalance = np.full(devices, np.nan)
    np.divide(busiest * count, total, out=imbalance, where=total > 0)
    return imbalance
