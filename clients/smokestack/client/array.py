"""An array: thin pools, volumes, hosts and exports; `hardware` has its controllers and ports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NotRequired, Required, TypedDict, Unpack

from smokestack.v1 import array_pb2 as pb
from smokestack.v1.types_pb2 import Initiator

from .hardware import Controllers, DriveGroups, Ports
from .kinds import Kind, full
from .operations import Call, Way, as_it_is, operation
from .resources import Collection, Deletable, Resource
from .service import Service
from .sets import HostSets, PortSets, SetExports
from .words import (
    Access,
    MediaDistribution,
    MediaKind,
    OutOfSpace,
    PoolProfile,
    PoolState,
    Provisioning,
    RaidLevel,
    ReservationAction,
    ReservationType,
    VolumeSnapshotState,
    VolumeState,
    ZeroDetect,
)

_SERVICE = "ArrayService"


class PoolFields(TypedDict, total=False):
    """What a pool is created from; what is left out has the API's default."""

    capacity_bytes: Required[int]
    page_bytes: int
    disk_count: int
    media_ns: int
    media_distribution: MediaDistribution
    media_kind: MediaKind
    media_write_ns: int
    media_sequential_ns: int
    profile: PoolProfile
    node_count: int
    growth_bytes: int
    step_bytes: int
    step_bytes_max: int
    step_window_ns: int
    limit_bytes: int
    limit_overdraft_bytes: int
    warning_ratio: float
    out_of_space: OutOfSpace
    conservation_bytes: int
    emergency_bytes: int
    conservation_ns: int
    raid_level: RaidLevel
    raid_set_size: int
    drive_group: str


class PoolUpdate(TypedDict, total=False):
    """What of a pool can be changed."""

    capacity_bytes: int
    limit_bytes: int | None
    warning_ratio: float | None


class Pool(Deletable[Way]):
    """A thin pool: pages on disks, handed to volumes on first write."""

    of_kind = Kind(pb, _SERVICE, "Pool", "pools", {"drive_group": "{parent}/driveGroups"})
    capacity_bytes: int
    page_bytes: int
    disk_count: int
    media_ns: int
    media_distribution: MediaDistribution
    media_kind: MediaKind
    media_write_ns: int | None
    media_sequential_ns: int | None
    allocated_bytes: int
    subscribed_bytes: int
    allocation_failure_count: int
    snapshot_bytes: int
    unwritten_bytes: int
    profile: PoolProfile
    node_count: int | None
    growth_bytes: int
    step_bytes: int
    step_bytes_max: int
    step_window_ns: int
    limit_bytes: int
    limit_overdraft_bytes: int
    warning_ratio: float
    out_of_space: OutOfSpace
    conservation_bytes: int
    emergency_bytes: int
    conservation_ns: int
    state: PoolState
    reserved_bytes: int
    grown_bytes: int
    free_bytes: int
    growth_count: int
    step_count: int
    warning_count: int
    raid_level: RaidLevel
    raid_set_size: int
    redundancy_bytes: int
    drive_group: str
    media_busy_ns: int

    @operation
    def update(self, **fields: Unpack[PoolUpdate]) -> Call[Pool[Way]]:
        """Grows or shrinks the pool, or sets another limit or warning."""
        return self._update(fields)

    @operation
    def fill(self, ratio: float, *, volume: str = "") -> Call[Pool[Way]]:
        """Has this share of the pool allocated, by all of its volumes or by one; takes no time."""
        only = full(f"{self._scope()['parent']}/volumes", volume) if volume else ""
        return self._act("Fill", ratio=ratio, volume=only)


class Pools(Collection[Way, Pool[Way]]):
    """An array's thin pools."""

    resource = Pool

    @operation
    def create(self, pool_id: str, **fields: Unpack[PoolFields]) -> Call[Pool[Way]]:
        """Creates a thin pool."""
        return self._create(pool_id, fields)


class VolumeFields(TypedDict, total=False):
    """What a volume is created from; with a source it begins as a copy, which shares its pages."""

    pool: Required[str]
    capacity_bytes: Required[int]
    source_volume: str
    source_snapshot: str
    service_level_ns: int
    labels: Mapping[str, str]
    controller: str
    queue_limit: int
    task_aborted_status: bool
    provisioning: Provisioning
    zero_detect: ZeroDetect


class VolumeUpdate(TypedDict, total=False):
    """What of a volume can be changed; None goes back to the default."""

    capacity_bytes: int
    labels: Mapping[str, str] | None
    service_level_ns: int | None
    controller: str | None
    queue_limit: int | None
    task_aborted_status: bool | None
    zero_detect: ZeroDetect | None


class Volume(Deletable[Way]):
    """A volume: a size that it promises, pages that it takes on first write, or reserves."""

    of_kind = Kind(
        pb,
        _SERVICE,
        "Volume",
        "volumes",
        {
            "pool": "{parent}/pools",
            "source_volume": "{parent}/volumes",
            "source_snapshot": "{parent}/snapshots",
            "controller": "{parent}/controllers",
        },
    )
    pool: str
    capacity_bytes: int
    allocated_bytes: int
    source_volume: str
    source_snapshot: str
    labels: Mapping[str, str]
    service_level_ns: int
    identifier: str
    response_count: int
    mean_response_ns: int
    state: VolumeState
    controller: str
    owner: str
    in_transition: bool
    queue_limit: int
    task_aborted_status: bool
    provisioning: Provisioning
    reserved_bytes: int
    unwritten_bytes: int
    zero_detect: ZeroDetect
    unmap_count: int
    unmapped_bytes: int
    write_same_count: int
    zero_write_count: int
    zero_bytes: int
    copy_count: int
    copied_bytes: int
    compare_and_write_count: int
    miscompare_count: int

    @operation
    def update(self, **fields: Unpack[VolumeUpdate]) -> Call[Volume[Way]]:
        """Grows, labels or promises; hosts see a new size at their next rescan."""
        return self._update(fields)

    @operation
    def unmap(
        self, ranges: Sequence[tuple[int, int]], *, only_try: bool = False
    ) -> Call[pb.UnmapVolumeResponse]:
        """Takes from it what is free, ranges of offset and length; or says what that would free."""
        request = self.of_kind.request("Unmap", name=self.name, validate_only=only_try)
        for offset_bytes, length_bytes in ranges:
            request.ranges.add(offset_bytes=offset_bytes, length_bytes=length_bytes)
        return Call(self.of_kind.rpc("Unmap"), request, as_it_is)

    @operation
    def lba_status(
        self, *, offset_bytes: int = 0, page_size: int = 0
    ) -> Call[pb.GetLbaStatusResponse]:
        """Tells which ranges are mapped, from an offset on."""
        request = pb.GetLbaStatusRequest(
            name=self.name, offset_bytes=offset_bytes, page_size=page_size
        )
        return Call(f"{_SERVICE}.GetLbaStatus", request, as_it_is)

    @operation
    def reservations(self) -> Call[pb.VolumeReservations]:
        """Tells which hosts are registered with the volume, and who has reserved it."""
        request = pb.GetVolumeReservationsRequest(name=self.name)
        return Call(f"{_SERVICE}.GetVolumeReservations", request, as_it_is)


class Volumes(Collection[Way, Volume[Way]]):
    """An array's volumes."""

    resource = Volume

    @operation
    def create(self, volume_id: str, **fields: Unpack[VolumeFields]) -> Call[Volume[Way]]:
        """Creates a volume; unless thick or full it takes no space until it is written to."""
        return self._create(volume_id, fields)

    @operation
    def measure(self, volumes: Iterable[str], *, with_snapshots: bool = False) -> Call[int]:
        """Measures the bytes that these have together; a page that several have counts once.

        With all snapshots of the array, if wanted.
        """
        request = pb.MeasureVolumesRequest(
            parent=self._parent,
            volumes=[full(self._home(), volume) for volume in volumes],
            with_snapshots=with_snapshots,
        )
        return Call(f"{_SERVICE}.MeasureVolumes", request, lambda answer: answer.distinct_bytes)

    @operation
    def batch_create(self, volumes: Mapping[str, VolumeFields]) -> Call[list[Volume[Way]]]:
        """Creates all of these volumes, by identifier, or none."""
        return self._batch_create(self._creations(volumes))


class VolumeSnapshot(Deletable[Way]):
    """What a volume held at one time; it can be cloned, but not written to."""

    of_kind = Kind(
        pb,
        _SERVICE,
        "VolumeSnapshot",
        "snapshots",
        {"volume": "{parent}/volumes", "pool": "{parent}/pools"},
    )
    volume: str
    pool: str
    capacity_bytes: int
    create_ns: int
    allocated_bytes: int
    state: VolumeSnapshotState
    labels: Mapping[str, str]


class VolumeSnapshotFields(TypedDict):
    """What a snapshot is created from."""

    volume: str
    labels: NotRequired[Mapping[str, str]]


class VolumeSnapshots(Collection[Way, VolumeSnapshot[Way]]):
    """The snapshots of an array's volumes."""

    resource = VolumeSnapshot

    @operation
    def create(
        self, snapshot_id: str, **fields: Unpack[VolumeSnapshotFields]
    ) -> Call[VolumeSnapshot[Way]]:
        """Keeps what a volume holds now; it takes space as the volume writes over it."""
        return self._create(snapshot_id, fields)

    @operation
    def batch_create(
        self, snapshots: Mapping[str, VolumeSnapshotFields]
    ) -> Call[list[VolumeSnapshot[Way]]]:
        """Takes all of these snapshots, by identifier, at one instant, or none."""
        return self._batch_create(self._creations(snapshots))


class ArrayHostLimits(TypedDict, total=False):
    """How many commands a host may have; None goes back to the default."""

    queue_limit: int | None
    port_queue_limit: int | None


class ArrayHost(Deletable[Way]):
    """A host as the array knows it: a name for a set of initiators."""

    of_kind = Kind(pb, _SERVICE, "ArrayHost", "hosts")
    initiators: tuple[Initiator, ...]
    queue_limit: int
    port_queue_limit: int
    refused_count: int

    @operation
    def update(self, **limits: Unpack[ArrayHostLimits]) -> Call[ArrayHost[Way]]:
        """Changes how many commands it may have in the array, and at each port."""
        return self._update(limits)


class ArrayHosts(Collection[Way, ArrayHost[Way]]):
    """The hosts that an array knows."""

    resource = ArrayHost

    @operation
    def create(
        self, host_id: str, *, initiators: Sequence[Initiator], **limits: Unpack[ArrayHostLimits]
    ) -> Call[ArrayHost[Way]]:
        """Makes a host known, so that volumes can be exported to it."""
        return self._create(host_id, {"initiators": initiators, **limits})


class ExportFields(TypedDict, total=False):
    """What an export is created from; the LUN is the lowest that is free unless given."""

    volume: Required[str]
    host: Required[str]
    lun: int
    ports: Sequence[str]
    port_set: str
    read_only: bool


class Export(Deletable[Way]):
    """A volume shown to a host; its identifier is volume, dot, host."""

    of_kind = Kind(
        pb,
        _SERVICE,
        "Export",
        "exports",
        {
            "volume": "{parent}/volumes",
            "host": "{parent}/hosts",
            "ports": "{parent}/ports",
            "port_set": "{parent}/portSets",
            "host_set": "{parent}/hostSets",
        },
    )
    volume: str
    host: str
    lun: int
    ports: tuple[str, ...]  # through these alone; none: through all
    port_set: str  # or through those of this set alone
    host_set: str  # the set that it was exported to, if it was
    read_only: bool

    @operation
    def persistent_reserve(
        self,
        action: ReservationAction,
        *,
        key: int = 0,
        service_key: int = 0,
        kind: ReservationType | None = None,
        aptpl: bool = False,
    ) -> Call[pb.VolumeReservations]:
        """Has the host register, reserve, release, clear or preempt; returns what then stands.

        ``key`` is the host's as it is registered, ``service_key`` the one to register or preempt.
        """
        request = pb.PersistentReserveOutRequest(
            name=self.name,
            action=f"RESERVATION_ACTION_{action}",
            reservation_key=key,
            service_action_reservation_key=service_key,
            type=f"RESERVATION_TYPE_{kind}" if kind else None,
            aptpl=aptpl,
        )
        return Call(f"{_SERVICE}.PersistentReserveOut", request, as_it_is)


class Exports(Collection[Way, Export[Way]]):
    """Which volume an array shows to which host."""

    resource = Export

    @operation
    def create(self, **fields: Unpack[ExportFields]) -> Call[Export[Way]]:
        """Shows a volume to a host, which can reach it from its next rescan on."""
        return self._create("", fields)

    @operation
    def batch_create(self, exports: Sequence[ExportFields]) -> Call[list[Export[Way]]]:
        """Creates all of these exports or none."""
        return self._batch_create([self._creation("", export) for export in exports])


class ArrayUpdate(TypedDict, total=False):
    """What an array says that it is, whose habits it has, how it serves; None: the default."""

    vendor: str | None
    model: str | None
    hints_enabled: bool | None
    profile: PoolProfile | None
    node_count: int | None
    initiator_limit: int | None
    access: Access | None
    non_optimized_ns: int | None
    transition_ns: int | None
    explicit_access: bool | None
    drive_count: int | None
    drive_bytes: int | None


class Array(Resource[Way], Service[Way]):
    """An array, and what its parts add up to."""

    of_kind = Kind(pb, _SERVICE, "Array", "arrays")
    capacity_bytes: int
    allocated_bytes: int
    subscribed_bytes: int
    vendor: str
    model: str
    hints_enabled: bool
    profile: PoolProfile
    node_count: int
    initiator_limit: int
    access: Access
    non_optimized_ns: int
    transition_ns: int
    explicit_access: bool
    drive_count: int
    drive_bytes: int
    raw_bytes: int
    raw_free_bytes: int

    @operation
    def update(self, **fields: Unpack[ArrayUpdate]) -> Call[Array[Way]]:
        """Changes what it says that it is, how it serves, or its drives; hosts rescan to learn."""
        return self._update(fields)

    @property
    def controllers(self) -> Controllers[Way]:
        """Its controllers."""
        return Controllers(self._session, self.name)

    @property
    def ports(self) -> Ports[Way]:
        """Its front-end ports."""
        return Ports(self._session, self.name)

    @property
    def drive_groups(self) -> DriveGroups[Way]:
        """Its groups of drives."""
        return DriveGroups(self._session, self.name)

    @property
    def pools(self) -> Pools[Way]:
        """Its thin pools."""
        return Pools(self._session, self.name)

    @property
    def volumes(self) -> Volumes[Way]:
        """Its volumes."""
        return Volumes(self._session, self.name)

    @property
    def snapshots(self) -> VolumeSnapshots[Way]:
        """The snapshots of its volumes."""
        return VolumeSnapshots(self._session, self.name)

    @property
    def hosts(self) -> ArrayHosts[Way]:
        """The hosts that it knows."""
        return ArrayHosts(self._session, self.name)

    @property
    def host_sets(self) -> HostSets[Way]:
        """Its sets of hosts."""
        return HostSets(self._session, self.name)

    @property
    def port_sets(self) -> PortSets[Way]:
        """Its sets of ports."""
        return PortSets(self._session, self.name)

    @property
    def set_exports(self) -> SetExports[Way]:
        """Which volume it shows to which set of hosts."""
        return SetExports(self._session, self.name)

    @property
    def exports(self) -> Exports[Way]:
        """Which volume it shows to which host."""
        return Exports(self._session, self.name)
