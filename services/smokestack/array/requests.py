"""Messages to specs: what a message does not set keeps the spec's default."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import asdict, replace
from typing import Any

from smokestack.engine.messages import given, member

from .family import Family, check_nodes
from .media import MEDIA
from .profiles import PROFILES
from .specs import (
    RAID_SETS,
    Access,
    AccessSpec,
    ArrayHostSpec,
    DriveGroupSpec,
    DrivesSpec,
    FamilySpec,
    InitiatorSpec,
    MediaDistribution,
    MediaKind,
    OutOfSpace,
    PoolSpec,
    PortKind,
    PortSpec,
    Profile,
    Provisioning,
    RaidLevel,
    VolumeSpec,
    ZeroDetect,
)


def access_spec(
    message: Any, now: AccessSpec, family: FamilySpec, named: Container[str]
) -> AccessSpec:
    """Returns what an Array message makes of an array's access; what is not named stays."""
    fields = {name: value for name, value in given(message, AccessSpec).items() if name in named}
    if "access" in named:
        default = PROFILES[family.profile].access.value
        fields["access"] = member(Access, message.access, "array.access", default)
    return replace(now, **fields)


def family_spec(message: Any, now: FamilySpec, named: Container[str]) -> FamilySpec:
    """Returns what an Array message makes of an array's family; what is not named stays."""
    defaults = {name: value for name, value in asdict(FamilySpec()).items() if name in named}
    fields = {
        n: value for n, value in (defaults | given(message, FamilySpec)).items() if n in named
    }
    if "profile" in named:
        fields["profile"] = member(Profile, message.profile, "array.profile", FamilySpec.profile)
    return replace(now, **fields)


def drives_spec(message: Any, now: DrivesSpec, named: Container[str]) -> DrivesSpec:
    """Returns what an Array message makes of an array's drives; what is not named stays."""
    fields = {name: getattr(message, name) for name in asdict(now) if name in named}
    return replace(now, **fields)


def port_spec(
    port_id: str, controller_id: str, message: Any, family: Family, partner: str = ""
) -> PortSpec:
    """Returns what a Port message describes; its limit is as its kind or the family has it."""
    kind = member(PortKind, message.kind, "port.kind", PortSpec.kind)
    limits = {"queue_limit": family.port_limit(kind), "initiator_limit": family.port_initiators}
    fields = {"fabric": "", **limits, **given(message, PortSpec), "partner": partner, "kind": kind}
    return PortSpec(port_id, controller_id, **fields)


def pool_spec(
    pool_id: str, message: Any, family: FamilySpec, group: DriveGroupSpec | None = None
) -> PoolSpec:
    """Returns what a Pool message describes; the rest is as its profile and its media have it.

    Its profile is the array's, and its media are its group's, unless it has its own.
    """
    media = group.media_kind if group else PoolSpec.media_kind
    enums: dict[str, Any] = {
        "drive_group": group.group_id if group else "",
        "media_distribution": member(
            MediaDistribution,
            message.media_distribution,
            "pool.media_distribution",
            PoolSpec.media_distribution,
        ),
        "media_kind": (kind := member(MediaKind, message.media_kind, "pool.media_kind", media)),
        "profile": (profile := member(Profile, message.profile, "pool.profile", family.profile)),
    }
    nodes = message.node_count if message.HasField("node_count") else family.node_count
    check_nodes("pool.node_count", nodes)
    defaults = PROFILES[profile].defaults(nodes) | dict(MEDIA[kind])
    default = defaults.get("out_of_space", PoolSpec.out_of_space)
    level = member(RaidLevel, message.raid_level, "pool.raid_level", PoolSpec.raid_level)
    enums["raid_level"] = level
    defaults["raid_set_size"] = RAID_SETS[level][0]
    enums["out_of_space"] = member(OutOfSpace, message.out_of_space, "pool.out_of_space", default)
    return PoolSpec(pool_id, **{"capacity_bytes": 0} | defaults | given(message, PoolSpec) | enums)


def provisioning_of(message: Any) -> Provisioning:
    """Returns how a Volume message wants to have its pages."""
    asked, default = message.provisioning, VolumeSpec.provisioning
    return member(Provisioning, asked, "volume.provisioning", default)


def zero_detect_of(message: Any) -> ZeroDetect:
    """Returns what a Volume message wants to be done with zeros."""
    asked, default = message.zero_detect, VolumeSpec.zero_detect
    return member(ZeroDetect, asked, "volume.zero_detect", default)


def host_spec(host_id: str, message: Any) -> ArrayHostSpec:
    """Returns what an ArrayHost message describes."""
    initiators = tuple(InitiatorSpec(i.name, i.fabric) for i in message.initiators)
    fields = given(message, ArrayHostSpec) | {"initiators": initiators}
    return ArrayHostSpec(host_id, **fields)
