"""Checks that a scenario's names are there, are unique, and lead somewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from smokestack.engine.checks import identifier
from smokestack.engine.errors import InvalidArgument, Violation
from smokestack.v1 import scenario_pb2 as pb


def check_references(scenario: pb.Scenario, violations: list[Violation]) -> None:
    """Adds a violation for each name that is missing, taken, or leads nowhere."""
    _References(scenario, violations).check()


class _References:
    def __init__(self, scenario: pb.Scenario, violations: list[Violation]) -> None:
        self._scenario = scenario
        self._violations = violations
        self._initiators: set[str] = set()

    def check(self) -> None:
        scenario = self._scenario
        if scenario.seed < 0:
            self._note("seed", f"{scenario.seed} is not within 0 to 2^63 - 1")
        for field, example in (("fabrics", "[a, b]"), ("arrays", "- name: a1")):
            if not getattr(scenario, field):
                self._note(field, f"is missing: give at least one, e.g. {example}")
        fabrics: set[str] = set()
        for index, fabric in enumerate(scenario.fabrics):
            self._unique(f"fabrics[{index}]", fabric, "a", fabrics)
        self._names("arrays", scenario.arrays, "a1")
        self._names("traces", scenario.traces, "t1")
        self._names("hosts", scenario.hosts, "h1")
        for index, array in enumerate(scenario.arrays):
            self._check_array(f"arrays[{index}]", array)
        for index, host in enumerate(scenario.hosts):
            self._check_host(f"hosts[{index}]", host)
        rules: set[str] = set()
        for index, fault in enumerate(scenario.faults):
            if fault.name:
                self._unique(f"faults[{index}].name", fault.name, "slow", rules)

    def _check_array(self, path: str, array: pb.ScenarioArray) -> None:
        for field, example in (("controllers", "c0"), ("ports", "p0")):
            if not getattr(array, field):
                self._note(f"{path}.{field}", f"is missing: give at least one, e.g. {example}")
        self._names(f"{path}.controllers", array.controllers, "c0")
        self._names(f"{path}.ports", array.ports, "p0")
        self._names(f"{path}.drive_groups", array.drive_groups, "g1")
        self._names(f"{path}.pools", array.pools, "p1")
        self._names(f"{path}.volumes", array.volumes, "v1")
        self._names(f"{path}.hosts", array.hosts, "h1")
        controllers = [c.name for c in array.controllers]
        self._check_partners(f"{path}.controllers", "controller", array.controllers)
        self._check_partners(f"{path}.ports", "port", array.ports)
        for index, port in enumerate(array.ports):
            place = f"{path}.ports[{index}]"
            self._known(f"{place}.controller", "controller", port.controller, controllers)
            self._known(f"{place}.fabric", "fabric", port.fabric, self._scenario.fabrics)
        groups = [group.name for group in array.drive_groups]
        for index, pool in enumerate(array.pools):
            if pool.drive_group:
                place = f"{path}.pools[{index}].drive_group"
                self._known(place, "group of drives", pool.drive_group, groups)
        for index, volume in enumerate(array.volumes):
            place = f"{path}.volumes[{index}]"
            self._known(f"{place}.pool", "pool", volume.pool, [p.name for p in array.pools])
            if volume.controller:
                self._known(f"{place}.controller", "controller", volume.controller, controllers)
            if volume.source_volume:
                above = [v.name for v in array.volumes[:index]]
                self._known(f"{place}.source_volume", "volume", volume.source_volume, above)
            if volume.source_snapshot:
                self._note(f"{place}.source_snapshot", "names nothing: a scenario has no snapshots")
        self._check_exports(path, array)

    def _check_exports(self, path: str, array: pb.ScenarioArray) -> None:
        hosts = [h.name for h in (array.hosts or self._scenario.hosts)]
        self._names(f"{path}.host_sets", array.host_sets, "hs1")
        self._names(f"{path}.port_sets", array.port_sets, "ps1")
        for index, host_set in enumerate(array.host_sets):
            if not host_set.hosts:
                self._note(f"{path}.host_sets[{index}].hosts", "is missing: give at least one")
            for at, host_id in enumerate(host_set.hosts):
                self._known(f"{path}.host_sets[{index}].hosts[{at}]", "host", host_id, hosts)
        ports = [p.name for p in array.ports]
        for index, port_set in enumerate(array.port_sets):
            if not port_set.ports:
                self._note(f"{path}.port_sets[{index}].ports", "is missing: give at least one")
            for at, port_id in enumerate(port_set.ports):
                self._known(f"{path}.port_sets[{index}].ports[{at}]", "port", port_id, ports)
        for index, export in enumerate(array.exports):
            place = f"{path}.exports[{index}]"
            self._check_export(place, export, "host", array)
            self._known(f"{place}.host", "host", export.host, hosts)
        sets = [s.name for s in array.host_sets]
        for index, to_set in enumerate(array.set_exports):
            place = f"{path}.set_exports[{index}]"
            self._check_export(place, to_set, "host_set", array)
            self._known(f"{place}.host_set", "set of hosts", to_set.host_set, sets)

    def _check_export(self, place: str, export: Any, whom: str, array: pb.ScenarioArray) -> None:
        """Notes what is wrong with an export to a host or to a set, but for whom it names."""
        if export.name:
            self._note(f"{place}.name", f"follows from volume and {whom}: leave it out")
        self._known(f"{place}.volume", "volume", export.volume, [v.name for v in array.volumes])
        for at, port_id in enumerate(export.ports):
            self._known(f"{place}.ports[{at}]", "port", port_id, [p.name for p in array.ports])
        if export.port_set:
            sets = [s.name for s in array.port_sets]
            self._known(f"{place}.port_set", "set of ports", export.port_set, sets)

    def _check_partners(self, path: str, what: str, parts: Sequence[Any]) -> None:
        """Notes partners that do not stand above: the second of a pair names the first."""
        for index, part in enumerate(parts):
            if part.partner:
                earlier = [each.name for each in parts[:index]]
                self._known(f"{path}[{index}].partner", f"earlier {what}", part.partner, earlier)

    def _check_host(self, path: str, host: pb.ScenarioHost) -> None:
        if not host.initiators:
            self._note(f"{path}.initiators", "is missing: give at least one per fabric")
        self._names(f"{path}.initiators", host.initiators, "h1-a", self._initiators)
        for index, initiator in enumerate(host.initiators):
            place = f"{path}.initiators[{index}].fabric"
            self._known(place, "fabric", initiator.fabric, self._scenario.fabrics)
        self._names(f"{path}.vms", host.vms, "v1")
        devices = [
            f"{array.name}.{export.volume}"
            for array in self._scenario.arrays
            for export in array.exports
            if export.host == host.name
        ]
        for array in self._scenario.arrays:
            sets = {s.name for s in array.host_sets if host.name in s.hosts}
            devices += [f"{array.name}.{e.volume}" for e in array.set_exports if e.host_set in sets]
        for index, vm in enumerate(host.vms):
            self._check_vm(f"{path}.vms[{index}]", vm, devices)

    def _check_vm(self, path: str, vm: pb.ScenarioVm, devices: list[str]) -> None:
        self._names(f"{path}.disks", vm.disks, "d0")
        self._names(f"{path}.jobs", vm.jobs, "j0")
        for index, disk in enumerate(vm.disks):
            self._known(
                f"{path}.disks[{index}].device", "volume exported here", disk.device, devices
            )
        for index, job in enumerate(vm.jobs):
            place = f"{path}.jobs[{index}]"
            self._known(f"{place}.disk", "disk", job.disk, [d.name for d in vm.disks])
            if job.trace:
                traces = [t.name for t in self._scenario.traces]
                self._known(f"{place}.trace", "trace", job.trace, traces)

    def _names(
        self, path: str, parts: Iterable[Any], example: str, taken: set[str] | None = None
    ) -> None:
        taken = set() if taken is None else taken
        for index, part in enumerate(parts):
            self._unique(f"{path}[{index}].name", part.name, example, taken)

    def _unique(self, path: str, name: str, example: str, taken: set[str]) -> None:
        if not name:
            self._note(path, f"is missing: give a name, e.g. {example}")
        elif name in taken:
            self._note(path, f"{name!r} is taken: choose another name")
        else:
            try:
                identifier(path, name)
            except InvalidArgument as refused:
                self._violations.extend(refused.violations)
        taken.add(name)

    def _known(self, path: str, what: str, name: str, have: Iterable[str]) -> None:
        choice = ", ".join(have)
        if name not in choice.split(", "):
            known = f"use {choice}" if choice else "there is none"
            wrong = f"{name!r} is no {what}" if name else "is missing"
            self._note(path, f"{wrong}: {known}")

    def _note(self, path: str, description: str) -> None:
        self._violations.append(Violation(path, description))
