"""One description of a stack that both the reference and the real stack are built from.

It is made of the project's own specs, in creation order, and of changes at virtual times.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from smokestack.array.reservations import ReserveOut
from smokestack.array.specs import (
    AccessSpec,
    ArrayHostSpec,
    ControllerSpec,
    DriveGroupSpec,
    DrivesSpec,
    ExportSpec,
    PoolSpec,
    PortSpec,
    VolumeSpec,
    ZeroDetect,
)
from smokestack.engine.fault_rules import FaultRule
from smokestack.engine.jobplan import JobPlan
from smokestack.engine.records import Attention
from smokestack.hypervisor.specs import DiskSpec, HostSpec, VmSpec
from smokestack.multipath.specs import (
    MultipathHostSpec,
    MultipathSpec,
    PathFailureHandling,
    QueueControl,
    Selector,
    SelectorSettings,
    WorldShares,
)


@dataclass(frozen=True)
class ArrayConfig:
    """An array; everything is created in the order of the fields, and of their entries."""

    array_id: str
    controllers: tuple[ControllerSpec, ...]
    ports: tuple[PortSpec, ...]
    pools: tuple[PoolSpec, ...]
    volumes: tuple[VolumeSpec, ...]
    hosts: tuple[ArrayHostSpec, ...]
    exports: tuple[ExportSpec, ...]
    vendor: str = "SMOKE"
    hints_enabled: bool = False
    access: AccessSpec = field(default_factory=AccessSpec)
    drives: DrivesSpec = field(default_factory=DrivesSpec)
    drive_groups: tuple[DriveGroupSpec, ...] = ()


@dataclass(frozen=True)
class PortEnabled:
    """A port's link goes down or comes up."""

    at_ns: int
    array_id: str
    port_id: str
    enabled: bool


@dataclass(frozen=True)
class ControllerEnabled:
    """A controller goes down, or may come back."""

    at_ns: int
    array_id: str
    controller_id: str
    enabled: bool


@dataclass(frozen=True)
class ControllerRebooted:
    """A controller goes down and comes back after a while."""

    at_ns: int
    array_id: str
    controller_id: str


@dataclass(frozen=True)
class VolumeAssigned:
    """A volume is to be owned by a controller, and moves there unless that is down."""

    at_ns: int
    array_id: str
    volume_id: str
    controller_id: str


@dataclass(frozen=True)
class PortQueueLimit:
    """A port takes more or fewer commands from now on."""

    at_ns: int
    array_id: str
    port_id: str
    queue_limit: int


@dataclass(frozen=True)
class PoolCapacity:
    """A pool grows, or shrinks to no less than is allocated."""

    at_ns: int
    array_id: str
    pool_id: str
    capacity_bytes: int


@dataclass(frozen=True)
class VolumeQueueLimit:
    """A volume takes another number of commands; 0: any."""

    at_ns: int
    array_id: str
    volume_id: str
    queue_limit: int


@dataclass(frozen=True)
class HostLimits:
    """A host may have another number of commands in an array and at each port; 0: any."""

    at_ns: int
    array_id: str
    host_id: str
    queue_limit: int
    port_queue_limit: int


@dataclass(frozen=True)
class VolumeZeroDetect:
    """A volume does something else with zeros."""

    at_ns: int
    array_id: str
    volume_id: str
    zero_detect: ZeroDetect


@dataclass(frozen=True)
class ReservedOut:
    """A host sends PERSISTENT RESERVE OUT to a volume."""

    at_ns: int
    array_id: str
    volume_id: str
    out: ReserveOut


@dataclass(frozen=True)
class VolumeCapacity:
    """A volume grows."""

    at_ns: int
    array_id: str
    volume_id: str
    capacity_bytes: int


@dataclass(frozen=True)
class VolumeCreated:
    """A volume is added, perhaps as a clone."""

    at_ns: int
    array_id: str
    volume: VolumeSpec


@dataclass(frozen=True)
class VolumeDeleted:
    """A volume that is exported to nobody is removed."""

    at_ns: int
    array_id: str
    volume_id: str


@dataclass(frozen=True)
class SnapshotCreated:
    """A volume is kept as it is."""

    at_ns: int
    array_id: str
    snapshot_id: str
    volume_id: str


@dataclass(frozen=True)
class SnapshotDeleted:
    """A snapshot is removed."""

    at_ns: int
    array_id: str
    snapshot_id: str


@dataclass(frozen=True)
class ExportCreated:
    """A volume is shown to a host, which sees it after a rescan."""

    at_ns: int
    array_id: str
    export: ExportSpec


@dataclass(frozen=True)
class ExportDeleted:
    """A volume is hidden from a host."""

    at_ns: int
    array_id: str
    volume_id: str
    host_id: str


@dataclass(frozen=True)
class AttentionEstablished:
    """Nexuses of what is named, or all, have something to tell."""

    at_ns: int
    array_id: str
    attention: Attention
    volume_id: str = ""
    port_id: str = ""
    host_id: str = ""
    initiator: str = ""


@dataclass(frozen=True)
class ArrayLost:
    """An array's process dies."""

    at_ns: int
    array_id: str


@dataclass(frozen=True)
class Rescanned:
    """A host asks its arrays what they show it."""

    at_ns: int
    host_id: str


@dataclass(frozen=True)
class DeviceUpdated:
    """A device's queue or policy changes; None leaves a setting as it is."""

    at_ns: int
    host_id: str
    device: str
    lun_queue_depth: int | None = None
    ios_per_path: int | None = None
    preferred_path: str | None = None
    selector: Selector | None = None
    selector_settings: SelectorSettings | None = None
    sched_num_req_outstanding: int | None = None
    queue_control: QueueControl | None = None
    world_shares: tuple[WorldShares, ...] | None = None
    path_failure_handling: PathFailureHandling | None = None


@dataclass(frozen=True)
class AdapterUpdated:
    """An adapter's queue depth changes."""

    at_ns: int
    host_id: str
    initiator: str
    queue_depth: int


@dataclass(frozen=True)
class LayerUpdated:
    """Settings of the whole layer change, by their names in ``MultipathSpec``."""

    at_ns: int
    settings: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class DeviceReset:
    """A host resets a device's logical unit, or its target, if it has a way to."""

    at_ns: int
    host_id: str
    device: str
    target: bool


@dataclass(frozen=True)
class PathEnabled:
    """A path is taken out of use or back by hand."""

    at_ns: int
    host_id: str
    device: str
    path: str
    enabled: bool


@dataclass(frozen=True)
class PathUpdated:
    """Policies are told what a path carries; None leaves a setting as it is."""

    at_ns: int
    host_id: str
    device: str
    path: str
    relative_throughput: int | None = None
    cpus: tuple[int, ...] | None = None


@dataclass(frozen=True)
class TrunkSet:
    """A fabric's arrays are put behind a trunk of a rate; 0: one switch joins all."""

    at_ns: int
    fabric: str
    bandwidth_bytes_per_second: int


@dataclass(frozen=True)
class HoldTimeSet:
    """A fabric's switches drop what they have held so long; 0: nothing."""

    at_ns: int
    fabric: str
    hold_time_ns: int


@dataclass(frozen=True)
class LinkUpdated:
    """A link is given a rate and buffers."""

    at_ns: int
    fabric: str
    link: str
    bandwidth_bytes_per_second: int
    bb_credits: int


@dataclass(frozen=True)
class DiskCreated:
    """A VM gets a disk on a device that its host has found."""

    at_ns: int
    disk: DiskSpec


@dataclass(frozen=True)
class JobStarted:
    """A job is created; it issues from its start time on, or from now if that is past."""

    at_ns: int
    plan: JobPlan


@dataclass(frozen=True)
class JobStopped:
    """A job issues nothing more."""

    at_ns: int
    host_id: str
    vm_id: str
    job_id: str


@dataclass(frozen=True)
class FaultInjected:
    """A service takes a fault rule."""

    at_ns: int
    service: str  # full name, e.g. "arrays/a1"
    rule: FaultRule  # its identifier included


@dataclass(frozen=True)
class FaultCleared:
    """A service loses a fault rule."""

    at_ns: int
    service: str
    fault_id: str


ArrayChange = (
    ControllerEnabled
    | ControllerRebooted
    | VolumeAssigned
    | PortEnabled
    | PortQueueLimit
    | PoolCapacity
    | VolumeCapacity
    | VolumeQueueLimit
    | HostLimits
    | VolumeZeroDetect
    | ReservedOut
    | VolumeCreated
    | VolumeDeleted
    | SnapshotCreated
    | SnapshotDeleted
    | ExportCreated
    | ExportDeleted
    | AttentionEstablished
)

HostChange = (
    ArrayLost
    | Rescanned
    | DeviceUpdated
    | AdapterUpdated
    | LayerUpdated
    | DeviceReset
    | PathEnabled
    | PathUpdated
    | DiskCreated
    | JobStarted
    | JobStopped
)
FabricChange = TrunkSet | HoldTimeSet | LinkUpdated
FaultChange = FaultInjected | FaultCleared
Change = ArrayChange | HostChange | FabricChange | FaultChange


@dataclass(frozen=True)
class StackConfig:
    """A whole stack; jobs are created in order, and slots numbered by that order."""

    arrays: tuple[ArrayConfig, ...]
    multipath_hosts: tuple[MultipathHostSpec, ...]  # rescanned in this order at time 0
    hosts: tuple[HostSpec, ...]
    vms: tuple[VmSpec, ...]
    disks: tuple[DiskSpec, ...]
    jobs: tuple[JobPlan, ...]
    multipath: MultipathSpec = field(default_factory=MultipathSpec)
    changes: tuple[Change, ...] = ()  # those of one time happen in the order given
    seed: int = 1
