"""What a hypervisor needs to run a job: integers and tables, made once from a job's description.

The workload room compiles descriptions into plans and the hypervisor runs plans, so neither
imports the other.  Times are nanoseconds of virtual time, sizes are bytes, and every probability
is a threshold that a uniform random word is compared with: a plan holds no floating-point number,
so it means the same on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .records import Op

BLOCK_SIZES_MAX: Final = 8  # entries of a plan's block-size table
ZIPF_RANKS: Final = 1024  # entries of a plan's cumulative zipf table
SLOTS_PER_JOB_MAX: Final = 1 << 16  # outstanding I/Os of one job


class JobKind(IntEnum):
    """What makes a job issue its next I/O."""

    CLOSED = 1  # a completion: each slot issues again after its think time
    RATE = 2  # the clock: arrivals at a given rate
    TRACE_OPEN = 3  # the clock: arrivals at the trace's recorded times
    TRACE_CLOSED = 4  # a completion: the trace's commands in order, its times ignored


class Pattern(IntEnum):
    """Where in its region a synthetic job's next I/O falls."""

    RANDOM = 1  # uniform
    SEQUENTIAL = 2  # ascending from the region's start, again and again
    ZIPF = 3  # rank i of 1,024 equal buckets with weight (i + 1) ** -theta


@dataclass(frozen=True, eq=False, kw_only=True)
class JobPlan:
    """One job, ready to run; ``compile_job`` checks every field, the hypervisor trusts them.

    Plans compare by identity: tables make field-by-field equality ambiguous.
    """

    host_id: str
    vm_id: str
    disk_id: str
    job_id: str
    kind: JobKind
    uid: int  # u64: the job's share of every random counter, from its full name

    slots: int  # most outstanding I/Os, 1 to SLOTS_PER_JOB_MAX
    start_ns: int = 0  # absolute; a job made later starts when it is made
    stop_ns: int = 0  # absolute; no I/O is issued at or after it; 0: never
    io_limit: int = 0  # I/Os to issue in all; 0: no limit
    error_backoff_ns: int = 10_000_000  # closed loops: the wait after a failed I/O

    think_ns: int = 0  # closed loops: (mean) wait between a completion and the next issue
    think_exponential: bool = False

    interval_ns: int = 0  # RATE: (mean) time between arrivals, at least 1
    arrival_exponential: bool = False

    pattern: Pattern = Pattern.RANDOM
    read_threshold: int = 0  # u64: an I/O reads if its random word is below this ...
    read_always: bool = False  # ... or always, since a u64 cannot hold 2 ** 64
    write_op: int = int(Op.WRITE)  # what an I/O does that does not read
    write_flags: int = 0  # ... and its flags
    copy_source_bytes: int = 0  # Op.COPY: where it copies from, from the disk's start ...
    copy_source_disk: tuple[str, str, str] | None = None  # ... or from this one's: host, VM, disk
    zero_threshold: int = 0  # u64: it has Flag.ZEROS, too, if a random word is below this
    region_offset_bytes: int = 0  # from the disk's start, a multiple of 512
    region_bytes: int = 0  # a multiple of 512; 0: to the end of the disk (the model resolves it)
    # (length in bytes, cumulative threshold up to 2 ** 32), 1 to BLOCK_SIZES_MAX entries, the
    # thresholds ascending and the last one 2 ** 32; empty for a trace.
    block_sizes: tuple[tuple[int, int], ...] = ()
    # ZIPF_RANKS cumulative thresholds; the last, 2 ** 32, does not fit and stands as 2 ** 32 - 1,
    # so a word that is below none takes the last rank.
    zipf: npt.NDArray[np.uint32] | None = None

    trace: npt.NDArray[Any] | None = None  # engine.records.TRACE, C-contiguous
    scale_num: int = 1  # TRACE_OPEN: recorded times are multiplied by scale_num / scale_den
    scale_den: int = 1

    @property
    def name(self) -> str:
        """Returns the job's full resource name."""
        return f"hosts/{self.host_id}/vms/{self.vm_id}/jobs/{self.job_id}"
