"""A whole stack in one process: rooms that share one border and hold one another by reference.

Nothing is served unless asked: a run needs no port, and a stack that is served has one for each
service, as if each were a process of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from smokestack.array.model import ArrayModel
from smokestack.engine.border import BorderLock
from smokestack.multipath.specs import MultipathSpec
from smokestack.v1 import scenario_pb2 as pb

from .build import Api, build
from .listen import Endpoint, Listener
from .rooms import Room, array_room, hypervisor_room, multipath_room

SEED_DEFAULT = 1


class Stack:
    """The rooms of a scenario, built and connected; ``serve`` puts them behind ports."""

    def __init__(self, scenario: pb.Scenario) -> None:
        """Builds all of it; ScenarioError names the place of what is refused."""
        border = BorderLock()
        self.scenario = scenario
        self.border = border
        seed = seed_of(scenario)
        self.arrays: Mapping[str, Room[ArrayModel]] = {
            array.name: array_room(array.name, seed, border) for array in scenario.arrays
        }
        self.multipath = multipath_room(multipath_spec(scenario), border)
        for array_id, array in self.arrays.items():
            self.multipath.model.connect_array(array_id, array.model)
        self.hypervisor = hypervisor_room(seed=seed, border=border)
        self.hypervisor.model.connect(self.multipath.model)
        self.api = Api(
            arrays={array_id: array.api for array_id, array in self.arrays.items()},
            multipath=self.multipath.api,
            hypervisor=self.hypervisor.api,
            simulation=self.hypervisor.simulation,
        )
        self._listeners: list[Listener] = []
        build(scenario, self.api)

    @property
    def rooms(self) -> tuple[Room[Any], ...]:
        """All rooms, from the top of the stack down."""
        return (self.hypervisor, self.multipath, *self.arrays.values())

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Where the services are served, from the top of the stack down."""
        return tuple(listener.endpoint for listener in self._listeners)

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
        for room in self.rooms:
            room.simulation.services.update({e.name: e.address for e in self.endpoints})
        return self.endpoints

    def close(self) -> None:
        """Stops serving and gives the devices back."""
        for listener in self._listeners:
            listener.stop()
        self._listeners.clear()
        self.hypervisor.model.close()

    def __enter__(self) -> Stack:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def seed_of(scenario: pb.Scenario) -> int:
    """Returns the seed of all random draws."""
    return scenario.seed if scenario.HasField("seed") else SEED_DEFAULT


def multipath_spec(scenario: pb.Scenario) -> MultipathSpec:
    """Returns the multipath layer's settings."""
    given: dict[str, Any] = {}
    if scenario.multipath.name:
        given["name"] = scenario.multipath.name
    if scenario.multipath.HasField("qfull_retry_delay_ns"):
        given["qfull_retry_delay_ns"] = scenario.multipath.qfull_retry_delay_ns
    return MultipathSpec(**given)


def _nth(ports: Sequence[int], index: int) -> int:
    return ports[index] if index < len(ports) else 0
