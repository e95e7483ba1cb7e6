"""The estate's wire: what joins the services of a stack, as a client of their public API.

A peer is a service: handlers in this process, or stubs of another one.  Whoever is not given is
heard of: each peer says where the others of its stack are served.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, Final

import grpc

from smokestack.engine.border import BorderLock
from smokestack.v1 import (
    array_pb2_grpc,
    estate_pb2_grpc,
    hypervisor_pb2_grpc,
    multipath_pb2,
    multipath_pb2_grpc,
    simulation_pb2_grpc,
)
from smokestack.v1 import estate_pb2 as pb
from smokestack.v1 import simulation_pb2 as simulation

from .attribution import attribute, mark
from .audit import audit
from .dark_storage import report
from .io_shares import set_io_shares
from .path_statistics import path_statistics
from .reclaim import reclaim
from .rooms import Room
from .topology import Join, Part, checked_filters

SERVICE_NAME: Final = "smokestack.v1.EstateService"
_DEADLINE_SECONDS: Final = 5.0
_MESSAGE_BYTES_MAX: Final = 64 << 20
_STUBS: Final[Mapping[str, Any]] = {
    "hypervisors": hypervisor_pb2_grpc.HypervisorServiceStub,
    "multipaths": multipath_pb2_grpc.MultipathServiceStub,
    "arrays": array_pb2_grpc.ArrayServiceStub,
}
_ORDER: Final = tuple(_STUBS)  # from the top of a stack down


@dataclass(frozen=True)
class Peer:
    """One service that the estate asks; its name is empty while nobody has said it."""

    kind: str  # the collection that its name begins with, e.g. "arrays"
    api: Any
    simulation: Any
    name: str = ""
    address: str = ""


class EstateService(estate_pb2_grpc.EstateServiceServicer):
    """Serves what joins the services; what it knows of them it has asked them for."""

    def __init__(self, peers: Iterable[Peer]) -> None:
        self._given = tuple(peers)
        self._heard: dict[str, Peer] = {}  # by full name; kept, so that who dies is missed

    def GetTopology(self, request: pb.GetTopologyRequest, context: Any = None) -> pb.Topology:
        checked_filters(request)
        return Join(request, self._parts()).topology()

    def AuditAdvertised(
        self, request: pb.AuditAdvertisedRequest, context: Any = None
    ) -> pb.AuditAdvertisedResponse:
        return audit(request, self._parts())

    def GetDarkStorageReport(
        self, request: pb.GetDarkStorageReportRequest, context: Any = None
    ) -> pb.DarkStorageReport:
        return report(request, self._parts())

    def MarkLatency(self, request: pb.MarkLatencyRequest, context: Any = None) -> pb.LatencyReading:
        return mark(request, self._parts())

    def AttributeLatency(
        self, request: pb.AttributeLatencyRequest, context: Any = None
    ) -> pb.LatencyAttribution:
        return attribute(request, self._parts())

    def Reclaim(self, request: pb.ReclaimRequest, context: Any = None) -> pb.ReclaimResponse:
        return reclaim(request, self._parts())

    def GetPathStatistics(
        self, request: multipath_pb2.GetPathStatisticsRequest, context: Any = None
    ) -> multipath_pb2.PathStatistics:
        return path_statistics(request, self._parts())

    def SetIoShares(
        self, request: pb.SetIoSharesRequest, context: Any = None
    ) -> pb.SetIoSharesResponse:
        return set_io_shares(request, self._parts())

    def peers(self) -> list[Peer]:
        """Returns the services that answer, those of other processes with their address."""
        answering = {part.name: part for part in self._parts() if part.answered}
        return [
            Peer(part.kind, part.api, part.clock, name, part.address)
            for name, part in answering.items()
        ]

    def _parts(self) -> list[Part]:
        """Asks each peer who and when it is; whoever is heard of in between is asked too."""
        parts: list[Part] = []
        waiting = list(self._given)
        while waiting:
            for peer in waiting:
                if not peer.name or peer.name not in {part.name for part in parts}:
                    parts.append(self._part(peer))
            known = {part.name for part in parts}
            places = {part.address for part in parts if part.address}
            waiting = [
                peer
                for name, peer in list(self._heard.items())
                if name not in known and peer.address not in places
            ]
        once = {part.name or part.address: part for part in parts}
        return sorted(once.values(), key=lambda p: (_ORDER.index(p.kind), p.name, p.address))

    def _part(self, peer: Peer) -> Part:
        part = Part(peer.kind, peer.name, peer.address, peer.api, peer.simulation)
        with part.reading():
            found = peer.simulation.GetSimulation(simulation.GetSimulationRequest())
            if peer.name not in ("", found.name) or not found.name.startswith(f"{peer.kind}/"):
                part.miss(f"{peer.address} serves {found.name}, not {peer.name or peer.kind}")
                return part
            part.name = found.name
            part.from_ns = part.until_ns = found.now_ns
            for service in found.services:
                self._hear_of(service.name, service.address)
        return part

    def _hear_of(self, name: str, address: str) -> None:
        kind = name.partition("/")[0]
        known = self._heard.get(name)
        if kind in _STUBS and (known is None or known.address != address):
            if any(name == peer.name for peer in self._given):
                return
            self._heard[name] = remote(kind, address, name)


def local_peers(rooms: Iterable[Room[Any]]) -> Iterator[Peer]:
    """Yields the services of this process, whose handlers are called as they are."""
    for room in rooms:
        yield Peer(room.name.partition("/")[0], room.api, room.simulation, room.name)


def remote(kind: str, address: str, name: str = "") -> Peer:
    """Returns a service elsewhere; it need not be there yet."""
    options = [
        ("grpc.max_receive_message_length", _MESSAGE_BYTES_MAX),
        ("grpc.enable_http_proxy", 0),
        ("grpc.max_reconnect_backoff_ms", 1_000),
    ]
    channel = grpc.insecure_channel(address, options=options)
    stub = simulation_pb2_grpc.SimulationServiceStub(channel)
    return Peer(kind, _Patient(_STUBS[kind](channel)), _Patient(stub), name, address)


class _Patient:
    """A stub whose calls have a deadline, so that a peer that hangs counts as missing."""

    def __init__(self, stub: Any) -> None:
        self._stub = stub

    def __getattr__(self, method: str) -> Any:
        call = getattr(self._stub, method)
        return lambda request: call(request, timeout=_DEADLINE_SECONDS)


def with_estate(room: Room[Any], estate: EstateService) -> Room[Any]:
    """Returns a room whose port serves the estate too."""

    def add(server: grpc.Server) -> None:
        room.add_services(server)
        estate_pb2_grpc.add_EstateServiceServicer_to_server(estate, server)

    return replace(room, service_names=(*room.service_names, SERVICE_NAME), add_services=add)


def estate_room(estate: EstateService) -> Room[None]:
    """Returns what serves an estate alone: no model, no clock, no metrics."""

    def add(server: grpc.Server) -> None:
        estate_pb2_grpc.add_EstateServiceServicer_to_server(estate, server)

    nothing: Any = SimpleNamespace(services={})
    return Room(None, "estate", BorderLock(), estate, nothing, nothing, (SERVICE_NAME,), add)
