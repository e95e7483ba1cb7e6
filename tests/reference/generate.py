"""Hypothesis strategies for small stacks under trouble: full ports, dry pools, changes on the way.

Times are mostly round numbers, so that many events fall on one nanosecond and their order shows;
some are odd.  Everything else is small, so that a failure shrinks to something to look at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from smokestack.array.specs import (
    RAID_SETS,
    Access,
    AccessSpec,
    ArrayHostSpec,
    ControllerSpec,
    DriveGroupSpec,
    DrivesSpec,
    ExportSpec,
    InitiatorSpec,
    MediaDistribution,
    OutOfSpace,
    PoolSpec,
    PortSpec,
    Provisioning,
    RaidLevel,
    VolumeSpec,
    ZeroDetect,
)
from smokestack.engine.jobplan import JobPlan, Pattern
from smokestack.engine.records import COPY_UNIT_BYTES, TRACE, Flag, Op, compared
from smokestack.hypervisor.specs import DiskSpec, HostSpec, VmSpec
from smokestack.multipath.specs import (
    NATIVE,
    ApdHandling,
    ClaimRule,
    Escalation,
    MultipathHostSpec,
    MultipathSpec,
    Plugin,
)
from smokestack.workload import Arrival, JobSpec, ThinkTime, TraceMode, compile_job
from tests.reference.config import ArrayConfig, StackConfig
from tests.reference.generate_changes import Plans, changes, queue_control, selector_settings
from tests.reference.generate_checks import path_failure_handling
from tests.reference.stations import Pool

PAGE = 4096
BLOCK = 512
FABRICS = ("fa", "fb")
RUN_NS_MAX = 4_000_000
VENDORS = ("ACME", "BETA")

# What jobs do that do not read.
WRITES = (
    *[(Op.WRITE, 0)] * 5,
    (Op.WRITE, Flag.ZEROS),
    (Op.UNMAP, 0),
    (Op.WRITE_SAME, 0),
    (Op.WRITE_SAME, Flag.UNMAP),
    (Op.COPY, 0),
    *((Op.COMPARE_AND_WRITE, compared(old, new)) for old, new in ((0, 1), (1, 0), (1, 2))),
)

latencies = st.sampled_from([1_000, 10_000, 20_000, 50_000]) | st.integers(1_000, 60_000)
services = st.sampled_from([0, 500, 1_000, 5_000, 20_000]) | st.integers(0, 30_000)
ratios = st.sampled_from([0.0, 0.3, 0.5, 1.0])
sometimes = st.sampled_from([False] * 7 + [True])


@dataclass(frozen=True)
class Scenario:
    """A stack, how long it runs, and where its run is cut into Advances."""

    stack: StackConfig
    until_ns: int
    cuts: tuple[int, ...]  # ascending, before the end


@st.composite
def scenarios(draw: st.DrawFn, with_changes: bool = True) -> Scenario:
    """Draws a stack of one to three hosts over one or two arrays, and a run of it."""
    hosts = tuple(draw(_initiators(f"h{n}")) for n in range(draw(st.integers(1, 3))))
    arrays = tuple(draw(_array(f"a{n}", hosts)) for n in range(draw(st.integers(1, 2))))
    seen = {host.host_id: _devices(host, arrays) for host in hosts}
    vms, disks = draw(_vms(seen))
    jobs = draw(st.lists(_job_specs(disks), min_size=1, max_size=5, unique_by=lambda j: j.job_id))
    sizes = {(d.host_id, d.vm_id, d.disk_id): _bytes(d, seen[d.host_id]) for d in disks}
    plans = tuple(
        draw(_plan(job, sizes[job.host_id, job.vm_id, job.disk_id], _sources(job, disks)))
        for job in jobs
    )
    until = draw(st.sampled_from([RUN_NS_MAX, 1_000_000, 123_456]))
    first = len(plans) - (draw(st.integers(0, len(plans) // 2)) if with_changes else 0)
    planned = Plans(arrays, hosts, tuple(seen.items()), plans[first:], plans[:first])
    stack = StackConfig(
        arrays=arrays,
        multipath_hosts=tuple(draw(_multipath_host(host)) for host in hosts),
        hosts=tuple(HostSpec(host.host_id) for host in hosts),
        vms=vms,
        disks=disks,
        jobs=plans[:first],
        multipath=MultipathSpec(
            qfull_retry_delay_ns=draw(st.sampled_from([100_000, 20_000, 5_000, 0])),
            congestion_evaluation_ns=draw(st.sampled_from([4 * 10**9, 10**6])),
            not_ready_retry_delay_ns=draw(st.sampled_from([100_000, 25_000, 0])),
            command_timeout_ns=draw(st.sampled_from([0, 0, 30_000, 200_000, 150_001])),
            task_management_timeout_ns=draw(st.sampled_from([10**9, 150_000, 20_000])),
            escalation=draw(st.sampled_from(Escalation)),
            apd_timeout_ns=draw(st.sampled_from([10**9, 200_000, 40_000])),
            apd_handling=draw(st.sampled_from(ApdHandling)),
        ),
        changes=draw(changes(planned, until)) if with_changes else (),
        seed=draw(st.integers(0, 5)),
    )
    return Scenario(stack, until, tuple(sorted(draw(st.lists(st.integers(0, until), max_size=4)))))


@st.composite
def _initiators(draw: st.DrawFn, host_id: str) -> ArrayHostSpec:
    """One to three initiators; the first one's fabric is the one that every array is on."""
    fabrics = ["fa", *draw(st.lists(st.sampled_from(FABRICS), max_size=2))]
    names = draw(st.permutations([f"{host_id}-{letter}" for letter in "abc"[: len(fabrics)]]))
    return ArrayHostSpec(host_id, tuple(map(InitiatorSpec, names, fabrics)))


def _devices(host: ArrayHostSpec, arrays: tuple[ArrayConfig, ...]) -> dict[str, int]:
    """A host's devices at the start: name → bytes."""
    return {
        f"{array.array_id}.{volume.volume_id}": volume.capacity_bytes
        for array in arrays
        for volume in array.volumes
        for export in array.exports
        if (export.volume_id, export.host_id) == (volume.volume_id, host.host_id)
    }


@st.composite
def _array(draw: st.DrawFn, array_id: str, hosts: tuple[ArrayHostSpec, ...]) -> ArrayConfig:
    controllers = tuple(draw(_controllers(f"c{n}")) for n in range(draw(st.integers(1, 2))))
    if len(controllers) == 2 and draw(st.booleans()):
        controllers = controllers[0], replace(controllers[1], partner="c0")
    names = [controller.controller_id for controller in controllers]
    pools = tuple(draw(_pools(f"q{n}")) for n in range(draw(st.integers(1, 2))))
    volumes = tuple(
        VolumeSpec(
            f"v{n}",
            draw(st.sampled_from(pools)).pool_id,
            BLOCK * draw(st.sampled_from([64, 256, 512, 4_160]) | st.integers(64, 600)),
        )
        for n in range(draw(st.integers(1, 3)))
    )
    volumes = tuple(
        replace(
            volume,
            controller_id=draw(st.sampled_from(["", *names])),
            queue_limit=draw(st.sampled_from([0, 0, 0, 1, 2, 3])),
            task_aborted_status=draw(st.booleans()),
        )
        for volume in volumes
    )
    volumes = _thickened(pools, volumes, draw(st.sampled_from([0, 0, 1, 2, 5, 7, 9, 10, 15])))
    volumes = tuple(
        volume
        if volume.reserves
        else replace(volume, zero_detect=draw(st.sampled_from(ZeroDetect)))
        for volume in volumes
    )
    pairs = [(volume.volume_id, host.host_id) for host in hosts for volume in volumes]
    # The first array shows its first volume to every host; the rest as it comes.
    must = [pair for pair in pairs if array_id == "a0" and pair[0] == "v0"]
    chosen = {*must, *draw(st.lists(st.sampled_from(pairs), max_size=4))}
    access = draw(
        st.just(AccessSpec())
        | st.builds(
            AccessSpec,
            st.sampled_from(Access),
            st.sampled_from([0, 5_000, 20_000]),
            st.sampled_from([0, 50_000, 300_000]),
            st.booleans(),
        )
    )
    exports = draw(st.permutations(sorted(chosen)))
    in_group = draw(st.sampled_from([0, 0, 1, 2, 3]))  # a bit for each pool
    grouped = tuple(pool for n, pool in enumerate(pools) if in_group >> n & 1)
    others = tuple(pool for pool in pools if pool not in grouped)
    size = draw(_drives(grouped, volumes)).drive_bytes if grouped else 0
    if size:
        pools = tuple(replace(p, drive_group="g" if p in grouped else "") for p in pools)
    limits = st.sampled_from([0, 0, 0, 1, 2, 4])
    known = tuple(
        replace(host, queue_limit=draw(limits), port_queue_limit=draw(limits)) for host in hosts
    )
    return ArrayConfig(
        array_id=array_id,
        controllers=controllers,
        ports=draw(_all_ports(names)),
        pools=pools,
        volumes=volumes,
        hosts=known,
        access=access,
        drives=draw(_drives(others if size else pools, volumes)),
        drive_groups=(DriveGroupSpec("g", 1, size),) if size else (),
        exports=tuple(
            ExportSpec(v, h, lun=pairs.index((v, h)), read_only=draw(sometimes)) for v, h in exports
        ),
        vendor=draw(st.sampled_from(VENDORS)),
        hints_enabled=draw(st.booleans()),
    )


def _marked(spec: ControllerSpec, low: float, high: float) -> ControllerSpec:
    """Gives a write cache marks, if it has a size."""
    if not spec.cache_bytes:
        return spec
    return replace(spec, cache_low_water_ratio=low, cache_high_water_ratio=high)


def _controllers(controller_id: str) -> st.SearchStrategy[ControllerSpec]:
    marks = st.sampled_from([(0.0, 0.0), (0.0, 0.3), (0.6, 0.8), (0.5, 1.0)])
    return st.builds(
        lambda spec, two: _marked(spec, *two), _plain_controllers(controller_id), marks
    )


def _plain_controllers(controller_id: str) -> st.SearchStrategy[ControllerSpec]:
    return st.builds(
        ControllerSpec,
        st.just(controller_id),
        core_count=st.integers(1, 3),
        read_ns=services,
        write_ns=services,
        read_hit_ratio=ratios,
        write_back=st.booleans() | st.just(True),
        mirror_ns=st.just(0) | services,
        cache_bytes=st.sampled_from([0, 0, 2 * PAGE, 10_000, 1 << 20]),
        reboot_ns=st.sampled_from([0, 0, 30_000, 200_000]),
        read_cache_bytes=st.sampled_from([0, 0, 0, 1, 3, 20]).map((2 * PAGE).__mul__),
        read_cache_block_bytes=st.sampled_from([PAGE, 2 * PAGE]),
    )


@st.composite
def _all_ports(draw: st.DrawFn, controllers: list[str]) -> tuple[PortSpec, ...]:
    """One to four ports; some take over the identity of another one that fails."""
    ports: list[PortSpec] = []
    for n in range(draw(st.sampled_from([2, 4, 3, 1]))):
        port = draw(_ports(f"p{n}", controllers))
        taken = {each.partner for each in ports}
        heirs = [
            each.port_id
            for each in ports
            if each.fabric == port.fabric
            and each.controller_id != port.controller_id
            and not each.partner
            and each.port_id not in taken
        ]
        if heirs and draw(st.booleans()):
            port = replace(port, partner=heirs[0])
        ports.append(port)
    return tuple(ports)


def _ports(port_id: str, controllers: list[str]) -> st.SearchStrategy[PortSpec]:
    return st.builds(
        PortSpec,
        st.just(port_id),
        st.sampled_from(controllers),
        st.just("fa") if port_id == "p0" else st.sampled_from(FABRICS),
        queue_limit=st.sampled_from([1, 2, 3, 5, 100]),
        command_ns=services,
        refusal_ns=services,
        hang_refusals=st.sampled_from([0, 0, 0, 2, 5]),
        bandwidth_bytes_per_second=st.sampled_from([10**8, 10**9, 3 * 10**8, 1 << 40]),
        forward_latency_ns=latencies,
        return_latency_ns=latencies,
        enabled=st.sampled_from([True] * 9 + [False]),
    )


@st.composite
def _pools(draw: st.DrawFn, pool_id: str) -> PoolSpec:
    page = draw(st.sampled_from([PAGE, 3 * PAGE, 4 * PAGE]))
    step = draw(st.sampled_from([0, 0, 2, 5]))
    return PoolSpec(
        pool_id,
        page * draw(st.sampled_from([1_000, 40, 10, 3])),
        page_bytes=page,
        disk_count=draw(st.integers(1, 4)),
        media_ns=draw(services | st.just(200_000)),
        media_distribution=draw(st.sampled_from(MediaDistribution)),
        media_write_ns=draw(st.sampled_from([None, None, 0, 70_000, 250_000])),
        media_sequential_ns=draw(st.sampled_from([None, None, 0, 1_000, 20_000])),
        growth_bytes=page * draw(st.sampled_from([0, 0, 1, 7])),
        step_bytes=page * step,
        step_bytes_max=page * step * draw(st.sampled_from([1, 2, 4])),
        step_window_ns=draw(st.sampled_from([0, 100_000, 10**9])),
        limit_bytes=page * draw(st.sampled_from([0, 0, 0, 2, 8, 2_000])),
        limit_overdraft_bytes=page * draw(st.sampled_from([0, 1])),
        warning_ratio=draw(st.sampled_from([0.0, 0.0, 0.5, 0.9])),
        out_of_space=draw(st.sampled_from(OutOfSpace)),
        conservation_bytes=page * draw(st.sampled_from([0, 1, 4])),
        emergency_bytes=page * draw(st.sampled_from([0, 0, 1])),
        conservation_ns=draw(st.sampled_from([0, 5_000, 100_000])),
        raid_level=(level := draw(st.sampled_from(RaidLevel))),
        raid_set_size=RAID_SETS[level][0],
    )


@st.composite
def _drives(
    draw: st.DrawFn, pools: tuple[PoolSpec, ...], volumes: tuple[VolumeSpec, ...]
) -> DrivesSpec:
    """None; or what pools that do not grow draw at once, and some pages for the others."""
    spare = draw(st.sampled_from([None, 0, 1, 5, 30]))
    if spare is None or any(volume.reserves for volume in volumes):
        return DrivesSpec()
    at_once = [
        p.capacity_bytes // p.page_bytes * p.raw_page_bytes for p in pools if not p.growth_bytes
    ]
    return DrivesSpec(
        1, sum(at_once) + spare * max((p.raw_page_bytes for p in pools), default=0) + 1
    )


def _thickened(
    pools: tuple[PoolSpec, ...], volumes: tuple[VolumeSpec, ...], wanted: int
) -> tuple[VolumeSpec, ...]:
    """Makes those volumes thick whose bits are set, as their pools have room; bit 3: full ones."""
    kind = Provisioning.FULL if wanted >> 3 & 1 else Provisioning.THICK
    models = {spec.pool_id: Pool(spec) for spec in pools}
    made = []
    for index, volume in enumerate(volumes):
        pool = models[volume.pool_id]
        pages = -(-volume.capacity_bytes // pool.spec.page_bytes)
        if wanted >> index & 1 and pages <= pool.free:
            pool.room += pages
            made.append(replace(volume, provisioning=kind))
        else:
            made.append(volume)
    return tuple(made)


def _multipath_host(host: ArrayHostSpec) -> st.SearchStrategy[MultipathHostSpec]:
    return st.builds(
        MultipathHostSpec,
        st.just(host.host_id),
        st.just(tuple(initiator.name for initiator in host.initiators)),
        selector=st.sampled_from(NATIVE),
        lun_queue_depth=st.sampled_from([1, 2, 3, 5, 64]),
        sched_num_req_outstanding=st.sampled_from([32, 1, 2, 3]),
        adapter_queue_depth=st.sampled_from([4096, 1, 2, 5]),
        queue_control=queue_control(),
        path_failure_handling=path_failure_handling(),
        ios_per_path=st.integers(1, 5),
        selector_settings=selector_settings(),
        claim_rules=st.lists(_claim_rules(), max_size=2).map(tuple),
        allow_thrashing=st.booleans(),
    )


@st.composite
def _claim_rules(draw: st.DrawFn) -> ClaimRule:
    """A rule of some arrays, or of those of a vendor, for a plug-in of theirs or another's."""
    patterns = draw(st.sampled_from([{"vendor": "A*"}, {"vendor": "BETA"}, {"array": "a0"}, {}]))
    if draw(st.booleans()):
        vendor = draw(st.sampled_from(VENDORS))
        return ClaimRule(**patterns, plugin=Plugin.VENDOR, plugin_vendor=vendor)
    return ClaimRule(**patterns, selector=draw(st.none() | st.sampled_from(NATIVE)))


@st.composite
def _vms(
    draw: st.DrawFn, devices: dict[str, dict[str, int]]
) -> tuple[tuple[VmSpec, ...], tuple[DiskSpec, ...]]:
    """One or two VMs a host, each with a disk or two on any of the host's devices."""
    vms: list[VmSpec] = []
    disks: list[DiskSpec] = []
    for host_id, named in devices.items():
        for n in range(draw(st.integers(1, 2))):
            places = st.sampled_from([0, 0, 0, 1, 2, 3])
            broker = draw(st.sampled_from([0, 1_000, 2_500]))
            vms.append(VmSpec(host_id, f"m{n}", broker, draw(places)))
            for d in range(draw(st.integers(1, 2))):
                device = draw(st.sampled_from(sorted(named)))
                offset = draw(st.sampled_from([0, 0, BLOCK, 4 * PAGE]))
                size = draw(st.sampled_from([0, 0, 4 * PAGE]))
                name = (host_id, f"m{n}", f"d{d}")
                disks.append(DiskSpec(*name, device, size, offset, draw(places)))
    return tuple(vms), tuple(disks)


@st.composite
def _job_specs(draw: st.DrawFn, disks: tuple[DiskSpec, ...]) -> JobSpec:
    disk = draw(st.sampled_from(disks))
    shape = draw(st.sampled_from(["closed", "rate", "trace-open", "trace-closed"]))
    fields: dict[str, Any] = {
        "host_id": disk.host_id,
        "vm_id": disk.vm_id,
        "disk_id": disk.disk_id,
        "job_id": draw(st.sampled_from([f"j{n}" for n in range(9)])),
        "iodepth": draw(st.sampled_from([8, 4, 3, 1])),
        "start_ns": draw(st.sampled_from([0, 0, 100_000, 250_001])),
        "io_limit": draw(st.sampled_from([300, 100, 40, 5])),
        "error_backoff_ns": draw(st.sampled_from([50_000, 0, 1_000_000])),
    }
    if draw(st.sampled_from([False, False, False, True])):
        fields["stop_ns"] = fields["start_ns"] + draw(st.integers(1, RUN_NS_MAX))
    if shape.startswith("trace"):
        is_open = shape == "trace-open"
        fields |= {"trace": "t", "trace_mode": TraceMode.OPEN if is_open else TraceMode.CLOSED}
        if is_open:
            fields["time_scale"] = draw(st.sampled_from([1.0, 0.5, 1.333]))
        return JobSpec(**fields)
    fields |= {
        "pattern": draw(st.sampled_from(Pattern)),
        "read_ratio": draw(ratios),
        "zero_ratio": draw(st.sampled_from([0.0, 0.0, 0.5])),
        "zipf_theta": draw(st.sampled_from([0.0, 1.1])),
        "block_sizes": draw(st.sampled_from([((4096, 1),), ((512, 3), (8192, 1)), ((5120, 1),)])),
        "region_offset_bytes": draw(st.sampled_from([0, 0, BLOCK])),
        "region_bytes": draw(st.sampled_from([0, 0, 3 * PAGE])),
    }
    if shape == "rate":
        fields["rate_iops"] = draw(st.sampled_from([5_000.0, 100_000.0, 333_333.0, 1_000_000.0]))
        fields["arrival"] = draw(st.sampled_from(Arrival))
    else:
        fields["think_ns"] = draw(st.sampled_from([0, 0, 10_000, 100_000]))
        fields["think_time"] = draw(st.sampled_from(ThinkTime))
    return JobSpec(**fields)


def _bytes(disk: DiskSpec, devices: dict[str, int]) -> int:
    return disk.capacity_bytes or devices[disk.device] - disk.device_offset_bytes


def _sources(job: JobSpec, disks: tuple[DiskSpec, ...]) -> list[tuple[str, str, str]]:
    """The disks from which a job could copy, of whatever array."""
    return [(d.host_id, d.vm_id, d.disk_id) for d in disks if d.host_id == job.host_id]


@st.composite
def _plan(
    draw: st.DrawFn, spec: JobSpec, disk_bytes: int, others: Sequence[tuple[str, str, str]] = ()
) -> JobPlan:
    """Compiles a job; a trace's commands lie within the disk, and some have no length."""
    name = f"hosts/{spec.host_id}/vms/{spec.vm_id}/jobs/{spec.job_id}"
    if not spec.trace:
        kind = draw(st.sampled_from(WRITES))
        plan = compile_job(spec, name)
        if kind[0] == Op.COMPARE_AND_WRITE:  # of a few blocks, so that it finds what others left
            plan = replace(plan, block_sizes=((BLOCK, 1 << 32),), region_bytes=3 * BLOCK)
        if kind != (Op.WRITE, 0):
            plan = replace(plan, write_op=int(kind[0]), write_flags=int(kind[1]), zero_threshold=0)
        if kind[0] is Op.COPY:
            place = draw(st.sampled_from([0, 0, COPY_UNIT_BYTES]))
            source = draw(st.sampled_from([None, *others]))
            plan = replace(plan, copy_source_bytes=place, copy_source_disk=source)
        return plan
    count = draw(st.sampled_from([60, 20, 5, 1]))
    chance = np.random.default_rng(draw(st.integers(0, 1_000)))
    gaps_ns = chance.choice([0, 0, 1_000, 10_000, 12_345, 50_000], count)
    gaps_ns[0] = 0  # times count from the first command
    blocks = chance.integers(0, 25, count)
    records = np.zeros(count, TRACE)
    records["time_ns"] = np.cumsum(gaps_ns)
    records["lba"] = chance.integers(0, disk_bytes // BLOCK - blocks + 1)
    records["length"] = BLOCK * blocks
    records["op"] = chance.choice([Op.READ, Op.WRITE, Op.WRITE], count)
    return compile_job(spec, name, records)
