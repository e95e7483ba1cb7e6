"""Watches what guests see between two moments, which totals since the start would blur.

Histograms only grow, so the difference of two looks is the histogram of what came between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smokestack.engine.histogram import BUCKETS, HISTOGRAM, lower_bounds
from smokestack.engine.sparse_histogram import merged
from smokestack.hypervisor.model import HypervisorModel
from smokestack.hypervisor.statistics import Latency, latency


@dataclass(frozen=True)
class Seen:
    """What one VM saw between two moments; an I/O that failed counts as an I/O and as an error."""

    io_count: int
    error_count: int
    latency: Latency


@dataclass(frozen=True)
class Moment:
    """What VMs had seen up to a time."""

    now_ns: int
    histograms: dict[str, NDArray[Any]]
    errors: dict[str, int]


def look(hypervisor: HypervisorModel) -> Moment:
    """Returns what every VM has seen until now, by its full name."""
    histograms: dict[str, NDArray[Any]] = {}
    errors: dict[str, int] = {}
    with hypervisor.border.change():
        for host_id, vm_id in hypervisor.vms:
            rows = [
                disk.row for key, disk in hypervisor.disks.items() if key[:2] == (host_id, vm_id)
            ]
            name = f"hosts/{host_id}/vms/{vm_id}"
            state = hypervisor.state
            histograms[name] = merged(state["histogram"][rows], state["chunk"])
            errors[name] = int(hypervisor.state["disk"]["errors"][rows].sum())
        return Moment(hypervisor.now_ns, histograms, errors)


def seen_between(earlier: Moment, later: Moment) -> dict[str, Seen]:
    """Returns what each VM saw between two moments; VMs that came in between count from then."""
    nothing = np.zeros(1, HISTOGRAM)
    return {
        name: _seen(
            earlier.histograms.get(name, nothing),
            histogram,
            later.errors[name] - earlier.errors.get(name, 0),
        )
        for name, histogram in later.histograms.items()
    }


def _seen(earlier: NDArray[Any], later: NDArray[Any], error_count: int) -> Seen:
    between = _difference(earlier, later)[0]
    return Seen(int(between["count"]), error_count, latency(between))


def _difference(earlier: NDArray[Any], later: NDArray[Any]) -> NDArray[Any]:
    """Returns the histogram of what came between; its ends are as exact as its buckets."""
    between = np.zeros(1, HISTOGRAM)
    for field in ("count", "sum", "bucket"):
        between[field] = later[field] - earlier[field]
    (filled,) = np.nonzero(between["bucket"][0])
    if len(filled):
        lower = lower_bounds()
        last = int(filled[-1])
        most = int(later["max"][0])
        between["min"] = lower[filled[0]]
        between["max"] = min(most, int(lower[last + 1]) - 1) if last + 1 < BUCKETS else most
    return between
