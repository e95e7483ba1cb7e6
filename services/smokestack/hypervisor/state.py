"""The hypervisor's tables: the kernel's memory, and a job's rows in it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from smokestack.engine.jobplan import JobPlan
from smokestack.engine.records import COMPLETION, NEVER_NS, SUBMISSION, TRACE
from smokestack.engine.sparse_histogram import SPARSE_HISTOGRAM, WIDE_CHUNK
from smokestack.engine.tables import Tables

from . import _kernel

_ORDER: Final = (
    "state",
    "job",
    "slot",
    "disk",
    "size",
    "zipf",
    "trace",
    "free",
    "inbox",
    "out",
    "histogram",
    "calendar",
    "bucket",
    "note",
    "digest",
    "chunk",
    "queue",
    "adapter",
    "entered",
    "wait",
)
_COLUMNS: Final[dict[str, np.dtype[Any]]] = {
    "zipf": np.dtype("<u4"),
    "trace": TRACE,
    "free": np.dtype("<u4"),
    "inbox": COMPLETION,
    "out": SUBMISSION,
    "histogram": SPARSE_HISTOGRAM,
    "chunk": WIDE_CHUNK,
    "entered": np.dtype("<i8"),
    "wait": SPARSE_HISTOGRAM,
    "calendar": np.dtype("V64"),
    "bucket": np.dtype("<u8"),
    "digest": np.dtype("V128"),
}


class HypervisorState(Tables):
    """The hypervisor kernel's tables; a job owns a run of slots, and never gives it back."""

    def __init__(self) -> None:
        rows = {"bucket": 64}
        super().__init__(_kernel.Kernel, _kernel.layout(), _ORDER, _COLUMNS, rows)
        self.row["change_ns"] = NEVER_NS
        self.row["chunk_used"] = 1
        self.kernel.start(0)

    @property
    def row(self) -> Any:
        """The one row of clocks and counters."""
        return self["state"][0]

    @property
    def slot_count(self) -> int:
        """Slots handed out to jobs so far."""
        return len(self.used("slot"))

    def append_slots(self, count: int) -> int:
        """Adds a run of slots and room for as many I/Os everywhere; returns the first."""
        base = self.append("slot", count)
        slots = len(self["slot"])
        for table in ("free", "inbox", "out", "entered"):
            self.reserve(table, slots)
        self.reserve("note", len(self["inbox"]) + len(self["job"]))
        buckets = 2 * (slots + len(self["job"]))
        self.reserve("bucket", 1 << (buckets - 1).bit_length())
        self.kernel.grow()
        return base

    def fit_chunks(self, count: int) -> None:
        """Makes room for what this many more completions may add to histograms."""
        waiting = int(self.row["inbox_count"]) + count
        each = 2 if self.row["limited"] else 1  # the wait in the guest has its own
        self.reserve("chunk", int(self.row["chunk_used"]) + each * waiting)

    def append_disk(self, adapter: int, guest_queue_depth: int) -> int:
        """Writes a disk's rows; returns their index."""
        row = self.append("disk")
        for table in ("histogram", "wait", "queue"):
            self.append(table)
        self["queue"][row]["adapter"], self["queue"][row]["depth"] = adapter, guest_queue_depth
        return row

    def append_adapter(self, depth: int) -> int:
        """Writes the row of a VM's adapter; returns its index."""
        row = self.append("adapter")
        self["adapter"][row]["depth"] = depth
        return row

    def limit_job(self, index: int) -> None:
        """Has a job's commands wait in the guest, if its disk or the VM's adapter has a limit."""
        queue = self["queue"][self["job"][index]["disk"]]
        if queue["depth"] or self["adapter"][queue["adapter"]]["depth"]:
            self["job"][index]["limited"] = self.row["limited"] = 1

    def append_job(self, plan: JobPlan, *, region_bytes: int, now_ns: int, broker_ns: int) -> int:
        """Writes a job's rows and tables; returns its index.  It does not run before start_job."""
        index = self.append("job")
        base = self.append_slots(plan.slots)
        row = self["job"][index]
        row["slot_base"], row["slot_count"] = base, plan.slots
        row["base_ns"] = max(plan.start_ns, now_ns)
        row["broker_ns"] = broker_ns
        row["kind"], row["pattern"] = int(plan.kind), int(plan.pattern)
        row["region_bytes"] = region_bytes
        for column, value in (
            ("uid", plan.uid),
            ("io_limit", plan.io_limit),
            ("read_threshold", plan.read_threshold),
            ("read_always", plan.read_always),
            ("write_op", plan.write_op),
            ("write_flags", plan.write_flags),
            ("zero_threshold", plan.zero_threshold),
            ("stop_ns", plan.stop_ns),
            ("think_ns", plan.think_ns),
            ("think_exponential", plan.think_exponential),
            ("interval_ns", plan.interval_ns),
            ("arrival_exponential", plan.arrival_exponential),
            ("backoff_ns", plan.error_backoff_ns),
            ("scale_num", plan.scale_num),
            ("scale_den", plan.scale_den),
        ):
            row[column] = value
        self._append_content(index, plan)
        return index

    def _append_content(self, index: int, plan: JobPlan) -> None:
        if plan.block_sizes:
            base = self.append("size", len(plan.block_sizes))
            for at, (length, threshold) in enumerate(plan.block_sizes):
                self["size"][base + at] = (threshold, length)
            self["job"][index]["size_base"] = base
            self["job"][index]["size_count"] = len(plan.block_sizes)
        if plan.zipf is not None:
            base = self.append("zipf", len(plan.zipf))
            self["zipf"][base : base + len(plan.zipf)] = plan.zipf
            self["job"][index]["zipf_base"] = base
        if plan.trace is not None:
            base = self.append("trace", len(plan.trace))
            self["trace"][base : base + len(plan.trace)] = plan.trace
            self["job"][index]["trace_base"] = base
            self["job"][index]["trace_count"] = len(plan.trace)
