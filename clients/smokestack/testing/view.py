"""What a test sees: a client of a stack that is as if just started, with shortcuts to its parts."""

from __future__ import annotations

from typing import Any, Self

from smokestack.client import Stack, Sync, errors
from smokestack.client.array import Array, Pools, Volumes
from smokestack.client.hardware import Ports
from smokestack.client.hypervisor import Hosts
from smokestack.client.operations import Call, as_it_is
from smokestack.client.sessions import BlockingSession, Patience
from smokestack.v1 import simulation_pb2 as pb

from .server import Server

_PATIENCE = Patience()


def _order(event: pb.Event) -> tuple[int, str, int]:
    service, _, number = event.name.rpartition("/events/")
    return event.time_ns, service, int(number)


class Smokestack(Stack[Sync]):
    """A stack at time 0 whose clock moves when told, or as far as who waits needs."""

    def __init__(self, server: Server, seed: int | None = None) -> None:
        """Resets the server's stack, with another seed than the scenario's if one is given."""
        self.seed = server.reset(seed)
        self.metrics_urls = dict(server.metrics_urls)
        self._first = next(iter(server.addresses.values()))
        super().__init__(
            {name: BlockingSession(at, _PATIENCE) for name, at in server.addresses.items()}
        )

    @property
    def address(self) -> str:
        """Where the hypervisor is served; ``addresses`` has all services by full name."""
        return self._first

    @property
    def now_ns(self) -> int:
        """Virtual time."""
        return int(self.simulation().now_ns)

    # --- shortcuts --------------------------------------------------------------------------

    @property
    def pools(self) -> Pools[Sync]:
        """The pools of the only array."""
        return self._only_array().pools

    @property
    def volumes(self) -> Volumes[Sync]:
        """The volumes of the only array."""
        return self._only_array().volumes

    @property
    def ports(self) -> Ports[Sync]:
        """The ports of the only array."""
        return self._only_array().ports

    @property
    def hosts(self) -> Hosts[Sync]:
        """The hosts of the hypervisor, with their VMs."""
        return self.hypervisor.hosts

    def _only_array(self) -> Array[Sync]:
        if len(self.arrays) != 1:
            raise errors.NotFound(
                f"the stack has {len(self.arrays)} arrays: say which, as in "
                f"smokestack.array({min(self.arrays, default='a1')!r}).pools"
            )
        return next(iter(self.arrays.values()))

    # --- what happened ----------------------------------------------------------------------

    def last_events(self, most: int = 10) -> list[Any]:
        """Returns the newest events of all services, oldest first."""
        request = pb.ListEventsRequest(page_size=most, newest_first=True)
        call = Call("SimulationService.ListEvents", request, as_it_is)
        found = [event for s in self._sessions() for event in s.run(call).events]
        return sorted(found, key=_order)[-most:]

    def __enter__(self) -> Self:
        return self
