"""Families of arrays as data: how their pools allocate, grow, warn, and run out.

Each value says where it is from: "FACTS 4.6 [S75]" is documented, "from memory" and "ours" are not
and are there to be set.  What a pool, a port or a volume gives itself goes before its profile's
values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .specs import GIB, MIB, Access, OutOfSpace, Profile

KIB: Final = 1 << 10
_MEMORY: Final = "from memory"
_OURS: Final = "ours"
# 3PAR's CPG growth increment by its number of nodes: FACTS 4.6 [S70], CLI manual of March 2009.
GROWTH_GIB: Final = {2: 32, 4: 64, 6: 96, 8: 128}


@dataclass(frozen=True)
class Value:
    """One value of a profile, and where it is from."""

    value: Any
    source: str


@dataclass(frozen=True)
class FamilyProfile:
    """What a family does; ``pool`` has fields of PoolSpec, the rest is of arrays."""

    title: str
    pool: Mapping[str, Value]
    port_queue_limit: Value
    lun_queue_limit: Value  # commands that one LUN takes; 0: no limit of its own
    access: Value  # how its controllers share volumes
    # Initiators that log in to one port, and that the array knows at most; 0: any number.
    port_initiator_limit: Value = field(default_factory=lambda: Value(0, _OURS))
    initiator_limit: Value = field(default_factory=lambda: Value(0, _OURS))
    per_node: frozenset[str] = field(default_factory=frozenset)  # pool values of one node

    def defaults(self, node_count: int) -> dict[str, Any]:
        """Returns the pool's values for an array of so many nodes."""
        values = {name: each.value for name, each in self.pool.items()}
        for name in self.per_node:
            values[name] *= node_count
        if self.per_node:
            values["growth_bytes"] = GROWTH_GIB[node_count] * GIB
        return values


_NO_LIMIT: Final = Value(0, _OURS)
PROFILES: Final[Mapping[Profile, FamilyProfile]] = {
    Profile.PLAIN: FamilyProfile(
        "a plain pool",
        {},
        port_queue_limit=Value(1638, "FACTS 4.2 [S56]"),
        lun_queue_limit=_NO_LIMIT,
        access=Value(Access.SYMMETRIC, _OURS),
    ),
    Profile.INSERV_3PAR: FamilyProfile(
        "3PAR InServ: a CPG",
        {
            "page_bytes": Value(16 * KIB, "FACTS 4.6 [S74]: page of zero detect and reclaim"),
            "growth_bytes": Value(32 * GIB, "FACTS 4.6 [S70]: two nodes"),
            "step_bytes": Value(256 * MIB, "FACTS 4.6 [S75]: for each node"),
            "step_bytes_max": Value(GIB, "FACTS 4.6 [S75]: for each node"),
            "step_window_ns": Value(60 * 10**9, "FACTS 4.6 [S75]"),
            "limit_overdraft_bytes": Value(128 * MIB, "FACTS 4.6 [S75]: for each node"),
            "out_of_space": Value(OutOfSpace.STALE_SNAPSHOTS, "FACTS 4.5 [S70]"),
        },
        port_queue_limit=Value(1638, "FACTS 4.2 [S56]: 4G HBA"),
        lun_queue_limit=_NO_LIMIT,
        access=Value(Access.SYMMETRIC, _MEMORY),
        port_initiator_limit=Value(64, "FACTS 4.2 [S56]: host ports for each port"),
        initiator_limit=Value(1024, "FACTS 4.2 [S56]: host ports for each array"),
        per_node=frozenset({"step_bytes", "step_bytes_max", "limit_overdraft_bytes"}),
    ),
    Profile.COMPELLENT: FamilyProfile(
        "Compellent: a page pool",
        {
            "page_bytes": Value(2 * MIB, _MEMORY),
            "warning_ratio": Value(0.9, "FACTS 4.6 [S72]: at 10 % free"),
            "out_of_space": Value(OutOfSpace.CONSERVE, "FACTS 4.5 [S71][S72]"),
            "conservation_bytes": Value(16 * GIB, "FACTS 4.6 [S71]: before 7.3"),
            "emergency_bytes": Value(0, _OURS),
            "conservation_ns": Value(5_000_000, _OURS),
        },
        port_queue_limit=Value(1900, _MEMORY),
        lun_queue_limit=_NO_LIMIT,
        access=Value(Access.ALUA, _MEMORY),
    ),
    Profile.VMAX: FamilyProfile(
        "Symmetrix VMAX: a thin pool",
        {
            "page_bytes": Value(768 * KIB, "FACTS 4.6 [S63]: 12 tracks"),
            "warning_ratio": Value(0.8, _OURS),
            "out_of_space": Value(OutOfSpace.FAIL_WRITES, _OURS),
        },
        port_queue_limit=Value(2048, _OURS),
        lun_queue_limit=_NO_LIMIT,
        access=Value(Access.SYMMETRIC, _MEMORY),
    ),
    Profile.HDP: FamilyProfile(
        "Hitachi HDP, HP XP and P9000",
        {
            "page_bytes": Value(42 * MIB, "FACTS 4.6 [S76]: XP24000"),
            "warning_ratio": Value(0.7, _OURS),
            "out_of_space": Value(OutOfSpace.FAIL_WRITES, _OURS),
        },
        port_queue_limit=Value(2048, "FACTS 4.2 [S60]: USP-V"),
        lun_queue_limit=Value(32, "FACTS 4.2 [S60]"),
        access=Value(Access.SYMMETRIC, _MEMORY),
    ),
    Profile.SVC: FamilyProfile(
        "SVC and Storwize: space-efficient volumes",
        {
            "page_bytes": Value(256 * KIB, _MEMORY),
            # Steps end with the volume: autoexpand does not take its real capacity much beyond its
            # virtual one (IBM's V5010 and V5030 documentation, as FACTS 4.6 [S69]).
            "step_bytes": Value(2 * GIB, f"{_OURS}: contingency capacity, FACTS 4.6 [S69]"),
            "step_bytes_max": Value(2 * GIB, f"{_OURS}: it stays as it is"),
            "warning_ratio": Value(0.8, "FACTS 4.6 [S69]"),
            "out_of_space": Value(OutOfSpace.TAKE_OFFLINE, "FACTS 4.5 [S69]"),
        },
        port_queue_limit=Value(2048, _OURS),
        lun_queue_limit=_NO_LIMIT,
        access=Value(Access.ALUA, _MEMORY),
    ),
    Profile.NETAPP: FamilyProfile(
        "NetApp: LUNs in an aggregate",
        {
            "page_bytes": Value(4 * KIB, _MEMORY),
            "warning_ratio": Value(0.95, _OURS),
            "out_of_space": Value(OutOfSpace.ANSWER_BUSY, "FACTS 4.5 [S55]"),
        },
        port_queue_limit=Value(2048, _OURS),
        lun_queue_limit=_NO_LIMIT,
        access=Value(Access.ALUA, _MEMORY),
    ),
}
