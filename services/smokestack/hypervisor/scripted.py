"""Scripted I/O: single I/Os that a script submits while time advances.

One such I/O is a job of one I/O, entered as a change at a border, so it draws and counts like any
other.  It is not listed among the VM's jobs.  Whether a script may wait for it is the timekeeper's
to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from smokestack.engine.checks import in_range, multiple_of
from smokestack.engine.errors import Aborted, FailedPrecondition, InvalidArgument
from smokestack.engine.jobplan import JobKind, JobPlan
from smokestack.engine.records import BLOCK_BYTES, COPY_PLACES, COPY_UNIT_BYTES, Kind, Op
from smokestack.engine.streams import job_uid

from .inventory import Disk
from .model import HypervisorModel

LENGTH_BYTES_MAX = 16 << 20
_CERTAIN = 1 << 32  # the last threshold of a plan's block-size table


@dataclass(frozen=True)
class IoOutcome:
    """How an I/O ended; ``status`` is to be read by ``kind``, as in a completion record."""

    kind: int
    status: int
    sense: int
    issue_ns: int
    latency_ns: int


class Submitted(NamedTuple):
    """An I/O under way, to whoever waits for it."""

    key: tuple[str, str, str]
    generation: int


class ScriptedIos:
    """The scripted I/Os of one hypervisor; every method is called at a border."""

    def __init__(self, model: HypervisorModel) -> None:
        self._model = model
        self._submitted = 0
        self._unseen: list[tuple[str, str, str]] = []  # completed, or to be, with nobody waiting
        self._generation = 0  # counts how often the hypervisor has gone back to a snapshot

    def submit(
        self,
        disk: tuple[str, str, str],
        op: Op,
        offset_bytes: int,
        length_bytes: int,
        *,
        flags: int = 0,
        source_offset_bytes: int = 0,
        source_disk: tuple[str, str, str] | None = None,
    ) -> Submitted:
        """Submits one checked I/O at the border's time; returns what asks for its outcome."""
        host_id, vm_id, disk_id = disk
        self._submitted += 1
        job_id = f"~{self._submitted}"  # no identifier, so no job of the user's
        plan = JobPlan(
            host_id=host_id,
            vm_id=vm_id,
            disk_id=disk_id,
            job_id=job_id,
            kind=JobKind.CLOSED,
            uid=job_uid(f"hosts/{host_id}/vms/{vm_id}/jobs/{job_id}"),
            slots=1,
            io_limit=1,
            error_backoff_ns=0,
            read_always=op is Op.READ,
            write_op=int(Op.WRITE if op is Op.READ else op),
            write_flags=flags,
            copy_source_bytes=source_offset_bytes,
            copy_source_disk=source_disk,
            region_offset_bytes=offset_bytes,
            region_bytes=length_bytes,
            block_sizes=((length_bytes, _CERTAIN),),
        )
        self._model.create_job(plan, listed=False)
        return Submitted((host_id, vm_id, job_id), self._generation)

    def check(self, disk: tuple[str, str, str], offset_bytes: int, length_bytes: int) -> None:
        """Refuses what no disk of that size takes."""
        capacity_bytes = self._model.disk(*disk).capacity_bytes
        if offset_bytes:
            multiple_of("offset_bytes", offset_bytes, BLOCK_BYTES)
        multiple_of("length_bytes", length_bytes, BLOCK_BYTES)
        in_range("length_bytes", length_bytes, BLOCK_BYTES, LENGTH_BYTES_MAX)
        if offset_bytes + length_bytes > capacity_bytes:
            raise InvalidArgument.at(
                "offset_bytes",
                f"{offset_bytes} + {length_bytes} lies behind the disk's end at {capacity_bytes}",
            )

    def check_copy(
        self,
        disk: tuple[str, str, str],
        source_disk: tuple[str, str, str],
        source_offset_bytes: int,
        offset_bytes: int,
        length_bytes: int,
    ) -> None:
        """Refuses what no array copies from disk to disk; ``check`` has passed the destination."""
        source, found = self._model.disk(*source_disk), self._model.disk(*disk)
        _check_pair(source, found)
        places = []
        for of, field, value in (
            (source, "source_offset_bytes", source_offset_bytes),
            (found, "offset_bytes", offset_bytes),
        ):
            begin = _copy_begin(of)
            last = min(of.capacity_bytes - length_bytes, COPY_PLACES * COPY_UNIT_BYTES - begin - 1)
            if value:
                multiple_of(field, value, COPY_UNIT_BYTES)
            in_range(field, value, 0, last)
            places.append(begin + value)
        if source.nexus == found.nexus and abs(places[0] - places[1]) < length_bytes:
            raise InvalidArgument.at(
                "source_offset_bytes",
                f"{source_offset_bytes} is less than {length_bytes} from {offset_bytes}: the "
                "ranges of a copy do not overlap",
            )

    def outcome(self, submitted: Submitted) -> IoOutcome | None:
        """Returns how an I/O ended, once, or None while it has not."""
        if submitted.generation != self._generation:
            raise Aborted(
                f"{self._model.name} has gone back to a snapshot from before this I/O's end: "
                "submit it again",
                reason="SNAPSHOT_RESTORED",
                resource=self._model.name,
            )
        key = submitted.key
        job = self._model.job(*key)
        row = self._model.state["job"][job.index]
        if not row["completed"]:
            return None
        # A closed loop's slot holds when it would issue again: at its completion, plus brokering.
        again_ns = int(self._model.state["slot"][int(row["slot_base"])]["time"])
        issue_ns = int(row["base_ns"])
        ended = int(row["last_status"])
        outcome = IoOutcome(
            kind=ended >> 8,
            status=ended & 0xFF,
            sense=int(row["last_sense"]),
            issue_ns=issue_ns,
            latency_ns=again_ns - int(row["broker_ns"]) - issue_ns,
        )
        self._remove(key)
        return outcome

    def abandon(self, submitted: Submitted) -> None:
        """Notes that nobody waits for an I/O any more; it completes all the same."""
        if submitted.generation == self._generation and submitted.key in self._model.jobs:
            self._unseen.append(submitted.key)

    def save(self) -> tuple[int, list[tuple[str, str, str]]]:
        """Returns how many there were, and those that have not been seen to end, for a snapshot."""
        return self._submitted, [key for key, job in self._model.jobs.items() if not job.listed]

    def go_back(self, submitted: int, unseen: list[tuple[str, str, str]]) -> None:
        """Takes what a snapshot holds; whoever waits for an I/O is told."""
        self._submitted, self._unseen = submitted, unseen.copy()
        self._generation += 1

    def collect(self) -> None:
        """Forgets I/Os that have completed with nobody waiting, so that disks can be deleted."""
        jobs = self._model.jobs
        done = [k for k in self._unseen if self._model.state["job"][jobs[k].index]["completed"]]
        for key in done:
            self._unseen.remove(key)
            self._remove(key)

    def _remove(self, key: tuple[str, str, str]) -> None:
        self._model.stop_job(*key)
        self._model.delete_job(*key)


def succeeded(outcome: IoOutcome) -> bool:
    """Returns whether an I/O did what it was to do."""
    return outcome.kind == Kind.RESPONSE and outcome.status == 0


def _check_pair(source: Disk, found: Disk) -> None:
    """Refuses disks of which no array copies one to the other for a host."""
    host_id = found.spec.host_id
    if source.spec.host_id != host_id:
        raise InvalidArgument.at(
            "source_disk",
            f"{source.name} is another host's: name a disk of a VM of hosts/{host_id}",
        )
    arrays = [disk.spec.device.partition(".")[0] for disk in (source, found)]
    if arrays[0] != arrays[1]:
        raise FailedPrecondition(
            f"{source.name} lies on arrays/{arrays[0]}, {found.name} on arrays/{arrays[1]}: an "
            "array copies within itself alone; read and write instead",
            reason="COPY_ANOTHER_ARRAY",
            resource=source.name,
        )


def _copy_begin(disk: Disk) -> int:
    """Where a disk begins on its device, if copies can name that."""
    begin = disk.spec.device_offset_bytes
    if begin % COPY_UNIT_BYTES:
        raise FailedPrecondition(
            f"{disk.name} begins at byte {begin} of its device: only of a disk that begins at "
            f"a multiple of {COPY_UNIT_BYTES} can be copied; create one there",
            reason="COPY_MISALIGNED",
            resource=disk.name,
        )
    return begin
