"""The hypervisor: hosts, VMs and their disks, and a kernel that issues their I/O.

It drives the tree: `advance` cuts virtual time into windows, each one exchange with the device
below, and no result depends on where the cuts fall.  Management calls are made between windows
only (the caller holds the border).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

import numpy as np

from smokestack.engine.blockdevice import (
    NOTHING,
    Attachment,
    BlockDevice,
    IoBatch,
    Nexus,
    PeerLost,
    Reply,
)
from smokestack.engine.border import BorderLock
from smokestack.engine.checks import identifier, in_range, unused
from smokestack.engine.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Unavailable,
)
from smokestack.engine.event_kinds import EventKind
from smokestack.engine.jobplan import JobPlan
from smokestack.engine.records import (
    BLOCK_BYTES,
    COMPLETION,
    NEVER_NS,
    SLOTS_MAX,
    TIME_NS_MAX,
    copy_from,
)
from smokestack.engine.snapshot import Piece, Pieces, check_one, piece_of, refuse_others

from . import returns
from .events import HypervisorEvents
from .faults import HypervisorFaults
from .inventory import Disk, Job, Nexuses, Vm, capacity_bytes_of, region_bytes_of
from .snapshot import keeper_of
from .specs import DiskSpec, HostSpec, VmSpec
from .state import HypervisorState
from .statistics import DiskStatistics, Statistics, disk_statistics, statistics

_BROKER_NS_MAX = 60 * 10**9
_GUEST_DEPTH_MAX = 65_536
_K = TypeVar("_K")
_V = TypeVar("_V")


class HypervisorModel:
    """One hypervisor: every host and VM of the stack that it drives."""

    def __init__(
        self, hypervisor_id: str = "hv1", seed: int = 1, border: BorderLock | None = None
    ) -> None:
        identifier("hypervisor_id", hypervisor_id)
        in_range("seed", seed, 0, (1 << 63) - 1)
        self.name = f"hypervisors/{hypervisor_id}"
        self.border = border or BorderLock()
        self.state = HypervisorState()
        self.events = HypervisorEvents(self.name, self.state)
        self.state.row["seed"] = seed
        self.seed = seed
        self.driver: str | None = None  # nobody drives a driver
        self.epoch = 0
        self.hosts: dict[str, HostSpec] = {}
        self.vms: dict[tuple[str, str], Vm] = {}
        self.disks: dict[tuple[str, str, str], Disk] = {}
        self.jobs: dict[tuple[str, str, str], Job] = {}
        self._device: BlockDevice | None = None
        self.nexuses = Nexuses(self.name)
        self._attached = False
        self._advancing = False
        self._lost = False  # the device; what was in flight then is adrift until it is taken again
        self._adrift = False
        self._reply: Reply | None = None
        self._next_ns = 0  # when anything can arrive at the earliest, as the last reply has it
        self.windows = 0
        self.faults = HypervisorFaults(self)
        self.keeper = keeper_of(self)

    # --- clock ------------------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        """Virtual time that windows have run to."""
        return int(self.state.number("state", "until_ns"))

    @property
    def lookahead_ns(self) -> int:
        """The tree's L; 0 while nothing is connected."""
        return self._device.lookahead_ns if self._device else 0

    @property
    def advancing(self) -> bool:
        """Whether an Advance is running."""
        return self._advancing

    @property
    def attached(self) -> bool:
        """Whether it has taken its device, as the first Advance does."""
        return self._attached

    @property
    def idle(self) -> bool:
        """Whether nothing will happen any more: no I/O outstanding, no job with work left."""
        return bool(self.state.kernel.pending() == 0)

    @property
    def limits_guests(self) -> bool:
        """Whether there was ever a job whose commands may have to wait in the guest."""
        return bool(self.state.number("state", "limited"))

    @property
    def device_name(self) -> str:
        """Full name of the service that it drives; empty while nothing is connected."""
        return self._device.name if self._device else ""

    def connect(self, device: BlockDevice) -> None:
        """Gives the hypervisor the device that it will drive."""
        if self._device is not None:
            raise FailedPrecondition(f"{self.name} drives {self._device.name} already")
        self._device = self.nexuses.device = device

    def advance(self, until_ns: int, stop: Callable[[], bool] = lambda: False) -> int:
        """Runs virtual time flat out to a point, or until ``stop()``; returns the time reached."""
        if until_ns < self.now_ns:
            raise InvalidArgument.at("until_ns", f"{until_ns} is before now, {self.now_ns}")
        if until_ns > TIME_NS_MAX:
            raise InvalidArgument.at("until_ns", f"{until_ns} is beyond {TIME_NS_MAX}")
        return self._advance(until_ns, stop, until_idle=False)

    def advance_until_idle(
        self, limit_ns: int = TIME_NS_MAX, stop: Callable[[], bool] = lambda: False
    ) -> int:
        """Runs until nothing will happen any more, or to a limit; returns the time reached."""
        return self._advance(limit_ns, lambda: self.idle or stop(), until_idle=True)

    def _advance(self, end_ns: int, stop: Callable[[], bool], until_idle: bool) -> int:
        with self.border.change():
            if self._advancing:
                raise FailedPrecondition(
                    f"{self.name} is advancing already: wait for that call to end",
                    reason="ADVANCING",
                )
            device = self._attach()
            self._advancing = True
        try:
            try:
                self._windows(device, end_ns, stop, until_idle)
            except PeerLost:  # perhaps long ago, and it is back
                self._tell_lost(device)
                with self.border.change():
                    self._attach()
                self._windows(device, end_ns, stop, until_idle)
        except PeerLost as lost:
            self._tell_lost(device)
            said = f"{device.name} is gone"
            message = str(lost) if str(lost).startswith(said) else f"{said}: {lost}"
            raise Unavailable(message, resource=device.name) from lost
        finally:
            self._advancing = False
        return self.now_ns

    def _windows(
        self, device: BlockDevice, end_ns: int, stop: Callable[[], bool], until_idle: bool
    ) -> None:
        """Window after window; the first is empty and asks when anything can arrive by now.

        The last one is empty, too: with it every clock below stands where this one does.
        """
        border = self.border
        with border.window():
            now_ns, next_ns = self._window(device, self.now_ns, self.now_ns)
        kernel_end_ns = NEVER_NS if until_idle else end_ns
        while now_ns < end_ns and not stop():
            with border.window():
                limit_ns = next_ns if next_ns < end_ns else end_ns
                now_ns, next_ns = self._window(device, limit_ns, kernel_end_ns)
        with border.window():
            self._window(device, now_ns, now_ns)

    def _window(self, device: BlockDevice, limit_ns: int, end_ns: int) -> tuple[int, int]:
        """Runs one window; returns its end, and when anything can arrive after that."""
        submitted, until_ns, promised = self._run(device, limit_ns, end_ns)
        batch = IoBatch(self.state["out"], submitted) if submitted else NOTHING
        self._reply = reply = device.exchange(until_ns, batch)
        self.windows += 1
        if promised:  # beyond what was known: some of the answers belong to this window
            self._run(device, until_ns, until_ns)
        self.faults.run_to(until_ns)
        self._next_ns = reply.next_ns
        return until_ns, reply.next_ns

    def _run(self, device: BlockDevice, limit_ns: int, end_ns: int) -> tuple[int, int, int]:
        """Takes the last reply in and runs on; returns (submissions, time reached, promised)."""
        state = self.state
        records, count = (self._reply.records, self._reply.count) if self._reply else _EMPTY
        ran = state.kernel.run(limit_ns, records, count, end_ns)
        if ran is None:
            state.fit_chunks(count)
            ran = state.kernel.run(limit_ns, records, count, end_ns)
        submitted, until_ns, noted, promised = ran
        self._reply = None
        if noted:
            self.events.tell_notes(self.disks, self.jobs, device.name)
        return submitted, until_ns, promised

    def go_on(self, until_ns: int) -> None:
        """Runs to a point as the Advance that has ended here would have, had it not ended.

        No window asks what was changed meanwhile.  So a change that was made during an Advance can
        be made again, and acts when it did.
        """
        with self.border.change():
            device = self._attach()
            while self.now_ns < until_ns:
                self._window(device, min(self._next_ns, until_ns), until_ns)

    def _attach(self) -> BlockDevice:
        device = self._device
        if device is None:
            raise FailedPrecondition(f"{self.name} has nothing to drive: connect multipath first")
        if not self._attached:
            self._take(device)
        return device

    def _take(self, device: BlockDevice) -> None:
        """Takes the device, from the later of its time and this one."""
        returns.find_again(device)
        if self._adrift:
            returns.fit_disks(self, device)
        lookahead_ns, start_ns = device.lookahead_ns, max(self.now_ns, device.reached_ns)
        device.attach(Attachment(self.name, self.epoch + 1, self.seed, start_ns, lookahead_ns))
        self.epoch += 1
        self.state.row["lookahead_ns"] = lookahead_ns
        self._attached = True
        if self._lost:
            self._lost = False
            self.events.tell(EventKind.PEER_RETURNED, device.name, epoch=self.epoch)
        if start_ns > self.now_ns:
            returns.catch_up(self, start_ns)
        if self._adrift:
            self._adrift = False
            self._reply = returns.lost_in_flight(self)

    def set_adrift(self) -> None:
        """Notes that nobody below has what is in flight: it ends when the device is taken."""
        self._attached, self._adrift = False, True

    def _tell_lost(self, device: BlockDevice) -> None:
        with self.border.change():
            self.set_adrift()
            if not self._lost:
                self._lost = True
                self.events.tell(EventKind.PEER_LOST, device.name, epoch=self.epoch)

    def close(self) -> None:
        """Gives the device back."""
        if self._device is not None and self._attached:
            self._device.detach()
        self._attached = False

    # --- snapshots --------------------------------------------------------------------------

    def snapshot(self, snapshot: str, only: Sequence[str] = ()) -> tuple[Piece, ...]:
        """Returns the pieces of a new snapshot: its own, and those of all below, at a border."""
        below = self._device.snapshot(snapshot, only) if self._device else ()
        return (self.keeper.save(snapshot, only), *below)

    def check(self, pieces: Pieces) -> None:
        """Refuses pieces that could not be restored here; nothing has changed."""
        self._stage(pieces)
        self._unstage()

    def restore(self, pieces: Pieces) -> None:
        """Goes to where a snapshot was taken, with all below; refused, it has changed nothing."""
        if self._advancing:
            raise FailedPrecondition(
                f"{self.name} is advancing: wait for that call to end, or stop its clock",
                reason="ADVANCING",
                resource=self.name,
            )
        attached = self._stage(pieces)
        try:
            if attached:
                self._attach()
            else:
                self.close()
        except Exception:
            self._unstage()
            raise
        if self._device is not None:
            self._device.restore()
        self.keeper.restore()

    def _stage(self, pieces: Pieces) -> bool:
        """Has all services check their pieces; returns whether they are of an attached tree."""
        below = {service: piece for service, piece in pieces.items() if service != self.name}
        check_one(pieces)
        try:
            parts = self.keeper.stage(piece_of(pieces, self.name))
            if self._device is not None:
                self._device.stage(below)
            else:
                refuse_others(pieces, {self.name})
        except Exception:
            self._unstage()
            raise
        return bool(parts["model"]["attached"])

    def _unstage(self) -> None:
        self.keeper.unstage()
        if self._device is not None:
            with suppress(PeerLost):  # the next window tells of it
                self._device.unstage()

    # --- what came back ---------------------------------------------------------------------

    def digest(self) -> str:
        """Returns the SHA-256 over every completion that guests have seen, in order."""
        digest: bytes = self.state.kernel.digest()
        return digest.hex()

    def statistics(self) -> Statistics:
        """Returns totals over all disks."""
        return statistics(self.state, self.now_ns, self.digest())

    def disk_statistics(self, host_id: str, vm_id: str, disk_id: str) -> DiskStatistics:
        """Returns one disk's counts and latencies."""
        return disk_statistics(self.state, self.disk(host_id, vm_id, disk_id).row)

    # --- inventory --------------------------------------------------------------------------

    def create_host(self, spec: HostSpec) -> None:
        """Adds a physical host."""
        identifier("host.host_id", spec.host_id)
        if spec.host_id in self.hosts:
            raise AlreadyExists.of(f"hosts/{spec.host_id}")
        self.hosts[spec.host_id] = spec
        self.events.tell(EventKind.HOST_CREATED, f"hosts/{spec.host_id}")

    def check_vm(self, spec: VmSpec) -> None:
        """Refuses a VM that cannot be added."""
        identifier("vm.vm_id", spec.vm_id)
        in_range("vm.broker_ns", spec.broker_ns, 0, _BROKER_NS_MAX)
        depth = spec.guest_adapter_queue_depth
        in_range("vm.guest_adapter_queue_depth", depth, 0, _GUEST_DEPTH_MAX)
        self.host(spec.host_id)
        if (spec.host_id, spec.vm_id) in self.vms:
            raise AlreadyExists.of(f"hosts/{spec.host_id}/vms/{spec.vm_id}")

    def create_vm(self, spec: VmSpec) -> None:
        """Adds a running VM to a host."""
        self.check_vm(spec)
        self.add_vm(spec)

    def add_vm(self, spec: VmSpec) -> None:
        """Adds a VM that has been checked."""
        index = self.state.append_adapter(spec.guest_adapter_queue_depth)
        self.vms[spec.host_id, spec.vm_id] = Vm(spec, index)
        self.events.tell(EventKind.VM_CREATED, f"hosts/{spec.host_id}/vms/{spec.vm_id}")

    def check_disk(self, spec: DiskSpec) -> tuple[Nexus, int]:
        """Refuses a disk that cannot be added; returns its device and its size in bytes."""
        identifier("disk.disk_id", spec.disk_id)
        in_range("disk.guest_queue_depth", spec.guest_queue_depth, 0, _GUEST_DEPTH_MAX)
        self.vm(spec.host_id, spec.vm_id)
        key = (spec.host_id, spec.vm_id, spec.disk_id)
        if key in self.disks:
            raise AlreadyExists.of(f"hosts/{key[0]}/vms/{key[1]}/disks/{key[2]}")
        nexus = self.nexuses.find(spec.host_id, spec.device)
        return nexus, capacity_bytes_of(spec, nexus)

    def create_disk(self, spec: DiskSpec) -> None:
        """Adds a virtual disk on a device that the VM's host has discovered."""
        nexus, capacity_bytes = self.check_disk(spec)
        vm = self.vm(spec.host_id, spec.vm_id)
        row = self.state.append_disk(vm.index, spec.guest_queue_depth)
        disk = Disk(spec, row, nexus.index, capacity_bytes)
        self.disks[spec.host_id, spec.vm_id, spec.disk_id] = disk
        self.events.tell(
            EventKind.DISK_CREATED, disk.name, device=spec.device, capacity_bytes=capacity_bytes
        )

    def check_job(self, plan: JobPlan, slots_before: int = 0) -> int:
        """Refuses a job that cannot be started; returns the size of its region in bytes.

        ``slots_before`` are those of jobs that will be started before it.
        """
        self.vm(plan.host_id, plan.vm_id)
        disk = self.disk(plan.host_id, plan.vm_id, plan.disk_id)
        if (plan.host_id, plan.vm_id, plan.job_id) in self.jobs:
            raise AlreadyExists.of(plan.name)
        taken = self.state.slot_count + slots_before
        if taken + plan.slots > SLOTS_MAX:
            raise FailedPrecondition(
                f"{plan.name} needs {plan.slots} I/O slots: {taken} of "
                f"{SLOTS_MAX} are taken; use smaller iodepths",
                reason="SLOTS_EXHAUSTED",
            )
        return region_bytes_of(plan, disk.capacity_bytes)

    def create_job(self, plan: JobPlan, listed: bool = True) -> None:
        """Starts a job: it issues from its start time, or from now if that is past.

        Of one that is not ``listed`` no event tells.
        """
        region_bytes = self.check_job(plan)
        vm = self.vm(plan.host_id, plan.vm_id)
        disk = self.disk(plan.host_id, plan.vm_id, plan.disk_id)
        index = self.state.append_job(
            plan, region_bytes=region_bytes, now_ns=self.now_ns, broker_ns=vm.spec.broker_ns
        )
        row = self.state["job"][index]
        first = disk.spec.device_offset_bytes + plan.region_offset_bytes
        row["first_block"] = first // BLOCK_BYTES
        row["nexus"], row["vm"], row["disk"] = disk.nexus, vm.index, disk.row
        self._set_source(row, plan, disk)
        row["unlisted"] = not listed
        self.state.limit_job(index)
        self.faults.started(plan.host_id, plan.vm_id, index)
        self.state.kernel.start_job(index)
        self.jobs[plan.host_id, plan.vm_id, plan.job_id] = Job(plan, index, listed)
        if listed:
            start_ns = int(row["base_ns"])
            self.events.tell(EventKind.JOB_CREATED, plan.name, disk=disk.name, start_ns=start_ns)

    def _set_source(self, row: Any, plan: JobPlan, disk: Disk) -> None:
        """Says where a job copies from; from another device it is the host that does it."""
        source = self.disk(*plan.copy_source_disk) if plan.copy_source_disk else disk
        first_byte = source.spec.device_offset_bytes + plan.copy_source_bytes
        row["copy_source"] = first_byte // BLOCK_BYTES
        if source.nexus != disk.nexus:
            row["vm"] = copy_from(source.nexus)

    def stop_job(self, host_id: str, vm_id: str, job_id: str) -> None:
        """Makes a job issue nothing more; what is outstanding completes."""
        job = self.job(host_id, vm_id, job_id)
        row = self.state["job"][job.index]
        if not row["stopped"]:
            row["stopped"] = 1
            self._tell_of(job, EventKind.JOB_STOPPED)

    def delete_job(self, host_id: str, vm_id: str, job_id: str) -> None:
        """Removes a job that has stopped and has nothing outstanding."""
        job = self.job(host_id, vm_id, job_id)
        row = self.state["job"][job.index]
        if not row["stopped"] or row["issued"] != row["completed"]:
            raise FailedPrecondition(
                f"{job.plan.name} may still issue or has I/O outstanding: stop it and advance",
                reason="IN_USE",
            )
        del self.jobs[host_id, vm_id, job_id]
        self._tell_of(job, EventKind.JOB_DELETED)

    def _tell_of(self, job: Job, kind: EventKind) -> None:
        if job.listed:
            self.events.tell(kind, job.plan.name)

    def delete_disk(self, host_id: str, vm_id: str, disk_id: str) -> None:
        """Removes a disk that no job uses."""
        disk = self.disk(host_id, vm_id, disk_id)
        users = [
            j
            for (h, v, j), job in self.jobs.items()
            if (host_id, vm_id, disk_id) in ((h, v, job.plan.disk_id), job.plan.copy_source_disk)
        ]
        unused(disk.name, users, "has jobs")
        del self.disks[host_id, vm_id, disk_id]
        self.events.tell(EventKind.DISK_DELETED, disk.name)

    def delete_vm(self, host_id: str, vm_id: str) -> None:
        """Removes a VM without disks."""
        self.vm(host_id, vm_id)
        users = [d for h, v, d in self.disks if (h, v) == (host_id, vm_id)]
        unused(f"hosts/{host_id}/vms/{vm_id}", users, "has disks")
        del self.vms[host_id, vm_id]
        self.events.tell(EventKind.VM_DELETED, f"hosts/{host_id}/vms/{vm_id}")

    def delete_host(self, host_id: str) -> None:
        """Removes a host without VMs."""
        self.host(host_id)
        unused(f"hosts/{host_id}", [v for h, v in self.vms if h == host_id], "has VMs")
        del self.hosts[host_id]
        self.events.tell(EventKind.HOST_DELETED, f"hosts/{host_id}")

    def host(self, host_id: str) -> HostSpec:
        """Returns a host."""
        return _found(self.hosts, host_id, f"hosts/{host_id}")

    def vm(self, host_id: str, vm_id: str) -> Vm:
        """Returns a VM."""
        self.host(host_id)
        return _found(self.vms, (host_id, vm_id), f"hosts/{host_id}/vms/{vm_id}")

    def disk(self, host_id: str, vm_id: str, disk_id: str) -> Disk:
        """Returns a virtual disk."""
        self.vm(host_id, vm_id)
        name = f"hosts/{host_id}/vms/{vm_id}/disks/{disk_id}"
        return _found(self.disks, (host_id, vm_id, disk_id), name)

    def job(self, host_id: str, vm_id: str, job_id: str) -> Job:
        """Returns a job."""
        self.vm(host_id, vm_id)
        name = f"hosts/{host_id}/vms/{vm_id}/jobs/{job_id}"
        return _found(self.jobs, (host_id, vm_id, job_id), name)


_EMPTY: Final = (np.zeros(0, COMPLETION), 0)


def _found(have: dict[_K, _V], key: _K, name: str) -> _V:
    if key not in have:
        raise NotFound.of(name)
    return have[key]
