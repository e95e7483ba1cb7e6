"""How many commands a host may have in the array and at each port, and how many initiators it has.

A host's own limits are ours and off unless they are set: no array of the field is documented to
have them.  Limits of initiators are 3PAR's (FACTS 4.2 [S56]; its source says of the 64 and the
1,024 that they are host ports, for each array port and for each array).  Every initiator on a
port's fabric logs in to it.  The kernel twin is ``quotas.h``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from smokestack.engine.errors import ResourceExhausted
from smokestack.engine.event_kinds import EventKind

from . import checks
from .specs import ArrayHostSpec, InitiatorSpec, PortSpec

if TYPE_CHECKING:
    from .inventory import ArrayInventory

_AT_PORT = "quotas"  # of rows: a host's at one port


class Quotas:
    """The limits of one array's hosts; they change between windows only."""

    def __init__(self, array: ArrayInventory) -> None:
        self._array = array

    def check_host(self, spec: ArrayHostSpec) -> None:
        """Refuses a host whose initiators are more than the array or one of its ports takes."""
        array = self._array
        limit = array.family.initiator_limit
        if not limit and not any(port.initiator_limit for port in array.ports.values()):
            return
        known = [i for host in array.hosts.values() for i in host.initiators]
        if limit and len(known) + len(spec.initiators) > limit:
            raise _too_many(array.name, len(known) + len(spec.initiators), limit)
        for port in array.ports.values():
            self._check_logins(port, (*known, *spec.initiators))

    def check_port(self, spec: PortSpec) -> None:
        """Refuses a port that has more initiators on its fabric than it takes."""
        hosts = self._array.hosts.values()
        self._check_logins(spec, [i for host in hosts for i in host.initiators])

    def _check_logins(self, port: PortSpec, initiators: Iterable[InitiatorSpec]) -> None:
        count = sum(initiator.fabric == port.fabric for initiator in initiators)
        if port.initiator_limit and count > port.initiator_limit:
            raise _too_many(f"{self._array.name}/ports/{port.port_id}", count, port.initiator_limit)

    def add_host(self, spec: ArrayHostSpec) -> None:
        """Begins to keep a host's limits."""
        self._array._rows["hosts", spec.host_id] = self._array.state.append("quota")
        self._set(spec)

    def forget_host(self, host_id: str) -> None:
        """Ends it."""
        del self._array._rows["hosts", host_id]
        for port_id in self._array.ports:
            self._array._rows.pop((_AT_PORT, f"{host_id}.{port_id}"), None)

    def forget_port(self, port_id: str) -> None:
        """Ends it for all hosts at a port."""
        for host_id in self._array.hosts:
            self._array._rows.pop((_AT_PORT, f"{host_id}.{port_id}"), None)

    def add_itl(self, host_id: str, port_id: str) -> None:
        """Counts a new nexus for its host, in the array and at the port."""
        array, name = self._array, f"{host_id}.{port_id}"
        if (_AT_PORT, name) not in array._rows:
            array._rows[_AT_PORT, name] = array.state.append("quota")
            limit = array.hosts[host_id].port_queue_limit
            array.state["quota"][array.row_of(_AT_PORT, name)]["queue_limit"] = limit
        index = array.state.append("quotas_of")
        row = array.state["quotas_of"][index]
        row["host"], row["at_port"] = array.row_of("hosts", host_id), array.row_of(_AT_PORT, name)

    def update(self, spec: ArrayHostSpec) -> None:
        """Gives a host other limits; what it has outstanding stays."""
        checks.check_host(spec)
        self._array.hosts[spec.host_id] = spec
        self._set(spec)
        self._array.events.add(
            self._array.acts_ns,
            EventKind.HOST_LIMITED,
            f"{self._array.name}/hosts/{spec.host_id}",
            detail={"queue_limit": spec.queue_limit, "port_queue_limit": spec.port_queue_limit},
        )

    def refused(self, host_id: str) -> int:
        """Returns how many commands a host's limits have turned away."""
        rows = [*self._at_ports(host_id), self._array.row_of("hosts", host_id)]
        return int(self._array.state["quota"]["refused"][rows].sum())

    def _at_ports(self, host_id: str) -> list[int]:
        """Returns the rows of a host at the ports that it reaches."""
        array = self._array
        names = [(_AT_PORT, f"{host_id}.{port_id}") for port_id in array.ports]
        return [array._rows[name] for name in names if name in array._rows]

    def _set(self, spec: ArrayHostSpec) -> None:
        array, quota = self._array, self._array.state["quota"]
        quota[array.row_of("hosts", spec.host_id)]["queue_limit"] = spec.queue_limit
        quota["queue_limit"][self._at_ports(spec.host_id)] = spec.port_queue_limit
        limited = spec.queue_limit or spec.port_queue_limit
        if limited and not array.state.row["host_limits"]:
            array.state.row["host_limits"] = 1
            array.state.count_commands()


def _too_many(name: str, count: int, limit: int) -> ResourceExhausted:
    return ResourceExhausted(
        f"{name} would have {count} initiators to know, and takes {limit}: delete hosts, or create "
        "it with another initiator_limit",
        reason="TOO_MANY_INITIATORS",
        resource=name,
    )
