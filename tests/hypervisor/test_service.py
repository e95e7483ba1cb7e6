"""The hypervisor as its API shows it: hosts, VMs, disks, jobs, traces, and I/O by hand."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from google.protobuf.message import Message

from smokestack.engine.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Refused,
    ResourceExhausted,
)
from smokestack.hypervisor import upload as upload_module
from smokestack.v1 import hypervisor_pb2 as pb
from smokestack.v1 import simulation_pb2 as sim
from smokestack.workload.traces import bundled
from tests.api import DEVICE, DISK, GIB, VM, Stack

JOB = f"{VM}/jobs/j0"


@pytest.fixture
def stack() -> Stack:
    return Stack()


def upload(
    trace_id: str, data: bytes, trace_format: str = "", request_id: str = ""
) -> Iterator[pb.UploadTraceRequest]:
    description = pb.UploadTraceDescription(
        trace_id=trace_id, format=trace_format, request_id=request_id
    )
    yield pb.UploadTraceRequest(description=description)
    for start in range(0, len(data), 10_000):
        yield pb.UploadTraceRequest(data=data[start : start + 10_000])


def vscsi1(lbas: list[int]) -> bytes:
    """A trace in vscsiStats' format 1: writes of 4 KiB, a microsecond apart."""
    return b"".join(
        struct.pack("<IIIHHQQ", n, 4096, 1, 0x2A, 0x0100, lba, 1_000 + n)
        for n, lba in enumerate(lbas)
    )


def get_job(stack: Stack) -> pb.Job:
    return stack.hypervisor.GetJob(pb.GetJobRequest(name=JOB))


def advance(stack: Stack, duration_ns: int) -> None:
    stack.simulation.Advance(sim.AdvanceRequest(duration_ns=duration_ns))


def test_what_is_not_set_takes_the_documented_default(stack: Stack) -> None:
    assert stack.hypervisor.GetVm(pb.GetVmRequest(name=VM)).broker_ns == 2500
    disk = stack.hypervisor.GetDisk(pb.GetDiskRequest(name=DISK))
    assert (disk.device, disk.capacity_bytes) == (DEVICE, 4 * GIB)
    job = stack.create_job("j0")
    assert (job.name, job.iodepth, job.read_ratio) == (JOB, 1, 1.0)
    assert job.pattern == pb.PATTERN_RANDOM and job.zipf_theta == 1.1
    assert [(b.length_bytes, b.weight) for b in job.block_sizes] == [(4096, 1)]
    assert job.error_backoff_ns == 10_000_000
    assert (job.arrival, job.think_time) == (pb.ARRIVAL_CONSTANT, pb.THINK_TIME_CONSTANT)
    assert job.state == pb.JOB_STATE_RUNNING
    assert stack.create_job("j1", rate_iops=10).iodepth == 4096


def test_a_job_tells_what_it_does(stack: Stack) -> None:
    made = stack.create_job("j0", iodepth=4, read_ratio=0, io_limit=100)
    assert (made.read_ratio, made.io_limit) == (0.0, 100)
    stack.simulation.Advance(sim.AdvanceRequest(until_idle=True))
    job = get_job(stack)
    assert job.state == pb.JOB_STATE_FINISHED
    assert (job.issued_count, job.completed_count, job.error_count) == (100, 100, 0)
    statistics = stack.hypervisor.GetStatistics(pb.GetStatisticsRequest())
    assert (statistics.io_count, statistics.error_count) == (100, 0)
    assert statistics.latency.p50_ns <= statistics.latency.p999_ns <= statistics.latency.max_ns
    assert len(statistics.digest) == 64
    [row] = statistics.disks
    assert (row.disk, row.io_count, row.write_count) == (DISK, 100, 100)
    assert (row.write_bytes, row.read_count, row.outstanding_count) == (409_600, 0, 0)
    assert row.latency == statistics.latency


def test_a_stopped_job_issues_nothing_more_and_can_be_deleted(stack: Stack) -> None:
    stack.create_job("j0", iodepth=4)
    advance(stack, 5_000_000)
    with pytest.raises(FailedPrecondition, match="stop it"):
        stack.hypervisor.DeleteJob(pb.DeleteJobRequest(name=JOB))
    stopped = stack.hypervisor.StopJob(pb.StopJobRequest(name=JOB))
    assert stopped.state == pb.JOB_STATE_STOPPED
    advance(stack, 50_000_000)
    job = get_job(stack)
    assert job.issued_count == job.completed_count == stopped.issued_count
    stack.hypervisor.DeleteJob(pb.DeleteJobRequest(name=JOB))
    assert not stack.hypervisor.ListJobs(pb.ListJobsRequest(parent=VM)).jobs
    stack.hypervisor.DeleteDisk(pb.DeleteDiskRequest(name=DISK))
    stack.hypervisor.DeleteVm(pb.DeleteVmRequest(name=VM))
    stack.hypervisor.DeleteHost(pb.DeleteHostRequest(name="hosts/h1"))
    assert not stack.hypervisor.ListHosts(pb.ListHostsRequest()).hosts


def test_the_number_of_a_vm_that_is_gone_is_given_to_no_other(stack: Stack) -> None:
    def made(vm_id: str) -> int:
        request = pb.CreateVmRequest(parent=VM.rpartition("/vms/")[0], vm_id=vm_id)
        return stack.hypervisor.CreateVm(request).number

    numbers = [made("a"), made("b")]
    stack.hypervisor.DeleteVm(pb.DeleteVmRequest(name=f"{VM.rpartition('/')[0]}/a"))
    numbers.append(made("c"))
    assert len(set(numbers)) == 3


def test_a_trace_is_uploaded_replayed_and_kept_while_in_use(stack: Stack) -> None:
    disk = stack.hypervisor.GetDisk(pb.GetDiskRequest(name=DISK))
    trace = stack.hypervisor.UploadTrace(upload("t1", bundled()))
    assert trace.command_count == trace.read_count + trace.write_count > 0
    assert stack.hypervisor.ListTraces(pb.ListTracesRequest()).traces[0] == trace
    assert trace.end_bytes > disk.capacity_bytes
    with pytest.raises(InvalidArgument, match=r"job\.trace"):
        stack.create_job("j0", trace="traces/t1")
    small = stack.hypervisor.UploadTrace(upload("t2", vscsi1(lbas=[0, 800, 8])))
    assert (small.command_count, small.write_count, small.end_bytes) == (3, 3, 808 * 512)
    assert small.duration_ns == 2_000
    job = stack.create_job("j0", trace="traces/t2", trace_mode=pb.TRACE_MODE_CLOSED)
    assert (job.trace, job.trace_mode) == ("traces/t2", pb.TRACE_MODE_CLOSED)
    with pytest.raises(FailedPrecondition, match="j0"):
        stack.hypervisor.DeleteTrace(pb.DeleteTraceRequest(name="traces/t2"))
    stack.simulation.Advance(sim.AdvanceRequest(until_idle=True))
    assert get_job(stack).completed_count == 3
    stack.hypervisor.DeleteTrace(pb.DeleteTraceRequest(name="traces/t1"))
    with pytest.raises(NotFound):
        stack.hypervisor.GetTrace(pb.GetTraceRequest(name="traces/t1"))


def test_a_malformed_trace_is_refused_with_the_offset(stack: Stack) -> None:
    with pytest.raises(InvalidArgument, match="offset 96") as caught:
        stack.hypervisor.UploadTrace(upload("t1", bundled()[:100]))
    assert [v.field for v in caught.value.violations] == ["data"]
    with pytest.raises(InvalidArgument, match="vscsi1") as caught:
        stack.hypervisor.UploadTrace(upload("t1", bundled(), "nothing-known"))
    assert [v.field for v in caught.value.violations] == ["description.format"]
    with pytest.raises(InvalidArgument, match="first message"):
        stack.hypervisor.UploadTrace(iter([pb.UploadTraceRequest(data=b"x")]))
    with pytest.raises(InvalidArgument, match="first message"):
        stack.hypervisor.UploadTrace(iter([]))
    assert not stack.hypervisor.ListTraces(pb.ListTracesRequest()).traces


def test_an_upload_can_be_retried_but_not_swapped(stack: Stack) -> None:
    first = stack.hypervisor.UploadTrace(upload("t1", bundled(), request_id="r"))
    assert stack.hypervisor.UploadTrace(upload("t1", bundled(), request_id="r")) == first
    with pytest.raises(InvalidArgument, match="used for another request"):
        stack.hypervisor.UploadTrace(upload("t1", bundled()[:-32], request_id="r"))
    with pytest.raises(AlreadyExists):
        stack.hypervisor.UploadTrace(upload("t1", bundled()))


def test_an_upload_has_a_limit(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_module, "TRACE_BYTES_MAX", 1000)
    with pytest.raises(ResourceExhausted, match="1000 bytes"):
        stack.hypervisor.UploadTrace(upload("t1", bundled()))


def write(**fields: Any) -> pb.SubmitIoRequest:
    return pb.SubmitIoRequest(disk=DISK, operation=pb.IO_OPERATION_WRITE, **fields)


def copy(**fields: Any) -> pb.SubmitIoRequest:
    fields = {"length_bytes": 4096} | fields
    return pb.SubmitIoRequest(disk=DISK, operation=pb.IO_OPERATION_COPY, **fields)


def test_a_disk_whose_places_cannot_be_named_is_not_copied_of(stack: Stack) -> None:
    disk = pb.Disk(device=DEVICE, device_offset_bytes=512)
    made = stack.hypervisor.CreateDisk(pb.CreateDiskRequest(parent=VM, disk_id="d9", disk=disk))
    request = copy(source_offset_bytes=1 << 20)
    request.disk = made.name
    with pytest.raises(FailedPrecondition, match="begins at byte 512") as caught:
        stack.hypervisor.SubmitIo(request)
    assert caught.value.reason == "COPY_MISALIGNED"


def test_a_host_copies_from_disks_of_its_own_on_the_same_array(stack: Stack) -> None:
    stack.hypervisor.CreateHost(pb.CreateHostRequest(host_id="h2"))
    stack.hypervisor.CreateVm(pb.CreateVmRequest(parent="hosts/h2", vm_id="vm1"))
    model = stack.hypervisor_model
    here = model.disk(*DISK.split("/")[1::2])
    for host_id, device, refusal in (
        ("h2", "a1.v1", InvalidArgument),
        ("h1", "a2.v1", FailedPrecondition),
    ):
        spec = replace(here.spec, host_id=host_id, disk_id="d7", device=device)
        model.disks[host_id, "vm1", "d7"] = replace(here, spec=spec)
        request = copy(source_offset_bytes=1 << 20)
        request.source_disk = f"hosts/{host_id}/vms/vm1/disks/d7"
        with pytest.raises(refusal) as caught:
            stack.hypervisor.SubmitIo(request)
        assert caught.value.reason == "COPY_ANOTHER_ARRAY" or caught.value.violations
    assert not model.jobs


def test_io_by_hand_is_refused_while_time_stands_still(stack: Stack) -> None:
    with pytest.raises(FailedPrecondition, match="stands still") as caught:
        stack.hypervisor.SubmitIo(write(length_bytes=4096))
    assert caught.value.reason == "CLOCK_STOPPED"
    assert not stack.hypervisor_model.jobs


def test_io_by_hand_completes_while_time_advances(stack: Stack) -> None:
    stop = threading.Event()

    def run() -> None:
        stack.hypervisor_model.advance(10**15, stop.is_set)

    stack.create_job("j0")
    thread = threading.Thread(target=run)
    thread.start()
    try:
        while not (issued_after_ns := stack.hypervisor_model.now_ns):
            pass
        answer = stack.hypervisor.SubmitIo(write(offset_bytes=1 << 20, length_bytes=8192))
        with pytest.raises(InvalidArgument) as caught:
            stack.hypervisor.SubmitIo(write(length_bytes=1000))
    finally:
        stop.set()
        thread.join()
    assert answer.succeeded and not answer.no_connect
    assert 100_000 < answer.latency_ns < 10_000_000
    assert answer.issue_ns >= issued_after_ns > 0
    assert [v.field for v in caught.value.violations] == ["length_bytes"]
    [row] = stack.hypervisor.GetStatistics(pb.GetStatisticsRequest()).disks
    assert (row.write_count, row.write_bytes) == (1, 8192)
    jobs = stack.hypervisor.ListJobs(pb.ListJobsRequest(parent=VM)).jobs
    assert [job.name for job in jobs] == [JOB]


def job_request(**fields: object) -> pb.CreateJobRequest:
    job = pb.Job(**({"disk": DISK} | fields))
    return pb.CreateJobRequest(parent=VM, job_id="j9", job=job)


REFUSED: list[tuple[str, Message, type[Refused], list[str]]] = [
    ("GetHost", pb.GetHostRequest(name="hosts/none"), NotFound, []),
    ("GetVm", pb.GetVmRequest(name="vms/vm1"), InvalidArgument, ["name"]),
    ("CreateHost", pb.CreateHostRequest(host_id="h1"), AlreadyExists, []),
    ("CreateHost", pb.CreateHostRequest(), InvalidArgument, ["host_id"]),
    ("CreateVm", pb.CreateVmRequest(parent="hosts/none", vm_id="v"), NotFound, []),
    (
        "CreateVm",
        pb.CreateVmRequest(parent="hosts/h1", vm_id="v", vm=pb.Vm(broker_ns=-1)),
        InvalidArgument,
        ["vm.broker_ns"],
    ),
    (
        "CreateVm",
        pb.CreateVmRequest(
            parent="hosts/h1", vm_id="v", vm=pb.Vm(guest_adapter_queue_depth=65_537)
        ),
        InvalidArgument,
        ["vm.guest_adapter_queue_depth"],
    ),
    (
        "CreateDisk",
        pb.CreateDiskRequest(
            parent=VM, disk_id="d1", disk=pb.Disk(device=DEVICE, guest_queue_depth=-1)
        ),
        InvalidArgument,
        ["disk.guest_queue_depth"],
    ),
    (
        "CreateDisk",
        pb.CreateDiskRequest(parent=VM, disk_id="d1", disk=pb.Disk(device="a1.v1")),
        InvalidArgument,
        ["disk.device"],
    ),
    (
        "CreateDisk",
        pb.CreateDiskRequest(
            parent=VM, disk_id="d1", disk=pb.Disk(device=DEVICE.replace("h1", "h2"))
        ),
        InvalidArgument,
        ["disk.device"],
    ),
    (
        "CreateDisk",
        pb.CreateDiskRequest(
            parent=VM, disk_id="d1", disk=pb.Disk(device=DEVICE, capacity_bytes=5 * GIB)
        ),
        InvalidArgument,
        ["disk.capacity_bytes"],
    ),
    (
        "CreateJob",
        job_request(read_ratio=2.0, block_sizes=[pb.BlockSize(length_bytes=1000)]),
        InvalidArgument,
        ["job.read_ratio", "job.block_sizes[0].length_bytes"],
    ),
    ("CreateJob", job_request(iodepth=0), InvalidArgument, ["job.iodepth"]),
    ("CreateJob", job_request(pattern=9), InvalidArgument, ["job.pattern"]),
    ("CreateJob", job_request(disk="d0"), InvalidArgument, ["job.disk"]),
    (
        "CreateJob",
        job_request(disk=DISK.replace("vm1", "vm2")),
        InvalidArgument,
        ["job.disk"],
    ),
    ("CreateJob", job_request(disk=f"{VM}/disks/d9"), NotFound, []),
    ("CreateJob", job_request(trace="traces/none"), NotFound, []),
    ("DeleteHost", pb.DeleteHostRequest(name="hosts/h1"), FailedPrecondition, []),
    ("DeleteVm", pb.DeleteVmRequest(name=VM), FailedPrecondition, []),
    ("StopJob", pb.StopJobRequest(name=JOB), NotFound, []),
    ("DeleteJob", pb.DeleteJobRequest(name=JOB), NotFound, []),
    ("DeleteTrace", pb.DeleteTraceRequest(name="traces/none"), NotFound, []),
    ("SubmitIo", pb.SubmitIoRequest(disk=DISK), InvalidArgument, ["operation"]),
    *[
        ("SubmitIo", request, InvalidArgument, [field])
        for request, field in (
            (copy(source_offset_bytes=512), "source_offset_bytes"),
            (copy(source_offset_bytes=-(1 << 20)), "source_offset_bytes"),
            (copy(source_offset_bytes=1 << 50), "source_offset_bytes"),
            (copy(source_offset_bytes=1 << 20, offset_bytes=4096), "offset_bytes"),
            (copy(source_offset_bytes=1 << 20, length_bytes=2 << 20), "source_offset_bytes"),
            (copy(offset_bytes=0), "source_offset_bytes"),
            (write(length_bytes=512, source_offset_bytes=1 << 20), "source_offset_bytes"),
            (write(length_bytes=512, source_disk=DISK), "source_disk"),
            (copy(source_disk="d0"), "source_disk"),
            (copy(source_disk=DISK), "source_offset_bytes"),  # where it goes
        )
    ],
]


@pytest.mark.parametrize(
    ("method", "request_", "refusal", "fields"),
    REFUSED,
    ids=[f"{method}-{refusal.__name__}-{n}" for n, (method, _, refusal, _) in enumerate(REFUSED)],
)
def test_bad_requests_are_refused_and_change_nothing(
    stack: Stack, method: str, request_: Message, refusal: type[Refused], fields: list[str]
) -> None:
    before = stack.hypervisor.GetStatistics(pb.GetStatisticsRequest())
    handler: Callable[[Message], Message] = getattr(stack.hypervisor, method)
    with pytest.raises(refusal) as caught:
        handler(request_)
    assert [v.field for v in caught.value.violations] == fields
    assert stack.hypervisor.GetStatistics(pb.GetStatisticsRequest()) == before
    assert not stack.hypervisor.ListJobs(pb.ListJobsRequest(parent=VM)).jobs
