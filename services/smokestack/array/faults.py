"""What can break in an array, and how the kernel learns of it.

Faults of single commands are chains of rules on the rows of ports, controllers, pools and volumes;
a chain holds the rules in force and is linked anew when one begins or ends, with the kernel run to
that very time.  Links that go down are the business of `links`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from smokestack.engine.fault_chains import FaultChains
from smokestack.engine.fault_rules import FaultKind, FaultRule
from smokestack.engine.faults import Fault, FaultBook

from . import advertised, hangs
from .diversions import WRONG_VOLUME

if TYPE_CHECKING:
    from .inventory import ArrayInventory
    from .links import Links

PORT_DOWN: Final = "PORT_DOWN"
CONTROLLER_DOWN: Final = "CONTROLLER_DOWN"
POWER_LOSS: Final = "ARRAY_POWER_LOSS"
_HELD: Final = (PORT_DOWN, CONTROLLER_DOWN, POWER_LOSS)  # what takes links along
KINDS: Final = (
    FaultKind(
        POWER_LOSS,
        "arrays/a1",
        "The array has no power: what is in it is lost, all its links are down. When it ends the "
        "controllers boot, and every nexus has a power on (6/29/00) to tell.",
        per_io=False,
    ),
    FaultKind(
        PORT_DOWN,
        "arrays/a1/ports/p0",
        "The port's link is down: what it has in flight is lost, and its paths go dead. With "
        "down_ns and up_ns it flaps: down and up for so long in turn, count times at most.",
        per_io=False,
        flaps=True,
    ),
    FaultKind(
        CONTROLLER_DOWN,
        "arrays/a1/controllers/c0",
        "The controller has failed: what it has in flight is lost, and its ports are down unless "
        "others take them over. Afterwards it reboots.",
        per_io=False,
    ),
    FaultKind(
        "TASK_SET_FULL",
        "arrays/a1/ports/p0",
        "The port refuses a command with TASK SET FULL (28h), however short its queue is.",
    ),
    FaultKind(
        "CONTROLLER_SLOW",
        "arrays/a1/controllers/c0",
        "The controller takes factor_per_mille / 1000 times as long for a command.",
        takes_factor=True,
    ),
    FaultKind(
        "COMMAND_FAILED",
        "arrays/a1/volumes/v1",
        "A command to the volume fails with internal target failure (4/44/00), without effect.",
    ),
    FaultKind(
        "NOT_READY",
        "arrays/a1/volumes/v1",
        "A command to the volume fails with asymmetric access state transition (2/04/0A), "
        "without effect; multipath sends it again later.",
    ),
    FaultKind(
        "MEDIA_SLOW",
        "arrays/a1/pools/p1",
        "The pool's media take factor_per_mille / 1000 times as long for an access.",
        takes_factor=True,
    ),
    FaultKind(
        "MEDIA_ERROR",
        "arrays/a1/pools/p1",
        "A read that goes to the pool's media fails with unrecovered read error (3/11/00).",
    ),
    hangs.KIND,
    *advertised.KINDS,
)
# As in tables.h.
_CODES: Final = {
    "TASK_SET_FULL": 1,
    "CONTROLLER_SLOW": 2,
    "COMMAND_FAILED": 3,
    "MEDIA_SLOW": 4,
    "MEDIA_ERROR": 5,
    "NOT_READY": 6,
}
_TABLES: Final = {
    "ports": "port",
    "controllers": "controller",
    "pools": "pool",
    "volumes": "volume",
}


def _collection(kind: FaultKind) -> str:
    return kind.subject.split("/")[2]


_CHAINED: Final = {
    collection: frozenset(
        kind.name for kind in KINDS if kind.name in _CODES and _collection(kind) == collection
    )
    for collection in _TABLES
}


class ArrayFaults(FaultBook):
    """The fault rules of one array."""

    links: Links  # set when they stand

    def __init__(self, array: ArrayInventory) -> None:
        super().__init__(array.name, KINDS, array.events)
        self._array = array
        self.chains = FaultChains(array.state, _CODES)
        self._ended: list[Fault] = []  # those that ended last

    @property
    def now_ns(self) -> int:
        """The array's virtual time."""
        return self._array.now_ns

    @property
    def acts_ns(self) -> int:
        """When a change of now acts."""
        return self._array.acts_ns

    def subjects(self, kind: FaultKind) -> Sequence[str]:
        """Returns the full names of all that a kind could break."""
        if kind.name == POWER_LOSS:
            return [self.service]
        collection = _collection(kind)
        ids = sorted(self._array.resources(collection))
        return [f"{self.service}/{collection}/{resource_id}" for resource_id in ids]

    def inject(self, rule: FaultRule) -> Fault:
        """Adds a rule; one that moves links takes them by surprise until the next window's end."""
        fault = super().inject(rule)
        if rule.kind in _HELD:
            self.links.fit(self.acts_ns)
        return fault

    def count(self) -> None:
        """Brings the rules' hits up to date."""
        self.chains.count()

    def freed(self, resource: str) -> str:
        """Returns the event that let a port or a controller come back, if a rule's end did."""
        names = (resource, self.service)
        return next((fault.told for fault in self._ended if any(map(fault.matches, names))), "")

    def apply(self, at_ns: int, changed: Sequence[Fault]) -> None:
        """Makes the array be as the rules in force want it, from a time on."""
        moved = [fault for fault in changed if fault.rule.kind in _HELD]
        active = self.active()
        if moved:
            self._ended = [fault for fault in moved if fault not in active]
            for fault in moved:
                if fault in active and not fault.flaps:
                    fault.hits = sum(map(fault.matches, self.subjects(fault.kind)))
            self.links.fit(at_ns)
        for fault in changed:
            self._array.advertised.apply(fault, self.subjects(fault.kind))
            hangs.apply(self._array, fault)
        if len(moved) < len(changed):
            self.link_all()

    def link_all(self) -> None:
        """Puts every resource under the rules in force."""
        state, faults = self._array.state, [fault for fault in self.active() if fault.kind.per_io]
        self.chains.write(faults)
        state.reserve_notes()  # after it, for each rule may have something to tell
        for table in _TABLES.values():
            state[table]["faults"] = 0
        if faults:
            for collection in _TABLES:
                for resource_id in self._array.resources(collection):
                    self._chain(collection, resource_id)

    def link(self, collection: str, resource_id: str) -> None:
        """Puts a new resource under the rules in force."""
        if self.chains.linked and collection in _TABLES:
            self._chain(collection, resource_id)
        if collection in ("exports", "ports") and self.active(WRONG_VOLUME):
            self._array.advertised.diversions.fit()
        if collection == "ports":
            hangs.join(self._array, resource_id)
        if collection in ("ports", "controllers") and self.links.disturbed:
            self.links.fit(self.acts_ns)

    def _chain(self, collection: str, resource_id: str) -> None:
        heads = self._array.state[_TABLES[collection]]["faults"]
        name = f"{self.service}/{collection}/{resource_id}"
        row = self._array.row_of(collection, resource_id)
        self.chains.chain(heads, row, name, _CHAINED[collection])
