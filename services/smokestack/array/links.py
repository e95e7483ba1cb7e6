"""The links of an array's ports: down by hand or by a fault, and told to the initiators.

The array has promised its driver when the next record can arrive.  So a change made between windows
moves a link only at the end of the next one, when the promise can be made anew; a rule whose time
was known before that moves it at that very time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from smokestack.engine.event_kinds import EventKind
from smokestack.engine.records import NEVER_NS, EventCode

from .faults import PORT_DOWN

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
        self._changes: list[tuple[str, bool, str]] = []
        self._is_open = False  # a rule that begins or ends may move links at once
        self._stale = False  # links are to be fitted at the end of the next window
        self._heard_ns = NEVER_NS
        self.settling = Settling()  # of what waits now, or will wait next
        array.faults.links = self

    @property
    def waiting(self) -> bool:
        """Whether anything was changed that the next window's end has to carry out."""
        return self._stale or bool(self._changes)

    def change(self, port_id: str, enabled: bool, cause: str) -> None:
        """Takes a link down or up by hand, at the end of the running window or of the next one."""
        self._changes.append((port_id, enabled, cause))

    def forget(self, port_id: str) -> None:
        """Drops what was to be done to a port that is gone."""
        self._changes = [change for change in self._changes if change[0] != port_id]

    def open(self) -> None:
        """Begins a window: nothing that rules do in it comes as a surprise."""
        self._is_open = not self.waiting

    def fit(self, at_ns: int) -> None:
        """Brings links in line with the rules, now if a window is open, else at its end."""
        if self._is_open:
            self._fit(at_ns)
        else:
            self._stale = True

    def settle(self, at_ns: int) -> int:
        """Ends a window: moves what waits, and returns when the earliest initiator hears."""
        if self.waiting:
            self.settling.at_ns, self.settling = self._array.now_ns, Settling()
        changes, self._changes = self._changes, []
        for port_id, enabled, cause in changes:
            self._row(port_id)["disabled"] = not enabled
            self._fit_port(port_id, at_ns, cause)
        if self._stale:
            self._fit(at_ns)
        self._stale = self._is_open = False
        heard_ns, self._heard_ns = self._heard_ns, NEVER_NS
        return heard_ns

    def _fit(self, at_ns: int) -> None:
        for port_id in sorted(self._array.ports):
            self._fit_port(port_id, at_ns, "")

    def _fit_port(self, port_id: str, at_ns: int, cause: str) -> None:
        row, faults = self._row(port_id), self._array.faults
        name = f"{self._array.name}/ports/{port_id}"
        fault = faults.holding(PORT_DOWN, name)
        up = not row["disabled"] and fault is None
        if up != bool(row["up"]):
            self._move(port_id, up, at_ns, cause or (fault.told if fault else faults.freed(name)))

    def _move(self, port_id: str, up: bool, at_ns: int, cause: str) -> None:
        """Moves a link and tells the port's initiators."""
        array, row = self._array, self._row(port_id)
        row["up"] = up
        if not up:
            row["epoch"] += 1
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
