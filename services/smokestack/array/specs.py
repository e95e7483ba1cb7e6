"""What an array is built from: plain data, with units in names and defaults in one place.

Figures without a documented source are our own choice ([P] in the project's language) and are
meant to be set; none is presented as a product's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from smokestack.engine.labels import Labels

MIB = 1 << 20
GIB = 1 << 30


class MediaDistribution(IntEnum):
    """How a medium's service time varies around its mean."""

    CONSTANT = 1
    EXPONENTIAL = 2


class MediaKind(IntEnum):
    """What a pool's disks are: `media.py`."""

    CUSTOM = 1  # as its times say
    FLASH = 2
    DISK_10K = 3
    DISK_7K2 = 4


class Access(IntEnum):
    """How an array serves a volume through a controller that does not own it (FACTS 2.1, 3.2)."""

    SYMMETRIC = 1  # nobody owns volumes: every port serves them alike
    ALUA = 2  # active/non-optimized: served, on a longer way
    STANDBY = 3  # 2/04/0B
    UNAVAILABLE = 4  # 2/04/0C
    ACTIVE_PASSIVE = 5  # the first command pulls the volume over: a trespass


@dataclass(frozen=True)
class AccessSpec:
    """An array's access; times are from memory of the field and ours to set (FACTS 4.7)."""

    access: Access = Access.SYMMETRIC
    non_optimized_ns: int = 200_000  # what the longer way adds to a command
    transition_ns: int = 5_000_000_000  # a change of owner; meanwhile 2/04/0A
    explicit_access: bool = False  # whether hosts may move volumes

    @property
    def hosts_move(self) -> bool:
        """Whether volumes move as hosts want it, and stay there."""
        return self.explicit_access or self.access is Access.ACTIVE_PASSIVE


class ControllerState(IntEnum):
    """Whether a controller serves."""

    ONLINE = 1
    FAILED = 2  # by a fault, or taken down
    REBOOTING = 3  # on its way back


class Profile(IntEnum):
    """Whose habits an array or a pool has: `profiles.py`."""

    PLAIN = 1
    INSERV_3PAR = 2
    COMPELLENT = 3
    VMAX = 4
    HDP = 5
    SVC = 6
    NETAPP = 7


class PortKind(IntEnum):
    """What a front-end port is, which says how many commands it takes: `port_kinds.py`."""

    CUSTOM = 1  # as the array's family has it
    QLOGIC_2G_FC = 2
    LSI_2G_FC = 3
    EMULEX_4G_FC = 4
    INSERV_4G_FC = 5
    INSERV_8G_FC = 6
    QLOGIC_1G_ISCSI = 7
    QLOGIC_10G_ISCSI = 8
    CNA_FCOE = 9
    CLARIION_FC = 10
    HITACHI_9200 = 11
    HITACHI_9500V = 12
    HITACHI_USP = 13
    HITACHI_USP_V = 14
    COMPELLENT_FC = 15


class Provisioning(IntEnum):
    """When a volume takes its pages from the pool."""

    THIN = 1  # on first write
    THICK = 2  # all are reserved when it is created; which of them are written is known
    FULL = 3  # all are its own from then on, each at its place


class ZeroDetect(IntEnum):
    """What a thin volume does with zeros that fill whole pages (FACTS 4.6: 3PAR looks for them in
    its pages of 16 KiB; what it does with them is from memory and ours to set)."""

    OFF = 1  # it writes them
    SKIP = 2  # it writes them only where a page is mapped
    RECLAIM = 3  # it gives such pages back, too


class RaidLevel(IntEnum):
    """How a pool keeps its data through the loss of a drive."""

    RAID0 = 1  # it does not
    RAID1 = 2  # so many copies as a set has drives
    RAID5 = 3  # one drive's worth of parity in each set
    RAID6 = 4  # two
    RAID10 = 5  # copies, striped: the same space as RAID1


# The set size that is taken when none is given, and the least; both are ours ([P]).
RAID_SETS: Final = {
    RaidLevel.RAID0: (1, 1),
    RaidLevel.RAID1: (2, 2),
    RaidLevel.RAID5: (4, 3),
    RaidLevel.RAID6: (8, 4),
    RaidLevel.RAID10: (2, 2),
}


@dataclass(frozen=True)
class DriveGroupSpec:
    """A group of drives, all alike, that pools draw from by its name."""

    group_id: str
    drive_count: int
    drive_bytes: int
    media_kind: MediaKind = MediaKind.CUSTOM  # its pools' media, unless they have their own

    @property
    def raw_bytes(self) -> int:
        """What they have together."""
        return self.drive_count * self.drive_bytes


@dataclass(frozen=True)
class DrivesSpec:
    """Drives of the default group, all alike; none: raw space is not counted for its pools."""

    drive_count: int = 0
    drive_bytes: int = 0

    @property
    def raw_bytes(self) -> int:
        """What they have together."""
        return self.drive_count * self.drive_bytes


class OutOfSpace(IntEnum):
    """What a pool does with a write that it has no page for (FACTS 4.5)."""

    FAIL_WRITES = 1  # 7/27/07, on which a host can pause the VM
    TAKE_OFFLINE = 2  # the volume answers 2/04/0C to everything
    ANSWER_BUSY = 3  # 08h, and the host tries again
    STALE_SNAPSHOTS = 4  # snapshots let go of pages first; then 7/27/07
    CONSERVE = 5  # slows down before, and then takes no write at all


@dataclass(frozen=True)
class FamilySpec:
    """Whose habits an array has: defaults of what is created in it from then on."""

    profile: Profile = Profile.PLAIN
    node_count: int = 2  # of a 3PAR array: 2, 4, 6 or 8
    initiator_limit: int | None = None  # that its hosts have together; 0: any number; None: its own


@dataclass(frozen=True)
class ProductSpec:
    """What an array says that it is (INQUIRY), and whether its answers carry hints."""

    vendor: str = "SMOKE"  # 1..8 characters
    model: str = "STACK"  # 1..16 characters
    hints_enabled: bool = False  # for its vendor's host software: commands at the port


@dataclass(frozen=True)
class ControllerSpec:
    """A controller: a station of ``core_count`` servers in front of cache and media.

    Two controllers make a pair, each the other's ``partner``: they mirror their write caches, and
    one that is left alone writes through.  How much slower that is follows from the media.
    """

    controller_id: str
    core_count: int = 8  # 1..64
    read_ns: int = 12_000  # core time of one read
    write_ns: int = 18_000  # core time of one write
    read_hit_ratio: float = 0.5  # probability that a mapped read is served from cache
    write_back: bool = True  # false: a write is answered only when the media have it
    partner: str = ""  # the controller that mirrors its write cache, and the other way round
    mirror_ns: int = 0  # until the partner has a write too
    cache_bytes: int = 0  # room for dirty data; 0: endless, and never destaged
    # Marks of the write cache, as shares of it: above the high one the oldest data queue at disks
    # until it is down to the low one; below, data go when their disk is idle.  0: each goes at
    # once.  A CLARiiON has 0.6 and 0.8 (EMC's best practices, release 30).
    cache_low_water_ratio: float = 0.0
    cache_high_water_ratio: float = 0.0
    read_cache_bytes: int = 0  # room for data that were read or written; 0: `read_hit_ratio`
    read_cache_block_bytes: int = 16 << 10  # a multiple of 512, 4 KiB..1 MiB
    reboot_ns: int = 0  # from what held it down being over to its being back
    enabled: bool = True


@dataclass(frozen=True)
class PortSpec:
    """A front-end port; it takes commands up to ``queue_limit`` (FACTS 4.2) and refuses beyond."""

    port_id: str
    controller_id: str
    fabric: str
    queue_limit: int = 1638  # 3PAR 4G HBA, FACTS 4.2
    command_ns: int = 1_000  # port time of one command frame
    refusal_ns: int = 2_000  # port time of one refusal; without it overload would be free
    bandwidth_bytes_per_second: int = 800_000_000  # each way
    forward_latency_ns: int = 50_000  # initiator to port
    return_latency_ns: int = 50_000  # port to initiator
    enabled: bool = True
    hang_refusals: int = 0  # so many in a row make it hang, FACTS 2.4; the number is ours; 0: none
    partner: str = ""  # the port that takes it over when it fails (persistent ports, FACTS 3.3)
    kind: PortKind = PortKind.CUSTOM
    initiator_limit: int = 0  # that log in to it; 0: any number


@dataclass(frozen=True)
class PoolSpec:
    """A thin pool: pages on disks, handed out on first write.

    The defaults are those of a plain pool; `profiles.py` has the others'.
    """

    pool_id: str
    capacity_bytes: int  # a multiple of page_bytes
    page_bytes: int = 16 << 10  # a multiple of 512, 4 KiB..1 GiB; 3PAR's page, FACTS 4.6
    disk_count: int = 64  # 1..65536; pages are striped over them
    media_ns: int = 300_000  # mean service time of one disk access
    media_kind: MediaKind = MediaKind.CUSTOM
    media_write_ns: int | None = None  # of a write; None: as of a read
    media_sequential_ns: int | None = None  # of one that follows; None: like any other
    media_distribution: MediaDistribution = MediaDistribution.EXPONENTIAL
    profile: Profile = Profile.PLAIN
    growth_bytes: int = 0  # it draws space in such increments; 0: it has all from the start
    step_bytes: int = 0  # a volume's first step, up to its end; 0: it takes page by page
    step_bytes_max: int = 0
    step_window_ns: int = 0  # a step used up sooner makes the next one step_bytes larger
    limit_bytes: int = 0  # no more is handed out; may be above the capacity; 0: none
    limit_overdraft_bytes: int = 0  # beyond the limit, after all, and of steps beyond the volume
    warning_ratio: float = 0.0  # of the capacity in use, or the limit; 0: no warning
    out_of_space: OutOfSpace = OutOfSpace.FAIL_WRITES
    conservation_bytes: int = 0  # free, at which CONSERVE slows writes that need pages down
    emergency_bytes: int = 0  # free, at which it refuses all writes
    conservation_ns: int = 0  # how much longer such a write takes
    raid_level: RaidLevel = RaidLevel.RAID0  # by which it draws from drives
    raid_set_size: int = 1  # drives of a set: copies, or data and parity
    drive_group: str = ""  # whose; empty: the default group, if that has drives

    @property
    def raw_page_bytes(self) -> int:
        """Raw bytes that a page takes of the drives, rounded up."""
        parity = {RaidLevel.RAID5: 1, RaidLevel.RAID6: 2}.get(self.raid_level)
        if parity is None:
            copies = 1 if self.raid_level is RaidLevel.RAID0 else self.raid_set_size
            return self.page_bytes * copies
        return -(-self.page_bytes * self.raid_set_size // (self.raid_set_size - parity))


@dataclass(frozen=True)
class VolumeSpec:
    """A volume: a size that it promises, pages that it takes on first write, or reserves."""

    volume_id: str
    pool_id: str
    capacity_bytes: int  # a multiple of 512
    source_volume: str = ""  # a clone's: the volume, or else the snapshot, whose pages it has
    source_snapshot: str = ""
    labels: Labels = ()
    service_level_ns: int = 0  # mean response time that is promised; 0: none is
    provisioning: Provisioning = Provisioning.THIN
    queue_limit: int = 0  # commands that it takes, of all nexuses together; 0: no limit
    controller_id: str = ""  # that should own it; where access is asymmetric: the first one

    @property
    def reserves(self) -> bool:
        """Whether its pool sets all its pages aside from the start."""
        return self.provisioning is not Provisioning.THIN

    zero_detect: ZeroDetect = ZeroDetect.OFF
    task_aborted_status: bool = False  # TAS of the control mode page (SPC); SAM's default is 0


@dataclass(frozen=True)
class VolumeSnapshotSpec:
    """What a volume held at one time; it cannot be written to."""

    snapshot_id: str
    volume_id: str
    pool_id: str
    capacity_bytes: int  # the volume's, then
    create_ns: int  # virtual time from which on writes no longer show in it
    labels: Labels = ()


@dataclass(frozen=True)
class InitiatorSpec:
    """A host's port into a fabric."""

    name: str
    fabric: str


@dataclass(frozen=True)
class ArrayHostSpec:
    """A host as the array knows it: a name for a set of initiators."""

    host_id: str
    initiators: tuple[InitiatorSpec, ...]
    queue_limit: int = 0  # commands that it may have in the array, of all nexuses; 0: any number
    port_queue_limit: int = 0  # ... and at each port


@dataclass(frozen=True)
class HostSetSpec:
    """Hosts that volumes can be exported to together, as those of a cluster."""

    host_set_id: str
    hosts: tuple[str, ...]  # 1 or more


@dataclass(frozen=True)
class PortSetSpec:
    """Ports that exports can be limited to together."""

    port_set_id: str
    ports: tuple[str, ...]  # 1 or more


@dataclass(frozen=True)
class SetExportSpec:
    """A volume shown to all hosts of a set, those that join it later included, under one LUN."""

    volume_id: str
    host_set_id: str
    lun: int  # 0..16383; free on each of the hosts
    ports: tuple[str, ...] = ()  # only through these; empty: through all
    port_set: str = ""  # or only through those of this set
    read_only: bool = False  # writes are answered 7/27/00


@dataclass(frozen=True)
class ExportSpec:
    """A volume shown to a host under a LUN, through each port on each initiator's fabric."""

    volume_id: str
    host_id: str
    lun: int  # 0..16383; unique per host
    ports: tuple[str, ...] = ()  # only through these; empty: through all
    port_set: str = ""  # the set that these ports are, if they were given as one
    host_set: str = ""  # the set that the host was in, if the volume was exported to one
    read_only: bool = False  # writes are answered 7/27/00

    def serves(self, port_id: str) -> bool:
        """Returns whether the volume is shown through a port."""
        return not self.ports or port_id in self.ports
