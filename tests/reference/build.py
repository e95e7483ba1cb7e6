"""One description, two stacks: the reference, and the project's models in one process.

The models' completions are tapped where the hypervisor hears them, so that a test can show the
first record that differs and not only that the digests do.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from smokestack.array.model import ArrayModel
from smokestack.array.specs import Access
from smokestack.engine.blockdevice import Attachment, BlockDevice, IoBatch, Nexus, PeerLost, Reply
from smokestack.engine.errors import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
)
from smokestack.engine.faults import FaultBook
from smokestack.engine.snapshot import Piece, Pieces
from smokestack.hypervisor.model import HypervisorModel
from smokestack.multipath.model import MultipathModel
from smokestack.multipath.resets import reset_device
from smokestack.multipath.specs import Selector
from smokestack.multipath.thrashing import forbidden
from smokestack.multipath.updates import update_fabric, update_layer
from tests.reference.config import (
    AdapterUpdated,
    ArrayConfig,
    ArrayLost,
    AttentionEstablished,
    Change,
    ControllerEnabled,
    ControllerRebooted,
    DeviceReset,
    DeviceUpdated,
    DiskCreated,
    ExportCreated,
    ExportDeleted,
    FabricChange,
    FaultCleared,
    FaultInjected,
    HoldTimeSet,
    HostLimits,
    JobStarted,
    JobStopped,
    LayerUpdated,
    LinkUpdated,
    PathEnabled,
    PathUpdated,
    PoolCapacity,
    PortEnabled,
    PortQueueLimit,
    Rescanned,
    ReservedOut,
    SnapshotCreated,
    SnapshotDeleted,
    StackConfig,
    TrunkSet,
    VolumeAssigned,
    VolumeCapacity,
    VolumeCreated,
    VolumeDeleted,
    VolumeQueueLimit,
    VolumeZeroDetect,
)
from tests.reference.digest import Completion
from tests.reference.world import World


def build_reference(stack: StackConfig) -> World:
    """Returns the reference of a stack, at time 0."""
    return World(stack)


class Link:
    """A BlockDevice that passes everything on, notes what comes back, and can break."""

    def __init__(self, device: BlockDevice) -> None:
        self.device = device
        self.completions: list[Completion] = []
        self.broken = False

    @property
    def name(self) -> str:
        """The device's name."""
        return self.device.name

    @property
    def lookahead_ns(self) -> int:
        """The device's lookahead."""
        return self.device.lookahead_ns

    @property
    def reached_ns(self) -> int:
        """How far the device has run."""
        return self.device.reached_ns

    def attach(self, attachment: Attachment) -> None:
        """Takes the device."""
        self.device.attach(attachment)

    def detach(self) -> None:
        """Gives the device back, if it is still there."""
        if not self.broken:
            self.device.detach()

    def report_luns(self, initiators: Sequence[str], volume: str = "") -> tuple[Nexus, ...]:
        """Asks the device."""
        return self.device.report_luns(initiators, volume)

    def snapshot(self, snapshot_id: str, only: Sequence[str] = ()) -> tuple[Piece, ...]:
        """Has the device save itself."""
        return self.device.snapshot(snapshot_id, only)

    def stage(self, pieces: Pieces) -> None:
        """Has the device check pieces."""
        self.device.stage(pieces)

    def unstage(self) -> None:
        """Has the device forget them."""
        self.device.unstage()

    def restore(self) -> None:
        """Has the device go back to them."""
        self.device.restore()

    def exchange(self, until_ns: int, submissions: IoBatch) -> Reply:
        """Runs one window of the device, unless the link is broken."""
        if self.broken:
            raise PeerLost(f"{self.name} is gone")
        reply = self.device.exchange(until_ns, submissions)
        self.completions += Completion.unpack_all(reply.records[: reply.count].tobytes())
        return reply


@dataclass
class Models:
    """The project's stack; it runs to a time, changes on the way included."""

    hypervisor: HypervisorModel
    multipath: MultipathModel
    arrays: dict[str, ArrayModel]
    links: dict[str, Link]  # to the arrays
    top: Link  # to multipath
    changes: list[Change]  # still to come, by time

    def run(self, until_ns: int) -> None:
        """Lets happen all that happens before a time."""
        while self.changes and self.changes[0].at_ns < until_ns:
            change = self.changes.pop(0)
            self.hypervisor.advance(change.at_ns)
            self.apply(change)
        self.hypervisor.advance(until_ns)

    def run_until_idle(self, limit_ns: int) -> None:
        """Lets happen all there is, up to a limit."""
        if self.changes:
            self.run(self.changes[-1].at_ns + 1)
        self.hypervisor.advance_until_idle(limit_ns)

    @property
    def completions(self) -> list[Completion]:
        """What guests have heard, in order; a reply may run ahead of the hypervisor's time."""
        now = self.hypervisor.now_ns
        return [record for record in self.top.completions if record.time < now]

    def digest(self) -> str:
        """Returns the hypervisor's digest."""
        return self.hypervisor.digest()

    def apply(self, change: Change) -> None:
        """Makes a change now, through the models' management calls."""
        match change:
            case Rescanned():
                self.multipath.rescan(change.host_id)
            case DeviceUpdated():
                self.multipath.update_device(
                    change.host_id,
                    change.device,
                    lun_queue_depth=change.lun_queue_depth,
                    sched_num_req_outstanding=change.sched_num_req_outstanding,
                    ios_per_path=change.ios_per_path,
                    preferred_path=change.preferred_path,
                    selector=None if self._is_refused(change) else change.selector,
                    selector_settings=change.selector_settings,
                    queue_control=change.queue_control,
                    world_shares=change.world_shares,
                    path_failure_handling=change.path_failure_handling,
                )
            case AdapterUpdated():
                self.multipath.update_adapter(change.host_id, change.initiator, change.queue_depth)
            case LayerUpdated():
                with suppress(FailedPrecondition):  # a fabric needs a time-out
                    update_layer(self.multipath, dict(change.settings))
            case DeviceReset() | PathEnabled() | PathUpdated():
                self._apply_to_paths(change)
            case TrunkSet() | HoldTimeSet() | LinkUpdated():
                self._apply_fabric(change)
            case DiskCreated() | JobStarted() | JobStopped():
                self._apply_to_guests(change)
            case FaultInjected():
                self.book(change.service).inject(change.rule)
            case FaultCleared():
                self.book(change.service).clear(change.fault_id)
            case ArrayLost():
                self.links[change.array_id].broken = True
            case _:
                self._apply_to_hardware(self.arrays[change.array_id], change)

    def _apply_to_paths(self, change: DeviceReset | PathEnabled | PathUpdated) -> None:
        match change:
            case DeviceReset():
                with suppress(FailedPrecondition):  # no path, or it is being reset
                    reset_device(
                        self.multipath, change.host_id, change.device, target=change.target
                    )
            case PathEnabled():
                self.multipath.set_path_enabled(
                    change.host_id, change.device, change.path, change.enabled
                )
            case PathUpdated():
                self.multipath.update_path(
                    change.host_id,
                    change.device,
                    change.path,
                    relative_throughput=change.relative_throughput,
                    cpus=change.cpus,
                )

    def _apply_to_guests(self, change: DiskCreated | JobStarted | JobStopped) -> None:
        match change:
            case DiskCreated():
                self.hypervisor.create_disk(change.disk)
            case JobStarted():
                self.hypervisor.create_job(change.plan)
            case JobStopped():
                self.hypervisor.stop_job(change.host_id, change.vm_id, change.job_id)

    def _is_refused(self, change: DeviceUpdated) -> bool:
        """Whether the device keeps its policy: a plug-in's, or one that its array allows."""
        layer = self.multipath
        device = layer.device(change.host_id, change.device)
        fixed = change.selector is Selector.FIXED
        return device.claimed is Selector.VENDOR or (
            fixed and forbidden(layer.state, layer.host(change.host_id), device)
        )

    def book(self, service: str) -> FaultBook:
        """Returns a service's fault rules, by its full name."""
        rooms = (self.hypervisor, self.multipath, *self.arrays.values())
        return next(room.faults for room in rooms if room.name == service)

    def _apply_fabric(self, change: FabricChange) -> None:
        if isinstance(change, TrunkSet):
            rate = change.bandwidth_bytes_per_second
            update_fabric(self.multipath, change.fabric, trunk_bandwidth_bytes_per_second=rate)
        elif isinstance(change, HoldTimeSet):
            update_fabric(self.multipath, change.fabric, hold_time_ns=change.hold_time_ns)
        else:
            self.multipath.update_link(
                change.fabric,
                change.link,
                bandwidth_bytes_per_second=change.bandwidth_bytes_per_second,
                bb_credits=change.bb_credits,
            )

    @staticmethod
    def _apply_to_hardware(array: ArrayModel, change: Change) -> None:
        match change:
            case ControllerEnabled():
                array.set_controller_enabled(change.controller_id, change.enabled)
            case ControllerRebooted():
                array.reboot_controller(change.controller_id)
            case VolumeAssigned():
                with suppress(FailedPrecondition):  # a controller that is down
                    array.ownership.assign(change.volume_id, change.controller_id)
            case PortEnabled():
                array.set_port_enabled(change.port_id, change.enabled)
            case PortQueueLimit():
                array.set_port_queue_limit(change.port_id, change.queue_limit)
            case _:
                Models._apply_to_array(array, change)

    @staticmethod
    def _apply_to_array(array: ArrayModel, change: Change) -> None:
        match change:
            case PoolCapacity():
                with suppress(ResourceExhausted):  # the drives lack it
                    array.update_pool(change.pool_id, capacity_bytes=change.capacity_bytes)
            case VolumeQueueLimit():
                array.set_volume_queue_limit(change.volume_id, change.queue_limit)
            case VolumeZeroDetect():
                array.set_volume_zero_detect(change.volume_id, change.zero_detect)
            case VolumeCapacity():
                with suppress(ResourceExhausted):  # thick, and its pool lacks the pages
                    array.update_volume_capacity(change.volume_id, change.capacity_bytes)
            case VolumeCreated():
                with suppress(ResourceExhausted):
                    array.create_volume(change.volume)
            case VolumeDeleted():
                with suppress(NotFound):  # refused, then
                    array.delete_volume(change.volume_id)
            case SnapshotCreated():
                array.create_snapshot(change.snapshot_id, change.volume_id)
            case SnapshotDeleted():
                array.delete_snapshot(change.snapshot_id)
            case _:
                Models._apply_to_hosts(array, change)

    @staticmethod
    def _apply_to_hosts(array: ArrayModel, change: Change) -> None:
        match change:
            case HostLimits():
                array.update_host(
                    change.host_id,
                    queue_limit=change.queue_limit,
                    port_queue_limit=change.port_queue_limit,
                )
            case ReservedOut():
                with suppress(FailedPrecondition, InvalidArgument, NotFound):
                    array.reservations.carry_out(change.volume_id, change.out)
            case ExportCreated():
                array.create_export(change.export)
            case ExportDeleted():
                array.delete_export(change.volume_id, change.host_id)
            case AttentionEstablished():
                array.establish_attention(
                    change.attention,
                    volume_id=change.volume_id,
                    port_id=change.port_id,
                    host_id=change.host_id,
                    initiator=change.initiator,
                )


def build_array(config: ArrayConfig) -> ArrayModel:
    """Returns an array's model with its inventory."""
    array = ArrayModel(config.array_id)
    array.update_product(vendor=config.vendor, hints_enabled=config.hints_enabled)
    for controller in config.controllers:
        array.create_controller(controller)
    if config.access.access is not Access.SYMMETRIC:
        array.ownership.configure(config.access)
    for port in config.ports:
        array.create_port(port)
    if config.drives.raw_bytes:
        array.drives.configure(config.drives)
    for group in config.drive_groups:
        array.drives.create(group)
    for pool in config.pools:
        array.create_pool(pool)
    for volume in config.volumes:
        array.create_volume(volume)
    for host in config.hosts:
        array.create_host(host)
    for export in config.exports:
        array.create_export(export)
    return array


def build_models(stack: StackConfig) -> Models:
    """Returns the project's models of a stack, joined in this process, at time 0."""
    arrays = {config.array_id: build_array(config) for config in stack.arrays}
    links = {array_id: Link(array) for array_id, array in arrays.items()}
    multipath = MultipathModel(stack.multipath)
    for array_id, link in links.items():
        multipath.connect_array(array_id, link)
    for mapped in stack.multipath_hosts:
        multipath.create_host(mapped)
        multipath.rescan(mapped.host_id)
    hypervisor = HypervisorModel("hv1", stack.seed)
    top = Link(multipath)
    hypervisor.connect(top)
    for host in stack.hosts:
        hypervisor.create_host(host)
    for vm in stack.vms:
        hypervisor.create_vm(vm)
    for disk in stack.disks:
        hypervisor.create_disk(disk)
    for plan in stack.jobs:
        hypervisor.create_job(plan)
    changes = sorted(stack.changes, key=lambda change: change.at_ns)
    return Models(hypervisor, multipath, arrays, links, top, changes)
