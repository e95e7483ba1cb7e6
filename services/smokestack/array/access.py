"""Who owns which volume, where access is asymmetric: set, moved, failed over and back.

A controller's ports are one target port group; a volume is optimized through its owner's.  It moves
when an administrator says so, when its owner is lost, and back when the controller that should own
it is there again; on an active/passive array it moves for commands.  A host that has no other way
moves it with SET TARGET PORT GROUPS, if it may.  Where hosts move volumes they do not go back by
themselves.  The kernel twin is ``access.h``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from smokestack.engine.checks import in_range, one_of
from smokestack.engine.errors import FailedPrecondition, InvalidArgument
from smokestack.engine.event_kinds import EventKind
from smokestack.engine.notes import Note
from smokestack.engine.records import AccessState, Attention

from .checks import SERVICE_NS_MAX
from .specs import Access, AccessSpec

if TYPE_CHECKING:
    from .inventory import ArrayInventory

GROUPS_MAX = 16  # target port groups that an answer has room for


class Ownership:
    """The owners of one array's volumes."""

    def __init__(self, array: ArrayInventory) -> None:
        self._array = array

    @property
    def spec(self) -> AccessSpec:
        """How the array serves volumes."""
        row = self._array.state.row
        if not row["access"]:
            return AccessSpec()
        return AccessSpec(
            Access(int(row["access"]) + 1),
            int(row["non_optimized_ns"]),
            int(row["transition_ns"]),
            bool(row["explicit_access"]),
        )

    def check_spec(self, spec: AccessSpec) -> None:
        """Refuses an access that the array cannot have."""
        in_range("array.non_optimized_ns", spec.non_optimized_ns, 0, SERVICE_NS_MAX)
        in_range("array.transition_ns", spec.transition_ns, 0, SERVICE_NS_MAX)
        array = self._array
        one_of("array.access", spec.access, Access)
        if spec.access is not Access.SYMMETRIC and len(array.state.used("controller")) > GROUPS_MAX:
            raise FailedPrecondition(
                f"{array.name} has had more than {GROUPS_MAX} controllers, each a target port "
                "group: leave it symmetric"
            )

    def check_group(self) -> None:
        """Refuses one more controller where answers have no room for its target port group."""
        array = self._array
        if array.state.row["access"] and len(array.state.used("controller")) >= GROUPS_MAX:
            raise FailedPrecondition(
                f"{array.name} has had {GROUPS_MAX} controllers, each a target port group, and "
                "there are no more: make its access symmetric, or use those that it has",
                reason="TOO_MANY_GROUPS",
                resource=array.name,
            )

    def configure(self, spec: AccessSpec) -> None:
        """Changes how volumes are served; hosts learn of it at their next rescan."""
        self.check_spec(spec)
        array = self._array
        row = array.state.row
        row["access"] = spec.access - 1
        row["non_optimized_ns"], row["transition_ns"] = spec.non_optimized_ns, spec.transition_ns
        row["explicit_access"] = spec.explicit_access
        array.events.add(
            array.acts_ns, EventKind.ACCESS_SET, array.name, detail={"access": spec.access.name}
        )
        for volume_id in array.volumes:
            self.own(volume_id)

    def check(self, volume_id: str, controller_id: str) -> None:
        """Refuses an owner that the volume cannot have now."""
        array = self._array
        name = f"{array.name}/volumes/{volume_id}"
        if controller_id not in array.controllers:
            known = ", ".join(sorted(array.controllers)) or "none yet"
            raise InvalidArgument.at(
                "volume.controller", f"{controller_id!r} is no controller of the array: {known}"
            )
        if not array.state.row["access"]:
            raise FailedPrecondition(
                f"{array.name} serves {name} through all controllers alike: give it an asymmetric "
                "access before a volume is moved",
                reason="SYMMETRIC",
                resource=name,
            )
        if not array.links.controllers.will_serve(controller_id):
            raise FailedPrecondition(
                f"{array.name}/controllers/{controller_id} is down: {name} cannot move there",
                reason="CONTROLLER_DOWN",
                resource=name,
            )

    def begin(self, volume_id: str) -> None:
        """Gives a new volume its owner: where access is symmetric there is none to give."""
        if self._array.state.number("state", "access"):
            self.own(volume_id)

    def own(self, volume_id: str) -> None:
        """Gives a volume its owner, or none where access is symmetric."""
        row, array = self._row(volume_id), self._array
        wanted = self._wanted(volume_id)
        asymmetric = array.state.row["access"] and wanted
        row["owner"] = array.row_of("controllers", wanted) + 1 if asymmetric else 0
        row["moving_until_ns"] = row["moved"] = 0
        if asymmetric and not array.links.controllers.online(wanted):
            self.fit(array.acts_ns, set())

    def assign(self, volume_id: str, controller_id: str) -> None:
        """Has a volume move to another controller, which is to own it from now on."""
        self.check(volume_id, controller_id)
        array = self._array
        array.volumes[volume_id] = replace(array.volumes[volume_id], controller_id=controller_id)
        if self.owner(volume_id) != controller_id:
            self._move(volume_id, controller_id, array.acts_ns, "")

    def owner(self, volume_id: str) -> str:
        """Returns the controller that owns a volume, or nothing."""
        if not self._array.state.number("state", "access"):
            return ""
        at = self._number(volume_id, "owner")
        return self._array.id_of("controllers", at - 1) if at else ""

    def in_transition(self, volume_id: str) -> bool:
        """Whether a volume is changing its owner."""
        until_ns = self._number(volume_id, "moving_until_ns")
        return until_ns > 0 and until_ns > self._array.acts_ns

    def group(self, port_id: str) -> int:
        """Returns the number of a port's target port group."""
        return self._array.row_of("controllers", self._array.ports[port_id].controller_id)

    def seen(self, volume_id: str, port_id: str) -> tuple[AccessState, bool]:
        """Returns how a volume is served through a port, and whether it should be through it."""
        if not self._array.state.row["access"]:
            return AccessState.UNKNOWN, False
        preferred = self._wanted(volume_id) == self._array.ports[port_id].controller_id
        if self.in_transition(volume_id):
            return AccessState.TRANSITIONING, preferred
        server = self._array.links.server(port_id)
        if self._array.ports[server].controller_id == self.owner(volume_id):
            return AccessState.OPTIMIZED, preferred
        access = self.spec.access
        if access is Access.ALUA:
            return AccessState.NON_OPTIMIZED, preferred
        if access is Access.ACTIVE_PASSIVE:
            return AccessState.PASSIVE, preferred
        unavailable = access is Access.UNAVAILABLE
        return AccessState.UNAVAILABLE if unavailable else AccessState.STANDBY, preferred

    def fit(self, at_ns: int, lost: set[int]) -> None:
        """Moves volumes from controllers that are lost, and to those that should own them."""
        if not self._array.state.row["access"]:
            return
        controllers = self._array.links.controllers
        returns = not self.spec.hosts_move
        for volume_id in sorted(self._array.volumes):
            owner, wanted = self.owner(volume_id), self._wanted(volume_id)
            if not owner:
                continue
            if returns and controllers.online(wanted):
                target = wanted
            else:
                target = owner if controllers.online(owner) else self._heir(owner)
            if target and target != owner:
                self._move(volume_id, target, at_ns, controllers.newest(owner, wanted))
            elif not target and int(self._row(volume_id)["owner"]) - 1 in lost:
                self._establish(volume_id, Attention.TRANSITION_FAILED, 0)

    def owned(self, controller_id: str) -> list[str]:
        """Returns the volumes that a controller owns."""
        return [name for name in sorted(self._array.volumes) if self.owner(name) == controller_id]

    def leave(self, controller_id: str, owned: Sequence[str], cause: str) -> None:
        """Has a controller that is gone own nothing any more, now or by anybody's wish."""
        array = self._array
        for volume_id, spec in array.volumes.items():
            if spec.controller_id == controller_id:
                array.volumes[volume_id] = replace(spec, controller_id="")
        for volume_id in owned:
            wanted = self._wanted(volume_id)
            online = array.links.controllers.online
            target = wanted if wanted and online(wanted) else self._heir("") or wanted
            if target:
                self._move(volume_id, target, array.acts_ns, cause)
            else:
                self._row(volume_id)["owner"] = 0

    def tell(self, note: Note) -> None:
        """Tells of a volume that a command has pulled over."""
        array = self._array
        host = array.itls[note.more][1]
        detail = {
            "owner": f"{array.name}/controllers/{array.id_of('controllers', note.detail)}",
            "by": f"{array.name}/hosts/{host}",
        }
        name = f"{array.name}/volumes/{array.id_of('volumes', note.subject)}"
        array.events.add(note.time_ns, EventKind.VOLUME_TRESPASSED, name, detail=detail)

    def _wanted(self, volume_id: str) -> str:
        """Returns the controller that should own a volume: its own choice, else the first."""
        have = self._array.controllers
        chosen = self._array.volumes[volume_id].controller_id
        return chosen if chosen in have else min(have, default="")

    def _heir(self, owner: str) -> str:
        """Returns who takes volumes of a lost controller: its partner, else the first online."""
        array, controllers = self._array, self._array.links.controllers
        partner = array.controllers[owner].partner if owner in array.controllers else ""
        if partner and controllers.online(partner):
            return partner
        return next(filter(controllers.online, sorted(array.controllers)), "")

    def _move(self, volume_id: str, controller_id: str, at_ns: int, cause: str) -> None:
        array, row = self._array, self._row(volume_id)
        row["owner"] = array.row_of("controllers", controller_id) + 1
        row["moving_until_ns"] = at_ns + int(array.state.row["transition_ns"])
        detail = {"owner": f"{array.name}/controllers/{controller_id}"}
        name = f"{array.name}/volumes/{volume_id}"
        told = array.events.add(at_ns, EventKind.VOLUME_MOVED, name, cause, detail)
        row["moved"] = told.number if told.number < 1 << 32 else 0
        self._establish(volume_id, Attention.ACCESS_CHANGED, told.number)

    def _establish(self, volume_id: str, attention: Attention, cause: int) -> None:
        self._array.establish_attention(attention, cause, volume_id=volume_id)

    def _number(self, volume_id: str, column: str) -> int:
        array = self._array
        return int(array.state.number("volume", column, array.row_of("volumes", volume_id)))

    def _row(self, volume_id: str) -> Any:
        return self._array.state["volume"][self._array.row_of("volumes", volume_id)]
