"""The links of an array's ports: down by hand, by a fault or with their controller, or taken over.

A port that has a partner keeps its identity when its link or its controller fails: the partner
carries it, on its own wire and to its own controller, and hosts keep their paths.  What the lost
controller or wire had is answered BUSY, so that hosts send it again.

The array has promised its driver when the next record can arrive.  So a change made between windows
moves a link only at the end of the next one, when the promise can be made anew; a rule whose time
was known before that moves it at that very time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from smokestack.engine.event_kinds import EventKind
from smokestack.engine.events import Detail
from smokestack.engine.records import NEVER_NS, Attention, EventCode

from . import attentions
from .controllers import Controllers
from .faults import CONTROLLER_DOWN, PORT_DOWN, POWER_LOSS

if TYPE_CHECKING:
    from .inventory import ArrayInventory

_RECORD_IDS: Final = 1 << 63  # of EVENT records; below are the ids of I/Os


@dataclass
class Settling:
    """When what waits was carried out: at the end of which window."""

    at_ns: int | None = None


class Links:
    """The links of one array."""

    def __init__(self, array: ArrayInventory) -> None:
        self._array = array
        self._records = 0  # EVENT records sent so far
        # What was done by hand: to which port or controller, to what end, because of what.
        self._changes: list[tuple[str, str, bool, str]] = []
        self._is_open = False  # a rule that begins or ends may move links at once
        self._stale = False  # links are to be fitted at the end of the next window
        self._heard_ns = NEVER_NS
        self.controllers = Controllers(array, self)
        self.settling = Settling()  # of what waits now, or will wait next
        array.faults.links = self

    @property
    def waiting(self) -> bool:
        """Whether anything was changed that the next window's end has to carry out."""
        return self._stale or bool(self._changes)

    @property
    def disturbed(self) -> bool:
        """Whether a new port or controller may have to come up in another way than it asks for."""
        faults = self._array.faults
        held = any(map(faults.active, (PORT_DOWN, CONTROLLER_DOWN, POWER_LOSS)))
        return held or not self.controllers.all_online

    def change(self, what: str, resource_id: str, enabled: bool, cause: str = "") -> None:
        """Takes a "port" or "controller" down or up by hand, or reboots it ("reboot").

        Or it aborts ("abort") what a host has at a volume, which it may answer: volume.host.

        It is done at the end of the running window, or of the next one.
        """
        self._changes.append((what, resource_id, enabled, cause))

    def forget(self, what: str, resource_id: str) -> None:
        """Drops what was to be done to a port or controller that is gone."""
        gone = {(what, resource_id)} | (
            {("reboot", resource_id)} if what == "controller" else set()
        )
        self._changes = [change for change in self._changes if change[:2] not in gone]

    def drops(self, controller_id: str) -> bool:
        """Whether a controller is to go down by hand, be it to come back at once."""
        return any(
            (what, who) == ("reboot", controller_id)
            or ((what, who) == ("controller", controller_id) and not enabled)
            for what, who, enabled, _ in self._changes
        )

    def open(self) -> None:
        """Begins a window: nothing that rules do in it comes as a surprise."""
        self._is_open = not self.waiting

    def fit(self, at_ns: int) -> None:
        """Brings links in line with the rules, now if a window is open, else at its end."""
        if self._is_open:
            self._fit(at_ns)
        else:
            self._stale = True

    def fit_pairs(self) -> None:
        """Fits the hardware to pairs that were made or parted, if any of it is down."""
        if self.disturbed or any(spec.partner for spec in self._array.controllers.values()):
            self.fit(self._array.acts_ns)

    def settle(self, at_ns: int) -> int:
        """Ends a window: moves what waits, and returns when the earliest initiator hears."""
        if self.waiting:
            self.settling.at_ns, self.settling = self._array.now_ns, Settling()
        changes, self._changes = self._changes, []
        for what, resource_id, enabled, cause in changes:
            self._carry_out(what, resource_id, enabled, at_ns, cause)
        if self._stale:
            self._fit(at_ns)
        self._stale = self._is_open = False
        heard_ns, self._heard_ns = self._heard_ns, NEVER_NS
        return heard_ns

    def _carry_out(
        self, what: str, resource_id: str, enabled: bool, at_ns: int, cause: str
    ) -> None:
        """Does what was asked for by hand."""
        if what == "port":
            self._row(resource_id)["disabled"] = not enabled
            self._fit_port(resource_id, at_ns, cause)
            if any(spec.partner for spec in self._array.ports.values()):
                self._fit(at_ns)
        elif what == "controller":
            self.controllers.enable(resource_id, enabled, cause)
            self._fit(at_ns)
        elif what == "abort":
            self._abort(resource_id, at_ns)
        else:
            self.controllers.restart(resource_id)
            self._fit(at_ns)

    def _abort(self, export_id: str, at_ns: int) -> None:
        array, (volume_id, _, host_id) = self._array, export_id.partition(".")
        state = array.state
        inside = len(state["io"]) - int(state.row["io_free_count"])
        state.reserve("out", int(state.row["out_end"]) + inside)
        for itl in array.itls_of_host.get(host_id, ()):
            if array.itls[itl][0] == volume_id and state.kernel.abort_nexus(itl, at_ns):
                port = state["port"][int(state["itl"]["port"][itl])]
                self._heard_ns = min(self._heard_ns, at_ns + int(port["return_ns"]))

    def usable(self, port_id: str) -> bool:
        """Whether a port answers, once all that was changed by now acts."""
        spec = self._array.ports[port_id]
        return spec.enabled and (
            self._will_serve(port_id) or bool(spec.partner and self._will_serve(spec.partner))
        )

    def server(self, port_id: str) -> str:
        """Returns the port that carries a port's identity, once all that was changed acts."""
        partner = self._array.ports[port_id].partner
        if not self._will_serve(port_id) and partner and self._will_serve(partner):
            return partner
        return port_id

    def _will_serve(self, port_id: str) -> bool:
        spec = self._array.ports[port_id]
        held = self._array.faults.holding(PORT_DOWN, f"{self._array.name}/ports/{port_id}")
        return spec.enabled and held is None and self.controllers.will_serve(spec.controller_id)

    def _fit(self, at_ns: int) -> None:
        self._fit_power(at_ns)
        lost = self.controllers.fit(at_ns)
        if lost:
            served = [p for p in sorted(self._array.ports) if self._row(p)["controller"] in lost]
        for port_id in sorted(self._array.ports):
            self._fit_port(port_id, at_ns, "")
        if lost:
            for port_id in served:
                self._row(port_id)["lost_epoch"] = self._row(port_id)["epoch"]
            self._renew(lost, at_ns)

    def _fit_power(self, at_ns: int) -> None:
        """Tells when the array has lost its power, or has it again: each nexus then says so."""
        array = self._array
        fault = array.faults.holding(POWER_LOSS, array.name)
        if (fault is not None) == bool(array.state.row["unpowered"]):
            return
        array.state.row["unpowered"] = fault is not None
        if fault is not None:
            array.events.add(at_ns, EventKind.ARRAY_POWER_LOST, array.name, fault.told)
            return
        cause = array.faults.freed(array.name)
        told = array.events.add(at_ns, EventKind.ARRAY_POWERED_ON, array.name, cause)
        array.reservations.lose_power(at_ns, told.name)
        attentions.establish(array, Attention.POWER_ON, told.number)

    def _renew(self, lost: set[int], at_ns: int) -> None:
        """Begins a new epoch of the stations that were lost with their controllers."""
        state = self._array.state
        for index in lost:
            row = state["controller"][index]
            state["core"][row["core_base"] : row["core_base"] + row["core_count"]] = at_ns
        for spec in self._array.ports.values():
            if self._array.row_of("controllers", spec.controller_id) in lost:
                row = self._row(spec.port_id)
                row["rx_free_ns"] = row["tx_free_ns"] = at_ns

    def _serves(self, port_id: str) -> bool:
        """Whether a port's own wire and controller serve."""
        name = f"{self._array.name}/ports/{port_id}"
        held = self._array.faults.holding(PORT_DOWN, name)
        owner = self._array.ports[port_id].controller_id
        return (
            not self._row(port_id)["disabled"] and held is None and self.controllers.online(owner)
        )

    def _fit_port(self, port_id: str, at_ns: int, cause: str) -> None:
        row, spec = self._row(port_id), self._array.ports[port_id]
        up, server = False, port_id
        if not row["disabled"]:
            up = self._serves(port_id)
            if not up and spec.partner and self._serves(spec.partner):
                up, server = True, spec.partner
        if up != bool(row["up"]):
            self._carry(port_id, server)
            self._move(port_id, up, at_ns, cause or self._cause(port_id, at_ns))
        elif up and self._array.row_of("ports", server) != row["wire"]:
            self._hand_over(port_id, server, at_ns, cause or self._cause(port_id, at_ns))
        if not up:
            self._carry(port_id, port_id)

    def _cause(self, port_id: str, at_ns: int) -> str:
        """Returns the event that explains what a port's link does now."""
        faults, name = self._array.faults, f"{self._array.name}/ports/{port_id}"
        fault = faults.holding(PORT_DOWN, name)
        if fault:
            return fault.told
        return faults.freed(name) or self.controllers.told(
            self._array.ports[port_id].controller_id, at_ns
        )

    def _carry(self, port_id: str, server: str) -> None:
        """Lets a port's identity be carried by another port, or by itself."""
        row, array = self._row(port_id), self._array
        row["wire"] = array.row_of("ports", server)
        row["controller"] = array.row_of("controllers", array.ports[server].controller_id)

    def _hand_over(self, port_id: str, server: str, at_ns: int, cause: str) -> None:
        """Moves an identity; what a carrier that fails has in hand, hosts are to send again."""
        row, array = self._row(port_id), self._array
        before = next(p for p in array.ports if array.row_of("ports", p) == row["wire"])
        if not self._serves(before):
            row["epoch"] += 1
        self._carry(port_id, server)
        kind = EventKind.PORT_RETURNED if server == port_id else EventKind.PORT_TAKEN_OVER
        detail: Detail = {"by": f"{array.name}/ports/{server}"}
        array.events.add(at_ns, kind, f"{array.name}/ports/{port_id}", cause, detail)

    def _move(self, port_id: str, up: bool, at_ns: int, cause: str) -> None:
        """Moves a link and tells the port's initiators."""
        array, row = self._array, self._row(port_id)
        row["up"] = up
        row["hung"] = 0  # a link that goes down and comes up has its port begin anew
        if not up:
            row["epoch"] += 1
            row["drop_epoch"] = row["epoch"]
        kind = EventKind.PORT_UP if up else EventKind.PORT_DOWN
        told = array.events.add(at_ns, kind, f"{array.name}/ports/{port_id}", cause)
        # A command may be under way to what is hidden by now: it is lost with the link, too.
        affected = array.itls_of(port_id, hidden=not up)
        if array.driver is None or not affected:
            return
        state = array.state
        state.reserve("out", int(state.row["out_end"]) + len(affected))
        code = EventCode.PATH_UP if up else EventCode.PATH_DOWN
        for itl in affected:
            record = _RECORD_IDS + self._records
            self._records += 1
            state.kernel.send_event(at_ns, record, told.number, itl, int(code))
        self._heard_ns = min(self._heard_ns, at_ns + int(row["return_ns"]))

    def _row(self, port_id: str) -> Any:
        return self._array.state["port"][self._array.row_of("ports", port_id)]
