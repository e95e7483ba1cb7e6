"""Controllers that fail, reboot and come back, and what that makes of their write caches.

A controller is down while an administrator has disabled it, a fault holds it or the array has no
power, and then for its
``reboot_ns``.  What was in it is lost: a new epoch of its cores and of its ports' wires begins.
Whoever is paired with it goes on without a mirror, so it writes through until the pair is whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smokestack.engine.errors import FailedPrecondition
from smokestack.engine.event_kinds import EventKind
from smokestack.engine.records import NEVER_NS

from .faults import CONTROLLER_DOWN, POWER_LOSS
from .specs import ControllerState

if TYPE_CHECKING:
    from .inventory import ArrayInventory
    from .links import Links

_KINDS = {
    ControllerState.ONLINE: EventKind.CONTROLLER_ONLINE,
    ControllerState.FAILED: EventKind.CONTROLLER_FAILED,
    ControllerState.REBOOTING: EventKind.CONTROLLER_REBOOTING,
}


class Controllers:
    """The states of one array's controllers."""

    def __init__(self, array: ArrayInventory, links: Links) -> None:
        self._array = array
        self._links = links
        self._boots: dict[str, int] = {}  # when whose reboot ends
        self._told: dict[str, tuple[int, str]] = {}  # the newest event about each, and its time
        self._restarts = ""  # the one that is to reboot now
        self._cause = ""  # of what is done by hand now

    # --- changes ----------------------------------------------------------------------------

    def check_reboot(self, controller_id: str) -> None:
        """Refuses to reboot what is down, or what would be back at once."""
        spec = self._array.controllers[controller_id]
        name = f"{self._array.name}/controllers/{controller_id}"
        if not spec.enabled:
            raise FailedPrecondition(
                f"{name} is disabled: enable it, and it reboots", reason="DISABLED", resource=name
            )
        if not spec.reboot_ns:
            raise FailedPrecondition(
                f"{name} takes no time to reboot: create it with a reboot_ns",
                reason="NO_REBOOT",
                resource=name,
            )

    def enable(self, controller_id: str, enabled: bool, cause: str) -> None:
        """Takes a controller down or lets it come back, when the hardware is fitted next."""
        self._row(controller_id)["disabled"] = not enabled
        self._cause = cause

    def restart(self, controller_id: str) -> None:
        """Has a controller lose what it holds and come back after its ``reboot_ns``."""
        self._restarts = controller_id

    def forget(self, controller_id: str) -> None:
        """Drops what was known of a controller that is gone."""
        self._boots.pop(controller_id, None)
        self._told.pop(controller_id, None)

    # --- what stands ------------------------------------------------------------------------

    @property
    def next_ns(self) -> int:
        """When the next reboot ends."""
        return min(self._boots.values(), default=NEVER_NS)

    @property
    def all_online(self) -> bool:
        """Whether every controller serves."""
        return all(map(self.online, self._array.controllers))

    def state(self, controller_id: str) -> ControllerState:
        """Returns a controller's state."""
        return ControllerState(int(self._row(controller_id)["state"]))

    def online(self, controller_id: str) -> bool:
        """Whether a controller serves."""
        return bool(self._row(controller_id)["state"] == ControllerState.ONLINE)

    def will_serve(self, controller_id: str) -> bool:
        """Whether a controller serves, once all that was changed by now acts."""
        spec = self._array.controllers[controller_id]
        if not spec.enabled or self._holding(controller_id):
            return False
        if not spec.reboot_ns:
            return True
        return self.online(controller_id) and not self._links.drops(controller_id)

    def told(self, controller_id: str, at_ns: int) -> str:
        """Returns the event that tells why a controller is down, or that it changes now."""
        told_ns, event = self._told.get(controller_id, (-1, ""))
        down = controller_id and not self.online(controller_id)
        return event if down or told_ns == at_ns else ""

    # --- time -------------------------------------------------------------------------------

    def run_to(self, time_ns: int) -> None:
        """Ends all reboots whose time comes up to a time, this one included."""
        while self.next_ns <= time_ns:
            at_ns = self.next_ns
            self._links.fit(at_ns)
            if self.next_ns == at_ns:  # the links wait for the window's end
                return

    def fit(self, at_ns: int) -> set[int]:
        """Brings states in line with rules, hands and reboots; returns the rows of those lost."""
        lost = set()
        for controller_id in sorted(self._array.controllers):
            held = bool(self._row(controller_id)["disabled"]) or bool(self._holding(controller_id))
            restarts = controller_id == self._restarts
            if (held or restarts) and self.online(controller_id):
                lost.add(self._array.row_of("controllers", controller_id))
                self._array.state.forget_reads(self._array.row_of("controllers", controller_id))
            if held or (restarts and self.online(controller_id)):
                self._boots.pop(controller_id, None)
                if self.state(controller_id) is not ControllerState.FAILED:
                    self._become(controller_id, ControllerState.FAILED, at_ns)
            if not held and (restarts or not self.online(controller_id)):
                self._come_back(controller_id, at_ns, restarts)
        self._restarts = self._cause = ""
        self._fit_caches(at_ns)
        self._array.ownership.fit(at_ns, lost)
        return lost

    def newest(self, *controller_ids: str) -> str:
        """Returns the newest event about any of these controllers."""
        return max(self._told.get(each, (-1, "")) for each in controller_ids)[1]

    def _come_back(self, controller_id: str, at_ns: int, restarts: bool) -> None:
        reboot_ns = self._array.controllers[controller_id].reboot_ns
        booting = self.state(controller_id) is ControllerState.REBOOTING
        if reboot_ns and (restarts or not booting):
            self._boots[controller_id] = at_ns + reboot_ns
            if not booting:
                self._become(controller_id, ControllerState.REBOOTING, at_ns)
        elif not reboot_ns or self._boots[controller_id] <= at_ns:
            self._boots.pop(controller_id, None)
            self._become(controller_id, ControllerState.ONLINE, at_ns)

    def _become(self, controller_id: str, state: ControllerState, at_ns: int) -> None:
        self._row(controller_id)["state"] = state
        array = self._array
        name = f"{array.name}/controllers/{controller_id}"
        fault = self._holding(controller_id)
        cause = self._cause or (fault.told if fault else array.faults.freed(name))
        if not cause and state is not ControllerState.FAILED:
            cause = self._told.get(controller_id, (0, ""))[1]
        event = array.events.add(at_ns, _KINDS[state], name, cause)
        self._told[controller_id] = at_ns, event.name

    def _fit_caches(self, at_ns: int) -> None:
        """Lets each controller write back whose mirror stands."""
        array = self._array
        for controller_id, spec in sorted(array.controllers.items()):
            row = self._row(controller_id)
            writes_back = spec.write_back and (not spec.partner or self.online(spec.partner))
            self._drain(controller_id, not (writes_back and self.online(controller_id)), at_ns)
            row["mirror_ns"] = spec.mirror_ns if spec.partner else 0
            if writes_back == bool(row["write_back"]):
                continue
            row["write_back"] = writes_back
            kind = EventKind.CACHE_WRITE_BACK if writes_back else EventKind.CACHE_WRITE_THROUGH
            name = f"{array.name}/controllers/{controller_id}"
            array.events.add(at_ns, kind, name, self.told(spec.partner, at_ns))

    def _drain(self, controller_id: str, drains: bool, at_ns: int) -> None:
        """Has a write cache send off all that waits in it, and wait with nothing, or wait again.

        What a controller held that is lost, its partner destages from the mirror.
        """
        state, row = self._array.state, self._array.row_of("controllers", controller_id)
        if drains and not state["destage"][row]["drains"]:
            state.kernel.flush(row, at_ns)
            self._array.tell_notes()
        state["destage"][row]["drains"] = drains

    def _holding(self, controller_id: str) -> Any:
        name = f"{self._array.name}/controllers/{controller_id}"
        faults = self._array.faults
        return faults.holding(POWER_LOSS, self._array.name) or faults.holding(CONTROLLER_DOWN, name)

    def _row(self, controller_id: str) -> Any:
        return self._array.state["controller"][self._array.row_of("controllers", controller_id)]
