"""An array's tables and its window: the kernel's memory, and growing it between windows."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from smokestack.engine.blockdevice import IoBatch, Reply
from smokestack.engine.records import COMPLETION
from smokestack.engine.sparse_histogram import SPARSE_HISTOGRAM, WIDE_CHUNK
from smokestack.engine.tables import Tables, dtypes, zeros

from . import _kernel

PAGE_NUMBER_BITS: Final = 40  # of a row of the page map, as in pages.h
BLOCK_NUMBER_BITS: Final = 41  # of a row of the table of blocks, as in blocks.h
CONFLICT_ROW: Final = 16  # of them, counts conflicts with reservations
ATTENTION_ROWS: Final = 20  # of each ITL, as in tables.h
RAW_NOT_COUNTED: Final = (1 << 64) - 1
DRIVES_DEFAULT_ROW: Final = 0  # of raw_free: the group of pools that name none
_NEEDS_COMMANDS, _NEEDS_PAGES, _NEEDS_OUT, _NEEDS_DELTAS, _NEEDS_NOTES = 1, 2, 3, 4, 5
_NEEDS_CHUNKS, _NEEDS_BLOCKS = 6, 7
_ORDER: Final = (
    "state",
    "port",
    "controller",
    "core",
    "pool",
    "disk",
    "volume",
    "itl",
    "io",
    "page",
    "share",
    "inbox",
    "out",
    "histogram",
    "calendar",
    "bucket",
    "note",
    "fault",
    "chain",
    "delta",
    "attention",
    "head",
    "quota",
    "quotas_of",
    "raw_free",
    "extent",
    "read_cache",
    "read_slot",
    "read_index",
    "unit",
    "chunk",
    "task",
    "block",
    "destage",
    "aged",
    "idle",
)
_COLUMNS: Final[dict[str, np.dtype[Any]]] = {
    "core": np.dtype("<i8"),
    "disk": np.dtype("<i8"),
    "head": np.dtype("<u8"),
    "raw_free": np.dtype("<u8"),
    "inbox": np.dtype("<u4"),
    "out": COMPLETION,
    "histogram": SPARSE_HISTOGRAM,
    "chunk": WIDE_CHUNK,
    "calendar": np.dtype("V64"),
    "bucket": np.dtype("<u8"),
    "delta": dtypes(_kernel.layout())["page"],
}
_IO_ROWS = 1024
_PAGE_ROWS = 1 << 16
_DELTA_ROWS = 1 << 12
_SHARE_ROWS = 1 << 8
_BLOCK_ROWS = 1 << 6


class ArrayState(Tables):
    """The array kernel's tables; every index is a row that was appended and never moves."""

    def __init__(self) -> None:
        rows = {
            "io": _IO_ROWS,
            "inbox": _IO_ROWS,
            "out": 2 * _IO_ROWS,
            "bucket": 2 * _IO_ROWS,
            "page": _PAGE_ROWS,
            "share": _SHARE_ROWS,
            "block": _BLOCK_ROWS,
        }
        super().__init__(_kernel.Kernel, _kernel.layout(), _ORDER, _COLUMNS, rows)
        self["raw_free"][self.append("raw_free")] = RAW_NOT_COUNTED
        self.append("unit")  # nobody's: of volumes that were never exported
        self.row["chunk_used"] = 1
        self.noted = 0  # notes that the last window left
        self.restart(0)

    @property
    def row(self) -> Any:
        """The one row of clocks and settings."""
        return self["state"][0]

    def exchange(self, until_ns: int, batch: IoBatch) -> Reply:
        """Runs one window, growing tables first when the batch needs it."""
        need, ready, next_ns, self.noted = self.kernel.exchange(until_ns, *batch)
        while need:
            self._grow(need, batch.count)
            need, ready, next_ns, self.noted = self.kernel.exchange(until_ns, *batch)
        return Reply(self["out"], ready, next_ns)

    def run_to(self, time_ns: int, batch: IoBatch) -> None:
        """Takes a batch and runs up to a time within its window, all but what happens then."""
        need, self.noted = self.kernel.run_to(time_ns, *batch)
        while need:
            self._grow(need, batch.count)
            need, self.noted = self.kernel.run_to(time_ns, *batch)

    def _grow(self, need: int, count: int) -> None:
        if need == _NEEDS_COMMANDS:
            old = len(self["io"])
            self.reserve("io", old + count)
            rows = len(self["io"])
            self.reserve("inbox", rows)
            buckets = 1 << (2 * rows - 1).bit_length()
            self.reserve("bucket", buckets)
            self.reserve_notes()
            self.kernel.grow(old)
        elif need == _NEEDS_PAGES:
            self._copy_pages(2 * len(self["page"]))
        elif need == _NEEDS_OUT:
            self.reserve("out", 2 * len(self["out"]))
        elif need == _NEEDS_NOTES:
            self.reserve("note", 2 * len(self["note"]) + count)
        elif need == _NEEDS_CHUNKS:
            self.reserve("chunk", int(self.row["chunk_used"]) + len(self["io"]) + count)
        elif need == _NEEDS_BLOCKS:
            self._copy_blocks(2 * len(self["block"]))
        elif need == _NEEDS_DELTAS:
            self.reserve("delta", max(_DELTA_ROWS, 2 * len(self["delta"])))

    def reserve_notes(self) -> None:
        """Makes room for the notes of one window: a few for each command, pool and fault, one for
        each snapshot that may go stale and each volume that may come back."""
        pools = self.used("pool")
        rows = 4 * len(self["io"]) + 8 * len(pools) + len(self["fault"])
        rows += int(self.row["snapshot_count"]) + int(pools["offline_count"].sum())
        self.reserve("note", rows)

    def make_unit(self, volume: int) -> None:
        """Gives a volume's row a unit of its own, unless it has one."""
        if not self["volume"][volume]["unit"]:
            self["volume"][volume]["unit"] = self.append("unit")

    def reserve_pages(self, count: int) -> None:
        """Makes room in the page map for so many more pages."""
        pages = int(self.row["page_count"]) + int(self.row["page_pending"]) + count
        rows = _doubled(len(self["page"]), pages)
        if rows > len(self["page"]):
            self._copy_pages(rows)

    def share_pages(self, source: int, target: int) -> int:
        """Lets an empty volume have all pages of another; returns how many."""
        pages = int(self["volume"][source]["allocated_pages"])
        if not pages:
            return 0
        self.reserve_pages(pages)
        rows = _doubled(len(self["share"]), int(self.row["share_count"]) + pages)
        if rows > len(self["share"]):
            old = self["share"]
            self.replace("share", zeros(rows, old.dtype))
            self.kernel.copy_shares(old)
        self.reserve_blocks(int(self.row["block_count"]))
        return int(self.kernel.share(source, target))

    def _copy_pages(self, rows: int) -> None:
        """Moves the page map to a table of another size."""
        old = self["page"]
        self.replace("page", zeros(rows, old.dtype))
        self.kernel.copy_pages(old)

    def reserve_blocks(self, count: int) -> None:
        """Makes room for so many more blocks with a value, besides those of commands under way."""
        commands = len(self["io"]) - int(self.row["io_free_count"])
        blocks = int(self.row["block_count"]) + commands + count
        rows = _doubled(len(self["block"]), blocks)
        if count and rows > len(self["block"]):
            self._copy_blocks(rows)

    def _copy_blocks(self, rows: int) -> None:
        """Moves the table of blocks with a value to one of another size."""
        old = self["block"]
        self.replace("block", zeros(rows, old.dtype))
        self.kernel.copy_blocks(old)

    def keep_deltas(self, keep: bool) -> None:
        """Begins to note the changes that I/O makes to the page map, or ends it."""
        self.row["delta_count"], self.row["delta_kept"] = 0, keep

    def take_deltas(self) -> NDArray[Any]:
        """Returns the changes of the page map noted since the last call, in order."""
        noted: NDArray[Any] = self["delta"][: int(self.row["delta_count"])].copy()
        self.row["delta_count"] = 0
        return noted

    def repeat_deltas(self, noted: NDArray[Any]) -> None:
        """Makes changes of the page map again; ValueError: they are of another array."""
        self.reserve_pages(len(noted))
        self.reserve_blocks(len(noted))
        self.kernel.repeat_pages(noted)

    def restart(self, now_ns: int) -> None:
        """Forgets every command in flight; pages and counters stay."""
        self.kernel.start(now_ns)
        row = self.row
        row["until_ns"] = now_ns
        row["page_pending"] = row["inbox_count"] = row["destages"] = 0
        row["copies"] = row["copy_blocks"] = 0
        row["out_start"] = row["out_end"] = row["out_disorder"] = 0
        self["port"]["outstanding"] = 0
        self["itl"]["outstanding"] = 0
        self["controller"]["dirty_bytes"] = 0
        self["destage"]["waiting_bytes"] = self["destage"]["flushing"] = 0
        for line in ("aged", "idle"):
            self[line][:] = 0
        self.count_commands()

    def count_commands(self) -> None:
        """Counts volumes' and hosts' commands anew, where they have limits."""
        if self.row["lun_limits"]:
            itls, outstanding = self["itl"], self["volume"]["outstanding"]
            outstanding[:] = 0
            np.add.at(outstanding, itls["volume"], itls["outstanding"])
        if self.row["host_limits"]:
            quotas, of = self["quota"]["outstanding"], self.used("quotas_of")
            quotas[:] = 0
            for kind in ("host", "at_port"):
                np.add.at(quotas, of[kind], self.used("itl")["outstanding"])

    def forget_latencies(self) -> None:
        """Empties every ITL's histogram."""
        self["histogram"].view("u1")[:] = 0
        self["chunk"].view("u1")[: int(self.row["chunk_used"]) * self["chunk"].itemsize] = 0
        self.row["chunk_used"] = 1

    def add_reads(self, block_count: int, block_bytes: int) -> None:
        """Gives the newest controller a read cache of so many blocks; 0: none."""
        index = self.append("read_cache")
        row = self["read_cache"][index]
        row["block_bytes"], row["slot_count"] = block_bytes, block_count
        if block_count:
            places = max(8, 1 << (2 * block_count).bit_length())
            row["slot_base"] = self.append("read_slot", block_count)
            row["index_base"] = self.append("read_index", places)
            row["index_mask"] = places - 1
            self.row["read_caches"] = 1

    def forget_reads(self, controller: int) -> None:
        """Empties a controller's read cache."""
        row = self["read_cache"][controller]
        slots, index = int(row["slot_base"]), int(row["index_base"])
        row["used"] = row["hand"] = 0
        if row["slot_count"]:
            self["read_slot"][slots : slots + int(row["slot_count"])] = 0
            self["read_index"][index : index + int(row["index_mask"]) + 1] = 0


def _doubled(rows: int, used: int) -> int:
    """Returns how long a hash table must be to stay half empty."""
    while 2 * used > rows - 1:
        rows *= 2
    return rows
