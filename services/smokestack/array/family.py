"""Whose habits an array has: what ports, pools and volumes get that do not say otherwise.

A family is a set of defaults.  It acts when something is created, so to change it changes nothing
that is there already, but for the array's own access, unless that was set to something else.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from smokestack.engine.checks import in_range
from smokestack.engine.errors import InvalidArgument
from smokestack.engine.event_kinds import EventKind

from .port_kinds import PORT_LIMITS
from .profiles import GROWTH_GIB, PROFILES, FamilyProfile
from .specs import Access, AccessSpec, FamilySpec, PortKind

if TYPE_CHECKING:
    from .inventory import ArrayInventory


class Family:
    """The family of one array; it changes between windows only."""

    def __init__(self, array: ArrayInventory) -> None:
        self._array = array
        self.spec = FamilySpec()

    @property
    def profile(self) -> FamilyProfile:
        """What the family does."""
        return PROFILES[self.spec.profile]

    def check(self, spec: FamilySpec) -> None:
        """Refuses a number of nodes that there is not, or a limit that none could be."""
        check_nodes("array.node_count", spec.node_count)
        in_range("array.initiator_limit", spec.initiator_limit or 0, 0, 1 << 20)

    def access(self, spec: FamilySpec) -> AccessSpec:
        """Returns the access that the array has in a family, unless somebody chose another."""
        had = self._array.ownership.spec
        if had.access is not self.profile.access.value:
            return had
        wanted: Access = PROFILES[spec.profile].access.value
        return had if wanted is had.access else replace(AccessSpec(), access=wanted)

    def configure(self, spec: FamilySpec) -> None:
        """Gives the array another family."""
        self.check(spec)
        self.spec = spec
        array = self._array
        array.events.add(
            array.acts_ns,
            EventKind.PROFILE_SET,
            array.name,
            detail={"profile": spec.profile.name, "node_count": spec.node_count},
        )

    def port_limit(self, kind: PortKind) -> int:
        """Returns how many commands a port of a kind takes."""
        limit = PORT_LIMITS.get(kind, self.profile.port_queue_limit)
        return int(limit.value)

    @property
    def port_initiators(self) -> int:
        """How many initiators log in to a port; 0: any number."""
        return int(self.profile.port_initiator_limit.value)

    @property
    def initiator_limit(self) -> int:
        """How many initiators the array's hosts have together; 0: any number."""
        own = self.spec.initiator_limit
        return int(self.profile.initiator_limit.value) if own is None else own

    @property
    def volume_limit(self) -> int:
        """How many commands a volume takes; 0: any number."""
        return int(self.profile.lun_queue_limit.value)


def check_nodes(field: str, node_count: int) -> None:
    """Refuses a number of nodes that no array of the family that has nodes comes with."""
    if node_count not in GROWTH_GIB:
        raise InvalidArgument.at(field, f"{node_count} is none of 2, 4, 6, 8")
