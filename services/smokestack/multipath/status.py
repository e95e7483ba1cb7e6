"""Devices and paths as they stand, as plain data read from the kernel's rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from smokestack.engine.labels import Labels
from smokestack.engine.records import AccessState

from . import checking
from .control import control_of
from .inventory import Device
from .selection import SelectionStatus, current_path, selection_status, settings_of
from .specs import (
    CheckerState,
    DeviceState,
    DisabledBy,
    PathFailureHandling,
    PathState,
    Plugin,
    QueueControl,
    Selector,
    SelectorSettings,
    WorldShares,
)
from .state import MultipathState
from .worlds import shares_of


@dataclass(frozen=True)
class PathStatus:
    """One I_T_L nexus: its state, and what it has carried."""

    name: str
    array_id: str
    initiator: str
    port: str
    state: PathState
    access: AccessState
    preferred_group: bool
    enabled: bool
    in_flight_count: int
    io_count: int
    io_bytes: int
    error_count: int
    refusal_count: int
    selection: SelectionStatus
    mean_response_ns: int
    out_of_range_count: int
    not_ready_ns: int
    checker_state: CheckerState | None  # None: it is not checked
    next_check_ns: int | None
    check_count: int


@dataclass(frozen=True)
class DeviceStatus:
    """A device of a host: its settings, its queues, its paths."""

    name: str
    host_id: str
    array_id: str
    lun: int
    capacity_bytes: int
    selector: Selector
    lun_queue_depth: int
    ios_per_path: int
    preferred_path: str
    selector_settings: SelectorSettings
    vendor: str
    model: str
    plugin: Plugin
    current_path: str  # that the policy stays on, or empty
    identifier: str
    found_identifier: str
    active_count: int
    queued_count: int
    labels: Labels
    sched_num_req_outstanding: int
    queue_limit: int
    state: DeviceState
    queue_control: QueueControl
    path_failure_handling: PathFailureHandling
    world_shares: tuple[WorldShares, ...]
    throttled_depth: int
    latency_window: int
    paths: tuple[PathStatus, ...]

    @classmethod
    def of(cls, state: MultipathState, device: Device) -> DeviceStatus:
        """Reads a device's row and its paths'."""
        row = state["device"][device.row]
        at = current_path(state, device.row, [path.row for path in device.paths.values()])
        return cls(
            name=device.name,
            host_id=device.host_id,
            array_id=device.array_id,
            lun=device.lun,
            capacity_bytes=device.capacity_bytes,
            selector=Selector(int(row["selector"])),
            lun_queue_depth=int(row["depth_configured"]),
            ios_per_path=int(row["ios_per_path"]),
            preferred_path=device.preferred_path or next(iter(device.paths), ""),
            selector_settings=settings_of(state, device.row),
            vendor=device.vendor,
            model=device.model,
            plugin=Plugin.VENDOR if device.claimed is Selector.VENDOR else Plugin.NATIVE,
            current_path="" if at is None else list(device.paths)[at],
            identifier=device.identifier,
            found_identifier=device.found_identifier,
            active_count=int(row["active"]),
            queued_count=int(row["queued"]),
            labels=device.labels,
            sched_num_req_outstanding=int(row["dsnro"]),
            queue_limit=int(row["limit"]),
            state=DeviceState(int(row["state"])),
            queue_control=control_of(state, device.row),
            path_failure_handling=checking.handling_of(state, device.row),
            world_shares=shares_of(state, device.row),
            throttled_depth=int(row["depth"]),
            latency_window=int(row["window"]),
            paths=tuple(_path_status(state, device, name) for name in device.paths),
        )


def _state(row: Any) -> PathState:
    blocked = row["blocked"] and row["state"] in (PathState.ACTIVE, PathState.STANDBY)
    return PathState.BLOCKED if blocked else PathState(int(row["state"]))


def _path_status(state: MultipathState, device: Device, name: str) -> PathStatus:
    path = device.paths[name]
    row, answered = state["path"][path.row], state["path_histogram"][path.row]
    lie = DisabledBy(int(row["disabled"])) & DisabledBy.LIE
    return PathStatus(
        name=name,
        array_id=path.array_id,
        initiator=path.initiator,
        port=path.port,
        state=PathState.DEAD if lie else _state(row),
        access=AccessState(int(row["access"])),
        preferred_group=bool(row["preferred"]),
        enabled=not DisabledBy(int(row["disabled"])) & ~DisabledBy.LIE,
        in_flight_count=int(row["in_flight"]),
        io_count=int(row["ios"]),
        io_bytes=int(row["bytes"]),
        error_count=int(row["errors"]),
        refusal_count=int(row["refused"]),
        selection=selection_status(state, path.row),
        mean_response_ns=int(answered["sum"]) // max(int(answered["count"]), 1),
        out_of_range_count=int(row["out_of_range"]),
        not_ready_ns=int(row["not_ready_ns"]) if row["not_ready_ios"] == row["ios"] else 0,
        checker_state=checking.verdict_of(state, path.row),
        next_check_ns=checking.next_check_ns(state, path.row),
        check_count=int(state["health"]["checks"][path.row]),
    )
