"""Fills a pool without I/O: pages mapped as first writes would map them, at a border.

A shortcut to states that tests want; no command is served, so nothing is counted and no time
passes.
"""

from __future__ import annotations

from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from smokestack.engine.errors import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
)

from .usage import free_pages

if TYPE_CHECKING:
    from .model import ArrayModel

PAGES_MAX: Final = 1 << 25  # mapped at once; a page takes 16 to 64 bytes of memory


def target_pages(ratio: float, capacity_pages: int) -> int:
    """Returns how many pages are allocated in a pool that is so full, rounded down."""
    return int(Decimal(repr(ratio)) * capacity_pages)


def fill_pool(model: ArrayModel, pool_id: str, ratio: float, volume_id: str = "") -> None:
    """Maps unmapped pages in ascending order, volume by volume, until a pool is so full.

    All is checked first: a pool whose volumes lack the pages stays as it is.
    """
    if pool_id not in model.pools:
        raise NotFound.of(f"{model.name}/pools/{pool_id}")
    if not (isfinite(ratio) and 0 < ratio <= 1):
        raise InvalidArgument.at("ratio", f"{ratio:g} is not above 0 and at most 1")
    pool = model.state["pool"][model.row_of("pools", pool_id)]
    missing = target_pages(ratio, int(pool["capacity_pages"])) - int(pool["allocated_pages"])
    if missing <= 0:
        return
    if missing > PAGES_MAX:
        raise ResourceExhausted(
            f"{missing} pages are more than the {PAGES_MAX} that may be filled at once: give the "
            "pool larger pages or less capacity",
            reason="TOO_MANY_PAGES",
            resource=f"{model.name}/pools/{pool_id}",
        )
    free = _unmapped(model, pool_id, volume_id)
    if sum(free.values()) < missing:
        raise FailedPrecondition(
            f"{volume_id or 'the volumes of'} {model.name}/pools/{pool_id} have "
            f"{sum(free.values())} unmapped pages, {missing} are missing to fill it: create a "
            "volume, or let one grow",
            reason="VOLUMES_TOO_SMALL",
            resource=f"{model.name}/pools/{pool_id}",
        )
    room = free_pages(pool, model.drives.left(pool_id))
    if not _has_space(model, pool, _counts(free, missing), room):
        raise FailedPrecondition(
            f"{model.name}/pools/{pool_id} can hand out {room} more pages, {missing} are missing "
            "to fill it, and volumes that grow in steps keep what is left of them: raise its limit",
            reason="LIMITED",
            resource=f"{model.name}/pools/{pool_id}",
        )
    model.state.reserve_pages(missing)
    for volume, count in _counts(free, missing):
        model.state.kernel.fill(model.row_of("volumes", volume), count)
    model.tell_notes()


def _counts(free: dict[str, int], missing: int) -> list[tuple[str, int]]:
    """Returns how many pages which volume is to map."""
    counts = []
    for volume, unmapped in free.items():
        if count := min(missing, unmapped):
            counts.append((volume, count))
            missing -= count
    return counts


def _has_space(model: ArrayModel, pool: Any, counts: list[tuple[str, int]], room: int) -> bool:
    """Whether a pool has what volumes take from it one after the other: ``space_take``, foreseen.

    A thick volume has all its pages; another one first uses up the room of its last step.
    """
    for volume_id, count in counts:
        volume = model.state["volume"][model.row_of("volumes", volume_id)]
        taken = 0 if volume["thick"] else max(count - int(volume["room_pages"]), 0)
        if taken > room:
            return False
        if taken and pool["step_pages"]:
            taken = max(taken, min(_step(model, volume, pool), _left(volume, pool), room))
        room -= taken
    return True


def _left(volume: Any, pool: Any) -> int:
    """Returns how many pages a volume's steps may yet reserve."""
    size = -(-int(volume["capacity_bytes"]) // int(pool["page_bytes"]))
    has = int(volume["allocated_pages"]) + int(volume["room_pages"])
    return max(size + int(pool["overdraft_pages"]) - has, 0)


def _step(model: ArrayModel, volume: Any, pool: Any) -> int:
    """Returns how large a volume's next step is."""
    last, more = int(volume["step_pages"]), int(pool["step_pages"])
    if not last:
        return more
    if int(model.state.row["until_ns"]) - int(volume["step_ns"]) >= int(pool["step_window_ns"]):
        return last
    return min(last + more, int(pool["step_most_pages"]))


def _unmapped(model: ArrayModel, pool_id: str, volume_id: str) -> dict[str, int]:
    """Returns the unmapped pages of the volumes to take them from, in the order of names."""
    page_bytes = model.pools[pool_id].page_bytes
    volumes = {v.volume_id: v for v in model.volumes.values() if v.pool_id == pool_id}
    if volume_id and volume_id not in volumes:
        choice = ", ".join(sorted(volumes)[:5]) or "it has none"
        raise InvalidArgument.at("volume", f"{volume_id!r} is no volume of the pool: {choice}")
    chosen = [volume_id] if volume_id else sorted(volumes)
    return {
        name: -(-volumes[name].capacity_bytes // page_bytes)
        - int(model.state["volume"][model.row_of("volumes", name)]["allocated_pages"])
        for name in chosen
    }
