"""The hypervisor in plain Python: jobs that issue I/O from slots, and hear of its end.

A closed loop's slot issues again after its completion; an open loop's arrivals take a free slot, or
wait in the guest until one is free.  Each I/O pays the VM's brokering before it is submitted; then
it may have to wait for a place at its disk and its VM's adapter.
"""

from __future__ import annotations

from dataclasses import dataclass

from smokestack.engine.jobplan import JobKind, JobPlan
from smokestack.engine.records import (
    BLOCK_BYTES,
    SLOT_SHIFT,
    Kind,
    Op,
    Status,
    copy_from,
    copy_lba,
)
from smokestack.hypervisor.specs import DiskSpec, VmSpec
from tests.reference import draws
from tests.reference.agenda import CHANGE, HYPERVISOR, Agenda
from tests.reference.content import Content
from tests.reference.devices import HostIo
from tests.reference.digest import Completion
from tests.reference.faults import AFTER, BEFORE, Rules
from tests.reference.multipath import Multipath

# What happens at one time in a hypervisor, in order.
COMPLETION, ISSUE, ARRIVAL = range(3)
OPEN = (JobKind.RATE, JobKind.TRACE_OPEN)


class Job:
    """A running job: its slots are a range of the hypervisor's."""

    def __init__(
        self, plan: JobPlan, index: int, slot_base: int, broker_ns: int, start_ns: int
    ) -> None:
        self.plan = plan
        self.index = index
        self.slot_base = slot_base
        self.broker_ns = broker_ns
        self.start_ns = start_ns
        self.stopped = False
        self.issued = 0
        self.emitted = 0  # of those, what has left the guest
        self.disk = 0  # its number
        self.arrivals = 0
        self.arrival_ns = start_ns  # of the next one, before brokering
        self.backlog = 0
        self.held_slots: list[int] = []  # that would have issued while the VM was paused
        self.held_arrival = False
        # The top, at the end, is the lowest.
        self.free = list(range(slot_base + plan.slots - 1, slot_base - 1, -1))
        self.nexus = 0
        self.vm = 0  # its number
        self.first_byte = 0
        self.source_byte = 0  # where what it copies from begins
        self.content: Content

    def is_over(self, count: int, time: int) -> bool:
        """Whether an I/O with this number that would start at this time is not to be."""
        plan = self.plan
        return (
            self.stopped
            or 0 < plan.stop_ns <= time
            or (plan.io_limit > 0 and count == plan.io_limit)
            or (plan.trace is not None and count == len(plan.trace))
        )


@dataclass
class Waiting:
    """A command in a guest's queue."""

    since: int
    disk: int  # in order of creation
    slot: int


class Hypervisor:
    """All hosts and VMs of a stack, as far as they issue I/O."""

    def __init__(self, agenda: Agenda, seed: int, multipath: Multipath) -> None:
        self._agenda = agenda
        self._seed = seed
        self._multipath = multipath
        self._vms: dict[tuple[str, str], VmSpec] = {}
        self._disks: dict[tuple[str, str, str], tuple[int, int, int]] = {}
        self._jobs: list[Job] = []
        self._job_of_slot: list[Job] = []
        self._outstanding: dict[int, int] = {}  # slot → id
        self._depths: list[tuple[int, int]] = []  # by disk: its own and its adapter's; 0: none
        self._vm_of_disk: list[tuple[str, str]] = []
        self._under_way: list[int] = []  # by disk, places that are promised included
        self._queues: dict[tuple[str, str], list[Waiting]] = {}  # in order of coming
        self._came: dict[int, int] = {}  # slot → when its command first wanted a place
        self._waited: dict[int, int] = {}  # slot → how long the command did that has left
        self._promised: set[int] = set()  # slots
        self.waits: list[list[int]] = []  # by disk: of completed commands that waited
        self.completions: list[Completion] = []
        multipath.complete = self._complete
        self.rules = Rules(agenda, "hypervisors/hv1", seed)
        self.rules.moved = self._rules_move

    def create_vm(self, spec: VmSpec) -> None:
        """Adds a VM."""
        self._vms[spec.host_id, spec.vm_id] = spec
        self._queues[spec.host_id, spec.vm_id] = []

    def create_disk(self, spec: DiskSpec) -> None:
        """Adds a virtual disk: (device, first byte, bytes)."""
        device = self._multipath.devices[spec.host_id, spec.device]
        size = spec.capacity_bytes or device.capacity_bytes - spec.device_offset_bytes
        key = (spec.host_id, spec.vm_id, spec.disk_id)
        self._disks[key] = (device.index, spec.device_offset_bytes, size)
        adapter = self._vms[spec.host_id, spec.vm_id].guest_adapter_queue_depth
        self._depths.append((spec.guest_queue_depth, adapter))
        self._vm_of_disk.append((spec.host_id, spec.vm_id))
        self._under_way.append(0)
        self.waits.append([])

    def create_job(self, plan: JobPlan) -> None:
        """Starts a job at its start time, or now if that is past."""
        start = max(plan.start_ns, self._agenda.now)
        broker = self._vms[plan.host_id, plan.vm_id].broker_ns
        job = Job(plan, len(self._jobs), len(self._job_of_slot), broker, start)
        job.nexus, job.first_byte, size = self._disks[plan.host_id, plan.vm_id, plan.disk_id]
        job.disk = list(self._disks).index((plan.host_id, plan.vm_id, plan.disk_id))
        job.content = Content(plan, self._seed, size)
        job.vm = list(self._vms).index((plan.host_id, plan.vm_id))
        source, job.source_byte, _ = self._disks[
            plan.copy_source_disk or (plan.host_id, plan.vm_id, plan.disk_id)
        ]
        if source != job.nexus:
            job.vm = copy_from(source)
        self._jobs.append(job)
        self._job_of_slot += [job] * plan.slots
        if plan.kind in OPEN:
            if plan.kind is JobKind.TRACE_OPEN:
                job.arrival_ns = self._recorded_ns(job)
            self._expect_arrival(job)
        else:
            for slot in range(job.slot_base, job.slot_base + plan.slots):
                self._issue_at(start + broker, job, slot)

    def stop_job(self, host_id: str, vm_id: str, job_id: str) -> None:
        """Makes a job issue nothing more, but for what waits in the guest."""
        for job in self._jobs:
            if (job.plan.host_id, job.plan.vm_id, job.plan.job_id) == (host_id, vm_id, job_id):
                job.stopped = True

    # --- issuing ------------------------------------------------------------------------------

    def _issue_at(self, time: int, job: Job, slot: int) -> None:
        self._agenda.add((time, HYPERVISOR, ISSUE, slot, 0), self._issue, job, slot)

    def _issue(self, job: Job, slot: int) -> None:
        """A slot's turn: an open loop's has its I/O, a closed loop's may find the job over."""
        started = self._agenda.now - job.broker_ns
        promised = slot in self._promised
        if not promised and job.plan.kind not in OPEN and job.is_over(job.issued, started):
            return
        if self._paused(job):
            job.held_slots.append(slot)
        elif promised:
            self._promised.discard(slot)
            self._emit(job, slot)
        else:
            self._enter(job, slot)

    # --- the guest's queue --------------------------------------------------------------------

    def _has_place(self, disk: int) -> bool:
        own, shared = self._depths[disk]
        vm = self._vm_of_disk[disk]
        all_busy = sum(
            busy for busy, of in zip(self._under_way, self._vm_of_disk, strict=True) if of == vm
        )
        return not (0 < own <= self._under_way[disk] or 0 < shared <= all_busy)

    def _enter(self, job: Job, slot: int) -> None:
        """A command is issued in the guest: it leaves at once, or waits for a place."""
        job.issued += 1
        self._came[slot] = self._agenda.now
        if self._has_place(job.disk):
            self._under_way[job.disk] += 1
            self._emit(job, slot)
        else:
            queue = self._queues[self._vm_of_disk[job.disk]]
            queue.append(Waiting(self._agenda.now, job.disk, slot))

    def _leave(self, disk: int) -> None:
        """A command has ended: who has waited longest of those that can go has its place."""
        self._under_way[disk] -= 1
        queue = self._queues[self._vm_of_disk[disk]]
        able = [each for each in queue if self._has_place(each.disk)]
        if able:
            first = min(able, key=lambda each: (each.since, each.disk))
            queue.remove(first)
            self._under_way[first.disk] += 1
            self._promised.add(first.slot)
            self._issue_at(self._agenda.now, self._job_of_slot[first.slot], first.slot)

    # --- VMs that pause -----------------------------------------------------------------------

    def _paused(self, job: Job) -> bool:
        name = f"hosts/{job.plan.host_id}/vms/{job.plan.vm_id}"
        return self.rules.holds("VM_PAUSED", name, self._agenda.now)

    def _rules_move(self, time: int, phase: int) -> None:
        if phase == AFTER:
            self._let_go()
        else:
            self._agenda.add((time, CHANGE, BEFORE, 0, 0), self._let_go)

    def _let_go(self) -> None:
        """What was to be issued by VMs that are not paused any more is issued now."""
        now = self._agenda.now
        for job in self._jobs:
            if self._paused(job):
                continue
            for slot in job.held_slots:
                self._issue_at(now, job, slot)
            job.held_slots.clear()
            if job.held_arrival:
                job.held_arrival = False
                job.start_ns += now - job.broker_ns - job.arrival_ns
                job.arrival_ns = now - job.broker_ns
                self._expect_arrival(job)

    # --- issuing, continued -------------------------------------------------------------------

    def _emit(self, job: Job, slot: int) -> None:
        self._waited[slot] = self._agenda.now - self._came[slot]
        ident = slot << SLOT_SHIFT | job.emitted
        op, flags, offset, length = job.content.take(job.emitted)
        job.emitted += 1
        self._outstanding[slot] = ident
        lba = (job.first_byte + offset) // BLOCK_BYTES
        if op == Op.COPY:
            source = job.source_byte + job.plan.copy_source_bytes
            lba = copy_lba(source // BLOCK_BYTES, lba)
        self._multipath.submit(HostIo(ident, lba, length, op, job.nexus, job.vm, flags))

    def _expect_arrival(self, job: Job) -> None:
        key = (job.arrival_ns + job.broker_ns, HYPERVISOR, ARRIVAL, job.index, 0)
        self._agenda.add(key, self._arrive, job)

    def _arrive(self, job: Job) -> None:
        if job.is_over(job.arrivals, job.arrival_ns):
            return
        if self._paused(job):
            job.held_arrival = True
            return
        job.arrivals += 1
        if job.free:
            self._enter(job, job.free.pop())
        else:
            job.backlog += 1
        job.arrival_ns = self._next_arrival_ns(job)
        self._expect_arrival(job)

    def _next_arrival_ns(self, job: Job) -> int:
        plan = job.plan
        if plan.kind is JobKind.TRACE_OPEN:
            return self._recorded_ns(job)
        if not plan.arrival_exponential:
            return job.arrival_ns + plan.interval_ns
        word = draws.words(self._seed, draws.ARRIVAL, job.arrivals - 1, plan.uid)[0]
        return job.arrival_ns + draws.exponential_ns(plan.interval_ns, word)

    @staticmethod
    def _recorded_ns(job: Job) -> int:
        """The next arrival of a trace; past its end the time does not matter."""
        plan = job.plan
        assert plan.trace is not None
        if job.arrivals >= len(plan.trace):
            return job.arrival_ns
        recorded = int(plan.trace["time_ns"][job.arrivals])
        return job.start_ns + recorded * plan.scale_num // plan.scale_den

    # --- completions --------------------------------------------------------------------------

    def _complete(self, record: Completion) -> None:
        slot = record.ident >> SLOT_SHIFT
        if self._outstanding.get(slot) != record.ident:
            return
        del self._outstanding[slot]
        self.completions.append(record)
        job = self._job_of_slot[slot]
        if self._waited[slot]:
            self.waits[job.disk].append(self._waited[slot])
        self._leave(job.disk)
        now = self._agenda.now
        if job.plan.kind not in OPEN:
            self._issue_at(now + self._wait_ns(job, record) + job.broker_ns, job, slot)
        elif job.backlog:
            job.backlog -= 1
            self._issue_at(now + job.broker_ns, job, slot)
        else:
            job.free.append(slot)

    def _wait_ns(self, job: Job, record: Completion) -> int:
        """A closed loop's pause before the slot's next I/O."""
        plan = job.plan
        if record.kind != Kind.RESPONSE or record.status != Status.GOOD:
            return plan.error_backoff_ns
        if not plan.think_exponential:
            return plan.think_ns
        sequence = record.ident & ((1 << SLOT_SHIFT) - 1)
        word = draws.words(self._seed, draws.THINK, sequence, plan.uid)[0]
        return draws.exponential_ns(plan.think_ns, word)
