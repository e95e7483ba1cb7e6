"""Multipath's tables: the kernel's memory, and growing it between windows."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from smokestack.engine.records import COMPLETION, NEVER_NS, SUBMISSION
from smokestack.engine.sparse_histogram import CHUNK, SPARSE_HISTOGRAM, WIDE_CHUNK
from smokestack.engine.tables import Tables, zeros

from . import _kernel

HEARD_ROWS: Final = 32  # of each device, as in attentions.h
NIL: Final = 0xFFFFFFFF
STIRRED, STIRRED_HERE = 1, 2  # a device may send more, from the next border on, or this one
_ORDER: Final = (
    "state",
    "device",
    "path",
    "order",
    "slot",
    "hand",
    "born",
    "out",
    "dispatch",
    "counts",
    "kernel_histogram",
    "path_histogram",
    "calendar",
    "bucket",
    "note",
    "heard",
    "policy",
    "measure",
    "adapter",
    "world",
    "detour",
    "detour_histogram",
    "link",
    "tap",
    "probe",
    "chunk",
    "control",
    "fault",
    "chain",
    "care",
    "health",
    "wide_chunk",
    "recovery",
    "timeout",
    "failback",
)
_COLUMNS: Final[dict[str, np.dtype[Any]]] = {
    "hand": COMPLETION,
    "born": COMPLETION,
    "out": COMPLETION,
    "dispatch": SUBMISSION,
    "counts": np.dtype("<u4"),
    "kernel_histogram": SPARSE_HISTOGRAM,
    "path_histogram": SPARSE_HISTOGRAM,
    "detour": np.dtype("<i8"),
    "detour_histogram": SPARSE_HISTOGRAM,
    "probe": SPARSE_HISTOGRAM,
    "chunk": CHUNK,
    "wide_chunk": WIDE_CHUNK,
    "calendar": np.dtype("V64"),
    "bucket": np.dtype("<u8"),
    "heard": np.dtype("<u8"),
    "timeout": np.dtype("<i8"),
}
_SLOT_ROWS = 1024
_CHECKS_PER_PATH: Final = 2  # commands that they send in one window at most
PROBE_HISTOGRAMS: Final = 10  # of each path; probe.h has as many
_PROBE_CHUNKS: Final = 6  # new ones that an answer can take at most, its dispatch included
_WIDE_CHUNKS: Final = 4  # ... of its path, its device and its detour, as in _kernel.c


class MultipathState(Tables):
    """The multipath kernel's tables; slots are the submitter's, row by row."""

    def __init__(self) -> None:
        rows = {"bucket": 64}
        super().__init__(_kernel.Kernel, _kernel.layout(), _ORDER, _COLUMNS, rows)
        self.paths_most = 1  # of any device
        self.batches: list[NDArray[Any]] = []  # each array's part of the dispatch table
        self["world"]["device"][0] = NIL  # the world of a slot that nothing has used
        for used in ("world_count", "chunk_used", "wide_chunk_used"):
            self.row[used] = 1
        self.row["change_ns"] = self.row["timer_ns"] = NEVER_NS
        self.kernel.start(0)
        self.fit_slots(_SLOT_ROWS)

    @property
    def row(self) -> Any:
        """The one row of clocks and settings."""
        return self["state"][0]

    def fit_slots(self, rows: int) -> None:
        """Makes room for this many outstanding I/Os in every table that they pass through.

        Within a window a command is dispatched at most once and once more for each of its paths
        that is lost, which bounds an array's batch; its abort is no more than a dispatch.  A device
        is reset at most as often.
        """
        self.reserve("slot", rows)
        slots = len(self["slot"])
        self.reserve("born", slots)
        self.reserve("detour", slots)
        self.reserve("world", 2 * slots)
        self._fit_hand(slots)
        self.reserve("bucket", 1 << (2 * slots - 1).bit_length())
        self._fit_dispatch()
        self.kernel.grow()

    def fit_paths(self, paths_most: int) -> None:
        """Makes room for devices of this many paths."""
        if paths_most > self.paths_most:
            self.paths_most = paths_most
            self._fit_dispatch()

    def refit(self, paths_most: int) -> None:
        """Takes over tables that were put in place as they once stood."""
        self.paths_most = paths_most
        self._fit_dispatch()

    def fit_arrays(self, arrays: int) -> None:
        """Makes room for one more array's batch."""
        self.row["array_count"] = arrays
        self.reserve("counts", arrays)
        self._fit_dispatch()

    def fit_hand(self, rows: int) -> None:
        """Makes room for this many completions in hand, and for what they add to histograms."""
        self._fit_hand(rows)
        self.reserve("wide_chunk", int(self.row["wide_chunk_used"]) + _WIDE_CHUNKS * rows)

    def fit_loss(self) -> None:
        """Makes room for notes of every path and device at once."""
        self.reserve("note", len(self.used("path")) + len(self.used("device")))

    def fit_notes(self) -> None:
        """Makes room for what a window may bring to be noted.

        Of each completion in hand a path's event, its device's, and that of its timer; of each slot
        that it timed out; of each device those of timers that ran before, and of its resets; and of
        each path that a check or a command found it dead and another check alive, with what that
        is to its device.
        """
        paths = len(self.used("path")) if self.row["caring"] else 0
        self.reserve("note", 4 * len(self["hand"]) + 8 * (len(self.used("device")) + paths))

    def fit_checks(self) -> None:
        """Makes room for the checks of every path and the reset of every device, and for what
        they find."""
        self._fit_dispatch()
        self.fit_notes()

    def fit_probe(self) -> None:
        """Makes room for what the probe sees of every path in one window."""
        paths = len(self.used("path"))
        self.reserve("tap", paths)
        self.reserve("probe", PROBE_HISTOGRAMS * paths)
        if self.row["probing"]:
            commands = len(self["hand"]) + len(self["slot"]) * (1 + self.paths_most)
            self.reserve("chunk", int(self.row["chunk_used"]) + _PROBE_CHUNKS * commands)

    def _fit_hand(self, rows: int) -> None:
        self.reserve("hand", rows)
        self.fit_notes()
        self.reserve("out", len(self["hand"]) + len(self["born"]))

    def _fit_dispatch(self) -> None:
        """Gives each array a batch of its own; the batches are empty between windows."""
        checks = _CHECKS_PER_PATH * len(self.used("path")) if self.row["caring"] else 0
        commands = len(self["slot"]) + len(self.used("device"))  # a reset each
        rows = commands * (1 + self.paths_most) + checks
        arrays = max(1, int(self.row["array_count"]))
        if rows * arrays > len(self["dispatch"]):
            # a bit more than that: hosts are scanned one after the other
            more = max(rows * arrays, len(self["dispatch"]) * 9 // 8)
            self.replace("dispatch", zeros(more, SUBMISSION))
        rows = len(self["dispatch"]) // arrays
        self.row["dispatch_rows"] = rows
        self.batches = [self["dispatch"][a * rows : (a + 1) * rows] for a in range(arrays)]
