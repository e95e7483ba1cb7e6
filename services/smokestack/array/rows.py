"""How a spec becomes a row of the kernel's tables: the one place where decimals turn integers."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from .specs import (
    ControllerSpec,
    ControllerState,
    MediaDistribution,
    OutOfSpace,
    PoolSpec,
    PortSpec,
)
from .state import ArrayState

_U64 = 1 << 64


def append_controller(state: ArrayState, spec: ControllerSpec) -> int:
    """Adds a controller's row and its cores; returns the row's index."""
    index = state.append("controller")
    row = state["controller"][index]
    row["read_ns"], row["write_ns"] = spec.read_ns, spec.write_ns
    row["hit_threshold"] = min(int(Fraction(spec.read_hit_ratio) * _U64), _U64 - 1)
    row["hit_always"] = spec.read_hit_ratio >= 1
    row["write_back"] = spec.write_back
    row["cache_bytes"] = spec.cache_bytes
    if spec.cache_bytes:
        state.row["caching"] = 1
    state.append("destage")
    state.append("aged")
    destage = state["destage"][index]
    destage["low_bytes"] = _share(spec.cache_low_water_ratio, spec.cache_bytes)
    destage["high_bytes"] = _share(spec.cache_high_water_ratio, spec.cache_bytes)
    destage["marked"] = spec.cache_high_water_ratio > 0
    destage["drains"] = not (spec.enabled and spec.write_back)
    blocks = spec.read_cache_bytes // spec.read_cache_block_bytes
    state.add_reads(blocks, spec.read_cache_block_bytes)
    row["caches_reads"] = blocks > 0
    row["state"] = ControllerState.ONLINE if spec.enabled else ControllerState.FAILED
    row["disabled"] = not spec.enabled
    row["core_base"] = state.append("core", spec.core_count)
    row["core_count"] = spec.core_count
    return index


def _share(ratio: float, size_bytes: int) -> int:
    return int(Fraction(repr(ratio)) * size_bytes)


def append_port(state: ArrayState, spec: PortSpec, controller: int) -> int:
    """Adds a port's row; returns its index."""
    index = state.append("port")
    row = state["port"][index]
    row["command_ns"], row["refusal_ns"] = spec.command_ns, spec.refusal_ns
    row["ns_per_mib"] = (10**9 << 20) // spec.bandwidth_bytes_per_second
    row["forward_ns"], row["return_ns"] = spec.forward_latency_ns, spec.return_latency_ns
    row["controller"], row["home"], row["wire"] = controller, controller, index
    state.row["port_count"] = index + 1
    row["queue_limit"], row["up"] = spec.queue_limit, spec.enabled
    row["disabled"] = not spec.enabled
    row["hang_refusals"] = spec.hang_refusals
    return index


def append_pool(state: ArrayState, spec: PoolSpec, drive_group: int) -> int:
    """Adds a pool's row, which has no disks yet; returns its index."""
    index = state.append("pool")
    state.reserve_notes()
    row = state["pool"][index]
    row["page_bytes"] = spec.page_bytes
    row["drive_group"] = drive_group
    write_ns, sequential_ns = spec.media_write_ns, spec.media_sequential_ns
    row["media_ns"] = spec.media_ns
    row["media_write_ns"] = spec.media_ns if write_ns is None else write_ns
    row["media_follows"] = sequential_ns is not None
    row["media_sequential_ns"] = sequential_ns or 0
    row["media_varies"] = row["media_follows"] or row["media_write_ns"] != spec.media_ns
    row["exponential"] = spec.media_distribution is MediaDistribution.EXPONENTIAL
    row["disk_count"] = spec.disk_count
    set_space(row, spec)
    return index


def seat_pool(state: ArrayState, index: int, other: int | None) -> None:
    """Gives a new pool its disks: those that it shares with another one's row, or new ones.

    Pools that share begin at the same disk.  One that has more of them than the others takes all
    to new rows, with what each disk has to do, be it for pools that are gone.
    """
    others: list[int] = []
    if other is not None:
        bases = state.used("pool")["disk_base"]
        others = [int(row) for row in (bases == bases[other]).nonzero()[0] if row != index]
    pools = state["pool"][[index, *others]]
    had = int(pools["disk_count"][1:].max(initial=0))
    if had < pools["disk_count"][0]:
        old = int(pools["disk_base"][1]) if others else 0
        count = int(pools["disk_count"][0])
        base = state.append("disk", count)
        for table in ("head", "idle"):
            state.append(table, count)
        for table in ("disk", "head", "idle"):
            state[table][base : base + had] = state[table][old : old + had]
        pools["disk_base"] = base
    else:
        pools["disk_base"][0] = pools["disk_base"][1]
    pools["media_varies"] |= pools["media_varies"].max()  # each moves the others' heads
    state["pool"][[index, *others]] = pools


def set_space(row: Any, spec: PoolSpec) -> None:
    """Writes what a pool has, and how it grows, warns and runs out; what it holds stays."""
    page = spec.page_bytes
    row["capacity_pages"] = capacity = spec.capacity_bytes // page
    limit = capacity
    if spec.limit_bytes:
        limit = min(capacity, (spec.limit_bytes + spec.limit_overdraft_bytes) // page)
    row["limit_pages"] = limit
    row["raw_page_bytes"] = spec.raw_page_bytes
    row["growth_pages"] = spec.growth_bytes // page
    row["step_pages"] = spec.step_bytes // page
    row["step_most_pages"] = spec.step_bytes_max // page
    row["step_window_ns"] = spec.step_window_ns
    row["overdraft_pages"] = spec.limit_overdraft_bytes // page
    warned_of = spec.limit_bytes or spec.capacity_bytes
    warning = int(Fraction(repr(spec.warning_ratio)) * warned_of) // page
    row["warning_pages"] = max(warning, 1) if spec.warning_ratio else _U64 - 1
    row["out_of_space"] = spec.out_of_space
    row["conservation_pages"] = spec.conservation_bytes // page
    row["emergency_pages"] = spec.emergency_bytes // page
    row["conservation_ns"] = spec.conservation_ns
    row["watched"] = bool(spec.warning_ratio) or spec.out_of_space is OutOfSpace.CONSERVE
