"""A hypervisor: hosts, VMs, their disks and jobs; traces to replay; what it has all done."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Required, TypedDict, Unpack

from smokestack.v1 import hypervisor_pb2 as pb

from .clock import get_simulation
from .events import Events
from .kinds import Kind, fresh_request_id
from .operations import Call, Session, Way, as_it_is, operation, planned, procedure
from .resources import Collection, Deletable, across
from .service import Service
from .words import Arrival, JobState, Pattern, ThinkTime, TraceMode

_SERVICE = "HypervisorService"
_CHUNK_BYTES = 1 << 20


class JobFields(TypedDict, total=False):
    """What a job is created from; what is left out has the API's default."""

    disk: Required[str]
    iodepth: int
    read_ratio: float
    zero_ratio: float
    pattern: Pattern
    zipf_theta: float
    block_sizes: Sequence[pb.BlockSize]
    region_offset_bytes: int
    region_bytes: int
    rate_iops: float
    arrival: Arrival
    think_ns: int
    think_time: ThinkTime
    error_backoff_ns: int
    start_ns: int
    stop_ns: int
    io_limit: int
    trace: str
    trace_mode: TraceMode
    time_scale: float


class Job(Deletable[Way]):
    """A source of I/O in a VM: a closed loop, a rate, or the replay of a trace."""

    of_kind = Kind(pb, _SERVICE, "Job", "jobs", {"disk": "{parent}/disks", "trace": "traces"})
    disk: str
    iodepth: int
    read_ratio: float
    zero_ratio: float
    pattern: Pattern
    zipf_theta: float
    block_sizes: tuple[pb.BlockSize, ...]
    region_offset_bytes: int
    region_bytes: int
    rate_iops: float
    arrival: Arrival
    think_ns: int
    think_time: ThinkTime
    error_backoff_ns: int
    start_ns: int
    stop_ns: int
    io_limit: int
    trace: str
    trace_mode: TraceMode | None
    time_scale: float | None
    state: JobState
    issued_count: int
    completed_count: int
    error_count: int
    backlog_count: int

    @operation
    def stop(self) -> Call[Job[Way]]:
        """Makes the job issue nothing more, for good; what is outstanding completes."""
        return self._act("Stop")

    @procedure
    def wait(self, *, timeout_seconds: float | None = None) -> Generator[Any, Any, Job[Way]]:
        """Waits until the job has finished, and returns it as it is then; DeadlineExceeded if late.

        The clock must move by itself or by somebody else.
        """
        service = (yield get_simulation()).name
        events = Events[Way](self._session, service)
        token = yield planned(Events.token, events)
        yield planned(Job.reload, self)
        if self.state != "FINISHED":
            yield events.watch(
                kinds=["JOB_FINISHED"],
                subject=self,
                resume_token=token,
                timeout_seconds=timeout_seconds,
            )
            yield planned(Job.reload, self)
        return self


class Jobs(Collection[Way, Job[Way]]):
    """A VM's jobs."""

    resource = Job

    @operation
    def create(self, job_id: str, **fields: Unpack[JobFields]) -> Call[Job[Way]]:
        """Starts a job, at its start time or at once; its I/O flows while the clock moves."""
        return self._create(job_id, fields)

    @operation
    def batch_create(self, jobs: Mapping[str, JobFields]) -> Call[list[Job[Way]]]:
        """Starts all of these jobs, by identifier, or none."""
        return self._batch_create(self._creations(jobs))


class DiskFields(TypedDict, total=False):
    """What a virtual disk is created from; it takes all of the device unless told otherwise."""

    device: Required[str]
    capacity_bytes: int
    device_offset_bytes: int
    guest_queue_depth: int


class Disk(Deletable[Way]):
    """A virtual disk: a range of a device that the VM's host has discovered."""

    of_kind = Kind(pb, _SERVICE, "Disk", "disks", {"device": "{multipath}/{host}/devices"})
    device: str
    capacity_bytes: int
    device_offset_bytes: int
    guest_queue_depth: int
    guest_queued_count: int

    @operation
    def read(self, length_bytes: int, *, offset_bytes: int = 0) -> Call[pb.SubmitIoResponse]:
        """Reads once, and tells how that went when it has completed; the clock must be moving."""
        return self._submit(pb.IO_OPERATION_READ, length_bytes, offset_bytes)

    @operation
    def write(
        self, length_bytes: int, *, offset_bytes: int = 0, zeros: bool = False
    ) -> Call[pb.SubmitIoResponse]:
        """Writes once, and tells how that went when it has completed; the clock must be moving.

        ``zeros``: its data are all zeros, which a volume may detect.
        """
        kind = pb.IO_OPERATION_WRITE_ZEROS if zeros else pb.IO_OPERATION_WRITE
        return self._submit(kind, length_bytes, offset_bytes)

    @operation
    def unmap(self, length_bytes: int, *, offset_bytes: int = 0) -> Call[pb.SubmitIoResponse]:
        """Gives pages that lie whole in the range back to the pool; the clock must be moving."""
        return self._submit(pb.IO_OPERATION_UNMAP, length_bytes, offset_bytes)

    @operation
    def write_zeros(
        self, length_bytes: int, *, offset_bytes: int = 0, unmap: bool = False
    ) -> Call[pb.SubmitIoResponse]:
        """Writes zeros with one WRITE SAME, which takes pages; the clock must be moving.

        ``unmap``: it gives whole pages back instead.
        """
        kind = pb.IO_OPERATION_WRITE_SAME_UNMAP if unmap else pb.IO_OPERATION_WRITE_SAME
        return self._submit(kind, length_bytes, offset_bytes)

    @operation
    def copy(
        self,
        length_bytes: int,
        *,
        source_offset_bytes: int,
        offset_bytes: int,
        source_disk: Disk | str = "",
    ) -> Call[pb.SubmitIoResponse]:
        """Has the array copy a range to another place (EXTENDED COPY); the clock must be moving.

        The data do not come to the host. Both offsets are multiples of 1 MiB, and the ranges do not
        overlap. From another disk it copies if that is of the same host and array.
        """
        source = source_disk if isinstance(source_disk, str) else source_disk.name
        return self._submit(
            pb.IO_OPERATION_COPY,
            length_bytes,
            offset_bytes,
            source_offset_bytes,
            source_disk=source,
        )

    @operation
    def compare_and_write(
        self, offset_bytes: int, expected: int, new: int
    ) -> Call[pb.SubmitIoResponse]:
        """Gives a block of 512 bytes a value, 0 to 7, if it has the expected one; the clock must be
        moving.

        Else it fails with sense 0x0E1D00.  A block has 0 until this gives it another value.
        """
        kind = pb.IO_OPERATION_COMPARE_AND_WRITE
        return self._submit(kind, 512, offset_bytes, expected_value=expected, new_value=new)

    def _submit(
        self,
        kind: pb.IoOperation,
        length_bytes: int,
        offset_bytes: int,
        source_offset_bytes: int = 0,
        *,
        expected_value: int = 0,
        new_value: int = 0,
        source_disk: str = "",
    ) -> Call[pb.SubmitIoResponse]:
        request = pb.SubmitIoRequest(
            disk=self.name,
            operation=kind,
            offset_bytes=offset_bytes,
            length_bytes=length_bytes,
            source_offset_bytes=source_offset_bytes,
            expected_value=expected_value,
            new_value=new_value,
            source_disk=source_disk,
        )
        return Call(
            f"{_SERVICE}.SubmitIo", request, as_it_is, repeatable=False, timeout_seconds=None
        )


class Disks(Collection[Way, Disk[Way]]):
    """A VM's virtual disks."""

    resource = Disk

    @operation
    def create(self, disk_id: str, **fields: Unpack[DiskFields]) -> Call[Disk[Way]]:
        """Creates a virtual disk on a device, e.g. "a1.v1"."""
        return self._create(disk_id, fields)

    @operation
    def batch_create(self, disks: Mapping[str, DiskFields]) -> Call[list[Disk[Way]]]:
        """Creates all of these virtual disks, by identifier, or none."""
        return self._batch_create(self._creations(disks))


class VmFields(TypedDict, total=False):
    """What a VM is created from; what is left out has the API's default."""

    broker_ns: int
    guest_adapter_queue_depth: int


class Vm(Deletable[Way]):
    """A virtual machine on a host."""

    of_kind = Kind(pb, _SERVICE, "Vm", "vms")
    broker_ns: int
    guest_adapter_queue_depth: int
    number: int
    guest_queued_count: int

    @property
    def disks(self) -> Disks[Way]:
        """Its virtual disks."""
        return Disks(self._session, self.name)

    @property
    def jobs(self) -> Jobs[Way]:
        """Its jobs."""
        return Jobs(self._session, self.name)


class Vms(Collection[Way, Vm[Way]]):
    """A host's VMs."""

    resource = Vm

    @operation
    def create(self, vm_id: str, **fields: Unpack[VmFields]) -> Call[Vm[Way]]:
        """Creates a VM."""
        return self._create(vm_id, fields)

    @operation
    def batch_create(self, vms: Mapping[str, VmFields]) -> Call[list[Vm[Way]]]:
        """Creates all of these VMs, by identifier, or none."""
        return self._batch_create(self._creations(vms))


class Host(Deletable[Way]):
    """A physical host; the multipath layer's host of the same identifier carries its I/O."""

    of_kind = Kind(pb, _SERVICE, "Host", "hosts")

    @property
    def vms(self) -> Vms[Way]:
        """Its VMs."""
        return Vms(self._session, self.name)


class Hosts(Collection[Way, Host[Way]]):
    """A hypervisor's hosts."""

    resource = Host

    @operation
    def create(self, host_id: str) -> Call[Host[Way]]:
        """Creates a host."""
        return self._create(host_id, {})


class Trace(Deletable[Way]):
    """A recorded trace."""

    of_kind = Kind(pb, _SERVICE, "Trace", "traces")
    command_count: int
    read_count: int
    write_count: int
    read_bytes: int
    write_bytes: int
    duration_ns: int
    end_bytes: int


class Traces(Collection[Way, Trace[Way]]):
    """The traces that jobs can replay."""

    resource = Trace

    @operation
    def upload(
        self,
        trace_id: str,
        file: bytes | str | PathLike[str],
        *,
        format: str = "",
        volume: str = "",
    ) -> Call[Trace[Way]]:
        """Uploads a trace: a file's path, or its bytes; the format is found out unless given."""
        data = file if isinstance(file, bytes) else Path(file).read_bytes()
        description = pb.UploadTraceDescription(
            trace_id=trace_id, format=format, volume=volume, request_id=fresh_request_id()
        )

        def parts() -> Iterator[pb.UploadTraceRequest]:
            yield pb.UploadTraceRequest(description=description)
            for start in range(0, len(data), _CHUNK_BYTES):
                yield pb.UploadTraceRequest(data=data[start : start + _CHUNK_BYTES])

        return Call(f"{_SERVICE}.UploadTrace", parts, self._made, timeout_seconds=None)


class Hypervisor(Service[Way]):
    """A hypervisor: the source of all I/O, and the clock of the services below it."""

    def __init__(self, session: Session, name: str) -> None:
        """Stands for the hypervisor of a full name."""
        super().__init__(session)
        self.name = name

    @property
    def hosts(self) -> Hosts[Way]:
        """Its hosts."""
        return Hosts(self._session)

    @property
    def traces(self) -> Traces[Way]:
        """The traces that jobs can replay."""
        return Traces(self._session)

    @operation
    def statistics(self) -> Call[pb.Statistics]:
        """Gets what all VMs together have done, and a row for each virtual disk."""
        return get_statistics()

    @operation
    def batch_create_vms(self, vms: Mapping[str, VmFields]) -> Call[list[Vm[Way]]]:
        """Creates all of these VMs, each by host and identifier as in "h1/v1", or none."""
        return across(Vms(self._session), ("hosts",), vms)

    @operation
    def batch_create_disks(self, disks: Mapping[str, DiskFields]) -> Call[list[Disk[Way]]]:
        """Creates all of these virtual disks, each by a path as in "h1/v1/d0", or none."""
        return across(Disks(self._session), ("hosts", "vms"), disks)

    @operation
    def batch_create_jobs(self, jobs: Mapping[str, JobFields]) -> Call[list[Job[Way]]]:
        """Starts all of these jobs, each by a path as in "h1/v1/j0", or none."""
        return across(Jobs(self._session), ("hosts", "vms"), jobs)

    def __repr__(self) -> str:
        return f"<Hypervisor {self.name}>"


def get_statistics() -> Call[pb.Statistics]:
    """Plans to ask what all VMs together have done."""

    return Call(f"{_SERVICE}.GetStatistics", pb.GetStatisticsRequest(), as_it_is)
