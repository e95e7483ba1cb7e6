"""A job as people describe it, in fio's vocabulary.

A job drives one virtual disk.  With a trace it replays recorded commands; without one it makes its
own, in a closed loop (``iodepth`` I/Os always outstanding) or, with ``rate_iops``, at a rate that
does not wait for the storage.  ``compile_job`` checks a description and turns it into integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from smokestack.engine.jobplan import Pattern

__all__ = ["Arrival", "JobSpec", "Pattern", "ThinkTime", "TraceMode"]


class Arrival(IntEnum):
    """How the arrivals of a job with a rate are spaced."""

    CONSTANT = 1
    POISSON = 2


class ThinkTime(IntEnum):
    """How the waits of a closed loop are distributed."""

    CONSTANT = 1
    EXPONENTIAL = 2


class TraceMode(IntEnum):
    """What of a trace is replayed."""

    OPEN = 1  # the commands at their recorded times, whether or not the storage keeps up
    CLOSED = 2  # the commands in their order, iodepth of them outstanding; times are ignored


@dataclass(frozen=True, kw_only=True)
class JobSpec:
    """One job of a VM; only the names of the VM, the disk and the job must be given."""

    host_id: str
    vm_id: str
    disk_id: str
    job_id: str

    # What is outstanding at most.  0 takes the default: 1 in a closed loop, 4,096 in an open one
    # (a rate or a trace at its times), where I/Os beyond it wait in the guest.
    iodepth: int = 0  # closed loop 1 to 4,096, open loop 1 to 65,536
    rate_iops: float = 0.0  # arrivals per second, to a thousandth; 0: a closed loop
    arrival: Arrival = Arrival.CONSTANT
    think_ns: int = 0  # closed loops: (mean) wait between a completion and the next issue
    think_time: ThinkTime = ThinkTime.CONSTANT
    error_backoff_ns: int = 10_000_000  # closed loops: the wait after a failed I/O

    # What an I/O is; a trace brings its own.
    pattern: Pattern = Pattern.RANDOM
    read_ratio: float = 1.0  # share of reads, 0 to 1
    zero_ratio: float = 0.0  # share of the writes whose data are all zeros, 0 to 1
    block_sizes: tuple[tuple[int, int], ...] = ((4096, 1),)  # (bytes, weight), up to 8
    zipf_theta: float = 1.1  # ZIPF: the skew, 0 (uniform) to 5
    region_offset_bytes: int = 0
    region_bytes: int = 0  # 0: from the offset to the end of the disk

    # When it runs, in virtual time.
    start_ns: int = 0
    stop_ns: int = 0  # no I/O is issued at or after it; 0: never stops
    io_limit: int = 0  # I/Os to issue in all; 0: no limit

    # Replay.
    trace: str = ""  # the trace's name; empty: the job makes its own I/Os
    trace_mode: TraceMode = TraceMode.OPEN
    # OPEN: recorded times are multiplied by it, to a thousandth: 2.0 replays at half the speed.
    time_scale: float = 1.0
