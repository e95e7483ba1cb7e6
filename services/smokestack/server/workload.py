"""What jobs and traces mean: the API's messages in the workload room's terms, and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from smokestack.engine.errors import InvalidArgument, Violation
from smokestack.engine.jobplan import JobPlan
from smokestack.engine.messages import given, member
from smokestack.v1 import hypervisor_pb2 as pb
from smokestack.workload.job import Arrival, JobSpec, Pattern, ThinkTime, TraceMode
from smokestack.workload.plan import compile_job
from smokestack.workload.traces import parse, trace_info

_CHOICES = {
    "pattern": Pattern,
    "arrival": Arrival,
    "think_time": ThinkTime,
    "trace_mode": TraceMode,
}


class JobsAndTraces:
    """Compiles jobs and parses traces for a hypervisor's service."""

    def parse_trace(
        self, data: bytes, description: pb.UploadTraceDescription
    ) -> tuple[NDArray[Any], pb.Trace]:
        """Returns a file's commands and what they are in all, or refuses the file."""
        records = parse(data, description.format, description.volume)
        info = trace_info(records)
        return records, pb.Trace(
            command_count=info["commands"],
            read_count=info["reads"],
            write_count=info["writes"],
            read_bytes=info["read_bytes"],
            write_bytes=info["write_bytes"],
            duration_ns=int(records["time_ns"].max()) if len(records) else 0,
            end_bytes=info["end_bytes"],
        )

    def compile_job(
        self, name: str, job: pb.Job, records: NDArray[Any] | None
    ) -> tuple[JobPlan, pb.Job]:
        """Returns a job's plan and its description with all defaults, or refuses it."""
        spec = job_spec(name, job)
        try:
            plan = compile_job(spec, name, records)
        except InvalidArgument as refused:
            raise _in_our_terms(refused) from refused
        return plan, _described(name, job, replace(spec, iodepth=plan.slots))


def job_spec(name: str, job: pb.Job) -> JobSpec:
    """Returns a job's description in the workload room's terms."""
    _, host_id, _, vm_id, _, job_id = name.split("/")
    fields = given(job, JobSpec)
    if job.HasField("iodepth") and not job.iodepth:
        raise InvalidArgument.at("job.iodepth", "0 is not a whole number above 0")
    for field, enum in _CHOICES.items():
        default = getattr(JobSpec, field)
        fields[field] = member(enum, getattr(job, field), f"job.{field}", default)
    if job.block_sizes:
        fields["block_sizes"] = tuple(
            (size.length_bytes, size.weight if size.HasField("weight") else 1)
            for size in job.block_sizes
        )
    if job.trace:
        fields["trace"] = job.trace.rpartition("/")[2]
    disk_id = job.disk.rpartition("/")[2]
    return JobSpec(host_id=host_id, vm_id=vm_id, disk_id=disk_id, job_id=job_id, **fields)


def _described(name: str, job: pb.Job, spec: JobSpec) -> pb.Job:
    described = pb.Job(
        name=name,
        disk=job.disk,
        trace=job.trace,
        iodepth=spec.iodepth,
        rate_iops=spec.rate_iops,
        think_ns=spec.think_ns,
        error_backoff_ns=spec.error_backoff_ns,
        start_ns=spec.start_ns,
        stop_ns=spec.stop_ns,
        io_limit=spec.io_limit,
        arrival=f"ARRIVAL_{spec.arrival.name}",
        think_time=f"THINK_TIME_{spec.think_time.name}",
    )
    if job.trace:
        mode = f"TRACE_MODE_{spec.trace_mode.name}"
        described.MergeFrom(pb.Job(trace_mode=mode, time_scale=spec.time_scale))
        return described
    content = pb.Job(
        pattern=f"PATTERN_{spec.pattern.name}",
        read_ratio=spec.read_ratio,
        zero_ratio=spec.zero_ratio,
        zipf_theta=spec.zipf_theta,
        region_offset_bytes=spec.region_offset_bytes,
        region_bytes=spec.region_bytes,
    )
    described.MergeFrom(content)
    for length_bytes, weight in spec.block_sizes:
        described.block_sizes.add(length_bytes=length_bytes, weight=weight)
    return described


def _in_our_terms(refused: InvalidArgument) -> InvalidArgument:
    """Renames the one field that the workload room calls otherwise."""
    violations = [
        Violation(v.field.replace("].bytes", "].length_bytes"), v.description)
        for v in refused.violations
    ]
    message = "; ".join(f"{v.field}: {v.description}" for v in violations)
    return InvalidArgument(message, reason=refused.reason, violations=violations)
