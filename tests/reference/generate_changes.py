"""Hypothesis strategies for what happens to a stack while it runs.

Changes are drawn in order, and the inventory is followed so far that each one is legal when its
time comes: nothing is deleted twice, and a dead array is not managed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st

from smokestack.array.reservations import ReservationAction, ReservationType, ReserveOut
from smokestack.array.specs import ArrayHostSpec, ExportSpec, Provisioning, ZeroDetect
from smokestack.engine.jobplan import JobPlan
from smokestack.engine.records import Attention
from smokestack.multipath.specs import (
    NATIVE,
    DepthRule,
    Escalation,
    QueueControl,
    SelectorSettings,
    WorldShares,
)
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
    ExportCreated,
    ExportDeleted,
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
    TrunkSet,
    VolumeAssigned,
    VolumeCapacity,
    VolumeQueueLimit,
    VolumeZeroDetect,
)
from tests.reference.generate_checks import path_failure_handling
from tests.reference.generate_copies import Copies, copy_changes

KINDS = (
    *("port", "port", "controller", "space", "copy", "copy", "export"),
    *("path", "device", "adapter", "job", "attention", "attention"),
    *("fabric", "reset", "reservation", "layer"),
)


@dataclass
class Plans:
    """What changes can be made to, as far as they have been drawn."""

    arrays: tuple[ArrayConfig, ...]
    hosts: tuple[ArrayHostSpec, ...]
    devices: tuple[tuple[str, dict[str, int]], ...]  # at the start: host → name → bytes
    later: tuple[JobPlan, ...]  # to be started on the way
    running: tuple[JobPlan, ...]
    lost: set[str] = field(default_factory=set)
    hidden: set[tuple[str, str]] = field(default_factory=set)  # (host, device)
    free_luns: dict[tuple[str, str], list[int]] = field(default_factory=dict)  # (array, host)
    shown: set[tuple[str, str]] = field(default_factory=set)  # (host, device), once or now
    off: set[tuple[str, str]] = field(default_factory=set)  # (array, controller)
    pages: dict[tuple[str, str], int] = field(default_factory=dict)  # (array, pool) → added
    bytes: dict[tuple[str, str], int] = field(default_factory=dict)  # (array, volume) → added
    copies: dict[str, Copies] = field(default_factory=dict)  # array → what it has of them

    def __post_init__(self) -> None:
        self.copies = {array.array_id: Copies(array) for array in self.arrays}
        self.shown |= {(host, name) for host, named in self.devices for name in named}

    @property
    def ends(self) -> set[str]:
        """The initiators and ports that are joined from the start."""
        found = set()
        for host, named in self.devices:
            for device in named:
                for path in self.paths(host, device):
                    initiator, port = path.split(".")
                    found |= {initiator, f"{device.split('.')[0]}.{port}"}
        return found

    def paths(self, host_id: str, device: str) -> list[str]:
        """The names of a device's paths."""
        array_id = device.split(".", maxsplit=1)[0]
        array = next(array for array in self.arrays if array.array_id == array_id)
        host = next(host for host in self.hosts if host.host_id == host_id)
        return sorted(
            f"{initiator.name}.{port.port_id}"
            for initiator in host.initiators
            for port in array.ports
            if initiator.fabric == port.fabric
        )


@st.composite
def changes(draw: st.DrawFn, plans: Plans, until_ns: int) -> tuple[Change, ...]:
    """Draws up to eight changes, by time; all of ``plans.later`` start among them."""
    times = st.integers(1, max(1, until_ns // 10_000)).map(lambda n: n * 10_000)
    times |= st.integers(1, until_ns)
    count = draw(st.sampled_from([8, 4, 2, 1]))
    drawn = sorted(draw(st.lists(times, min_size=count, max_size=count)))
    starts: list[Change] = [JobStarted(draw(times), plan) for plan in plans.later]
    made: list[Change] = draw(_reserved(plans)) if draw(st.booleans()) else []
    for time in drawn:
        made += draw(_change(plans, time))
    # Jobs start at times of their own; they need nothing but their disks.
    return tuple(sorted([*starts, *made], key=lambda change: change.at_ns))


@st.composite
def _change(draw: st.DrawFn, plans: Plans, time: int) -> list[Change]:
    kind = draw(st.sampled_from(KINDS))
    if kind == "job":
        if not plans.running:
            return []
        plan = draw(st.sampled_from(plans.running))
        return [JobStopped(time, plan.host_id, plan.vm_id, plan.job_id)]
    if kind == "layer":
        return [LayerUpdated(time, draw(layer_settings()))]
    if kind == "fabric":
        return draw(_fabric_change(plans, time))
    if kind in ("path", "device", "adapter", "reset"):
        return draw(_device_change(plans, time, kind))
    array = draw(st.sampled_from(plans.arrays))
    if array.array_id in plans.lost:
        return []
    if kind == "port":
        return draw(_port_change(plans, time, array))
    if kind == "attention":
        return draw(_attention_change(time, array))
    if kind == "reservation":
        return draw(_reservations(time, array))
    if kind == "copy":
        return draw(copy_changes(plans.copies[array.array_id], plans.hosts, time))
    if kind == "controller":
        return draw(_controller_change(plans, time, array))
    if kind == "space":
        return draw(_space_change(plans, time, array))
    return draw(_export_change(plans, time, array))


LAYER = {
    "qfull_retry_delay_ns": [0, 5_000, 100_000],
    "not_ready_retry_delay_ns": [0, 25_000, 100_000],
    "command_timeout_ns": [0, 30_000, 150_001, 200_000],
    "task_management_timeout_ns": [20_000, 150_000, 10**9],
    "escalation": list(Escalation),
}


@st.composite
def layer_settings(draw: st.DrawFn) -> tuple[tuple[str, int], ...]:
    """Draws new values of one or more settings of the layer."""
    names = draw(st.lists(st.sampled_from(sorted(LAYER)), min_size=1, max_size=3, unique=True))
    return tuple((name, draw(st.sampled_from(LAYER[name]))) for name in names)


@st.composite
def _reserved(draw: st.DrawFn, plans: Plans) -> list[Change]:
    """A host reserves a volume soon, and perhaps another one is registered, too."""
    array, time = draw(st.sampled_from(plans.arrays)), 1
    if not array.exports:
        return []
    shown = draw(st.sampled_from(array.exports))
    kind = draw(st.sampled_from(ReservationType))
    ignores = ReservationAction.REGISTER_AND_IGNORE_EXISTING_KEY
    hosts = [shown.host_id] + [
        export.host_id
        for export in array.exports
        if export.volume_id == shown.volume_id and draw(st.booleans())
    ]
    outs = [ReserveOut(host, ignores, service_key=1) for host in hosts]
    outs.append(ReserveOut(shown.host_id, ReservationAction.RESERVE, 1, 0, kind))
    return [ReservedOut(time, array.array_id, shown.volume_id, out) for out in outs]


@st.composite
def _reservations(draw: st.DrawFn, time: int, array: ArrayConfig) -> list[Change]:
    """A host does something to a volume's reservations, or registers first."""
    if not array.exports:
        return []
    shown = draw(st.sampled_from(array.exports))
    array_id, volume, host = array.array_id, shown.volume_id, shown.host_id
    key = draw(st.sampled_from([1, 1, 2]))
    kind = draw(st.sampled_from(ReservationType))
    aptpl = draw(st.booleans())
    ignores = ReservationAction.REGISTER_AND_IGNORE_EXISTING_KEY
    outs = [ReserveOut(host, ignores, service_key=key, aptpl=aptpl)]
    action = draw(st.sampled_from(ReservationAction))
    other = draw(st.sampled_from([0, 1, 1, 2]))
    outs.append(ReserveOut(host, action, key, other, kind))
    return [ReservedOut(time, array_id, volume, out) for out in outs[draw(st.integers(0, 1)) :]]


@st.composite
def _port_change(draw: st.DrawFn, plans: Plans, time: int, array: ArrayConfig) -> list[Change]:
    port = draw(st.sampled_from(array.ports))
    what = draw(st.sampled_from(["down", "down", "up", "up", "limit", "host", "volume", "lost"]))
    if what == "lost":
        plans.lost.add(array.array_id)
        return [ArrayLost(time, array.array_id)]
    if what == "host":
        host_id = draw(st.sampled_from(array.hosts)).host_id
        limits = draw(st.tuples(st.integers(0, 4), st.integers(0, 3)))
        return [HostLimits(time, array.array_id, host_id, *limits)]
    if what == "volume":
        volume = draw(st.sampled_from(array.volumes)).volume_id
        return [VolumeQueueLimit(time, array.array_id, volume, draw(st.integers(0, 4)))]
    if what == "limit":
        return [PortQueueLimit(time, array.array_id, port.port_id, draw(st.integers(1, 6)))]
    return [PortEnabled(time, array.array_id, port.port_id, what == "up")]


@st.composite
def _controller_change(
    draw: st.DrawFn, plans: Plans, time: int, array: ArrayConfig
) -> list[Change]:
    controller = draw(st.sampled_from(array.controllers))
    thin = [v.volume_id for v in array.volumes if v.provisioning is Provisioning.THIN]
    if thin and draw(st.sampled_from([False, False, False, True])):
        zero_detect = draw(st.sampled_from(ZeroDetect))
        return [VolumeZeroDetect(time, array.array_id, draw(st.sampled_from(thin)), zero_detect)]
    key = (array.array_id, controller.controller_id)
    if controller.reboot_ns and key not in plans.off and draw(st.booleans()):
        return [ControllerRebooted(time, *key)]
    if draw(st.booleans()):
        volume = draw(st.sampled_from(array.volumes)).volume_id
        return [VolumeAssigned(time, array.array_id, volume, controller.controller_id)]
    if key in plans.off:
        plans.off.remove(key)
    else:
        plans.off.add(key)
    return [ControllerEnabled(time, *key, key not in plans.off)]


@st.composite
def _space_change(draw: st.DrawFn, plans: Plans, time: int, array: ArrayConfig) -> list[Change]:
    if draw(st.booleans()):
        pool = draw(st.sampled_from(array.pools))
        key = (array.array_id, pool.pool_id)
        plans.pages[key] = plans.pages.get(key, 0) + draw(st.integers(1, 9))
        capacity = pool.capacity_bytes + plans.pages[key] * pool.page_bytes
        return [PoolCapacity(time, array.array_id, pool.pool_id, capacity)]
    volume = draw(st.sampled_from(array.volumes))
    key = (array.array_id, volume.volume_id)
    plans.bytes[key] = plans.bytes.get(key, 0) + 512 * draw(st.integers(1, 200))
    capacity = volume.capacity_bytes + plans.bytes[key]
    plans.copies[array.array_id].volumes[volume.volume_id] = capacity
    return [VolumeCapacity(time, array.array_id, volume.volume_id, capacity)]


@st.composite
def _attention_change(draw: st.DrawFn, time: int, array: ArrayConfig) -> list[Change]:
    """One to three things to be told, at once, each by any of what is named or by all."""
    names = {
        "volume_id": [volume.volume_id for volume in array.volumes],
        "port_id": [port.port_id for port in array.ports],
        "host_id": [host.host_id for host in array.hosts],
        "initiator": [i.name for host in array.hosts for i in host.initiators],
    }
    told = draw(st.lists(st.sampled_from(Attention), min_size=1, max_size=3))
    made: list[Change] = []
    for attention in told:
        by = draw(st.sampled_from(["", *names]))
        where = {by: draw(st.sampled_from(names[by]))} if by else {}
        made.append(AttentionEstablished(time, array.array_id, attention, **where))
    return made


@st.composite
def _export_change(draw: st.DrawFn, plans: Plans, time: int, array: ArrayConfig) -> list[Change]:
    """Shows or hides a volume; the host looks at once, or is told never."""
    volume = draw(st.sampled_from(array.volumes)).volume_id
    host = draw(st.sampled_from(plans.hosts)).host_id
    key = (host, f"{array.array_id}.{volume}")
    rescans: list[Change] = [Rescanned(time, host)] if draw(st.booleans()) else []
    if key in plans.hidden:
        return rescans
    if key in plans.shown:
        plans.hidden.add(key)
        lun = next(e.lun for e in array.exports if (e.volume_id, e.host_id) == (volume, host))
        plans.free_luns.setdefault((array.array_id, host), []).append(lun)
        return [ExportDeleted(time, array.array_id, volume, host), *rescans]
    plans.shown.add(key)
    plans.hidden.add(key)  # nothing else happens to what comes late
    free = plans.free_luns.get((array.array_id, host), [])
    lun = free.pop() if free else 100 + len(plans.shown)
    fabrics = {i.fabric for h in plans.hosts if h.host_id == host for i in h.initiators}
    reach = [port.port_id for port in array.ports if port.fabric in fabrics]
    only = draw(st.lists(st.sampled_from(reach), unique=True, max_size=2))
    read_only = draw(st.sampled_from([False, False, False, True]))
    export = ExportSpec(volume, host, lun, tuple(only), read_only=read_only)
    return [ExportCreated(time, array.array_id, export), *rescans]


@st.composite
def _fabric_change(draw: st.DrawFn, plans: Plans, time: int) -> list[Change]:
    """Gives links rates that reads of pages feel, and few buffers."""
    rates = st.sampled_from([0, 10**8, 10**9, 2 * 10**7])
    if draw(st.booleans()):
        return [TrunkSet(time, "fa", draw(rates))]
    ends = [i.name for host in plans.hosts for i in host.initiators if i.fabric == "fa"]
    ends += [f"{a.array_id}.{p.port_id}" for a in plans.arrays for p in a.ports if p.fabric == "fa"]
    known = {"a0.p0", *ends} & plans.ends
    link = draw(st.sampled_from(sorted(known)))
    return [LinkUpdated(time, "fa", link, draw(rates), draw(st.sampled_from([1, 2, 16])))]


@st.composite
def _device_change(draw: st.DrawFn, plans: Plans, time: int, kind: str) -> list[Change]:
    seen = sorted(key for key in plans.shown if key not in plans.hidden)
    if not seen:
        return []
    host, device = draw(st.sampled_from(seen))
    if kind == "reset":
        return [DeviceReset(time, host, device, draw(st.booleans()))]
    path = draw(st.sampled_from(plans.paths(host, device)))
    if kind == "adapter":
        initiator = path.partition(".")[0]
        return [AdapterUpdated(time, host, initiator, draw(st.integers(1, 8)))]
    if kind == "path":
        if draw(st.booleans()):
            return [PathEnabled(time, host, device, path, draw(st.booleans()))]
        throughput = draw(st.none() | st.sampled_from([0, 1, 3, 100]))
        cpus = draw(st.none() | st.lists(st.integers(0, 1), unique=True).map(tuple))
        return [PathUpdated(time, host, device, path, throughput, cpus)]
    depth = draw(st.none() | st.integers(1, 8))
    ios = draw(st.none() | st.integers(1, 8))
    preferred = draw(st.none() | st.just(path))
    selector = draw(st.none() | st.sampled_from(NATIVE))
    settings = draw(st.none() | selector_settings())
    dsnro = draw(st.none() | st.integers(1, 8))
    control = draw(st.none() | queue_control())
    shares = draw(st.none() | st.sampled_from(SHARES))
    checking = draw(st.none() | path_failure_handling())
    changed = (depth, ios, preferred, selector, settings, dsnro, control, shares, checking)
    return [DeviceUpdated(time, host, device, *changed)]


def _windows(rule: DepthRule, sample: int, threshold: int, *more: int) -> QueueControl:
    """A rule that few refusals move, with a window that few I/Os do."""
    widest, past, gain, shares = more
    return QueueControl(rule, sample, threshold, 60_000, past, gain, min(widest, 2), widest, shares)


# Presets: a single draw leaves hypothesis room for all the rest.
CONTROLS = (
    QueueControl(),
    QueueControl(DepthRule.COUNTER, 1, 1),
    QueueControl(DepthRule.COUNTER, 2, 2),
    QueueControl(DepthRule.COUNTER, 8, 3),
    QueueControl(DepthRule.WINDOW, 4, 2),
    QueueControl(DepthRule.WINDOW, 64, 1),
    QueueControl(DepthRule.WINDOW, 16, 4),
    QueueControl(DepthRule.FIXED, 4, 1),
    QueueControl(DepthRule.LEGACY_NO_THROTTLE),
    _windows(DepthRule.COUNTER, 0, 4, 64, 205, 256, 1000),
    _windows(DepthRule.COUNTER, 2, 1, 3, 0, 1024, 500),
    _windows(DepthRule.WINDOW, 8, 2, 9, 1000, 900, 1),
)


# By VM number, as created: up to six of them, on any device.
SHARES = (
    (),
    (WorldShares(0, 2_000), WorldShares(1, 500)),
    (WorldShares(0, 1, 20_000), WorldShares(1, 1_000, 0, 10_000)),
    tuple(WorldShares(vm, 100 * vm + 1, 5_000 * vm, 40_000) for vm in range(6)),
)


def queue_control() -> st.SearchStrategy[QueueControl]:
    """Draws what moves a device's depth."""
    return st.sampled_from(CONTROLS)


@st.composite
def selector_settings(draw: st.DrawFn) -> SelectorSettings:
    """Draws settings of policies that matter within a short run."""
    cpus = draw(st.integers(2, 5))
    return SelectorSettings(
        bytes_per_path=draw(st.sampled_from([1, 4096, 10_000, 100_000])),
        repeat_count=draw(st.integers(1, 4)),
        latency_sample_ios=draw(st.sampled_from([1, 2, 16])),
        latency_evaluation_ns=draw(st.sampled_from([10**6, 180 * 10**9])),
        hst_base_weight=draw(st.sampled_from([972, 0, 500, 1023])),
        hst_threshold_multiplier=draw(st.sampled_from([0, 0, 1, 2, 10])),
        cpu_count=cpus,
        numa_node_count=draw(st.integers(1, cpus)),
    )
