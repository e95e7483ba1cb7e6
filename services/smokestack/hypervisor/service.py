"""The hypervisor's wire: requests become specs and model calls, what stands becomes messages.

Names, pages and retries are handled here; what a value may be is the model's to say, and what a job
or a trace means is the workload room's, which the composition root hands in.  Handlers need no
context, so that a scenario is built by calling them as plain functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any, Protocol, TypeVar

from google.protobuf import empty_pb2
from numpy.typing import NDArray

from smokestack.engine.batches import planned
from smokestack.engine.checks import identifier, in_range
from smokestack.engine.errors import (
    InvalidArgument,
    Refused,
)
from smokestack.engine.jobplan import JobPlan
from smokestack.engine.messages import given
from smokestack.engine.names import NameForm
from smokestack.engine.paging import page
from smokestack.engine.records import BLOCK_BYTES, VALUE_MAX, Flag, Kind, Op, compared
from smokestack.engine.requests import UNRECORDED, Border, Recorder, Requests
from smokestack.engine.timekeeper import Timekeeper
from smokestack.v1 import hypervisor_pb2 as pb
from smokestack.v1 import hypervisor_pb2_grpc, types_pb2

from .jobs import JobStatus
from .model import HypervisorModel
from .scripted import IoOutcome, ScriptedIos, Submitted, succeeded
from .snapshot import WirePart
from .specs import DiskSpec, HostSpec, VmSpec
from .traces import Traces
from .upload import Upload

HOST = NameForm("hosts/h1")
VM = NameForm("hosts/h1/vms/v1")
DISK = NameForm("hosts/h1/vms/v1/disks/d0")
JOB = NameForm("hosts/h1/vms/v1/jobs/j0")
TRACE = NameForm("traces/t1")
DEVICE = NameForm("multipaths/m1/hosts/h1/devices/a1.v1")

_FIELDS = {"trace.format": "description.format", "trace": "data"}
_OPERATIONS = {
    pb.IO_OPERATION_READ: (Op.READ, 0),
    pb.IO_OPERATION_WRITE: (Op.WRITE, 0),
    pb.IO_OPERATION_UNMAP: (Op.UNMAP, 0),
    pb.IO_OPERATION_WRITE_SAME: (Op.WRITE_SAME, 0),
    pb.IO_OPERATION_WRITE_ZEROS: (Op.WRITE, int(Flag.ZEROS)),
    pb.IO_OPERATION_WRITE_SAME_UNMAP: (Op.WRITE_SAME, int(Flag.UNMAP)),
    pb.IO_OPERATION_COPY: (Op.COPY, 0),
    pb.IO_OPERATION_COMPARE_AND_WRITE: (Op.COMPARE_AND_WRITE, 0),
}
_T = TypeVar("_T")


class Workload(Protocol):
    """What jobs and traces mean."""

    def parse_trace(
        self, data: bytes, description: pb.UploadTraceDescription
    ) -> tuple[NDArray[Any], pb.Trace]:
        """Returns a file's commands and what they are in all, or refuses the file."""

    def compile_job(
        self, name: str, job: pb.Job, records: NDArray[Any] | None
    ) -> tuple[JobPlan, pb.Job]:
        """Returns a job's plan and its description with all defaults, or refuses it."""


class HypervisorService(hypervisor_pb2_grpc.HypervisorServiceServicer):
    """Serves one hypervisor."""

    def __init__(
        self,
        model: HypervisorModel,
        border: Border,
        workload: Workload,
        timekeeper: Timekeeper | None = None,
        recorder: Recorder = UNRECORDED,
    ) -> None:
        self._model = model
        self._timekeeper = timekeeper or Timekeeper(model, border)
        self._requests = Requests(border, _FIELDS, recorder)
        self._workload = workload
        self._ios = ScriptedIos(model)
        self._jobs: dict[tuple[str, ...], pb.Job] = {}  # as described, defaults filled in
        self._traces = Traces()
        model.keeper.add("requests", self._requests)
        readers = pb.Job.FromString, pb.Trace.FromString
        wire = WirePart(self._jobs, self._traces, self._ios, *readers)
        model.keeper.add("wire", wire)

    @property
    def requests(self) -> Requests:
        """What carries out its requests, and remembers the answers."""
        return self._requests

    # --- hosts ------------------------------------------------------------------------------

    def CreateHost(self, request: pb.CreateHostRequest, context: Any = None) -> pb.Host:
        def create() -> pb.Host:
            self._model.create_host(HostSpec(request.host_id))
            return self._host(request.host_id)

        return self._requests.change(request, create)

    def GetHost(self, request: pb.GetHostRequest, context: Any = None) -> pb.Host:
        return self._get(HOST, request.name, self._host)

    def ListHosts(self, request: pb.ListHostsRequest, context: Any = None) -> pb.ListHostsResponse:
        with self._requests.read():
            found, token = page(self._model.hosts, request.page_size, request.page_token, "hosts")
            return pb.ListHostsResponse(hosts=map(self._host, found), next_page_token=token)

    def DeleteHost(self, request: pb.DeleteHostRequest, context: Any = None) -> empty_pb2.Empty:
        return self._delete(HOST, request, self._model.delete_host)

    def _host(self, host_id: str) -> pb.Host:
        return pb.Host(name=HOST.format(self._model.host(host_id).host_id))

    # --- VMs --------------------------------------------------------------------------------

    def CreateVm(self, request: pb.CreateVmRequest, context: Any = None) -> pb.Vm:
        return self._requests.change(
            request, lambda: self._add_vm(self._plan_vm(request, request.parent)[1])
        )

    def BatchCreateVms(
        self, request: pb.BatchCreateVmsRequest, context: Any = None
    ) -> pb.BatchCreateVmsResponse:
        def create() -> pb.BatchCreateVmsResponse:
            specs = planned(request, self._requests, self._plan_vm)
            return pb.BatchCreateVmsResponse(vms=map(self._add_vm, specs))

        return self._requests.change(request, create)

    def _plan_vm(self, request: pb.CreateVmRequest, parent: str) -> tuple[str, VmSpec]:
        (host_id,) = HOST.parse(parent, "parent")
        vm = request.vm
        broker_ns = vm.broker_ns if vm.HasField("broker_ns") else VmSpec.broker_ns
        spec = VmSpec(host_id, request.vm_id, broker_ns, vm.guest_adapter_queue_depth)
        self._model.check_vm(spec)
        return f"{parent}/vms/{request.vm_id}", spec

    def _add_vm(self, spec: VmSpec) -> pb.Vm:
        self._model.add_vm(spec)
        return self._vm(spec.host_id, spec.vm_id)

    def GetVm(self, request: pb.GetVmRequest, context: Any = None) -> pb.Vm:
        return self._get(VM, request.name, self._vm)

    def ListVms(self, request: pb.ListVmsRequest, context: Any = None) -> pb.ListVmsResponse:
        (host_id,) = HOST.parse(request.parent, "parent")
        with self._requests.read():
            self._model.host(host_id)
            vms = [vm for host, vm in self._model.vms if host == host_id]
            found, token = page(vms, request.page_size, request.page_token, request.parent)
            return pb.ListVmsResponse(
                vms=[self._vm(host_id, vm_id) for vm_id in found], next_page_token=token
            )

    def DeleteVm(self, request: pb.DeleteVmRequest, context: Any = None) -> empty_pb2.Empty:
        return self._delete(VM, request, self._model.delete_vm)

    def _vm(self, host_id: str, vm_id: str) -> pb.Vm:
        vm = self._model.vm(host_id, vm_id)
        name = VM.format(host_id, vm_id)
        return pb.Vm(
            name=name,
            broker_ns=vm.spec.broker_ns,
            guest_adapter_queue_depth=vm.spec.guest_adapter_queue_depth,
            number=vm.index,
            guest_queued_count=int(self._model.state["adapter"][vm.index]["queued"]),
        )

    # --- disks ------------------------------------------------------------------------------

    def CreateDisk(self, request: pb.CreateDiskRequest, context: Any = None) -> pb.Disk:
        return self._requests.change(
            request, lambda: self._add_disk(self._plan_disk(request, request.parent)[1])
        )

    def BatchCreateDisks(
        self, request: pb.BatchCreateDisksRequest, context: Any = None
    ) -> pb.BatchCreateDisksResponse:
        def create() -> pb.BatchCreateDisksResponse:
            with self._model.nexuses.looked_at_once():
                specs = planned(request, self._requests, self._plan_disk)
                return pb.BatchCreateDisksResponse(disks=map(self._add_disk, specs))

        return self._requests.change(request, create)

    def _plan_disk(self, request: pb.CreateDiskRequest, parent: str) -> tuple[str, DiskSpec]:
        host_id, vm_id = VM.parse(parent, "parent")
        fields = given(request.disk, DiskSpec) | {"device": self._device(host_id, request.disk)}
        spec = DiskSpec(host_id, vm_id, request.disk_id, **fields)
        self._model.check_disk(spec)
        return DISK.format(host_id, vm_id, request.disk_id), spec

    def _add_disk(self, spec: DiskSpec) -> pb.Disk:
        self._model.create_disk(spec)
        return self._disk(spec.host_id, spec.vm_id, spec.disk_id)

    def _device(self, host_id: str, disk: pb.Disk) -> str:
        """Returns the device's name on its host; refuses one of another host."""
        multipath_id, owner, device = DEVICE.parse(disk.device, "disk.device")
        here = f"{self._model.device_name}/hosts/{host_id}"
        if f"multipaths/{multipath_id}/hosts/{owner}" != here:
            raise InvalidArgument.at(
                "disk.device", f"{disk.device!r} is not within the VM's reach: use {here}/devices/…"
            )
        return device

    def GetDisk(self, request: pb.GetDiskRequest, context: Any = None) -> pb.Disk:
        return self._get(DISK, request.name, self._disk)

    def ListDisks(self, request: pb.ListDisksRequest, context: Any = None) -> pb.ListDisksResponse:
        host_id, vm_id = VM.parse(request.parent, "parent")
        with self._requests.read():
            self._model.vm(host_id, vm_id)
            disks = [d for host, vm, d in self._model.disks if (host, vm) == (host_id, vm_id)]
            found, token = page(disks, request.page_size, request.page_token, request.parent)
            return pb.ListDisksResponse(
                disks=[self._disk(host_id, vm_id, disk_id) for disk_id in found],
                next_page_token=token,
            )

    def DeleteDisk(self, request: pb.DeleteDiskRequest, context: Any = None) -> empty_pb2.Empty:
        def delete(*disk: str) -> None:
            self._ios.collect()
            self._model.delete_disk(*disk)

        return self._delete(DISK, request, delete)

    def _disk(self, host_id: str, vm_id: str, disk_id: str) -> pb.Disk:
        disk = self._model.disk(host_id, vm_id, disk_id)
        return pb.Disk(
            name=DISK.format(host_id, vm_id, disk_id),
            device=f"{self._model.device_name}/hosts/{host_id}/devices/{disk.spec.device}",
            capacity_bytes=disk.capacity_bytes,
            device_offset_bytes=disk.spec.device_offset_bytes,
            guest_queue_depth=disk.spec.guest_queue_depth,
            guest_queued_count=int(self._model.state["queue"][disk.row]["queued"]),
        )

    # --- jobs -------------------------------------------------------------------------------

    def CreateJob(self, request: pb.CreateJobRequest, context: Any = None) -> pb.Job:
        return self._requests.change(
            request, lambda: self._add_job(self._plan_job(request, request.parent)[1])
        )

    def BatchCreateJobs(
        self, request: pb.BatchCreateJobsRequest, context: Any = None
    ) -> pb.BatchCreateJobsResponse:
        slots = 0

        def plan(one: pb.CreateJobRequest, parent: str) -> tuple[str, tuple[JobPlan, pb.Job]]:
            nonlocal slots
            name, (made, described) = self._plan_job(one, parent, slots)
            slots += made.slots
            return name, (made, described)

        def create() -> pb.BatchCreateJobsResponse:
            plans = planned(request, self._requests, plan)
            return pb.BatchCreateJobsResponse(jobs=map(self._add_job, plans))

        return self._requests.change(request, create)

    def _plan_job(
        self, request: pb.CreateJobRequest, parent: str, slots_before: int = 0
    ) -> tuple[str, tuple[JobPlan, pb.Job]]:
        """Returns what a job will do, and its description with all defaults; or refuses it."""
        host_id, vm_id = VM.parse(parent, "parent")
        identifier("job.job_id", request.job_id)
        job = request.job
        *owner, _ = DISK.parse(job.disk, "job.disk")
        if owner != [host_id, vm_id]:
            raise InvalidArgument.at("job.disk", f"{job.disk!r} belongs to another VM")
        records = self._traces.records(*TRACE.parse(job.trace, "job.trace")) if job.trace else None
        name = JOB.format(host_id, vm_id, request.job_id)
        plan, described = self._workload.compile_job(name, job, records)
        self._model.check_job(plan, slots_before)
        return name, (plan, described)

    def _add_job(self, planned_job: tuple[JobPlan, pb.Job]) -> pb.Job:
        plan, described = planned_job
        key = (plan.host_id, plan.vm_id, plan.job_id)
        self._model.create_job(plan)
        self._jobs[key] = described
        return self._job(*key)

    def GetJob(self, request: pb.GetJobRequest, context: Any = None) -> pb.Job:
        return self._get(JOB, request.name, self._job)

    def ListJobs(self, request: pb.ListJobsRequest, context: Any = None) -> pb.ListJobsResponse:
        host_id, vm_id = VM.parse(request.parent, "parent")
        with self._requests.read():
            self._model.vm(host_id, vm_id)
            jobs = [j for host, vm, j in self._jobs if (host, vm) == (host_id, vm_id)]
            found, token = page(jobs, request.page_size, request.page_token, request.parent)
            return pb.ListJobsResponse(
                jobs=[self._job(host_id, vm_id, job_id) for job_id in found],
                next_page_token=token,
            )

    def StopJob(self, request: pb.StopJobRequest, context: Any = None) -> pb.Job:
        host_id, vm_id, job_id = JOB.parse(request.name)

        def stop() -> pb.Job:
            self._model.stop_job(host_id, vm_id, job_id)
            return self._job(host_id, vm_id, job_id)

        return self._requests.change(request, stop)

    def DeleteJob(self, request: pb.DeleteJobRequest, context: Any = None) -> empty_pb2.Empty:
        def delete(*key: str) -> None:
            self._model.delete_job(*key)
            del self._jobs[key]

        return self._delete(JOB, request, delete)

    def _job(self, host_id: str, vm_id: str, job_id: str) -> pb.Job:
        status = JobStatus.of(self._model.state, self._model.job(host_id, vm_id, job_id))
        job = pb.Job()
        job.CopyFrom(self._jobs[host_id, vm_id, job_id])
        job.MergeFrom(pb.Job(**asdict(status)))
        return job

    # --- traces -----------------------------------------------------------------------------

    def UploadTrace(
        self, request_iterator: Iterator[pb.UploadTraceRequest], context: Any = None
    ) -> pb.Trace:
        upload = Upload(request_iterator)
        identifier("description.trace_id", upload.trace_id)
        # Before the border is taken, for a large file is long to parse.
        records, trace = self._requests.refusing(
            lambda: self._workload.parse_trace(upload.data, upload.description)
        )
        trace.name = TRACE.format(upload.trace_id)

        def create() -> pb.Trace:
            self._traces.add(upload.trace_id, records, trace)
            return trace

        return self._requests.change(upload, create)

    def GetTrace(self, request: pb.GetTraceRequest, context: Any = None) -> pb.Trace:
        found: pb.Trace = self._get(TRACE, request.name, self._traces.description)
        return found

    def ListTraces(
        self, request: pb.ListTracesRequest, context: Any = None
    ) -> pb.ListTracesResponse:
        with self._requests.read():
            found, token = page(self._traces, request.page_size, request.page_token, "traces")
            return pb.ListTracesResponse(
                traces=map(self._traces.description, found), next_page_token=token
            )

    def trace_records(self) -> dict[str, NDArray[Any]]:
        """Returns the commands of all traces; the caller holds the border."""
        return {trace_id: records for trace_id, (records, _) in self._traces.copy().items()}

    def DeleteTrace(self, request: pb.DeleteTraceRequest, context: Any = None) -> empty_pb2.Empty:
        def delete(trace_id: str) -> None:
            self._traces.delete(trace_id, self._jobs.values())

        return self._delete(TRACE, request, delete)

    # --- I/O --------------------------------------------------------------------------------

    def SubmitIo(self, request: pb.SubmitIoRequest, context: Any = None) -> pb.SubmitIoResponse:
        submitted = self._submit(request)
        active = context.is_active if context is not None else lambda: True
        try:
            outcome = self._timekeeper.wait_until(
                lambda: self._ios.outcome(submitted), active=active
            )
        except Refused:
            with self._requests.read():
                self._ios.abandon(submitted)
            raise
        return _io_response(outcome)

    def submit_unseen(self, request: pb.SubmitIoRequest) -> None:
        """Submits an I/O that nobody waits for: how a replay repeats SubmitIo."""
        submitted = self._submit(request, waits=False)
        with self._requests.read():
            self._ios.abandon(submitted)

    def _submit(self, request: pb.SubmitIoRequest, waits: bool = True) -> Submitted:
        host_id, vm_id, disk_id = DISK.parse(request.disk, "disk")
        disk = (host_id, vm_id, disk_id)
        if request.operation not in _OPERATIONS:
            known = ", ".join(map(_operation_name, _OPERATIONS))
            raise InvalidArgument.at("operation", f"{request.operation} is none of {known}")
        op, flags = _OPERATIONS[request.operation]
        flags |= _compared(request)
        recorder = self._requests.recorder
        with self._requests.read():
            recorder.begin()
            self._ios.check(disk, request.offset_bytes, request.length_bytes)
            source, source_disk = request.source_offset_bytes, _source_disk(request)
            if op is Op.COPY:
                self._ios.check_copy(
                    disk, source_disk or disk, source, request.offset_bytes, request.length_bytes
                )
            if waits:
                self._timekeeper.check_wait("it would never complete; submit it while time moves")
            made = self._ios.submit(
                disk,
                op,
                request.offset_bytes,
                request.length_bytes,
                flags=flags,
                source_offset_bytes=source,
                source_disk=source_disk,
            )
            number = recorder.record(request)
        recorder.settle(number)
        return made

    def GetStatistics(self, request: pb.GetStatisticsRequest, context: Any = None) -> pb.Statistics:
        with self._requests.read():
            rows = [self._disk_statistics(*key) for key in sorted(self._model.disks)]
            total = asdict(self._model.statistics())
        return pb.Statistics(disks=rows, **_with_summaries(total))

    def _disk_statistics(self, host_id: str, vm_id: str, disk_id: str) -> pb.DiskStatistics:
        found = asdict(self._model.disk_statistics(host_id, vm_id, disk_id))
        return pb.DiskStatistics(
            disk=DISK.format(host_id, vm_id, disk_id),
            io_count=found["read_count"] + found["write_count"] + found["error_count"],
            **_with_summaries(found),
        )

    # --- what all of them share -------------------------------------------------------------

    def _get(self, form: NameForm, name: str, one: Callable[..., _T]) -> _T:
        key = form.parse(name)
        with self._requests.read():
            return one(*key)

    def _delete(self, form: NameForm, request: Any, delete: Callable[..., None]) -> empty_pb2.Empty:
        key = form.parse(request.name)

        def change() -> empty_pb2.Empty:
            delete(*key)
            return empty_pb2.Empty()

        return self._requests.change(request, change)


def _with_summaries(found: dict[str, Any]) -> dict[str, Any]:
    """Returns statistics with their latencies as messages."""
    names = ("latency", "guest_queue_wait")
    return found | {name: types_pb2.LatencySummary(**found[name]) for name in names}


def _source_disk(request: pb.SubmitIoRequest) -> tuple[str, str, str] | None:
    """Returns the disk that a COPY names, and refuses what else names a source."""
    if request.operation != pb.IO_OPERATION_COPY:
        for name in ("source_disk", "source_offset_bytes"):
            if value := getattr(request, name):
                raise InvalidArgument.at(name, f"{value} is of a COPY alone: leave it out")
    if not request.source_disk:
        return None
    host_id, vm_id, disk_id = DISK.parse(request.source_disk, "source_disk")
    return host_id, vm_id, disk_id


def _compared(request: pb.SubmitIoRequest) -> int:
    """Checks what only a COMPARE AND WRITE has, and returns the flags that say it."""
    if request.operation != pb.IO_OPERATION_COMPARE_AND_WRITE:
        for name in ("expected_value", "new_value"):
            if getattr(request, name):
                raise InvalidArgument.at(name, "is for COMPARE_AND_WRITE: leave it out")
        return 0
    in_range("length_bytes", request.length_bytes, BLOCK_BYTES, BLOCK_BYTES)
    in_range("expected_value", request.expected_value, 0, VALUE_MAX)
    in_range("new_value", request.new_value, 0, VALUE_MAX)
    return compared(request.expected_value, request.new_value)


def _operation_name(operation: pb.IoOperation) -> str:
    return pb.IoOperation.Name(operation).removeprefix("IO_OPERATION_")


def _io_response(outcome: IoOutcome) -> pb.SubmitIoResponse:
    answered = outcome.kind == Kind.RESPONSE
    return pb.SubmitIoResponse(
        succeeded=succeeded(outcome),
        scsi_status=outcome.status if answered else 0,
        sense=outcome.sense,
        no_connect=not answered,
        issue_ns=outcome.issue_ns,
        latency_ns=outcome.latency_ns,
    )
