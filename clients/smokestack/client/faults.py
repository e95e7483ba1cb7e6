"""Fault rules: what is to break in a service, when, and how often."""

from __future__ import annotations

from typing import Any, TypedDict, Unpack

from smokestack.v1 import faults_pb2 as pb

from .kinds import Kind, name_of
from .operations import Call, Way, operation
from .resources import Collection, Resource
from .words import FaultState


class FaultFields(TypedDict, total=False):
    """When a fault happens and how badly; what is left out has the API's default."""

    probability: float
    count: int
    start_ns: int
    duration_ns: int
    factor_per_mille: int
    down_ns: int
    up_ns: int


class Fault(Resource[Way]):
    """A rule that breaks something."""

    of_kind = Kind(pb, "SimulationService", "Fault", "faults", name="FaultRule")
    kind: str
    target: str  # a full name, perhaps with * in it
    probability: float | None
    count: int
    start_ns: int
    duration_ns: int
    factor_per_mille: int
    down_ns: int
    up_ns: int
    state: FaultState
    hit_count: int
    begin_ns: int
    end_ns: int

    @operation
    def clear(self) -> Call[Fault[Way]]:
        """Ends the fault if it is in force, and removes the rule; returns it as it ended."""
        return self._act("Clear")


class Faults(Collection[Way, Fault[Way]]):
    """The fault rules of one service."""

    resource = Fault
    has_parent = False

    @operation
    def inject(
        self,
        kind: str,
        target: str | Resource[Any],
        fault_id: str = "",
        **fields: Unpack[FaultFields],
    ) -> Call[Fault[Way]]:
        """Injects a fault, e.g. "PORT_DOWN" of a port, or of "arrays/a1/ports/*"."""
        rule = self._kind.encode({**fields, "kind": kind, "target": name_of(target)}, {})
        request = self._kind.request("Inject", fault_id=fault_id, fault=rule)
        return Call(self._kind.rpc("Inject"), request, self._made)

    @operation
    def kinds(self) -> Call[list[pb.FaultKind]]:
        """Lists what can be made to fail in this service."""
        request = pb.ListFaultKindsRequest(page_size=10_000)
        return Call(
            "SimulationService.ListFaultKinds", request, lambda answer: list(answer.fault_kinds)
        )
