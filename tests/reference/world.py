"""The whole stack in one event loop: hypervisor, multipath and arrays share one heap and one time.

A change at time t acts on hosts before anything else of t, and on arrays one least forward latency
later, before anything else of that time.
"""

from __future__ import annotations

from tests.reference.agenda import CHANGE, Agenda
from tests.reference.array import Array
from tests.reference.config import (
    AdapterUpdated,
    ArrayLost,
    Change,
    DeviceReset,
    DeviceUpdated,
    DiskCreated,
    FaultCleared,
    FaultInjected,
    HoldTimeSet,
    JobStarted,
    JobStopped,
    LayerUpdated,
    LinkUpdated,
    PathEnabled,
    PathUpdated,
    Rescanned,
    StackConfig,
    TrunkSet,
)
from tests.reference.digest import Completion, digest_of
from tests.reference.hypervisor import Hypervisor
from tests.reference.multipath import Multipath


class World:
    """A stack at a virtual time."""

    def __init__(self, stack: StackConfig) -> None:
        self.agenda = Agenda()
        # By name: that is how multipath numbers them.
        configs = sorted(stack.arrays, key=lambda config: config.array_id)
        self.arrays = {c.array_id: Array(self.agenda, stack.seed, c) for c in configs}
        self.multipath = Multipath(
            self.agenda, stack.multipath, list(self.arrays.values()), stack.seed
        )
        self.hypervisor = Hypervisor(self.agenda, stack.seed, self.multipath)
        self.rules = {f"arrays/{name}": array.rules for name, array in self.arrays.items()}
        self.rules[f"multipaths/{stack.multipath.name}"] = self.multipath.rules
        self.rules["hypervisors/hv1"] = self.hypervisor.rules
        for host in stack.multipath_hosts:
            self.multipath.create_host(host)
        for vm in stack.vms:
            self.hypervisor.create_vm(vm)
        for disk in stack.disks:
            self.hypervisor.create_disk(disk)
        for change in stack.changes:
            self.agenda.add((change.at_ns, CHANGE, 0, 0, 0), self.apply, change)
        for plan in stack.jobs:
            self.hypervisor.create_job(plan)

    @property
    def completions(self) -> list[Completion]:
        """What guests have heard, in order."""
        return self.hypervisor.completions

    def digest(self) -> str:
        """Returns the SHA-256 over every completion that guests have heard, in order."""
        return digest_of(self.completions)

    def run(self, until_ns: int | None = None) -> None:
        """Lets happen all that happens before a time, or all there is."""
        self.agenda.run(until_ns)

    def apply(self, change: Change) -> None:
        """Makes a change now."""
        match change:
            case Rescanned():
                self.multipath.rescan(change.host_id)
            case DeviceUpdated():
                self.multipath.update_device(change)
            case AdapterUpdated():
                self.multipath.update_adapter(change)
            case LayerUpdated():
                self.multipath.update_layer(dict(change.settings))
            case DeviceReset() | PathEnabled() | PathUpdated():
                self._apply_to_paths(change)
            case TrunkSet() | HoldTimeSet() | LinkUpdated():
                self.multipath.update_fabric(change)
            case DiskCreated() | JobStarted() | JobStopped():
                self._apply_to_guests(change)
            case FaultInjected():
                self.rules[change.service].inject(change.rule)
            case FaultCleared():
                self.rules[change.service].clear(change.fault_id)
            case ArrayLost():
                self.multipath.lose(self.arrays[change.array_id])
            case _:
                self.arrays[change.array_id].apply(change)

    def _apply_to_paths(self, change: DeviceReset | PathEnabled | PathUpdated) -> None:
        match change:
            case DeviceReset():
                self.multipath.reset_device(change)
            case PathEnabled():
                self.multipath.set_path_enabled(change)
            case PathUpdated():
                self.multipath.update_path(change)

    def _apply_to_guests(self, change: DiskCreated | JobStarted | JobStopped) -> None:
        match change:
            case DiskCreated():
                self.hypervisor.create_disk(change.disk)
            case JobStarted():
                self.hypervisor.create_job(change.plan)
            case JobStopped():
                self.hypervisor.stop_job(change.host_id, change.vm_id, change.job_id)
