"""The worlds of a device between windows: what mClock gives each, in ``mclock.h``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .specs import WorldShares
from .state import NIL, MultipathState


def worlds(state: MultipathState, device: int) -> Iterator[int]:
    """Yields the rows of a device's worlds, newest first."""
    at = int(state["device"]["world_head"][device])
    while at != NIL:
        yield at
        at = int(state["world"]["next"][at])


def set_shares(state: MultipathState, device: int, given: Iterable[WorldShares]) -> None:
    """Gives these worlds their shares, and others the usual; none at all: first come, first out."""
    wanted = {each.vm_number: each for each in given}
    known = {int(state["world"]["vm"][row]) for row in worlds(state, device)}
    for vm_number in wanted.keys() - known:
        _add(state, device, vm_number)
    for row in worlds(state, device):
        world = state["world"][row]
        found = wanted.get(int(world["vm"]), WorldShares(0, shares=0))
        world["shares"], world["limit_iops"] = found.shares, found.limit_iops
        world["reservation_iops"] = found.reservation_iops
        world["reservation_tag"] = world["limit_tag"] = world["share_tag"] = 0
    row = state["device"][device]
    row["mclock"], row["virtual_time"] = bool(wanted), 0
    row["stirred"] = state.row["stirred"] = 1


def shares_of(state: MultipathState, device: int) -> tuple[WorldShares, ...]:
    """Returns what worlds have been given, by number."""
    found = (state["world"][row] for row in worlds(state, device))
    names = ("vm", "shares", "reservation_iops", "limit_iops")
    given = sorted(tuple(int(w[name]) for name in names) for w in found if w["shares"])
    return tuple(WorldShares(*values) for values in given)


def _add(state: MultipathState, device: int, vm_number: int) -> None:
    row = int(state.row["world_count"])
    state.reserve("world", row + 1)
    world = state["world"][row]
    world["device"], world["vm"] = device, vm_number
    world["next"] = state["device"]["world_head"][device]
    state["device"]["world_head"][device] = row
    state.row["world_count"] = row + 1
