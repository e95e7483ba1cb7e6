"""What `smokestack top` reads: counters of queues, paths and ports at one virtual time, by name.

All by the public API.  Of two readings a difference of counters by a difference of times is a rate,
and of totals by I/Os an average, as esxtop makes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smokestack.client import Stack

_LATENCY = "smokestack_path_latency_seconds"


@dataclass(frozen=True)
class Reading:
    """Rows by short name: counters since the start, and what stands now."""

    time_ns: int = 0
    rows: Mapping[str, Row] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One queue, path or port."""

    counters: Mapping[str, int]
    now: Mapping[str, Any]


def read(stack: Stack, view: str) -> Reading:
    """Reads the rows of a view."""
    rows = dict(VIEWS[view](stack))
    return Reading(stack.simulation().now_ns, rows)


def _adapters(stack: Stack) -> Iterator[tuple[str, Row]]:
    for host in stack.multipath.hosts:
        for adapter in host.adapters:
            yield f"{host.id}/{adapter.id}", _queue(adapter.statistics().queue)


def _devices(stack: Stack) -> Iterator[tuple[str, Row]]:
    for host in stack.multipath.hosts:
        for device in host.devices:
            found = device.statistics()
            row = _queue(found.queue)
            refused = found.task_set_full_count + found.busy_count
            yield f"{host.id}/{device.id}", Row({**row.counters, "refused": refused}, row.now)


def _worlds(stack: Stack) -> Iterator[tuple[str, Row]]:
    names = {vm.number: vm.id for host in stack.hypervisor.hosts for vm in host.vms}
    for host in stack.multipath.hosts:
        for device in host.devices:
            for world in device.statistics().worlds:
                vm = names.get(world.vm_number, _unnamed(world.vm_number))
                yield f"{host.id}/{vm} {device.id}", _queue(world.queue)


def _paths(stack: Stack) -> Iterator[tuple[str, Row]]:
    for host in stack.multipath.hosts:
        for device in host.devices:
            for path in device.paths:
                [seen] = path.statistics([_LATENCY]).parameters
                counters = {
                    "ios": path.io_count,
                    "bytes": path.io_bytes,
                    "device_ns": seen.histogram.value_sum,
                    "refused": path.refusal_count,
                    "errors": path.error_count,
                }
                now = {"ACTV": path.in_flight_count, "STATE": path.state}
                yield f"{host.id}/{device.id}/{path.id}", Row(counters, now)


def _ports(stack: Stack) -> Iterator[tuple[str, Row]]:
    for array_id, array in sorted(stack.arrays.items()):
        for port in array.ports:
            counters = {
                "ios": port.command_count,
                "bytes": port.rx_bytes + port.tx_bytes,
                "refused": port.task_set_full_count + port.busy_count,
                "dropped": port.dropped_count,
            }
            used = port.outstanding_count / port.queue_limit
            now = {"ACTV": port.outstanding_count, "LIMIT": port.queue_limit, "%USD": used}
            yield f"{array_id}/{port.id}", Row(counters, now)


def _queue(queue: Any) -> Row:
    counters = {
        "ios": queue.ios_count,
        "bytes": queue.io_bytes,
        "guest_ns": queue.guest_total_ns,
        "device_ns": queue.device_total_ns,
        "kernel_ns": queue.kernel_total_ns,
        "queue_ns": queue.queue_total_ns,
    }
    now = {
        "QLEN": queue.queue_depth,
        "ACTV": queue.active_count,
        "QUED": queue.queued_count,
        "%USD": queue.used_ratio,
        "LOAD": queue.load_ratio,
    }
    return Row(counters, now)


VIEWS: Mapping[str, Callable[[Stack], Iterator[tuple[str, Row]]]] = {
    "adapters": _adapters,
    "devices": _devices,
    "worlds": _worlds,
    "paths": _paths,
    "ports": _ports,
}


def _unnamed(vm_number: int) -> str:
    """What stands for a world that no VM has: the host, which copies, or one that is gone."""
    return "(host)" if vm_number < 0 else f"#{vm_number}"
