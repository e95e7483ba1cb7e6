"""The hypervisor's metrics, read from its tables at a scrape; the I/O path touches none.

A disk is labelled {host, vm, disk, lun}: `lun` is the logical unit's name ("a1.v1"), the same in
every service's metrics, so that they join on it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from smokestack.engine.border import BorderLock
from smokestack.engine.exposition import Family, Level, Samples, virtual_time
from smokestack.engine.sparse_histogram import chunk_sums, octaves_of

from .model import HypervisorModel

_VM_STATE: Final = Family(
    "smokestack_vm_state", "gauge", "State of the VM: 1 for the one that it is in."
)
_PLACEMENT: Final = Family(
    "smokestack_vm_placement_info",
    "gauge",
    "Always 1; its labels say which host a VM runs on and which logical unit each disk is on.",
)
_GUEST: Final = {
    "outstanding": Family(
        "smokestack_guest_outstanding_ios",
        "gauge",
        "I/Os that the guest has issued and not got back, brokering included.",
    ),
    "errors": Family(
        "smokestack_guest_errors_total", "counter", "I/Os that came back to the guest as errors."
    ),
}
_GUEST_LATENCY: Final = Family(
    "smokestack_guest_latency_seconds",
    "histogram",
    "Virtual time from a guest's I/O to its completion, brokering included (GAVG).",
)
_GUEST_QUEUED: Final = Family(
    "smokestack_guest_queued_ios",
    "gauge",
    "I/Os that wait in the guest for a place, of disks with a limit of their own or their VM's.",
)
_GUEST_WAIT: Final = Family(
    "smokestack_guest_queue_wait_seconds",
    "histogram",
    "Virtual time that completed I/Os waited in the guest for a place, of those that waited.",
)


class HypervisorCollector:
    """Reads one hypervisor."""

    def __init__(self, model: HypervisorModel, border: BorderLock) -> None:
        self.name = model.name
        self._model = model
        self._border = border
        self._vm_level = Level("host", "vm")
        self._disk_level = Level("host", "vm", "disk", "lun")
        self._queue_level = Level("host", "vm", "disk", "lun")

    def collect(self) -> list[Samples]:
        """Copies what the tables say at a border, and writes it down after."""
        model = self._model
        with self._border.change():
            now_ns = model.now_ns
            vm_keys = list(model.vms)
            disks = [(*key, disk.spec.device, disk.row) for key, disk in model.disks.items()]
            limited = self._limited()
            queued = model.state.used("queue")["queued"].copy() if limited else None
            waits = model.state.used("wait").copy() if limited else None
            table = model.state.used("disk").copy()
            histograms = model.state.used("histogram").copy()
            sums = chunk_sums(model.state["chunk"][: int(model.state.row["chunk_used"])])
        vms = self._vm_level.rows(sorted(vm_keys))
        disks.sort()
        placed = self._disk_level.rows([(host, vm, disk, lun) for host, vm, disk, lun, _ in disks])
        rows = np.array([row for *_, row in disks], dtype=np.intp)
        told = [
            virtual_time(self.name, now_ns),
            vms.states(_VM_STATE, ("running",), np.zeros(len(vm_keys), np.int64)),
            placed.counts(_PLACEMENT, np.ones(len(disks), np.int64)),
            *(placed.counts(family, table[name][rows]) for name, family in _GUEST.items()),
            placed.latencies(_GUEST_LATENCY, octaves_of(histograms[rows], sums)),
        ]
        if queued is None or waits is None:
            return told
        waiting = [each for each in disks if each[-1] in limited]
        held = self._queue_level.rows([(host, vm, disk, lun) for host, vm, disk, lun, _ in waiting])
        rows = np.array([row for *_, row in waiting], dtype=np.intp)
        return [
            *told,
            held.counts(_GUEST_QUEUED, queued[rows].astype(np.int64)),
            held.latencies(_GUEST_WAIT, octaves_of(waits[rows], sums)),
        ]

    def _limited(self) -> set[int]:
        """Returns the rows of the disks whose commands may have to wait in the guest."""
        model = self._model
        if not model.limits_guests:
            return set()
        return {
            disk.row
            for (host_id, vm_id, _), disk in model.disks.items()
            if disk.spec.guest_queue_depth
            or model.vms[host_id, vm_id].spec.guest_adapter_queue_depth
        }
