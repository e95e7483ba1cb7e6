"""esxtop's view of the queues: what each has carried, and where the I/Os' time went.

All are counters since the start, in nanoseconds: of two readings a difference of totals by a
difference of I/Os is an average (DAVG, KAVG, QAVG, GAVG: FACTS 2.3).  GAVG = DAVG + KAVG exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from smokestack.engine.records import COPY_FROM

from .inventory import Device
from .state import HEARD_ROWS, NIL, MultipathState

HOST_WORLD: Final = -1  # of all copies between devices, whatever they copy from


@dataclass(frozen=True)
class QueueStatistics:
    """One queue: totals over the I/Os answered, and its commands as they stand."""

    ios_count: int
    io_bytes: int
    guest_total_ns: int
    device_total_ns: int
    kernel_total_ns: int
    queue_total_ns: int
    queue_depth: int
    active_count: int
    queued_count: int
    aborts_count: int = 0
    resets_count: int = 0  # of a world: none, for they are its device's

    @property
    def used_ratio(self) -> float:
        """esxtop's %USD."""
        return self.active_count / self.queue_depth

    @property
    def load_ratio(self) -> float:
        """esxtop's LOAD."""
        return (self.active_count + self.queued_count) / self.queue_depth


@dataclass(frozen=True)
class DeviceStatistics:
    """A device's queue, and its worlds' shares by VM number."""

    queue: QueueStatistics
    worlds: dict[int, QueueStatistics]
    active_worlds_count: int
    task_set_full_count: int
    busy_count: int
    not_ready_count: int
    retries_count: int
    timed_out_count: int
    throttles_count: int
    recoveries_count: int
    hung_count: int
    congestion_latency_ns: int


def device_statistics(state: MultipathState, device: Device) -> DeviceStatistics:
    """Reads a device's counters; paths that a rescan has removed still count."""
    row = state["device"][device.row]
    control = state["control"][device.row]
    paths = state.used("path")
    limit = int(row["limit"])
    return DeviceStatistics(
        queue=_over_paths(paths[paths["device"] == device.row], limit, row),
        worlds=_worlds(state, row, limit),
        active_worlds_count=int(row["worlds_active"]),
        task_set_full_count=int(row["task_set_full"]),
        busy_count=int(row["busy"]),
        not_ready_count=_not_ready(state, device.row),
        retries_count=int(row["retries"]),
        timed_out_count=int(row["timed_out"]),
        throttles_count=int(control["throttles"]),
        recoveries_count=int(control["recoveries"]),
        hung_count=int(control["hung"]),
        congestion_latency_ns=int(control["latency_ns"]),
    )


def _not_ready(state: MultipathState, row: int) -> int:
    """Of what the device has heard, the last three: 2/04/0A, 0B and 0C."""
    end = (row + 1) * HEARD_ROWS
    return int(state["heard"][end - 3 : end].sum())


def adapter_statistics(state: MultipathState, adapter: int) -> QueueStatistics:
    """Reads an adapter's counters."""
    row = state["adapter"][adapter]
    paths = state.used("path")
    return _over_paths(paths[paths["adapter"] == adapter], int(row["depth"]), row)


def _over_paths(paths: Any, depth: int, queue: Any) -> QueueStatistics:
    def total(column: str) -> int:
        return int(paths[column].sum(dtype=np.uint64))

    return QueueStatistics(
        ios_count=total("ios"),
        io_bytes=total("bytes"),
        guest_total_ns=total("guest_ns"),
        device_total_ns=total("device_ns"),
        kernel_total_ns=total("kernel_ns"),
        queue_total_ns=total("queue_ns"),
        queue_depth=depth,
        active_count=int(queue["active"]),
        queued_count=int(queue["queued"]),
        aborts_count=total("aborts"),
        resets_count=total("resets"),
    )


_NO_WORLD: Final = QueueStatistics(0, 0, 0, 0, 0, 0, 0, 0, 0)


def _worlds(state: MultipathState, device: Any, limit: int) -> dict[int, QueueStatistics]:
    found: dict[int, QueueStatistics] = {}
    at = int(device["world_head"])
    while at != NIL:
        world = state["world"][at]
        device_ns, kernel_ns = int(world["device_ns"]), int(world["kernel_ns"])
        vm = int(world["vm"])
        vm = HOST_WORLD if vm & COPY_FROM else vm
        other = found.get(vm, _NO_WORLD)
        found[vm] = QueueStatistics(
            ios_count=other.ios_count + int(world["ios"]),
            io_bytes=other.io_bytes + int(world["bytes"]),
            guest_total_ns=other.guest_total_ns + device_ns + kernel_ns,
            device_total_ns=other.device_total_ns + device_ns,
            kernel_total_ns=other.kernel_total_ns + kernel_ns,
            queue_total_ns=other.queue_total_ns + int(world["queue_ns"]),
            queue_depth=limit,
            active_count=other.active_count + int(world["active"]),
            queued_count=other.queued_count + int(world["outstanding"]) - int(world["active"]),
            aborts_count=other.aborts_count + int(world["aborts"]),
        )
        at = int(world["next"])
    return dict(sorted(found.items()))
