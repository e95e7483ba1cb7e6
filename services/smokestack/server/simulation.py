"""The clock's wire: SimulationService, which every service serves beside its own.

What moves the clock is in clocks.py; who has a driver refuses and names it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from google.protobuf import empty_pb2

from smokestack.engine.border import BorderLock
from smokestack.engine.checks import in_range
from smokestack.engine.errors import FailedPrecondition, InvalidArgument, Unavailable
from smokestack.engine.events import EventLog
from smokestack.engine.faults import FaultBook
from smokestack.engine.masks import masked
from smokestack.engine.messages import member, present
from smokestack.engine.records import TIME_NS_MAX
from smokestack.engine.requests import Border, Requests
from smokestack.engine.snapshot import Keeper
from smokestack.engine.timekeeper import ClockMode, ClockSettings
from smokestack.v1 import faults_pb2, simulation_pb2_grpc, snapshots_pb2
from smokestack.v1 import simulation_pb2 as pb

from .clocks import Clock, DriverClock, FollowerClock
from .events import EventFeed
from .faults import FaultDesk
from .goals import Goals
from .recording import CLASSES as RECORDED
from .recording import Recording, RecordingDesk
from .snapshots import SnapshotDesk


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

    @property
    def faults(self) -> FaultBook:
        """What is to break in it."""

    @property
    def keeper(self) -> Keeper:
        """What keeps its parts for snapshots."""

    def advance(self, until_ns: int) -> Any:
        """Advances to a time, or refuses and names the driver."""


class SimulationService(simulation_pb2_grpc.SimulationServiceServicer):
    """Serves the clock and the events of one model."""

    def __init__(
        self,
        model: Simulated,
        border: Border,
        clock: Clock | None = None,
        recording: Recording | None = None,
        traces: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        """Takes the model; of a driver also its clock, and what returns its traces' commands."""
        self._model = model
        self._border = border
        self.clock = clock or FollowerClock(model, border)
        self.goals = Goals([model.events])  # what the driver of a whole stack can watch
        self.reset: Callable[[int | None], pb.Simulation] | None = None  # of a whole stack, too
        self.services: dict[str, str] = {}  # where those of its stack are served, by full name
        self.feed = EventFeed(model.events)
        self.recording = recording or Recording(model)
        model.keeper.add("recording", self.recording, *RECORDED)
        self.faults = FaultDesk(model.faults, border, self.recording)
        driver, held = (clock.model, clock.held) if isinstance(clock, DriverClock) else (None, None)
        self.snapshots = SnapshotDesk(model.name, border, driver, held)
        self._recordings = RecordingDesk(
            self.recording, model, border, self.snapshots.driver, traces
        )
        # Not the service's border: a clock that runs needs that one to stop.
        self._updates = Requests(BorderLock())

    def close(self, why: str) -> None:
        """Stops time and ends streams; who waits is told why."""
        self.clock.close(why)
        self.feed.close(f"{self._model.name} {why}")

    def GetSimulation(self, request: pb.GetSimulationRequest, context: Any = None) -> pb.Simulation:
        with self._border.change():
            return pb.Simulation(
                name=self._model.name,
                seed=self._model.seed,
                now_ns=self._model.now_ns,
                driver=self._model.driver or "",
                clock=_clock(self.clock.settings),
                epoch=self._model.epoch,
                lookahead_ns=self._lookahead_ns(),
                services=[
                    pb.ServiceAddress(name=name, address=address)
                    for name, address in sorted(self.services.items())
                ],
            )

    def _lookahead_ns(self) -> int:
        try:
            return self._model.lookahead_ns
        except Unavailable:  # who knows it is gone; all else can still be told
            return 0

    def Advance(self, request: pb.AdvanceRequest, context: Any = None) -> pb.AdvanceResponse:
        cancelled = threading.Event()
        if context is not None and not context.add_callback(cancelled.set):
            cancelled.set()
        ios, errors, windows = self.clock.counts()
        self._advance(request, cancelled.is_set)
        self.recording.keep_time(self._border)
        ios_after, errors_after, windows_after = self.clock.counts()
        return pb.AdvanceResponse(
            now_ns=self._model.now_ns,
            io_count=ios_after - ios,
            error_count=errors_after - errors,
            window_count=windows_after - windows,
        )

    def GetEvent(self, request: pb.GetEventRequest, context: Any = None) -> pb.Event:
        return self.feed.get(request)

    def ListEvents(
        self, request: pb.ListEventsRequest, context: Any = None
    ) -> pb.ListEventsResponse:
        return self.feed.page(request)

    def WatchEvents(
        self, request: pb.WatchEventsRequest, context: Any = None
    ) -> Iterator[pb.WatchEventsResponse]:
        return self.feed.watch(request, context)

    def InjectFault(
        self, request: faults_pb2.InjectFaultRequest, context: Any = None
    ) -> faults_pb2.FaultRule:
        return self.faults.inject(request)

    def GetFault(
        self, request: faults_pb2.GetFaultRequest, context: Any = None
    ) -> faults_pb2.FaultRule:
        return self.faults.get(request)

    def ListFaults(
        self, request: faults_pb2.ListFaultsRequest, context: Any = None
    ) -> faults_pb2.ListFaultsResponse:
        return self.faults.list(request)

    def ClearFault(
        self, request: faults_pb2.ClearFaultRequest, context: Any = None
    ) -> faults_pb2.FaultRule:
        return self.faults.clear(request)

    def ListFaultKinds(
        self, request: faults_pb2.ListFaultKindsRequest, context: Any = None
    ) -> faults_pb2.ListFaultKindsResponse:
        return self.faults.kinds(request)

    def CreateSnapshot(
        self, request: snapshots_pb2.CreateSnapshotRequest, context: Any = None
    ) -> snapshots_pb2.Snapshot:
        return self.snapshots.create(request)

    def GetSnapshot(
        self, request: snapshots_pb2.GetSnapshotRequest, context: Any = None
    ) -> snapshots_pb2.Snapshot:
        return self.snapshots.get(request)

    def ListSnapshots(
        self, request: snapshots_pb2.ListSnapshotsRequest, context: Any = None
    ) -> snapshots_pb2.ListSnapshotsResponse:
        return self.snapshots.list(request)

    def DeleteSnapshot(
        self, request: snapshots_pb2.DeleteSnapshotRequest, context: Any = None
    ) -> empty_pb2.Empty:
        return self.snapshots.delete(request)

    def RestoreSnapshot(
        self, request: snapshots_pb2.RestoreSnapshotRequest, context: Any = None
    ) -> snapshots_pb2.Snapshot:
        return self.snapshots.restore(request)

    def ExportSnapshot(
        self, request: snapshots_pb2.ExportSnapshotRequest, context: Any = None
    ) -> Iterator[snapshots_pb2.ExportSnapshotResponse]:
        return self.snapshots.export(request)

    def ImportSnapshot(
        self, request_iterator: Iterator[snapshots_pb2.ImportSnapshotRequest], context: Any = None
    ) -> snapshots_pb2.Snapshot:
        return self.snapshots.import_(request_iterator)

    def StartRecording(
        self, request: snapshots_pb2.StartRecordingRequest, context: Any = None
    ) -> snapshots_pb2.StartRecordingResponse:
        return self._recordings.start(request)

    def GetRecording(
        self, request: snapshots_pb2.GetRecordingRequest, context: Any = None
    ) -> Iterator[snapshots_pb2.GetRecordingResponse]:
        return self._recordings.read()

    def _advance(self, request: pb.AdvanceRequest, stop: Callable[[], bool]) -> None:
        goal = request.WhichOneof("goal")
        if goal in ("duration_ns", "until_ns"):
            self.clock.advance(partial(_target_ns, request), stop)
        elif goal == "until_idle" and request.until_idle:
            self.clock.advance_until_idle(self._limit_ns(request), stop)
        elif goal == "until_pool_fill":
            reached = self.goals.pool_fill(request.until_pool_fill)
            self.clock.advance_until(reached, self._limit_ns(request), stop)
        elif goal == "until_event":
            happened = self.goals.event(request.until_event)
            self.clock.advance_until(happened, self._limit_ns(request), stop)
        else:
            raise InvalidArgument.at(
                "goal",
                "is not set: give duration_ns, until_ns, until_idle: true, until_pool_fill or "
                "until_event",
            )

    def _limit_ns(self, request: pb.AdvanceRequest) -> int:
        limit_ns = request.limit_ns or TIME_NS_MAX
        in_range("limit_ns", limit_ns, self._model.now_ns, TIME_NS_MAX)
        return limit_ns

    def UpdateClock(self, request: pb.UpdateClockRequest, context: Any = None) -> pb.Clock:
        def update() -> pb.Clock:
            given = present(request.clock)
            names = masked(request.update_mask.paths, given, ("mode", "factor", "autojump"))
            default = ClockSettings()
            fields = {name: given.get(name, getattr(default, name)) for name in names}
            if "mode" in fields:
                fields["mode"] = member(ClockMode, fields["mode"], "clock.mode", default.mode)
            self.clock.change(replace(self.clock.settings, **fields))
            return _clock(self.clock.settings)

        return self._updates.change(request, update)

    def Reset(self, request: pb.ResetRequest, context: Any = None) -> pb.Simulation:
        if self.reset is None:
            raise FailedPrecondition(
                f"{self._model.name} has no scenario to go back to: call Reset at the hypervisor "
                "of a stack in one process, or start the processes of this one anew",
                reason="NO_SCENARIO",
                resource=self._model.name,
            )
        seed = None
        if request.HasField("seed"):
            in_range("seed", request.seed, 0, (1 << 63) - 1)
            seed = request.seed
        return self.reset(seed)


def _target_ns(request: pb.AdvanceRequest, now_ns: int) -> int:
    """Returns the time that a request wants, asked when nobody else can move it."""
    if request.WhichOneof("goal") == "until_ns":
        in_range("until_ns", request.until_ns, now_ns, TIME_NS_MAX)
        return request.until_ns
    in_range("duration_ns", request.duration_ns, 0, TIME_NS_MAX - now_ns)
    return now_ns + request.duration_ns


def _clock(settings: ClockSettings) -> pb.Clock:
    mode = f"CLOCK_MODE_{settings.mode.name}"
    return pb.Clock(mode=mode, factor=settings.factor, autojump=settings.autojump)
