"""What an array's resources hold and have done, as plain data read from the kernel's rows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

from .specs import ControllerState, PoolSpec


class PoolState(IntEnum):
    """How a pool is doing (FACTS 4.6)."""

    NORMAL = 1
    WARNING = 2
    CONSERVATION = 3
    EXHAUSTED = 4


def state_of(row: Any) -> PoolState:
    """Reads a pool's state from its row."""
    if row["exhausted"] or row["emergency"]:
        return PoolState.EXHAUSTED
    if row["conserving"]:
        return PoolState.CONSERVATION
    return PoolState.WARNING if row["warned"] else PoolState.NORMAL


def free_pages(row: Any, raw_free_bytes: int | None = None) -> int:
    """Reads from a pool's row what it can still hand out, perhaps as far as drives let it grow."""
    used = int(row["allocated_pages"]) + int(row["room_pages"])
    free = max(int(row["limit_pages"]) - used, 0)
    if raw_free_bytes is None or not row["growth_pages"]:
        return free
    ahead = max(int(row["grown_pages"]) - used, 0)
    return min(free, ahead + raw_free_bytes // int(row["raw_page_bytes"]))


@dataclass(frozen=True)
class PoolUsage:
    """A thin pool's space: what it has, has handed out, and has promised."""

    capacity_bytes: int
    allocated_bytes: int
    subscribed_bytes: int
    snapshot_bytes: int
    allocation_failure_count: int
    state: PoolState
    reserved_bytes: int
    grown_bytes: int
    free_bytes: int
    growth_count: int
    step_count: int
    warning_count: int
    media_busy_ns: int
    unwritten_bytes: int  # of those allocated: of full volumes

    @classmethod
    def of(
        cls,
        row: Any,
        spec: PoolSpec,
        subscribed_bytes: int,
        said_bytes: int,
        unwritten_pages: int = 0,
    ) -> PoolUsage:
        """Reads a pool's row; how much it has is what the array says."""
        return cls(
            unwritten_bytes=unwritten_pages * spec.page_bytes,
            capacity_bytes=said_bytes,
            allocated_bytes=(int(row["allocated_pages"]) + unwritten_pages) * spec.page_bytes,
            subscribed_bytes=subscribed_bytes,
            snapshot_bytes=int(row["snapshot_pages"]) * spec.page_bytes,
            allocation_failure_count=int(row["failures"]),
            state=state_of(row),
            reserved_bytes=(int(row["room_pages"]) - unwritten_pages) * spec.page_bytes,
            grown_bytes=(
                int(row["grown_pages"]) * spec.page_bytes if row["growth_pages"] else said_bytes
            ),
            free_bytes=free_pages(row) * spec.page_bytes + said_bytes - spec.capacity_bytes,
            growth_count=int(row["growths"]),
            step_count=int(row["steps"]),
            warning_count=int(row["warnings"]),
            media_busy_ns=int(row["media_busy_ns"]),
        )


class VolumeUsage(NamedTuple):
    """What a volume or a snapshot has of its pool, and what is reserved for it besides."""

    allocated_bytes: int
    reserved_bytes: int = 0
    unwritten_bytes: int = 0  # of those allocated: of a full volume


class UnitUsage(NamedTuple):
    """What hosts have done to a volume as a logical unit; nothing, if it was never exported."""

    unmap_count: int = 0
    unmapped_bytes: int = 0
    write_same_count: int = 0
    zero_write_count: int = 0
    zero_bytes: int = 0
    copy_count: int = 0
    copied_bytes: int = 0
    compare_and_write_count: int = 0
    miscompare_count: int = 0

    @classmethod
    def of(cls, row: Any, page_bytes: int) -> UnitUsage:
        """Reads a unit's row."""
        return cls(
            unmap_count=int(row["unmaps"]),
            unmapped_bytes=int(row["unmapped_pages"]) * page_bytes,
            write_same_count=int(row["write_sames"]),
            zero_write_count=int(row["zero_writes"]),
            zero_bytes=int(row["zero_pages"]) * page_bytes,
            copy_count=int(row["copies"]),
            copied_bytes=int(row["copied_bytes"]),
            compare_and_write_count=int(row["compares"]),
            miscompare_count=int(row["miscompares"]),
        )


class Responses(NamedTuple):
    """What a volume has answered: how many commands, and in what time on average."""

    response_count: int
    mean_response_ns: int


@dataclass(frozen=True)
class ControllerUsage:
    """A controller's state, and its write cache."""

    state: ControllerState
    dirty_bytes: int
    write_through: bool
    forced_write_count: int
    cache_flush_count: int
    busy_ns: int
    read_hit_count: int
    read_miss_count: int
    read_cached_bytes: int
    read_eviction_count: int

    @classmethod
    def of(cls, row: Any, reads: Any, destage: Any) -> ControllerUsage:
        """Reads a controller's row, and those of its caches."""
        return cls(
            state=ControllerState(int(row["state"])),
            dirty_bytes=int(row["dirty_bytes"]),
            write_through=not row["write_back"],
            forced_write_count=int(row["forced"]),
            cache_flush_count=int(destage["flushes"]),
            busy_ns=int(row["busy_ns"]),
            read_hit_count=int(row["hits"]),
            read_miss_count=int(row["misses"]),
            read_cached_bytes=int(reads["used"]) * int(reads["block_bytes"]),
            read_eviction_count=int(reads["evictions"]),
        )


@dataclass(frozen=True)
class PortUsage:
    """A front-end port's queue, and its counts since the array started."""

    outstanding_count: int
    command_count: int
    task_set_full_count: int
    busy_count: int
    dropped_count: int
    aborted_count: int
    rx_bytes: int
    tx_bytes: int
    link_up: bool

    @classmethod
    def of(cls, row: Any, aborted_count: int) -> PortUsage:
        """Reads a port's row; what is aborted is counted at its nexuses."""
        return cls(
            outstanding_count=int(row["outstanding"]),
            command_count=int(row["commands"]),
            task_set_full_count=int(row["task_set_full"]),
            busy_count=int(row["busy"]),
            dropped_count=int(row["dropped"]),
            aborted_count=aborted_count,
            rx_bytes=int(row["rx_bytes"]),
            tx_bytes=int(row["tx_bytes"]),
            link_up=bool(row["up"]),
        )
