"""A whole stack in one process: rooms that share one border and hold one another by reference.

Nothing is served unless asked: a run needs no port, and a stack that is served has one for each
service, as if each were a process of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from smokestack.array.model import ArrayModel
from smokestack.dialects import csi
from smokestack.engine.border import BorderLock
from smokestack.engine.errors import InvalidArgument
from smokestack.engine.messages import member
from smokestack.engine.snapshot import Pieces
from smokestack.engine.timekeeper import ClockMode, ClockSettings
from smokestack.hypervisor.model import HypervisorModel
from smokestack.multipath.model import MultipathModel
from smokestack.multipath.specs import SETTINGS, ApdHandling, Escalation, MultipathSpec
from smokestack.v1 import scenario_pb2 as pb
from smokestack.v1 import simulation_pb2, snapshots_pb2

from .build import Api, build
from .csi import Current, csi_room, with_csi
from .estate import EstateService, local_peers, with_estate
from .goals import Goals
from .listen import Endpoint, Listener
from .recording import Order
from .rooms import Room, array_room, hypervisor_room, multipath_room
from .snapshots import taken

SEED_DEFAULT = 1


class Rooms:
    """The rooms of a scenario, built and connected, with nothing behind them but memory."""

    def __init__(self, scenario: pb.Scenario, pieces: Pieces | None = None) -> None:
        """Builds all of it, or restores it from a snapshot of a stack of this scenario.

        ScenarioError names the place of what is refused.
        """
        border, order = BorderLock(), Order()
        self.border = border
        seed = seed_of(scenario)
        self.arrays: Mapping[str, Room[ArrayModel]] = {
            array.name: array_room(array.name, seed, border, order) for array in scenario.arrays
        }
        self.multipath = multipath_room(multipath_spec(scenario), border, order)
        for array_id, array in self.arrays.items():
            self.multipath.model.connect_array(array_id, array.model)
        self.arrays = {
            array_id: with_csi(array, self.multipath.api) for array_id, array in self.arrays.items()
        }
        self.hypervisor = hypervisor_room(seed=seed, border=border, order=order)
        self.hypervisor.model.connect(self.multipath.model)
        self.hypervisor.simulation.goals = Goals(
            [room.model.events for room in self.all],
            {array_id: array.model for array_id, array in self.arrays.items()},
        )
        self.api = Api(
            arrays={array_id: array.api for array_id, array in self.arrays.items()},
            multipath=self.multipath.api,
            hypervisor=self.hypervisor.api,
            simulation=self.hypervisor.simulation,
            simulations={room.name: room.simulation for room in self.all},
        )
        self.hypervisor = with_estate(self.hypervisor, EstateService(local_peers(self.all)))
        if pieces is None:
            build(scenario, self.api)
            self._record(scenario)
        else:
            self.hypervisor.model.restore(pieces)

    def _record(self, scenario: pb.Scenario) -> None:
        """Lets recordings begin where the scenario ends."""
        for room in self.all:
            request = snapshots_pb2.StartRecordingRequest()
            if room is self.hypervisor:
                request.scenario.CopyFrom(scenario)
            room.simulation.StartRecording(request)

    @property
    def all(self) -> tuple[Room[Any], ...]:
        """All rooms, from the top of the stack down."""
        return (self.hypervisor, self.multipath, *self.arrays.values())

    def attach(self) -> None:
        """Attaches the tree: from here on nobody can move an array alone, ahead of its driver."""
        model = self.hypervisor.model
        if not model.now_ns:
            model.advance(0)

    def close(self, why: str = "has been closed") -> None:
        """Stops time, ends streams and gives the devices back."""
        for room in self.all:
            room.simulation.close(why)
        self.hypervisor.model.close()


class Stack:
    """The rooms of a scenario, and the ports that ``serve`` puts them behind.

    The rooms and their ``api`` are those since the last reset: take them from here each time.
    """

    def __init__(
        self,
        scenario: pb.Scenario,
        clock: ClockSettings | None = None,
        *,
        pieces: Pieces | None = None,
    ) -> None:
        """Builds all of it; ScenarioError names the place of what is refused.

        With the pieces of a snapshot it begins there instead; a reset still goes to the scenario.
        """
        self.scenario = scenario
        self._clock = clock or ClockSettings()
        self._clock.check()
        self._listeners: list[Listener] = []
        self._plugins: list[Listener] = []
        self._resetting = threading.Lock()
        self.rebuilt: Callable[[], None] = lambda: None  # called when a reset has new rooms
        self._rooms = self._built(scenario, pieces)

    @property
    def border(self) -> BorderLock:
        """What lets changes in between windows."""
        return self._rooms.border

    @property
    def hypervisor(self) -> Room[HypervisorModel]:
        """The room that drives the others."""
        return self._rooms.hypervisor

    @property
    def multipath(self) -> Room[MultipathModel]:
        """The room below it."""
        return self._rooms.multipath

    @property
    def arrays(self) -> Mapping[str, Room[ArrayModel]]:
        """The arrays by identifier."""
        return self._rooms.arrays

    @property
    def api(self) -> Api:
        """The services' handlers, to be called as functions."""
        return self._rooms.api

    @property
    def rooms(self) -> tuple[Room[Any], ...]:
        """All rooms, from the top of the stack down."""
        return self._rooms.all

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Where the services are served, from the top of the stack down."""
        return tuple(listener.endpoint for listener in self._listeners)

    def reset(self, seed: int | None = None) -> None:
        """Goes back to the scenario at time 0, with another seed if one is given.

        All rooms are built anew, so nothing of the old ones is left; ports and addresses stay.
        Whoever waits for the old ones' time is told that it has ended.
        """
        with self._resetting:
            scenario = pb.Scenario()
            scenario.CopyFrom(self.scenario)
            if seed is not None:
                scenario.seed = seed
            old, self._rooms = self._rooms, self._built(scenario)
            self.scenario = scenario
            self.rebuilt()
            self._introduce()
            for listener, room in zip(self._listeners, self.rooms, strict=False):
                listener.turn_to(room)
            old.close("has been reset: what ran on it is gone")

    def attach(self) -> None:
        """Attaches the tree, as serving it or letting its time run does."""
        self._rooms.attach()

    def set_clock(self, clock: ClockSettings) -> None:
        """Lets time move so from here on, and after a reset."""
        clock.check()
        self._clock = clock
        self.hypervisor.simulation.clock.change(clock)

    def fork(self) -> Stack:
        """Returns another stack, in this process, that goes on from here on its own.

        Its clock is manual, nothing serves it yet, and it has no snapshots.
        """
        with self.border.change():
            pieces = taken(self.hypervisor.model).pieces
        return Stack(self.scenario, pieces=pieces)

    def _built(self, scenario: pb.Scenario, pieces: Pieces | None = None) -> Rooms:
        rooms = Rooms(scenario, pieces)
        rooms.hypervisor.simulation.reset = self._answer_reset
        if self._listeners or self._clock.mode is not ClockMode.MANUAL:
            rooms.attach()
        rooms.hypervisor.simulation.clock.change(self._clock)
        return rooms

    def _answer_reset(self, seed: int | None) -> simulation_pb2.Simulation:
        self.reset(seed)
        request = simulation_pb2.GetSimulationRequest()
        return self.hypervisor.simulation.GetSimulation(request)

    def serve(
        self,
        ports: Sequence[int] = (),
        metrics_ports: Sequence[int] | None = (),
        *,
        host: str = "127.0.0.1",
        insecure: bool = False,
    ) -> tuple[Endpoint, ...]:
        """Serves every room, the first ones on the ports given, the others on free ones.

        ``metrics_ports`` None serves no metrics.
        """
        if self._clock.mode is ClockMode.MANUAL:  # others have been attached to run
            self._rooms.attach()
        listeners: list[Listener] = []
        where = f"[{host}]" if ":" in host else host
        try:
            for index, room in enumerate(self.rooms):
                metrics = None
                if metrics_ports is not None:
                    metrics = f"{where}:{_nth(metrics_ports, index)}"
                listen = f"{where}:{_nth(ports, index)}"
                listeners.append(Listener(room, listen, metrics, insecure=insecure))
                listeners[-1].start()
        except BaseException:
            for listener in listeners:
                listener.stop()
            raise
        self._listeners += listeners
        self._introduce()
        return self.endpoints

    def serve_csi(
        self,
        endpoint: str,
        array_id: str = "",
        settings: csi.Settings = csi.DEFAULT,
        *,
        insecure: bool = False,
    ) -> Endpoint:
        """Serves CSI alone, at unix:///path or host:port; without names: the first array and host.

        An array's own port serves it too.
        """
        array_id = array_id or min(self.arrays)
        if array_id not in self.arrays:
            choice = ", ".join(sorted(self.arrays))
            raise InvalidArgument.at("array_id", f"{array_id!r} is none of {choice}")
        plugin = csi.Plugin(
            Current(lambda: self.api.arrays[array_id]),
            f"arrays/{array_id}",
            Current(lambda: self.api.multipath),
            settings,
        )
        listener = Listener(csi_room(plugin), endpoint, insecure=insecure)
        self._plugins.append(listener)
        listener.start()
        return listener.endpoint

    def _introduce(self) -> None:
        """Tells each service where the others are."""
        for room in self.rooms:
            room.simulation.services.update({e.name: e.address for e in self.endpoints})

    def close(self) -> None:
        """Stops time, which frees who waits for it, and then serving."""
        self._rooms.close()
        for listener in (*self._plugins, *self._listeners):
            listener.stop()
        self._plugins.clear()
        self._listeners.clear()

    def __enter__(self) -> Stack:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def seed_of(scenario: pb.Scenario) -> int:
    """Returns the seed of all random draws."""
    return scenario.seed if scenario.HasField("seed") else SEED_DEFAULT


def multipath_spec(scenario: pb.Scenario) -> MultipathSpec:
    """Returns the multipath layer's settings."""
    given: dict[str, Any] = {}
    if scenario.multipath.name:
        given["name"] = scenario.multipath.name
    for setting in SETTINGS:
        if scenario.multipath.HasField(setting):
            given[setting] = getattr(scenario.multipath, setting)
    for kind, setting, default in (
        (ApdHandling, "apd_handling", MultipathSpec.apd_handling),
        (Escalation, "escalation", MultipathSpec.escalation),
    ):
        if setting in given:
            given[setting] = member(kind, given[setting], f"multipath.{setting}", default)
    return MultipathSpec(**given)


def _nth(ports: Sequence[int], index: int) -> int:
    return ports[index] if index < len(ports) else 0
