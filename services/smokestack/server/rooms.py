"""Rooms: each service's model with all that is served of it, ready to be put behind a port.

Here, and nowhere else, a model meets its wire, its clock and its metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

import grpc

from smokestack.array.collector import ArrayCollector
from smokestack.array.durable import ArrayDurable
from smokestack.array.model import ArrayModel
from smokestack.array.service import ArrayService
from smokestack.engine.border import BorderLock
from smokestack.hypervisor import returns
from smokestack.hypervisor.collector import HypervisorCollector
from smokestack.hypervisor.model import HypervisorModel
from smokestack.hypervisor.service import HypervisorService
from smokestack.multipath import returns as paths_return
from smokestack.multipath.collector import MultipathCollector
from smokestack.multipath.model import MultipathModel
from smokestack.multipath.service import MultipathService
from smokestack.multipath.specs import MultipathSpec
from smokestack.v1 import (
    array_pb2_grpc,
    blockdevice_pb2_grpc,
    hypervisor_pb2_grpc,
    multipath_pb2_grpc,
    simulation_pb2_grpc,
)

from .blockdevice_service import BlockDeviceService
from .clocks import DriverClock
from .exporter import Collector
from .kept_whole import WholeDurable
from .recording import CALENDAR, Order, Recording
from .simulation import SimulationService
from .workload import JobsAndTraces

_M = TypeVar("_M")
_PACKAGE = "smokestack.v1"


@dataclass(frozen=True)
class Room(Generic[_M]):
    """One service: its model, and what answers for it."""

    model: _M
    name: str
    border: BorderLock
    api: Any  # the servicer of its own service, whose handlers may be called as functions
    simulation: SimulationService
    collector: Collector
    service_names: tuple[str, ...]
    add_services: Callable[[grpc.Server], None]
    durable: Any = None  # what a journal needs of the model: journal.Durable, and its parts


def array_room(
    array_id: str, seed: int = 1, border: BorderLock | None = None, order: Order = CALENDAR
) -> Room[ArrayModel]:
    """Returns an empty array."""
    border = border or BorderLock()
    model = ArrayModel(array_id, seed)
    recording = Recording(model, order=order)
    api = ArrayService(model, border, recording)
    simulation = SimulationService(model, border, recording=recording)
    device = BlockDeviceService(model, border, lambda: len(model.itls), takes_tasks=True)
    return Room(
        model,
        model.name,
        border,
        api,
        simulation,
        ArrayCollector(model, border),
        *_served(array_pb2_grpc.add_ArrayServiceServicer_to_server, api, simulation, device),
        ArrayDurable(model),
    )


def multipath_room(
    spec: MultipathSpec | None = None,
    border: BorderLock | None = None,
    order: Order = CALENDAR,
) -> Room[MultipathModel]:
    """Returns a multipath layer without hosts; its arrays are connected to its model."""
    border = border or BorderLock()
    model = MultipathModel(spec)
    recording = Recording(model, model.spec.settings(), order)
    api = MultipathService(model, border, recording)
    simulation = SimulationService(model, border, recording=recording)
    api.feed = simulation.feed
    device = BlockDeviceService(
        model, border, lambda: int(model.state.row["device_count"]), takes_tasks=False
    )
    add = multipath_pb2_grpc.add_MultipathServiceServicer_to_server
    return Room(
        model,
        model.name,
        border,
        api,
        simulation,
        MultipathCollector(model, border),
        *_served(add, api, simulation, device),
        _whole(model, ("model", "faults"), api, simulation, paths_return.power_on),
    )


def hypervisor_room(
    hypervisor_id: str = "hv1",
    seed: int = 1,
    border: BorderLock | None = None,
    order: Order = CALENDAR,
) -> Room[HypervisorModel]:
    """Returns a hypervisor without hosts; the device that it drives is connected to its model."""
    border = border or BorderLock()
    model = HypervisorModel(hypervisor_id, seed, border)
    clock = DriverClock(model)
    recording = Recording(model, order=order)
    api = HypervisorService(model, border, JobsAndTraces(), clock, recording)
    simulation = SimulationService(model, border, clock, recording, api.trace_records)
    add = hypervisor_pb2_grpc.add_HypervisorServiceServicer_to_server
    return Room(
        model,
        model.name,
        border,
        api,
        simulation,
        HypervisorCollector(model, border),
        *_served(add, api, simulation),
        _whole(model, ("model", "faults", "wire"), api, simulation, returns.power_on),
    )


def _served(
    add_own: Callable[[Any, grpc.Server], None],
    api: Any,
    simulation: SimulationService,
    device: BlockDeviceService | None = None,
) -> tuple[tuple[str, ...], Callable[[grpc.Server], None]]:
    """Returns the full names of a room's services, and what adds them to a server."""
    add_simulation = simulation_pb2_grpc.add_SimulationServiceServicer_to_server
    add_device = blockdevice_pb2_grpc.add_BlockDeviceServiceServicer_to_server
    parts: list[tuple[Callable[[Any, grpc.Server], None], Any]] = [
        (add_own, api),
        (add_simulation, simulation),
    ]
    if device is not None:
        parts.append((add_device, device))

    def add(server: grpc.Server) -> None:
        for add_part, servicer in parts:
            add_part(servicer, server)

    return tuple(f"{_PACKAGE}.{type(servicer).__name__}" for _, servicer in parts), add


def _whole(
    model: Any,
    parts: tuple[str, ...],
    api: Any,
    simulation: SimulationService,
    power_on: Callable[[Any, Mapping[str, str | int]], None],
) -> WholeDurable:
    requests = [api.requests, simulation.faults.requests]
    return WholeDurable(model, parts, requests, partial(power_on, model))
