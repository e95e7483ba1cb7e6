"""A multipath layer: hosts, the devices that their rescans find, and the paths to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Required, TypedDict, Unpack

from smokestack.v1 import multipath_pb2 as pb

from .events import Stream, number_of
from .kinds import Kind, name_of
from .operations import Call, Way, as_it_is, operation
from .resources import Collection, Deletable, Resource, Switchable
from .service import Service
from .words import (
    AccessState,
    ApdHandling,
    CheckerState,
    DeviceState,
    Escalation,
    FabricLinkKind,
    Failback,
    NoPathRetry,
    PathChecker,
    PathState,
    Plugin,
    QueueDepthRule,
    Selector,
)

_SERVICE = "MultipathService"


class PathUpdate(TypedDict, total=False):
    """What of a path can be changed; None goes back to the default."""

    enabled: bool | None
    relative_throughput: int | None
    cpus: Sequence[int] | None


class Path(Switchable[Way]):
    """One way from a host to a volume; its identifier is initiator, dot, port.

    Disabled it is sent nothing more; what is in flight on it completes.
    """

    of_kind = Kind(pb, _SERVICE, "Path", "paths")
    port: str  # a full name
    initiator: str
    state: PathState
    access_state: AccessState
    checker_state: CheckerState
    preferred_group: bool
    enabled: bool
    in_flight_count: int
    io_count: int
    io_bytes: int
    error_count: int
    refusal_count: int
    relative_throughput: int
    cpus: tuple[int, ...]
    dispatched_count: int
    mean_response_ns: int
    out_of_range_count: int
    not_ready_ns: int
    check_count: int
    next_check_ns: int | None
    # What the device's policy knows of it; None: it keeps no such thing.
    latency_ns: int | None
    sample_count: int | None
    historical_service_time_ns: int | None
    stale_after_ns: int | None

    @operation
    def update(self, **fields: Unpack[PathUpdate]) -> Call[Path[Way]]:
        """Changes whether the path is in use, and what its policy is told of it."""
        return self._update(fields)

    @operation
    def statistics(self, parameters: Sequence[str] = ()) -> Call[pb.PathStatistics]:
        """Gets what is measured of the path and what it belongs to: all, or these parameters."""
        request = pb.GetPathStatisticsRequest(name=self.name, parameters=parameters)
        return Call(f"{_SERVICE}.GetPathStatistics", request, as_it_is)


class Paths(Collection[Way, Path[Way]]):
    """A device's paths."""

    resource = Path


class SelectorSettings(TypedDict, total=False):
    """Settings of path selection policies; what is left out has the default."""

    bytes_per_path: int
    repeat_count: int
    latency_sample_ios: int
    latency_evaluation_ns: int
    hst_base_weight: int
    hst_threshold_multiplier: int
    cpu_count: int
    numa_node_count: int


class ClaimRule(TypedDict, total=False):
    """Whose software handles what an array reports as; * in a pattern stands for any text."""

    vendor: str
    model: str
    array: str
    plugin: Plugin
    selector: Selector
    plugin_vendor: str


class QueueControl(TypedDict, total=False):
    """What moves a device's queue depth; what is left out has the default."""

    rule: QueueDepthRule
    qfull_sample_size: int
    qfull_threshold: int
    congestion_threshold_ns: int
    congestion_smoothing: int
    congestion_gain: int
    window_min: int
    window_max: int
    shares: int


class PathFailureHandling(TypedDict, total=False):
    """What a host does about paths that fail; what is left out has the default."""

    checker: PathChecker
    polling_interval_ns: int
    max_polling_interval_ns: int
    checker_timeout_ns: int
    fast_io_fail_ns: int
    dev_loss_ns: int
    no_path_retry: NoPathRetry
    no_path_retry_count: int
    path_error_threshold: int
    path_error_forget_checks: int
    path_error_recovery_ns: int
    failback: Failback
    failback_delay_ns: int


class WorldShares(TypedDict, total=False):
    """What mClock gives a VM of a device; what is left out has the default."""

    vm_number: Required[int]
    shares: int
    reservation_iops: int
    limit_iops: int


class DeviceUpdate(TypedDict, total=False):
    """What of a device can be changed; None goes back to the host's setting."""

    selector: Selector | None
    lun_queue_depth: int | None
    sched_num_req_outstanding: int | None
    ios_per_path: int | None
    preferred_path: str | None
    labels: Mapping[str, str] | None
    selector_settings: SelectorSettings | None  # replaced as a whole
    queue_control: QueueControl | None  # replaced as a whole
    path_failure_handling: PathFailureHandling | None  # replaced as a whole
    world_shares: Sequence[WorldShares] | None  # replaced as a whole


_PATHS = {"preferred_path": "{name}/paths", "current_path": "{name}/paths"}


class Device(Resource[Way]):
    """A volume as a host sees it; its identifier is array, dot, volume."""

    of_kind = Kind(pb, _SERVICE, "Device", "devices", _PATHS)
    volume: str  # a full name
    capacity_bytes: int
    lun: int
    selector: Selector
    lun_queue_depth: int
    ios_per_path: int
    preferred_path: str
    selector_settings: pb.SelectorSettings
    vendor: str
    model: str
    plugin: Plugin
    current_path: str
    active_count: int
    queued_count: int
    state: DeviceState
    labels: Mapping[str, str]
    identifier: str
    found_identifier: str
    sched_num_req_outstanding: int
    queue_limit: int
    queue_control: pb.QueueControl
    path_failure_handling: pb.PathFailureHandling
    world_shares: tuple[pb.WorldShares, ...]
    throttled_depth: int
    latency_window: int

    @property
    def paths(self) -> Paths[Way]:
        """The paths to it."""
        return Paths(self._session, self.name)

    @operation
    def update(self, **fields: Unpack[DeviceUpdate]) -> Call[Device[Way]]:
        """Changes the device's queue or policy; I/O that is queued or in flight goes on."""
        return self._update(fields)

    @operation
    def reset(self, *, target: bool = False) -> Call[Device[Way]]:
        """Resets its logical unit, or the target behind its first usable path; all I/O that the
        device has out is sent again."""
        return self._act("Reset", target=target)

    @operation
    def statistics(self) -> Call[pb.DeviceStatistics]:
        """Gets what the device's queue has done, and each world's share, as esxtop would."""
        request = pb.GetDeviceStatisticsRequest(name=self.name)
        return Call(f"{_SERVICE}.GetDeviceStatistics", request, as_it_is)


class Devices(Collection[Way, Device[Way]]):
    """A host's devices."""

    resource = Device


class AdapterUpdate(TypedDict, total=False):
    """What of an adapter can be changed; None goes back to the host's setting."""

    queue_depth: int | None


class Adapter(Resource[Way]):
    """An initiator of a host as a queue."""

    of_kind = Kind(pb, _SERVICE, "Adapter", "adapters")
    queue_depth: int
    active_count: int
    queued_count: int

    @operation
    def update(self, **fields: Unpack[AdapterUpdate]) -> Call[Adapter[Way]]:
        """Changes the adapter's queue depth; I/O that waits or is in flight goes on."""
        return self._update(fields)

    @operation
    def statistics(self) -> Call[pb.AdapterStatistics]:
        """Gets what the adapter's queue has done, as esxtop would."""
        request = pb.GetAdapterStatisticsRequest(name=self.name)
        return Call(f"{_SERVICE}.GetAdapterStatistics", request, as_it_is)


class Adapters(Collection[Way, Adapter[Way]]):
    """A host's adapters."""

    resource = Adapter


class MultipathHostFields(TypedDict, total=False):
    """What a host is created from; what is left out has the API's default."""

    initiators: Required[Sequence[str]]
    selector: Selector
    lun_queue_depth: int
    ios_per_path: int
    selector_settings: SelectorSettings
    queue_control: QueueControl
    path_failure_handling: PathFailureHandling
    sched_num_req_outstanding: int
    adapter_queue_depth: int
    claim_rules: Sequence[ClaimRule]
    allow_thrashing: bool


class MultipathHostUpdate(TypedDict, total=False):
    """What of a host can be changed; None goes back to the default."""

    selector: Selector | None
    lun_queue_depth: int | None
    ios_per_path: int | None
    selector_settings: SelectorSettings | None
    queue_control: QueueControl | None
    sched_num_req_outstanding: int | None
    adapter_queue_depth: int | None
    claim_rules: Sequence[ClaimRule] | None
    path_failure_handling: PathFailureHandling | None
    allow_thrashing: bool | None


class MultipathHost(Deletable[Way]):
    """A host's side of the fabrics, and the defaults of the devices that a rescan finds."""

    of_kind = Kind(pb, _SERVICE, "MultipathHost", "hosts")
    initiators: tuple[str, ...]
    selector: Selector
    lun_queue_depth: int
    ios_per_path: int
    selector_settings: pb.SelectorSettings
    queue_control: pb.QueueControl
    path_failure_handling: pb.PathFailureHandling
    sched_num_req_outstanding: int
    adapter_queue_depth: int
    claim_rules: tuple[pb.ClaimRule, ...]
    allow_thrashing: bool

    @property
    def adapters(self) -> Adapters[Way]:
        """Its initiators, as queues."""
        return Adapters(self._session, self.name)

    @property
    def devices(self) -> Devices[Way]:
        """The devices that its last rescan found."""
        return Devices(self._session, self.name)

    @operation
    def update(self, **fields: Unpack[MultipathHostUpdate]) -> Call[MultipathHost[Way]]:
        """Changes what is given; devices and adapters that have the host's values follow it."""
        return self._update(fields)

    @operation
    def rescan(self) -> Call[pb.RescanMultipathHostResponse]:
        """Looks for devices and paths that are new or gone, and says how many."""
        request = self.of_kind.request("Rescan", name=self.name)
        return Call(self.of_kind.rpc("Rescan"), request, as_it_is)


class MultipathHosts(Collection[Way, MultipathHost[Way]]):
    """A multipath layer's hosts."""

    resource = MultipathHost

    @operation
    def create(
        self, host_id: str, **fields: Unpack[MultipathHostFields]
    ) -> Call[MultipathHost[Way]]:
        """Creates a host; it has no devices until it is rescanned."""
        return self._create(host_id, fields)


class FabricLinkUpdate(TypedDict, total=False):
    """What of a link can be changed; None goes back to the default."""

    bandwidth_bytes_per_second: int | None
    bb_credits: int | None


class FabricLink(Resource[Way]):
    """One link of a fabric: an initiator's, an array port's, or the trunk."""

    of_kind = Kind(pb, _SERVICE, "FabricLink", "links")
    kind: FabricLinkKind
    bandwidth_bytes_per_second: int
    bb_credits: int
    frame_count: int
    credit_zero_count: int
    credit_zero_ns: int
    busy_ns: int
    crc_error_count: int
    class3_discard_count: int

    @operation
    def update(self, **fields: Unpack[FabricLinkUpdate]) -> Call[FabricLink[Way]]:
        """Changes the link's rate or its buffers."""
        return self._update(fields)


class FabricLinks(Collection[Way, FabricLink[Way]]):
    """A fabric's links."""

    resource = FabricLink


class FabricUpdate(TypedDict, total=False):
    """What of a fabric can be changed; None goes back to the default."""

    trunk_bandwidth_bytes_per_second: int | None
    hold_time_ns: int | None


class Fabric(Resource[Way]):
    """What joins initiators and array ports: a switch, or two with a trunk between them."""

    of_kind = Kind(pb, _SERVICE, "Fabric", "fabrics")
    trunk_bandwidth_bytes_per_second: int
    hold_time_ns: int
    link_count: int

    @property
    def links(self) -> FabricLinks[Way]:
        """Its links."""
        return FabricLinks(self._session, self.name)

    @operation
    def update(self, **fields: Unpack[FabricUpdate]) -> Call[Fabric[Way]]:
        """Puts the fabric's arrays behind a trunk of a rate; 0 takes it away."""
        return self._update(fields)


class Fabrics(Collection[Way, Fabric[Way]]):
    """A multipath layer's fabrics."""

    resource = Fabric


class PathWatch(Stream[pb.PathChange, Way]):
    """A stream of what happens to paths."""

    _rpc = f"{_SERVICE}.WatchPaths"

    def _parts(self, answer: pb.WatchPathsResponse) -> Iterable[Any]:
        return answer.changes

    def _number(self, message: pb.PathChange) -> int:
        return number_of(message.event)

    def _item(self, message: pb.PathChange) -> pb.PathChange:
        return message


class MultipathUpdate(TypedDict, total=False):
    """What of a layer can be changed; None goes back to the default."""

    qfull_retry_delay_ns: int | None
    not_ready_retry_delay_ns: int | None
    apd_timeout_ns: int | None
    apd_handling: ApdHandling | None
    command_timeout_ns: int | None
    task_management_timeout_ns: int | None
    escalation: Escalation | None
    probing: bool | None
    congestion_evaluation_ns: int | None


class Multipath(Resource[Way], Service[Way]):
    """A multipath layer."""

    of_kind = Kind(pb, _SERVICE, "Multipath", "multipaths")
    qfull_retry_delay_ns: int
    congestion_evaluation_ns: int
    not_ready_retry_delay_ns: int
    apd_timeout_ns: int
    command_timeout_ns: int
    task_management_timeout_ns: int
    escalation: Escalation
    apd_handling: ApdHandling
    probing: bool
    arrays: tuple[str, ...]  # full names

    def watch_paths(
        self,
        of: str | Resource[Any] = "",
        *,
        resume_token: str = "",
        follow: bool = True,
        only_new: bool = False,
        timeout_seconds: float | None = None,
    ) -> PathWatch[Way]:
        """Watches what happens to paths: to all, or to those of a host, a device, or one alone.

        Otherwise as `Events.watch`, tokens included.
        """
        name = name_of(of) or self.name
        request = pb.WatchPathsRequest(
            name=name, resume_token=resume_token, follow=follow, only_new=only_new
        )
        return PathWatch(self._session, request, timeout_seconds)

    @property
    def hosts(self) -> MultipathHosts[Way]:
        """Its hosts."""
        return MultipathHosts(self._session, self.name)

    @operation
    def update(self, **fields: Unpack[MultipathUpdate]) -> Call[Multipath[Way]]:
        """Changes what is given: time-outs, delays, what happens in APD, the probe."""
        return self._update(fields)

    @property
    def fabrics(self) -> Fabrics[Way]:
        """The fabrics that rescans have found."""
        return Fabrics(self._session, self.name)
