"""What VMs do to their disks: fio-like jobs and recorded traces, compiled into plans."""

from smokestack.workload.job import (
    Arrival,
    JobSpec,
    Pattern,
    ThinkTime,
    TraceMode,
)
from smokestack.workload.plan import compile_job

__all__ = ["Arrival", "JobSpec", "Pattern", "ThinkTime", "TraceMode", "compile_job"]
