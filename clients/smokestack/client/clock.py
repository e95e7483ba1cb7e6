"""The clock of a service: virtual time, shown and moved; and the service's return to its start."""

from __future__ import annotations

from typing import Any, TypedDict, Unpack

from smokestack.v1 import simulation_pb2 as pb

from .kinds import Kind, mask, name_of
from .operations import Bound, Call, Way, as_it_is, operation
from .words import ClockMode

NS_PER_SECOND = 1_000_000_000
_SERVICE = "SimulationService"
_CLOCK = Kind(pb, _SERVICE, "Clock", "")


class ClockFields(TypedDict, total=False):
    """What of a clock can be set; None goes back to the default."""

    mode: ClockMode
    factor: float | None
    autojump: bool | None


class Clock(Bound[Way]):
    """Moves virtual time; FailedPrecondition names the driver of who has one.

    An advance is never repeated by itself, for one whose answer was lost may have happened.
    """

    @operation
    def simulation(self) -> Call[pb.Simulation]:
        """Gets the clock, the seed and the driver."""
        return get_simulation()

    @operation
    def advance(
        self,
        seconds: float | None = None,
        *,
        duration_ns: int | None = None,
        until_ns: int | None = None,
    ) -> Call[pb.AdvanceResponse]:
        """Advances by so many seconds or nanoseconds, or to a point of virtual time."""
        if [seconds, duration_ns, until_ns].count(None) != 2:
            raise TypeError("advance() takes one of seconds, duration_ns and until_ns")
        if until_ns is not None:
            return _advance(pb.AdvanceRequest(until_ns=until_ns))
        if seconds is not None:
            duration_ns = round(seconds * NS_PER_SECOND)
        return _advance(pb.AdvanceRequest(duration_ns=duration_ns))

    @operation
    def advance_until_idle(self, *, limit_ns: int = 0) -> Call[pb.AdvanceResponse]:
        """Advances until no I/O is outstanding and none will come, or to ``limit_ns``."""
        return _advance(pb.AdvanceRequest(until_idle=True, limit_ns=limit_ns))

    @operation
    def advance_until_full(
        self, pool: Any, ratio: float = 1.0, *, limit_ns: int = 0
    ) -> Call[pb.AdvanceResponse]:
        """Advances until a pool, or the one of a full name, is so full, or to ``limit_ns``."""
        name = name_of(pool)
        goal = pb.PoolFill(pool=name, ratio=ratio)
        return _advance(pb.AdvanceRequest(until_pool_fill=goal, limit_ns=limit_ns))

    @operation
    def advance_until_event(
        self, kind: str, subject: Any = "", *, limit_ns: int = 0
    ) -> Call[pb.AdvanceResponse]:
        """Advances until the next event of a kind, of a resource or below it, or to a limit."""
        name = name_of(subject)
        goal = pb.EventMatch(kind=kind, subject=name)
        return _advance(pb.AdvanceRequest(until_event=goal, limit_ns=limit_ns))

    @operation
    def set_clock(self, **fields: Unpack[ClockFields]) -> Call[pb.Clock]:
        """Sets how virtual time moves by itself, e.g. mode="PACED", factor=10."""
        clock = _CLOCK.encode(fields, {})
        request = _CLOCK.request("Update", clock=clock, update_mask=mask(fields))
        return Call(_CLOCK.rpc("Update"), request, as_it_is)

    @operation
    def reset(self, seed: int | None = None) -> Call[pb.Simulation]:
        """Takes all services of the process back to their scenario, perhaps with another seed."""
        request = pb.ResetRequest(seed=seed)
        return Call(f"{_SERVICE}.Reset", request, as_it_is)


def get_simulation() -> Call[pb.Simulation]:
    """Plans to ask a service who it is and what time it is."""
    return Call(f"{_SERVICE}.GetSimulation", pb.GetSimulationRequest(), as_it_is)


def _advance(request: pb.AdvanceRequest) -> Call[pb.AdvanceResponse]:
    return Call(f"{_SERVICE}.Advance", request, as_it_is, repeatable=False, timeout_seconds=None)
