"""What guests have seen: counts and latencies, of one disk and of all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from smokestack.engine.histogram import percentile_ns
from smokestack.engine.sparse_histogram import dense, merged

from .state import HypervisorState


@dataclass(frozen=True)
class Latency:
    """A summary of guest latencies in ns; percentiles are off by at most 1.6 %."""

    count: int
    mean_ns: int
    p50_ns: int
    p90_ns: int
    p99_ns: int
    p999_ns: int
    max_ns: int


@dataclass(frozen=True)
class DiskStatistics:
    """One disk's I/O; an I/O counts as a read or a write when it succeeded, else as an error."""

    read_count: int
    write_count: int
    read_bytes: int
    write_bytes: int
    error_count: int
    outstanding_count: int  # those in the guest's queue included
    latency: Latency
    guest_queued_count: int
    guest_queue_wait: Latency  # of those that waited


@dataclass(frozen=True)
class Statistics:
    """All disks' I/O up to a time."""

    now_ns: int
    last_completion_ns: int
    io_count: int
    error_count: int
    outstanding_count: int
    latency: Latency
    digest: str
    guest_queued_count: int
    guest_queue_wait: Latency


def latency(row: Any) -> Latency:
    """Summarises one histogram row."""
    count = int(row["count"])
    return Latency(
        count=count,
        mean_ns=int(row["sum"]) // count if count else 0,
        p50_ns=percentile_ns(row, 0.5),
        p90_ns=percentile_ns(row, 0.9),
        p99_ns=percentile_ns(row, 0.99),
        p999_ns=percentile_ns(row, 0.999),
        max_ns=int(row["max"]),
    )


def disk_statistics(state: HypervisorState, disk: int) -> DiskStatistics:
    """Reads one disk's row and histogram."""
    row = state["disk"][disk]
    return DiskStatistics(
        read_count=int(row["reads"]),
        write_count=int(row["writes"]),
        read_bytes=int(row["read_bytes"]),
        write_bytes=int(row["write_bytes"]),
        error_count=int(row["errors"]),
        outstanding_count=int(row["outstanding"]),
        latency=_latency_of(state, "histogram", disk),
        guest_queued_count=int(state["queue"][disk]["queued"]),
        guest_queue_wait=_latency_of(state, "wait", disk),
    )


def _latency_of(state: HypervisorState, table: str, disk: int) -> Latency:
    return latency(dense(state[table][disk : disk + 1], state["chunk"])[0])


def statistics(state: HypervisorState, now_ns: int, digest: str) -> Statistics:
    """Adds up all disks."""
    row = state.row
    return Statistics(
        now_ns=now_ns,
        last_completion_ns=int(row["last_completion_ns"]),
        io_count=int(row["ios"]),
        error_count=int(row["errors"]),
        outstanding_count=int(row["outstanding"]) + int(row["queued"]),
        latency=latency(merged(state.used("histogram"), state["chunk"])[0]),
        digest=digest,
        guest_queued_count=int(row["queued"]),
        guest_queue_wait=latency(merged(state.used("wait"), state["chunk"])[0]),
    )
