"""What an array is made of: controllers, front-end ports and drives."""

from __future__ import annotations

from typing import Required, TypedDict, Unpack

from smokestack.v1 import array_pb2 as pb

from .kinds import Kind
from .operations import Call, Way, operation
from .resources import Collection, Deletable, Switchable
from .words import ControllerState, MediaKind, PortKind

_SERVICE = "ArrayService"


class ControllerFields(TypedDict, total=False):
    """What a controller is created from; what is left out has the API's default."""

    core_count: int
    read_ns: int
    write_ns: int
    read_hit_ratio: float
    write_back: bool
    partner: str
    mirror_ns: int
    cache_bytes: int
    cache_high_water_ratio: float
    cache_low_water_ratio: float
    read_cache_bytes: int
    read_cache_block_bytes: int
    reboot_ns: int
    enabled: bool


class ControllerUpdate(TypedDict, total=False):
    """What of a controller can be changed; None goes back to the default."""

    enabled: bool | None


class Controller(Switchable[Way], Deletable[Way]):
    """A station of cores in front of cache and media.

    Disabled it is down: what is in it is lost, and its ports follow or are taken over.  Enabled it
    comes back, which takes its ``reboot_ns``.
    """

    of_kind = Kind(pb, _SERVICE, "Controller", "controllers", {"partner": "{parent}/controllers"})
    core_count: int
    read_ns: int
    write_ns: int
    read_hit_ratio: float
    write_back: bool
    partner: str
    mirror_ns: int
    cache_bytes: int
    cache_high_water_ratio: float
    cache_low_water_ratio: float
    read_cache_bytes: int
    read_cache_block_bytes: int
    reboot_ns: int
    enabled: bool
    state: ControllerState
    dirty_bytes: int
    write_through: bool
    forced_write_count: int
    busy_ns: int
    read_hit_count: int
    read_miss_count: int
    read_cached_bytes: int
    read_eviction_count: int
    cache_flush_count: int

    @operation
    def update(self, **fields: Unpack[ControllerUpdate]) -> Call[Controller[Way]]:
        """Changes the controller."""
        return self._update(fields)

    @operation
    def reboot(self) -> Call[Controller[Way]]:
        """Takes it down and lets it come back after its ``reboot_ns``."""
        return self._act("Reboot")


class Controllers(Collection[Way, Controller[Way]]):
    """An array's controllers."""

    resource = Controller

    @operation
    def create(
        self, controller_id: str, **fields: Unpack[ControllerFields]
    ) -> Call[Controller[Way]]:
        """Creates a controller."""
        return self._create(controller_id, fields)


class PortFields(TypedDict, total=False):
    """What a port is created from; what is left out has the API's default."""

    controller: Required[str]
    fabric: Required[str]
    kind: PortKind
    queue_limit: int
    initiator_limit: int
    command_ns: int
    refusal_ns: int
    hang_refusals: int
    bandwidth_bytes_per_second: int
    forward_latency_ns: int
    return_latency_ns: int
    enabled: bool
    partner: str


class PortUpdate(TypedDict, total=False):
    """What of a port can be changed; None goes back to the default."""

    enabled: bool | None
    queue_limit: int | None


class Port(Switchable[Way], Deletable[Way]):
    """A front-end port: a queue of bounded length on one fabric.

    Disabled its paths die, and commands on the way are lost; enabled its paths come back.
    """

    of_kind = Kind(
        pb,
        _SERVICE,
        "Port",
        "ports",
        {"controller": "{parent}/controllers", "partner": "{parent}/ports"},
    )
    controller: str
    fabric: str
    kind: PortKind
    queue_limit: int
    initiator_limit: int
    command_ns: int
    refusal_ns: int
    hang_refusals: int
    bandwidth_bytes_per_second: int
    forward_latency_ns: int
    return_latency_ns: int
    enabled: bool
    outstanding_count: int
    command_count: int
    task_set_full_count: int
    busy_count: int
    dropped_count: int
    aborted_count: int
    rx_bytes: int
    tx_bytes: int
    link_up: bool
    partner: str
    carrier: str

    @operation
    def update(self, **fields: Unpack[PortUpdate]) -> Call[Port[Way]]:
        """Changes the port."""
        return self._update(fields)


class Ports(Collection[Way, Port[Way]]):
    """An array's ports."""

    resource = Port

    @operation
    def create(self, port_id: str, **fields: Unpack[PortFields]) -> Call[Port[Way]]:
        """Creates a port; hosts on its fabric find the new paths at their next rescan."""
        return self._create(port_id, fields)


class DriveGroupFields(TypedDict, total=False):
    """What a group of drives is created from; what is left out has the API's default."""

    drive_count: Required[int]
    drive_bytes: Required[int]
    media_kind: MediaKind


class DriveGroup(Deletable[Way]):
    """A group of drives, all alike: raw space that pools draw from."""

    of_kind = Kind(pb, _SERVICE, "DriveGroup", "driveGroups")
    media_kind: MediaKind
    drive_count: int
    drive_bytes: int
    raw_bytes: int
    raw_free_bytes: int

    @operation
    def update(self, *, drive_count: int) -> Call[DriveGroup[Way]]:
        """Adds drives, or takes some that no pool has drawn from."""
        return self._update({"drive_count": drive_count})


class DriveGroups(Collection[Way, DriveGroup[Way]]):
    """An array's groups of drives."""

    resource = DriveGroup

    @operation
    def create(self, group_id: str, **fields: Unpack[DriveGroupFields]) -> Call[DriveGroup[Way]]:
        """Creates a group of drives, from which pools can draw."""
        return self._create(group_id, fields)
