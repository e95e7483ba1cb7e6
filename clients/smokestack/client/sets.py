"""An array's sets of hosts and of ports, and what it exports to a set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Required, TypedDict, Unpack

from smokestack.v1 import array_pb2 as pb

from .kinds import Kind
from .operations import Call, Way, operation
from .resources import Collection, Deletable

_SERVICE = "ArrayService"


class HostSet(Deletable[Way]):
    """Hosts to which volumes can be exported together."""

    of_kind = Kind(pb, _SERVICE, "HostSet", "hostSets", {"hosts": "{parent}/hosts"})
    hosts: tuple[str, ...]

    @operation
    def update(self, *, hosts: Sequence[str]) -> Call[HostSet[Way]]:
        """Gives it these hosts: who joins sees what is exported to it, who leaves no longer."""
        return self._update({"hosts": hosts})


class HostSets(Collection[Way, HostSet[Way]]):
    """An array's sets of hosts."""

    resource = HostSet

    @operation
    def create(self, host_set_id: str, *, hosts: Sequence[str]) -> Call[HostSet[Way]]:
        """Makes a set of hosts."""
        return self._create(host_set_id, {"hosts": hosts})


class PortSet(Deletable[Way]):
    """Ports to which exports can be limited together."""

    of_kind = Kind(pb, _SERVICE, "PortSet", "portSets", {"ports": "{parent}/ports"})
    ports: tuple[str, ...]

    @operation
    def update(self, *, ports: Sequence[str]) -> Call[PortSet[Way]]:
        """Gives it these ports, through which its exports are shown from now on."""
        return self._update({"ports": ports})


class PortSets(Collection[Way, PortSet[Way]]):
    """An array's sets of ports."""

    resource = PortSet

    @operation
    def create(self, port_set_id: str, *, ports: Sequence[str]) -> Call[PortSet[Way]]:
        """Makes a set of ports."""
        return self._create(port_set_id, {"ports": ports})


class SetExportFields(TypedDict, total=False):
    """What a set's export is created from; the LUN is the lowest free on all hosts unless given."""

    volume: Required[str]
    host_set: Required[str]
    lun: int
    ports: Sequence[str]
    port_set: str
    read_only: bool


class SetExport(Deletable[Way]):
    """A volume shown to all hosts of a set; its identifier is volume, dot, set."""

    of_kind = Kind(
        pb,
        _SERVICE,
        "SetExport",
        "setExports",
        {
            "volume": "{parent}/volumes",
            "host_set": "{parent}/hostSets",
            "ports": "{parent}/ports",
            "port_set": "{parent}/portSets",
        },
    )
    volume: str
    host_set: str
    lun: int
    ports: tuple[str, ...]
    port_set: str
    read_only: bool


class SetExports(Collection[Way, SetExport[Way]]):
    """Which volume an array shows to which set of hosts."""

    resource = SetExport

    @operation
    def create(self, **fields: Unpack[SetExportFields]) -> Call[SetExport[Way]]:
        """Shows a volume to each host of a set, under the same LUN."""
        return self._create("", fields)
