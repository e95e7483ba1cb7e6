"""The clock's wire: SimulationService, which every service serves beside its own.

What moves the clock is the service's model; who has a driver refuses and names it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from smokestack.engine.checks import in_range
from smokestack.engine.errors import InvalidArgument
from smokestack.engine.events import EventLog
from smokestack.engine.records import NEVER_NS
from smokestack.engine.requests import Border
from smokestack.hypervisor.model import HypervisorModel
from smokestack.v1 import simulation_pb2 as pb
from smokestack.v1 import simulation_pb2_grpc

from .events import EventFeed


class Simulated(Protocol):
    """What all models have in common."""

    @property
    def name(self) -> str:
        """Full name of the service."""

    @property
    def seed(self) -> int:
        """Seed of its draws."""

    @property
    def now_ns(self) -> int:
        """Its virtual time."""

    @property
    def driver(self) -> str | None:
        """Full name of the service that drives it."""

    @property
    def epoch(self) -> int:
        """Counts its drivers."""

    @property
    def lookahead_ns(self) -> int:
        """The shortest time in which it answers."""

    @property
    def events(self) -> EventLog:
        """What has happened in it."""

    def advance(self, until_ns: int) -> Any:
        """Advances to a time, or refuses and names the driver."""


class Clock(Protocol):
    """What moves a service's time; a running advance ends early once ``stop()`` says so."""

    def advance(self, until_ns: int, stop: Callable[[], bool]) -> None:
        """Advances to a time."""

    def advance_until_idle(self, limit_ns: int, stop: Callable[[], bool]) -> None:
        """Advances until nothing is left to do, or to a time."""

    def counts(self) -> tuple[int, int, int]:
        """Returns I/Os completed, I/Os failed and windows run since the start."""


class DriverClock:
    """The clock of a hypervisor: it runs windows, and lets changes in between them."""

    def __init__(self, model: HypervisorModel) -> None:
        self._model = model

    def advance(self, until_ns: int, stop: Callable[[], bool]) -> None:
        """Advances to a time."""
        self._model.advance(until_ns, stop)

    def advance_until_idle(self, limit_ns: int, stop: Callable[[], bool]) -> None:
        """Advances until no I/O is outstanding and none will come, or to a time."""
        self._model.advance_until_idle(limit_ns, stop)

    def counts(self) -> tuple[int, int, int]:
        """Returns I/Os completed, I/Os failed and windows run since the start."""
        row = self._model.state.row
        return int(row["ios"]), int(row["errors"]), self._model.windows


class FollowerClock:
    """The clock of a service that makes no I/O of its own: time reaches it in one step."""

    def __init__(self, model: Simulated, border: Border) -> None:
        self._model = model
        self._border = border

    def advance(self, until_ns: int, stop: Callable[[], bool]) -> None:
        """Advances to a time."""
        with self._border.change():
            self._model.advance(until_ns)

    def advance_until_idle(self, limit_ns: int, stop: Callable[[], bool]) -> None:
        """Stays where it is, for nothing is ever left to do; refuses if it is driven."""
        with self._border.change():
            self._model.advance(self._model.now_ns)

    def counts(self) -> tuple[int, int, int]:
        """Returns nothing: I/Os and windows are counted where they are made."""
        return 0, 0, 0


class SimulationService(simulation_pb2_grpc.SimulationServiceServicer):
    """Serves the clock and the events of one model."""

    def __init__(
        self,
        model: Simulated,
        border: Border,
        clock: Clock | None = None,
        clock_mode: pb.ClockMode = pb.CLOCK_MODE_MANUAL,
    ) -> None:
        self._model = model
        self._border = border
        self._clock = clock or FollowerClock(model, border)
        self._clock_mode = clock_mode
        self.services: dict[str, str] = {}  # where those of its stack are served, by full name
        self._feed = EventFeed(model.events)

    def GetSimulation(self, request: pb.GetSimulationRequest, context: Any = None) -> pb.Simulation:
        with self._border.change():
            return pb.Simulation(
                name=self._model.name,
                seed=self._model.seed,
                now_ns=self._model.now_ns,
                driver=self._model.driver or "",
                clock_mode=self._clock_mode,
                epoch=self._model.epoch,
                lookahead_ns=self._model.lookahead_ns,
                services=[
                    pb.ServiceAddress(name=name, address=address)
                    for name, address in sorted(self.services.items())
                ],
            )

    def Advance(self, request: pb.AdvanceRequest, context: Any = None) -> pb.AdvanceResponse:
        cancelled = threading.Event()
        if context is not None and not context.add_callback(cancelled.set):
            cancelled.set()
        ios, errors, windows = self._clock.counts()
        self._advance(request, cancelled.is_set)
        ios_after, errors_after, windows_after = self._clock.counts()
        return pb.AdvanceResponse(
            now_ns=self._model.now_ns,
            io_count=ios_after - ios,
            error_count=errors_after - errors,
            window_count=windows_after - windows,
        )

    def GetEvent(self, request: pb.GetEventRequest, context: Any = None) -> pb.Event:
        return self._feed.get(request)

    def ListEvents(
        self, request: pb.ListEventsRequest, context: Any = None
    ) -> pb.ListEventsResponse:
        return self._feed.page(request)

    def WatchEvents(
        self, request: pb.WatchEventsRequest, context: Any = None
    ) -> Iterator[pb.WatchEventsResponse]:
        return self._feed.watch(request, context)

    def _advance(self, request: pb.AdvanceRequest, stop: Callable[[], bool]) -> None:
        now_ns = self._model.now_ns
        goal = request.WhichOneof("goal")
        if goal == "duration_ns":
            in_range("duration_ns", request.duration_ns, 0, NEVER_NS - 1 - now_ns)
            self._clock.advance(now_ns + request.duration_ns, stop)
        elif goal == "until_ns":
            in_range("until_ns", request.until_ns, now_ns, NEVER_NS - 1)
            self._clock.advance(request.until_ns, stop)
        elif goal == "until_idle" and request.until_idle:
            limit_ns = request.limit_ns or NEVER_NS - 1
            in_range("limit_ns", limit_ns, now_ns, NEVER_NS - 1)
            self._clock.advance_until_idle(limit_ns, stop)
        else:
            raise InvalidArgument.at(
                "goal", "is not set: give duration_ns, until_ns or until_idle: true"
            )
