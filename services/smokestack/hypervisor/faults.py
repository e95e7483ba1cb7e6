"""What can break in a hypervisor: a VM that stands still.

Jobs of a paused VM issue nothing; what is under way completes.  Their time stands still with them:
what was to be issued meanwhile is issued when the VM goes on, and clock-driven jobs and traces go
on where they stood.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from smokestack.engine.fault_rules import FaultKind
from smokestack.engine.faults import Fault, FaultBook, FaultState

if TYPE_CHECKING:
    from .model import HypervisorModel

VM_PAUSED: Final = "VM_PAUSED"
KINDS: Final = (
    FaultKind(
        VM_PAUSED,
        "hosts/h1/vms/v1",
        "The VM stands still: its jobs issue nothing; what they have under way completes.",
        per_io=False,
    ),
)


class HypervisorFaults(FaultBook):
    """The fault rules of one hypervisor."""

    def __init__(self, model: HypervisorModel) -> None:
        super().__init__(model.name, KINDS, model.events)
        self._model = model
        self._jobs: dict[tuple[str, str], list[int]] = {}  # rows by VM, of those removed too

    @property
    def now_ns(self) -> int:
        """The hypervisor's virtual time."""
        return self._model.now_ns

    def subjects(self, kind: FaultKind) -> Sequence[str]:
        """Returns the full names of all VMs."""
        return [_name(*vm) for vm in sorted(self._model.vms)]

    def count(self) -> None:
        """Hits are counted when a rule begins."""

    def started(self, host_id: str, vm_id: str, job: int) -> None:
        """Puts a new job, by its row, under the rules in force on its VM."""
        self._jobs.setdefault((host_id, vm_id), []).append(job)
        if self.holding(VM_PAUSED, _name(host_id, vm_id)):
            self._model.state.kernel.set_held(job, True, self.now_ns)

    def let_go(self) -> None:
        """Lets the jobs of all VMs go on that no rule pauses."""
        state = self._model.state
        for vm, jobs in self._jobs.items():
            if self.holding(VM_PAUSED, _name(*vm)) is None:
                for job in jobs:
                    state.kernel.set_held(job, False, self.now_ns)

    def apply(self, at_ns: int, changed: Sequence[Fault]) -> None:
        """Pauses VMs and lets them go on, from a time on."""
        for fault in changed:
            if fault.state is FaultState.ACTIVE:
                fault.hits = sum(map(fault.matches, self.subjects(fault.kind)))
        state = self._model.state
        for vm, jobs in self._jobs.items():
            held = self.holding(VM_PAUSED, _name(*vm)) is not None
            for job in jobs:
                if bool(state["job"]["held"][job]) != held:
                    state.kernel.set_held(job, held, at_ns)

    def _look_ahead(self) -> None:
        super()._look_ahead()
        self._model.state.row["change_ns"] = self.next_ns


def _name(host_id: str, vm_id: str) -> str:
    return f"hosts/{host_id}/vms/{vm_id}"
