"""How a spec becomes a row of the kernel's tables: the one place where decimals turn integers."""

from __future__ import annotations

from fractions import Fraction

from .specs import ControllerSpec, ControllerState, MediaDistribution, PoolSpec, PortSpec
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
    row["state"] = ControllerState.ONLINE if spec.enabled else ControllerState.FAILED
    row["disabled"] = not spec.enabled
    row["core_base"] = state.append("core", spec.core_count)
    row["core_count"] = spec.core_count
    return index


def append_port(state: ArrayState, spec: PortSpec, controller: int) -> int:
    """Adds a port's row; returns its index."""
    index = state.append("port")
    row = state["port"][index]
    row["command_ns"], row["refusal_ns"] = spec.command_ns, spec.refusal_ns
    row["ns_per_mib"] = (10**9 << 20) // spec.bandwidth_bytes_per_second
    row["forward_ns"], row["return_ns"] = spec.forward_latency_ns, spec.return_latency_ns
    row["controller"], row["wire"] = controller, index
    row["queue_limit"], row["up"] = spec.queue_limit, spec.enabled
    row["disabled"] = not spec.enabled
    return index


def append_pool(state: ArrayState, spec: PoolSpec) -> int:
    """Adds a pool's row and its disks; returns the row's index."""
    index = state.append("pool")
    state.reserve("note", index + 1 + len(state["fault"]))
    row = state["pool"][index]
    row["page_bytes"] = spec.page_bytes
    row["capacity_pages"] = spec.capacity_bytes // spec.page_bytes
    row["media_ns"] = spec.media_ns
    row["exponential"] = spec.media_distribution is MediaDistribution.EXPONENTIAL
    row["disk_base"] = state.append("disk", spec.disk_count)
    row["disk_count"] = spec.disk_count
    return index
