"""The clock of a service: virtual time, shown and moved."""

from __future__ import annotations

from smokestack.v1 import simulation_pb2 as pb

from .operations import Bound, Call, Way, as_it_is, operation

NS_PER_SECOND = 1_000_000_000
_ADVANCE = "SimulationService.Advance"


class Clock(Bound[Way]):
    """Moves virtual time, flat out; FailedPrecondition names the driver of who has one.

    None of it is repeated by itself, for an advance whose answer was lost may have happened.
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


def get_simulation() -> Call[pb.Simulation]:
    """Plans to ask a service who it is and what time it is."""
    return Call("SimulationService.GetSimulation", pb.GetSimulationRequest(), as_it_is)


def _advance(request: pb.AdvanceRequest) -> Call[pb.AdvanceResponse]:
    return Call(_ADVANCE, request, as_it_is, repeatable=False, timeout_seconds=None)
