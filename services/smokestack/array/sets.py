"""Sets of hosts and of ports, and what is exported to a set: the same LUN on each of its hosts.

Underneath there is an ordinary export for each host, which names the set that it came from.  All
that a change of a set would do is checked before any of it is done.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from smokestack.engine.checks import identifier
from smokestack.engine.errors import AlreadyExists, InvalidArgument, NotFound, Refused, Violation
from smokestack.engine.event_kinds import EventKind

from . import attentions, checks
from .specs import ExportSpec, HostSetSpec, PortSetSpec, SetExportSpec

if TYPE_CHECKING:
    from .model import ArrayModel


class Sets:
    """What an array does with its sets."""

    def __init__(self, array: ArrayModel) -> None:
        self._array = array

    # --- sets of hosts ----------------------------------------------------------------------

    def create_host_set(self, spec: HostSetSpec) -> None:
        """Adds a set of hosts, to which nothing is exported yet."""
        array = self._array
        identifier("host_set.host_set_id", spec.host_set_id)
        array._absent("hostSets", array.host_sets, spec.host_set_id)
        self._check_members("host_set.hosts", spec.hosts, array.hosts, "host")
        array.host_sets[spec.host_set_id] = spec
        array._tell(EventKind.HOST_SET_CREATED, f"hostSets/{spec.host_set_id}")

    def update_host_set(self, host_set_id: str, hosts: Sequence[str]) -> None:
        """Gives a set other hosts: new ones see what is exported to it, others no longer do."""
        array = self._array
        array._present("hostSets", array.host_sets, host_set_id)
        self._check_members("host_set.hosts", hosts, array.hosts, "host")
        before = array.host_sets[host_set_id].hosts
        shown = self.exports_to(host_set_id)
        luns = array.luns.copy()
        new = []
        for index, host_id in enumerate(hosts):
            if host_id in before:
                continue
            for export in shown:
                one = self._member(export, host_id)
                try:
                    array.check_export(one, luns)
                except Refused as refused:
                    right = ": leave the host out, or change that first"
                    raise _blaming(f"host_set.hosts[{index}]", refused, right) from refused
                luns.take(one)
                new.append(one)
        array.host_sets[host_set_id] = HostSetSpec(host_set_id, tuple(hosts))
        array._tell(EventKind.HOST_SET_UPDATED, f"hostSets/{host_set_id}", host_count=len(hosts))
        for export in shown:
            for host_id in before:
                if host_id not in hosts:
                    array.hide_export(export.volume_id, host_id)
        for one in new:
            array.create_export(one)

    def delete_host_set(self, host_set_id: str) -> None:
        """Removes a set that nothing is exported to; its hosts stay."""
        array = self._array
        array._present("hostSets", array.host_sets, host_set_id)
        users = [export.volume_id for export in self.exports_to(host_set_id)]
        array._unused("hostSets", host_set_id, "exports of volumes", users)
        del array.host_sets[host_set_id]
        array._tell(EventKind.HOST_SET_DELETED, f"hostSets/{host_set_id}")

    def exports_to(self, host_set_id: str) -> list[SetExportSpec]:
        """Returns what is exported to a set, by volume."""
        found = [e for e in self._array.set_exports.values() if e.host_set_id == host_set_id]
        return sorted(found, key=lambda export: export.volume_id)

    def with_host(self, host_id: str) -> list[str]:
        """Returns the sets that a host is in."""
        return [s.host_set_id for s in self._array.host_sets.values() if host_id in s.hosts]

    # --- sets of ports ----------------------------------------------------------------------

    def create_port_set(self, spec: PortSetSpec) -> None:
        """Adds a set of ports."""
        array = self._array
        identifier("port_set.port_set_id", spec.port_set_id)
        array._absent("portSets", array.port_sets, spec.port_set_id)
        self._check_members("port_set.ports", spec.ports, array.ports, "port")
        array.port_sets[spec.port_set_id] = spec
        array._tell(EventKind.PORT_SET_CREATED, f"portSets/{spec.port_set_id}")

    def update_port_set(self, port_set_id: str, ports: Sequence[str]) -> None:
        """Gives a set other ports, through which its exports are shown from now on."""
        array = self._array
        array._present("portSets", array.port_sets, port_set_id)
        self._check_members("port_set.ports", ports, array.ports, "port")
        exports = [
            replace(export, ports=tuple(ports))
            for _, export in sorted(array.exports.items())
            if export.port_set == port_set_id
        ]
        for export in exports:
            checks.check_reached(export, array.hosts, array.ports, "port_set.ports")
        before = array.port_sets[port_set_id].ports
        array.port_sets[port_set_id] = PortSetSpec(port_set_id, tuple(ports))
        told = array._tell(
            EventKind.PORT_SET_UPDATED, f"portSets/{port_set_id}", port_count=len(ports)
        )
        known = len(array.itls)
        for export in exports:
            key = export.volume_id, export.host_id
            array.exports[key] = export
            array._hide(*key, told.number, set(before) - set(ports))
            array._add_itls(export, sorted(set(ports) - set(before)))
            array.faults.link("exports", f"{export.volume_id}.{export.host_id}")
        for host_id in sorted({export.host_id for export in exports}):
            attentions.luns_changed(array, host_id, told.number, known)

    def delete_port_set(self, port_set_id: str) -> None:
        """Removes a set that no export is limited to; its ports stay."""
        array = self._array
        array._present("portSets", array.port_sets, port_set_id)
        users = [e.volume_id for e in array.exports.values() if e.port_set == port_set_id]
        array._unused("portSets", port_set_id, "exports of volumes", users)
        del array.port_sets[port_set_id]
        array._tell(EventKind.PORT_SET_DELETED, f"portSets/{port_set_id}")

    def with_port(self, port_id: str) -> list[str]:
        """Returns the sets that a port is in."""
        return [s.port_set_id for s in self._array.port_sets.values() if port_id in s.ports]

    def limit(self, ports: tuple[str, ...], port_set_id: str, place: str) -> tuple[str, ...]:
        """Returns the ports that an export names, by themselves or as a set; none: all."""
        if not port_set_id:
            return ports
        if ports:
            raise InvalidArgument.at(
                f"{place}.port_set", "is given beside ports: give one of them, or neither"
            )
        if port_set_id not in self._array.port_sets:
            known = _choice(self._array.port_sets)
            raise InvalidArgument.at(
                f"{place}.port_set",
                f"{port_set_id!r} is no set of ports of {self._array.name}: {known}",
            )
        return self._array.port_sets[port_set_id].ports

    # --- exports to sets --------------------------------------------------------------------

    def free_lun(self, host_set_id: str) -> int:
        """Returns the lowest LUN that is free on all hosts of a set."""
        array = self._array
        array._present("hostSets", array.host_sets, host_set_id)
        hosts = array.host_sets[host_set_id].hosts
        lun = max(array.luns.lowest_free(host_id) for host_id in hosts)
        while any(array.luns.volume(host_id, lun) is not None for host_id in hosts):
            lun += 1
        return lun

    def create_export(self, spec: SetExportSpec) -> None:
        """Shows a volume to each host of a set, under one LUN."""
        array = self._array
        array._present("hostSets", array.host_sets, spec.host_set_id)
        array._present("volumes", array.volumes, spec.volume_id)
        export_id = f"{spec.volume_id}.{spec.host_set_id}"
        if (spec.volume_id, spec.host_set_id) in array.set_exports:
            raise AlreadyExists.of(f"{array.name}/setExports/{export_id}")
        members = [
            self._member(spec, host_id) for host_id in array.host_sets[spec.host_set_id].hosts
        ]
        for export in members:
            try:
                array.check_export(export, place="set_export")
            except AlreadyExists as refused:
                if refused.reason != "LUN_IN_USE":
                    raise _blaming("set_export.host_set", refused) from refused
                free = f": {self.free_lun(spec.host_set_id)} is free on all of the set's hosts"
                raise _blaming("set_export.lun", refused, free) from refused
        array.set_exports[spec.volume_id, spec.host_set_id] = spec
        for export in members:
            array.create_export(export)

    def delete_export(self, volume_id: str, host_set_id: str) -> None:
        """Hides a volume from all hosts of a set."""
        array = self._array
        if (volume_id, host_set_id) not in array.set_exports:
            raise NotFound.of(f"{array.name}/setExports/{volume_id}.{host_set_id}")
        del array.set_exports[volume_id, host_set_id]
        for host_id in array.host_sets[host_set_id].hosts:
            array.hide_export(volume_id, host_id)

    def _member(self, export: SetExportSpec, host_id: str) -> ExportSpec:
        """Returns a set's export as that of one of its hosts."""
        ports = self.limit(export.ports, export.port_set, "set_export")
        return ExportSpec(
            export.volume_id,
            host_id,
            export.lun,
            ports,
            export.port_set,
            export.host_set_id,
            export.read_only,
        )

    def _check_members(
        self, field: str, members: Sequence[str], have: Mapping[str, Any], what: str
    ) -> None:
        """Refuses a set of nothing, of what does not exist, or of one thing twice."""
        if not members:
            raise InvalidArgument.at(field, f"is empty: give at least one {what}")
        for index, member in enumerate(members):
            if member not in have:
                raise InvalidArgument.at(
                    f"{field}[{index}]",
                    f"{member!r} is no {what} of {self._array.name}: {_choice(have)}",
                )
            if member in members[:index]:
                raise InvalidArgument.at(f"{field}[{index}]", f"{member!r} stands here twice")


def _choice(have: Iterable[str]) -> str:
    return ", ".join(sorted(have)[:5]) or "it has none"


def _blaming(field: str, refused: Refused, right: str = "") -> Refused:
    """Returns a refusal as that of a field, with what would be right."""
    said = "; ".join(v.description for v in refused.violations) or refused.message
    return type(refused)(
        f"{field}: {said}{right}",
        reason=refused.reason,
        resource=refused.resource,
        violations=[Violation(field, f"{said}{right}")],
    )
