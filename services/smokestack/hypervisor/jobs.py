"""What a job is doing, as plain data read from the kernel's row."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from smokestack.engine.jobplan import JobKind

from .inventory import Job
from .state import HypervisorState

_CLOCK_DRIVEN = (JobKind.RATE, JobKind.TRACE_OPEN)


class JobState(IntEnum):
    """Whether a job issues."""

    RUNNING = 1  # it does, or will at its start time
    STOPPED = 2  # an administrator has stopped it
    FINISHED = 3  # it has come to its end


@dataclass(frozen=True)
class JobStatus:
    """A job's state and its counts since it started."""

    state: JobState
    issued_count: int
    completed_count: int
    error_count: int
    backlog_count: int  # arrivals that wait for a slot

    @classmethod
    def of(cls, state: HypervisorState, job: Job) -> JobStatus:
        """Reads a job's row."""
        row = state["job"][job.index]
        return cls(
            state=_job_state(row, int(state.row["until_ns"])),
            issued_count=int(row["issued"]),
            completed_count=int(row["completed"]),
            error_count=int(row["errors"]),
            backlog_count=int(row["backlog"]),
        )


def _job_state(row: Any, now_ns: int) -> JobState:
    """The kernel's job_over(), for a reader: what is owed to the backlog is still issued."""
    if row["stopped"]:
        return JobState.STOPPED
    number = row["arrivals"] if row["kind"] in _CLOCK_DRIVEN else row["issued"]
    limits = [int(limit) for limit in (row["io_limit"], row["trace_count"]) if limit]
    over = any(number >= limit for limit in limits) or 0 < row["stop_ns"] <= now_ns
    return JobState.FINISHED if over and not row["backlog"] else JobState.RUNNING
