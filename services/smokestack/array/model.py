"""The array: inventory that changes at borders, and a kernel that serves I/O between them.

Management calls validate whole and then change rows of the kernel's tables; they are made between
windows only (the caller holds the border).  A call at border t acts at t plus the forward latency,
for the array has already run that far.  Rows are appended and never reused, so an index that a
submitter holds keeps its meaning; deleted things stay behind as invalid rows.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from smokestack.engine.blockdevice import NOTHING, Attachment, IoBatch, Reply
from smokestack.engine.checks import in_range
from smokestack.engine.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from smokestack.engine.event_kinds import EventKind
from smokestack.engine.records import NEVER_NS, Attention
from smokestack.engine.snapshot import Kept

from . import attentions, checks, hangs
from .luns import Luns
from .rows import append_controller, append_port
from .sets import Sets
from .snapshot import keeper_of
from .space import ArraySpace
from .specs import ArrayHostSpec, ControllerSpec, ExportSpec, PortSpec

_DEFAULT_LATENCY_NS = 50_000


class ArrayModel(ArraySpace, Kept):
    """One array; a BlockDevice whose nexuses are I_T_L nexuses."""

    def __init__(self, array_id: str, seed: int = 1) -> None:
        super().__init__(array_id)
        self.state.row["seed"] = seed
        self.epoch = 0
        self._fit_latencies()
        self.sets = Sets(self)
        self.keeper = keeper_of(self)

    # --- clock and border -------------------------------------------------------------------

    @property
    def seed(self) -> int:
        """The seed that media and cache are drawn from; a driver brings its own."""
        return int(self.state.row["seed"])

    @property
    def lookahead_ns(self) -> int:
        """Least forward plus least return latency over the ports."""
        row = self.state.row
        return int(row["forward_ns"]) + int(row["return_ns"])

    def advance(self, until_ns: int) -> None:
        """Runs an array that nobody drives to a time; FailedPrecondition names a driver."""
        if self.driver is not None:
            raise FailedPrecondition(
                f"{self.name} is driven by {self.driver}: advance that instead",
                reason="DRIVEN",
                resource=self.name,
            )
        if until_ns < self.now_ns:
            raise InvalidArgument.at("until_ns", f"{until_ns} is before now, {self.now_ns}")
        self.exchange(until_ns, NOTHING)

    @property
    def reached_ns(self) -> int:
        """Virtual time that windows have run to."""
        return self.now_ns

    def attach(self, attachment: Attachment) -> None:
        """Takes the array for one driver, whose clock and seed it follows from here on."""
        if self.driver is not None:
            raise FailedPrecondition(
                f"{self.name} is driven by {self.driver} already; a second driver is refused",
                reason="DRIVEN",
                resource=self.name,
            )
        if attachment.start_ns < self.now_ns:
            raise FailedPrecondition(
                f"{self.name} stands at {self.now_ns} ns, ahead of {attachment.driver} at "
                f"{attachment.start_ns} ns: start it anew",
                reason="AHEAD",
                resource=self.name,
            )
        in_range("lookahead_ns", attachment.lookahead_ns, 1, self.lookahead_ns)
        self.state.restart(attachment.start_ns)
        self._tell(EventKind.DRIVER_ATTACHED, driver=attachment.driver, epoch=attachment.epoch)
        self.driver, self.epoch = attachment.driver, attachment.epoch
        self.state.row["seed"] = attachment.seed
        self.state.row["lookahead_ns"] = attachment.lookahead_ns
        if attachment.power_on:
            self._power_on()
        self._run_changes(self.acts_ns)

    def _power_on(self) -> None:
        """Begins anew as after a loss of power: every station is idle, and each nexus says so."""
        for column in ("rx_free_ns", "tx_free_ns"):
            self.state["port"][column] = self.acts_ns
        self.state["core"][:] = self.state["disk"][:] = self.acts_ns
        self.state["head"][:] = 0
        hangs.end_all(self)
        self.forget_reads()
        told = self._tell(EventKind.ARRAY_POWERED_ON)
        self.reservations.lose_power(self.acts_ns, told.name)
        self.establish_attention(Attention.POWER_ON, told.number)

    def forget_reads(self) -> None:
        """Empties all read caches, as a loss of power does."""
        for row in range(len(self.state.used("read_cache"))):
            self.state.forget_reads(row)

    def detach(self) -> None:
        """Gives the array back; what was in flight is gone."""
        driver, self.driver = self.driver, None
        self._tell(EventKind.DRIVER_DETACHED, driver=driver or "", epoch=self.epoch)
        self.state.restart(self.now_ns)
        self._fit_latencies()

    def exchange(self, until_ns: int, submissions: IoBatch) -> Reply:
        """Runs one window for the driver.

        Link changes made since the last window act at its end, so that the time promised for the
        next arrival already counts the events that they send.
        """
        links = self.links
        scheduled = self._next_change_ns != NEVER_NS
        if scheduled:
            submissions = self._run_in_parts(until_ns, submissions)
        reply = self.state.exchange(until_ns, submissions)
        if self.state.noted:
            self.tell_notes()
        if not scheduled and not links.waiting:
            return reply
        self._run_changes(self.acts_ns)
        heard_ns = min(links.settle(self.acts_ns), self._hearable_ns)
        next_ns = max(min(reply.next_ns, heard_ns), until_ns + int(self.state.row["lookahead_ns"]))
        return reply._replace(records=self.state["out"], next_ns=next_ns)

    @property
    def _next_change_ns(self) -> int:
        """When the next rule begins or ends, or something else comes due."""
        return min(self.faults.next_ns, self.links.controllers.next_ns)

    @property
    def _hearable_ns(self) -> int:
        """When a submitter can hear of that, at the earliest."""
        next_ns = self._next_change_ns
        return next_ns if next_ns == NEVER_NS else next_ns + int(self.state.row["return_ns"])

    def _run_changes(self, time_ns: int) -> None:
        """Lets happen what comes due up to a time, this one included."""
        while (at_ns := self._next_change_ns) <= time_ns:
            self.faults.run_to(at_ns)
            self.links.controllers.run_to(at_ns)
            if self._next_change_ns == at_ns:  # a reboot that waits for the window's end
                self.faults.run_to(time_ns)
                return

    def _run_in_parts(self, until_ns: int, submissions: IoBatch) -> IoBatch:
        """Runs to where changes come due within a window; returns what is left to take."""
        horizon_ns = until_ns + self.acts_ns - self.now_ns
        self.links.open()
        last_ns = -1
        while last_ns < (at_ns := self._next_change_ns) < horizon_ns:
            self.state.run_to(at_ns, submissions)
            submissions = NOTHING
            if self.state.noted:
                self.tell_notes()
            self._run_changes(at_ns)
            last_ns = at_ns
        return submissions

    def _fit_latencies(self) -> None:
        """Sets the least latencies; while driven they are fixed, for windows rest on them."""
        if self.driver is not None:
            return
        ports = self.ports.values()
        row = self.state.row
        row["forward_ns"] = min((p.forward_latency_ns for p in ports), default=_DEFAULT_LATENCY_NS)
        row["return_ns"] = min((p.return_latency_ns for p in ports), default=_DEFAULT_LATENCY_NS)
        row["lookahead_ns"] = self.lookahead_ns

    # --- hardware ---------------------------------------------------------------------------

    def create_controller(self, spec: ControllerSpec) -> None:
        """Adds a controller."""
        checks.check_controller(spec)
        self._absent("controllers", self.controllers, spec.controller_id)
        self.ownership.check_group()
        if spec.partner:
            checks.check_pair("controller", spec.controller_id, spec.partner, self.controllers)
            partner = replace(self.controllers[spec.partner], partner=spec.controller_id)
            self.controllers[spec.partner] = partner
        self._rows["controllers", spec.controller_id] = append_controller(self.state, spec)
        self.controllers[spec.controller_id] = spec
        self.faults.link("controllers", spec.controller_id)
        self._tell(EventKind.CONTROLLER_CREATED, f"controllers/{spec.controller_id}")
        self.links.fit_pairs()

    def delete_controller(self, controller_id: str) -> None:
        """Removes a controller that no port belongs to."""
        self._present("controllers", self.controllers, controller_id)
        users = [p.port_id for p in self.ports.values() if p.controller_id == controller_id]
        self._unused("controllers", controller_id, "ports", users)
        self._part(self.controllers, self.controllers[controller_id].partner)
        self.links.forget("controller", controller_id)
        self.links.controllers.forget(controller_id)
        owned = self.ownership.owned(controller_id)
        del self.controllers[controller_id], self._rows["controllers", controller_id]
        told = self._tell(EventKind.CONTROLLER_DELETED, f"controllers/{controller_id}")
        self.ownership.leave(controller_id, owned, told.name)

    def set_controller_enabled(self, controller_id: str, enabled: bool, cause: str = "") -> None:
        """Takes a controller down, or lets it come back, which takes its ``reboot_ns``.

        What is in it is lost; its ports go down unless others take them over.  The change acts at
        the end of the running window, or of the next one.
        """
        self._present("controllers", self.controllers, controller_id)
        spec = self.controllers[controller_id]
        if spec.enabled != enabled:
            self.controllers[controller_id] = replace(spec, enabled=enabled)
            self.links.change("controller", controller_id, enabled, cause)

    def reboot_controller(self, controller_id: str) -> None:
        """Takes a controller down and lets it come back after its ``reboot_ns``."""
        self._present("controllers", self.controllers, controller_id)
        self.links.controllers.check_reboot(controller_id)
        self.links.change("reboot", controller_id, True)

    def _part(self, specs: dict[str, Any], partner: str) -> None:
        """Leaves somebody without a partner."""
        if partner:
            specs[partner] = replace(specs[partner], partner="")
            self.links.fit_pairs()

    def create_port(self, spec: PortSpec) -> None:
        """Adds a port, and an ITL for each export that it can serve."""
        checks.check_port(spec)
        self._absent("ports", self.ports, spec.port_id)
        self._present("controllers", self.controllers, spec.controller_id)
        if spec.partner:
            checks.check_port_pair(spec, self.ports)
        self.quotas.check_port(spec)
        row = self.state.row
        if self.driver is not None and (
            spec.forward_latency_ns < row["forward_ns"] or spec.return_latency_ns < row["return_ns"]
        ):
            raise FailedPrecondition(
                f"{self.name} is driven with latencies of at least {row['forward_ns']} and "
                f"{row['return_ns']} ns; a faster port can be added only before it is attached",
                reason="LOOKAHEAD_FIXED",
            )
        controller = self._rows["controllers", spec.controller_id]
        self._rows["ports", spec.port_id] = append_port(self.state, spec, controller)
        self.ports[spec.port_id] = spec
        if spec.partner:
            self.ports[spec.partner] = replace(self.ports[spec.partner], partner=spec.port_id)
        self._fit_latencies()
        for export in sorted(self.exports.values(), key=lambda e: (e.volume_id, e.host_id)):
            self._add_itls(export, [spec.port_id])
        self.faults.link("ports", spec.port_id)
        self._tell(EventKind.PORT_CREATED, f"ports/{spec.port_id}", fabric=spec.fabric)

    def delete_port(self, port_id: str) -> None:
        """Removes a port that no export uses."""
        self._present("ports", self.ports, port_id)
        users = [v for i, (v, _, _, p) in enumerate(self.itls) if p == port_id and self._valid(i)]
        self._unused("ports", port_id, "exports of volumes", users)
        self._unused("ports", port_id, "sets of ports", self.sets.with_port(port_id))
        self._part(self.ports, self.ports[port_id].partner)
        self.quotas.forget_port(port_id)
        del self.ports[port_id], self._rows["ports", port_id]
        self.links.forget("port", port_id)
        self._tell(EventKind.PORT_DELETED, f"ports/{port_id}")
        self._fit_latencies()

    def set_port_enabled(self, port_id: str, enabled: bool, cause: str = "") -> None:
        """Takes a port's link down or up; its initiators see it after the return latency.

        While down the port answers nothing: commands that reach it and answers that would leave
        it are lost.  The change acts at the end of the running window, or of the next one.
        ``cause`` names the event that made somebody do this.
        """
        self._present("ports", self.ports, port_id)
        if self.ports[port_id].enabled == enabled:
            return
        self.ports[port_id] = replace(self.ports[port_id], enabled=enabled)
        self.links.change("port", port_id, enabled, cause)

    def set_port_queue_limit(self, port_id: str, queue_limit: int) -> None:
        """Changes how many commands a port takes; those outstanding stay."""
        self._present("ports", self.ports, port_id)
        spec = replace(self.ports[port_id], queue_limit=queue_limit)
        checks.check_port(spec)
        self.state["port"][self._rows["ports", port_id]]["queue_limit"] = queue_limit
        self.ports[port_id] = spec
        self._tell(EventKind.PORT_LIMITED, f"ports/{port_id}", queue_limit=queue_limit)

    def update_product(self, **fields: Any) -> None:
        """Changes what the array says that it is; hosts learn it from rescans."""
        product = replace(self.product, **fields)
        checks.check_product(product)
        if product.hints_enabled != self.product.hints_enabled and self.driver is not None:
            raise FailedPrecondition(
                f"{self.name} is driven by {self.driver}; turn hints on or off before the first "
                "Advance",
                reason="DRIVEN",
                resource=self.name,
            )
        self.product = product
        self.state.row["hints"] = product.hints_enabled

    # --- exports ----------------------------------------------------------------------------

    def create_host(self, spec: ArrayHostSpec) -> None:
        """Registers a host's initiators; an initiator belongs to one host."""
        checks.check_host(spec)
        self._absent("hosts", self.hosts, spec.host_id)
        for host in self.hosts.values():
            taken = {i.name for i in host.initiators} & {i.name for i in spec.initiators}
            if taken:
                raise AlreadyExists(
                    f"initiator {min(taken)} belongs to {self.name}/hosts/{host.host_id} already"
                )
        self.quotas.check_host(spec)
        self.hosts[spec.host_id] = spec
        self.quotas.add_host(spec)
        self._tell(EventKind.HOST_CREATED, f"hosts/{spec.host_id}")

    def update_host(self, host_id: str, **fields: Any) -> None:
        """Changes how many commands a host may have."""
        self._present("hosts", self.hosts, host_id)
        self.quotas.update(replace(self.hosts[host_id], **fields))

    def delete_host(self, host_id: str) -> None:
        """Removes a host that nothing is exported to."""
        self._present("hosts", self.hosts, host_id)
        users = [volume for volume, host in self.exports if host == host_id]
        self._unused("hosts", host_id, "exports of volumes", users)
        self._unused("hosts", host_id, "sets of hosts", self.sets.with_host(host_id))
        del self.hosts[host_id]
        self.quotas.forget_host(host_id)
        self._tell(EventKind.HOST_DELETED, f"hosts/{host_id}")

    def check_export(
        self, spec: ExportSpec, luns: Luns | None = None, place: str = "export"
    ) -> None:
        """Refuses an export that cannot be added; ``luns`` are those taken by then."""
        checks.check_export(spec, place)
        self._present("volumes", self.volumes, spec.volume_id)
        self._present("hosts", self.hosts, spec.host_id)
        if (spec.volume_id, spec.host_id) in self.exports:
            raise AlreadyExists.of(f"{self.name}/exports/{spec.volume_id}.{spec.host_id}")
        if spec.port_set:
            checks.check_reached(spec, self.hosts, self.ports, f"{place}.port_set")
        else:
            self._check_ports(spec, f"{place}.ports")
        other = (luns or self.luns).volume(spec.host_id, spec.lun)
        if other is not None:
            raise AlreadyExists(
                f"LUN {spec.lun} of {self.name}/hosts/{spec.host_id} is "
                f"{self.name}/volumes/{other} already",
                reason="LUN_IN_USE",
            )

    def _check_ports(self, spec: ExportSpec, field: str) -> None:
        """Refuses ports that do not exist, or that the host has no initiator to reach by."""
        fabrics = {initiator.fabric for initiator in self.hosts[spec.host_id].initiators}
        for index, port_id in enumerate(spec.ports):
            place = f"{field}[{index}]"
            if port_id in spec.ports[:index]:
                raise InvalidArgument.at(place, f"{port_id!r} stands here twice")
            if port_id not in self.ports:
                choice = ", ".join(sorted(self.ports)[:5]) or "it has none"
                raise InvalidArgument.at(place, f"{port_id!r} is no port of {self.name}: {choice}")
            if self.ports[port_id].fabric not in fabrics:
                raise InvalidArgument.at(
                    place,
                    f"{port_id!r} is on {self.ports[port_id].fabric}, {spec.host_id!r} on "
                    f"{', '.join(sorted(fabrics))} only: leave the port out",
                )

    def create_export(self, spec: ExportSpec) -> None:
        """Shows a volume to a host, on each of its initiators through each port it can reach."""
        self.check_export(spec)
        self.luns.take(spec)
        self.exports[spec.volume_id, spec.host_id] = spec
        before = len(self.itls)
        self._add_itls(spec, sorted(self.ports))
        self.faults.link("exports", f"{spec.volume_id}.{spec.host_id}")
        told = self._tell(
            EventKind.EXPORT_CREATED, f"exports/{spec.volume_id}.{spec.host_id}", lun=spec.lun
        )
        attentions.luns_changed(self, spec.host_id, told.number, before)
        attentions.represented(self, spec.host_id, spec.lun, told.number)

    def delete_export(self, volume_id: str, host_id: str) -> None:
        """Hides a volume from a host; commands that still come find no logical unit."""
        name = f"{self.name}/exports/{volume_id}.{host_id}"
        if (volume_id, host_id) not in self.exports:
            raise NotFound.of(name)
        host_set = self.exports[volume_id, host_id].host_set
        if host_set:
            raise FailedPrecondition(
                f"{name} comes from {self.name}/hostSets/{host_set}: take the host out of the set, "
                f"or delete {self.name}/setExports/{volume_id}.{host_set}",
                reason="OF_A_SET",
                resource=name,
            )
        self.hide_export(volume_id, host_id)

    def hide_export(self, volume_id: str, host_id: str) -> None:
        """Deletes an export that exists, of a set or not."""
        self.luns.release(self.exports.pop((volume_id, host_id)))
        told = self._tell(EventKind.EXPORT_DELETED, f"exports/{volume_id}.{host_id}")
        self._hide(volume_id, host_id, told.number, set(self.ports))
        self.reservations.leave(volume_id, host_id)
        attentions.luns_changed(self, host_id, told.number, len(self.itls))

    def _hide(self, volume_id: str, host_id: str, cause: int, ports: set[str]) -> None:
        """Makes the nexuses of a volume and a host through these ports find no logical unit."""
        itls = self.state["itl"]
        gone = [
            index
            for index in self.itls_of_host.get(host_id, [])
            if self.itls[index][0] == volume_id
            and self.itls[index][3] in ports
            and itls[index]["valid"]
        ]
        itls["valid"][gone] = itls["attentions"][gone] = 0
        itls["hidden"][gone] = cause
