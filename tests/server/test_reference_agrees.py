"""The stack and its plain-Python reference agree to the last record.

The reference knows no windows, no C and no tables; it is built from the same description.  Both are
cut into Advances at will, changed on the way, and lose arrays.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from smokestack.array.model import ArrayModel
from smokestack.array.specs import (
    GIB,
    ArrayHostSpec,
    ControllerSpec,
    ExportSpec,
    InitiatorSpec,
    PoolSpec,
    PortSpec,
    VolumeSpec,
)
from smokestack.array.state import BLOCK_NUMBER_BITS
from smokestack.engine.errors import FailedPrecondition
from smokestack.engine.records import Op, Sense, Status, compared
from smokestack.hypervisor.specs import DiskSpec, HostSpec, VmSpec
from smokestack.multipath.specs import (
    NATIVE,
    ClaimRule,
    MultipathHostSpec,
    PathState,
    Plugin,
    Selector,
    SelectorSettings,
    WorldShares,
)
from smokestack.server.run import run_stack
from smokestack.server.scenario import default_scenario
from smokestack.workload import JobSpec, compile_job
from smokestack.workload.traces import bundled, parse
from tests.reference.build import Models, build_models, build_reference
from tests.reference.config import (
    ArrayConfig,
    DeviceUpdated,
    PathEnabled,
    PathUpdated,
    PortEnabled,
    StackConfig,
)
from tests.reference.digest import Completion
from tests.reference.generate import Scenario, scenarios
from tests.reference.generate_changes import SHARES
from tests.reference.samples import array, job, port, stack
from tests.reference.test_queues import two_vms
from tests.reference.world import World

RECORDED = Path(os.environ.get("SMOKESTACK_TRACE", "../shared/data/cloudphysics-w00.vscsi"))
PREFIX = 10_000  # commands of 32 bytes each


def first_difference(
    reference: list[Completion], models: list[Completion]
) -> tuple[int, Completion | None, Completion | None] | None:
    """The first place where two runs part, with what each has there."""
    for place in range(max(len(reference), len(models))):
        there = [run[place] if place < len(run) else None for run in (reference, models)]
        if there[0] != there[1]:
            return place, there[0], there[1]
    return None


def agree(config: StackConfig, until_ns: int, cuts: tuple[int, ...] = ()) -> None:
    """Runs both to a time, the models in pieces."""
    config = replace(config, changes=tuple(c for c in config.changes if c.at_ns < until_ns))
    reference, models = build_reference(config), build_models(config)
    reference.run(until_ns)
    for time in (*cuts, until_ns):
        models.run(time)
    assert first_difference(reference.completions, models.completions) is None
    assert reference.digest() == models.digest()
    assert times_of_models(models) == times_of_reference(reference)
    assert dead_in_models(models) == dead_in_reference(reference)
    assert waits_of_models(models) == [(len(w), sum(w)) for w in reference.hypervisor.waits]
    space_agrees(reference, models, until_ns)


def agree_on(scenario: Scenario, cuts: tuple[int, ...]) -> None:
    """The same, unless a change turns out to be none: who clones cannot know what went stale."""
    try:
        agree(scenario.stack, scenario.until_ns, cuts)
    except FailedPrecondition as refused:
        assert refused.reason == "SNAPSHOT_STALE"
        reject()


def times_of_reference(world: World) -> dict[tuple[int, int], tuple[int, ...]]:
    """Where the time of the I/Os of each (device, VM) went; guests' measured for itself."""
    return {
        (device.index, vm): (t.ios, t.guest_ns, t.device_ns, t.kernel_ns, t.queue_ns)
        for device in world.multipath.all_devices()
        for vm, t in device.times.items()
    }


def times_of_models(models: Models) -> dict[tuple[int, int], tuple[int, ...]]:
    """The same of the kernel's worlds, whose guests' time is the sum of its parts."""
    state = models.multipath.state
    paths = state.used("path")
    assert (paths["guest_ns"] == paths["device_ns"] + paths["kernel_ns"]).all()
    return {
        (int(w["device"]), int(w["vm"])): (
            int(w["ios"]),
            int(w["device_ns"] + w["kernel_ns"]),
            *(int(w[part]) for part in ("device_ns", "kernel_ns", "queue_ns")),
        )
        for w in state["world"][1 : state.row["world_count"]]
        if w["ios"]
    }


def waits_of_models(models: Models) -> list[tuple[int, int]]:
    """How many commands of each disk waited in the guest, and how long in all."""
    rows = models.hypervisor.state.used("wait")
    return [(int(row["count"]), int(row["sum"])) for row in rows]


def dead_in_reference(world: World) -> set[tuple[str, str, str]]:
    """The paths that hosts take for dead."""
    return {
        (*key, path.name)
        for key, device in world.multipath.devices.items()
        for path in device.paths
        if path.dead
    }


def dead_in_models(models: Models) -> set[tuple[str, str, str]]:
    """The same of the kernel's rows."""
    state = models.multipath.state["path"]["state"]
    return {
        (device.host_id, device.name, path.name)
        for device in models.multipath.all_devices()
        for path in device.paths.values()
        if state[path.row] == PathState.DEAD
    }


def space_agrees(reference: World, models: Models, until_ns: int) -> None:
    """Compares what pools and volumes hold, where each array stands: a latency ahead of hosts."""
    for there in sorted(reference.arrays.values(), key=lambda array: array.forward_ns):
        if models.links[there.array_id].broken:
            continue
        reference.run(until_ns + there.forward_ns)
        here = models.arrays[there.array_id]
        groups = [there.drives, *there.groups.values()]
        assert here.drives.free_bytes == sum(group.free or 0 for group in groups)
        for controller_id, controller in there.controllers.items():
            size = len(controller.reads.ring) * controller.spec.read_cache_block_bytes
            assert here.controller_usage(controller_id).read_cached_bytes == size
        for pool_id, pool in there.pools.items():
            page, usage = pool.spec.page_bytes, here.pool_usage(pool_id)
            kept = [v.pages.values() for v in there.snapshots.values() if v.pool is pool]
            used = [v.pages.values() for v in there.volumes.values() if v.pool is pool]
            assert usage.allocated_bytes - usage.unwritten_bytes == pool.allocated * page
            assert usage.allocation_failure_count == pool.failures
            assert usage.reserved_bytes + usage.unwritten_bytes == pool.room * page
            assert usage.warning_count == pool.warnings
            assert usage.growth_count == pool.growths
            if pool.spec.growth_bytes:
                assert usage.grown_bytes == pool.grown * page
            assert usage.snapshot_bytes == len(set().union(*kept) - set().union(*used)) * page
        for snapshot_id, snapshot in there.snapshots.items():
            assert here.is_stale(snapshot_id) == snapshot.stale
        for volume_id, volume in there.volumes.items():
            assert here.is_offline(volume_id) == volume.offline
            page_bytes = volume.pool.spec.page_bytes
            mapped = len(volume.pages) * page_bytes
            held = here.volume_usage(volume_id)
            assert held.allocated_bytes - held.unwritten_bytes == mapped
            assert held.unwritten_bytes == (volume.room * page_bytes if volume.full else 0)
            reserved, told = here.reservations.of(volume_id), volume.reservation
            assert (dict(reserved.keys), reserved.kind) == (told.keys, told.kind)
            assert (reserved.generation, reserved.aptpl) == (told.generation, told.aptpl)
            unit, counts = here.unit_usage(volume_id), volume.counts
            page = volume.pool.spec.page_bytes
            assert unit.unmap_count == counts[Op.UNMAP]
            assert unit.unmapped_bytes == counts["unmapped"] * page
            assert unit.write_same_count == counts[Op.WRITE_SAME]
            assert unit.copy_count == counts[Op.COPY]
            assert unit.copied_bytes == counts["copied"]
            assert unit.zero_write_count == counts["zero writes"]
            assert unit.zero_bytes == counts["zero pages"] * page
            assert unit.compare_and_write_count == counts[Op.COMPARE_AND_WRITE]
            assert unit.miscompare_count == counts["miscompares"]
        for collection, those in (("volumes", there.volumes), ("snapshots", there.snapshots)):
            for name, volume in those.items():
                assert values(here, here.row_of(collection, name)) == volume.values


def values(array: ArrayModel, row: int) -> dict[int, int]:
    """The values that blocks of a volume or a snapshot have."""
    table = array.state["block"]
    mine = table[table["key"] >> BLOCK_NUMBER_BITS == row + 1]
    return {
        int(block["key"]) & (1 << BLOCK_NUMBER_BITS) - 1: int(block["physical"]) for block in mine
    }


@pytest.mark.parametrize("cuts", [(), (41_000,), tuple(range(1_000, 400_000, 7_000))], ids=len)
def test_two_vms_race_for_a_lock_and_one_wins(cuts: tuple[int, ...]) -> None:
    config = two_vms(4, 32)
    fields = {
        "write_op": int(Op.COMPARE_AND_WRITE),
        "read_always": False,
        "read_threshold": 0,
        "region_bytes": 512,
        "block_sizes": ((512, 1 << 32),),
        "io_limit": 1,
        "slots": 1,
    }
    jobs = tuple(
        replace(plan, **fields, write_flags=compared(0, mine))
        for mine, plan in enumerate(config.jobs, start=1)
    )
    config = replace(config, jobs=jobs)
    agree(config, 1_000_000, cuts)
    models = build_models(config)
    models.run(1_000_000)
    ends = sorted((done.status, done.sense) for done in models.completions)
    assert ends == [(Status.GOOD, Sense.NONE), (Status.CHECK_CONDITION, Sense.MISCOMPARE)]
    (there,) = models.arrays.values()
    assert values(there, there.row_of("volumes", "v1")) in ({0: 1}, {0: 2})


def test_a_deeper_queue_is_used_at_the_border_where_it_is_made() -> None:
    changes = (DeviceUpdated(20_000, "h1", "a1.v1", lun_queue_depth=2),)
    agree(stack(job(io_limit=2, slots=2), depth=1, changes=changes), 1_000_000)


@pytest.mark.parametrize("shares", SHARES, ids=len)
@pytest.mark.parametrize("depth", [1, 4])
def test_worlds_get_what_mclock_gives_them(shares: tuple[WorldShares, ...], depth: int) -> None:
    config = two_vms(depth, 32)
    jobs = tuple(replace(plan, io_limit=300, slots=6) for plan in config.jobs)
    changes = (
        DeviceUpdated(10_000, "h1", "a1.v1", world_shares=shares),
        DeviceUpdated(3_000_000, "h1", "a1.v1", world_shares=shares[:1]),
    )
    agree(replace(config, jobs=jobs, changes=changes), 40_000_000, (5_000_000,))


def test_round_robin_goes_on_where_it_was_when_a_preferred_path_is_named() -> None:
    changes = (DeviceUpdated(50_000, "h1", "a1.v1", preferred_path="h1-b.p1"),)
    arrays = (array(ports=(port("p0", "fa"), port("p1", "fb", return_latency_ns=30_000))),)
    agree(stack(job(io_limit=9), arrays=arrays, ios_per_path=3, changes=changes), 1_000_000)


FLAP = (PortEnabled(1_000, "a1", "p0", False), PortEnabled(1_500, "a1", "p0", True))
DOWN = (PortEnabled(5_000, "a1", "p0", False),)
ALL_CUTS = [(), (13_000,), (31_000,), tuple(range(0, 60_000, 1_000))]


@pytest.mark.parametrize("cuts", ALL_CUTS, ids=len)
def test_a_path_takes_back_what_answers_after_it_went_down(cuts: tuple[int, ...]) -> None:
    # The port is back before the command arrives, and answers; but that is at 42,096, and the host
    # has heard at 31,000 that the path went down.
    agree(stack(job(io_limit=1), changes=FLAP), 1_000_000, cuts)


@pytest.mark.parametrize("cuts", ALL_CUTS, ids=len)
def test_a_path_takes_back_what_is_refused_after_it_went_down(cuts: tuple[int, ...]) -> None:
    # The refusal of the second command reaches the host at 47,096, after the event of 35,000.
    arrays = (array(ports=(port(queue_limit=1, refusal_ns=10_000),)),)
    agree(stack(job(io_limit=2, slots=2), arrays=arrays, changes=DOWN), 1_000_000, cuts)


@settings(max_examples=100)
@given(scenarios(with_changes=False))
def test_any_stack_agrees(scenario: Scenario) -> None:
    agree_on(scenario, scenario.cuts)


@settings(max_examples=100)
@given(scenarios())
def test_any_stack_agrees_through_changes_and_losses(scenario: Scenario) -> None:
    agree_on(scenario, scenario.cuts)


@settings(max_examples=20)
@given(scenarios(), st.integers(1_000, 50_000))
def test_any_stack_agrees_however_finely_it_is_cut(scenario: Scenario, step_ns: int) -> None:
    agree_on(scenario, tuple(range(0, scenario.until_ns, step_ns)))


# --- policies, where each one's rule matters -----------------------------------------------------


@pytest.mark.parametrize("selector", list(Selector), ids=lambda s: s.name.lower())
@pytest.mark.parametrize("slow_ns", [0, 60_000, 20_000_000], ids=["even", "uneven", "crawling"])
def test_a_policy_agrees_on_uneven_paths_that_come_and_go(selector: Selector, slow_ns: int) -> None:
    # Paths of a port that takes its time; another that goes and comes back; a full one.
    ports = (
        port("p0", "fa", command_ns=1_000 + slow_ns),
        port("p1", "fb", queue_limit=3),
        port("p2", "fa", return_latency_ns=45_000),
        port("p3", "fb"),
    )
    settings = SelectorSettings(
        bytes_per_path=20_000,
        repeat_count=3,
        latency_sample_ios=3,
        latency_evaluation_ns=7_000_000,
        hst_base_weight=700,
        cpu_count=3,
    )
    changes = (
        PortEnabled(2_000_000, "a1", "p1", False),
        PathUpdated(2_500_000, "h1", "a1.v1", "h1-a.p0", relative_throughput=3, cpus=(1,)),
        PathEnabled(3_000_000, "h1", "a1.v1", "h1-b.p3", False),
        PortEnabled(3_500_000, "a1", "p1", True),
        PathEnabled(4_000_000, "h1", "a1.v1", "h1-b.p3", True),
        DeviceUpdated(6_000_000, "h1", "a1.v1", selector=Selector(1 + selector % len(NATIVE))),
        DeviceUpdated(8_000_000, "h1", "a1.v1", selector=selector, selector_settings=settings),
    )
    is_vendors = selector is Selector.VENDOR
    rule = ClaimRule(plugin=Plugin.VENDOR, plugin_vendor="ACME")
    config = stack(
        job(slots=12, block_sizes=((512, 1 << 30), (4096, 1 << 31), (16384, 1 << 32))),
        job("j1", slots=4, disk_id="d0"),
        arrays=(
            replace(array(ports=ports, core_count=4), vendor="ACME", hints_enabled=is_vendors),
        ),
        selector=Selector.ROUND_ROBIN if is_vendors else selector,
        ios_per_path=5,
        changes=changes[:5] if is_vendors else changes,
    )
    hosts = (
        replace(
            config.multipath_hosts[0],
            selector_settings=settings,
            claim_rules=(rule,) if is_vendors else (),
        ),
    )
    agree(replace(config, multipath_hosts=hosts), 30_000_000, (1_234_567, 5_000_000))


# --- a trace on the default stack ---------------------------------------------------------------


def default_stack(data: bytes, *, depth: int = 32, seed: int = 1) -> StackConfig:
    """The default scenario, written down once more, with a trace on the first VM's disk."""
    hosts = {"h1": ("v1", "v2"), "h2": ("v3", "v4")}
    volumes = [volume for names in hosts.values() for volume in names]
    fabrics = {"a": "fabric-a", "b": "fabric-b"}
    name = "hosts/h1/vms/v1/jobs/replay"
    spec = JobSpec(host_id="h1", vm_id="v1", disk_id="d0", job_id="replay", trace="replay")
    return StackConfig(
        arrays=(
            ArrayConfig(
                array_id="a1",
                controllers=(ControllerSpec("c0"), ControllerSpec("c1")),
                ports=tuple(
                    PortSpec(f"p{n}", f"c{n // 2}", fabrics["ab"[n % 2]]) for n in range(4)
                ),
                pools=(PoolSpec("p1", 160 * GIB),),
                volumes=tuple(VolumeSpec(volume, "p1", 64 * GIB) for volume in volumes),
                hosts=tuple(
                    ArrayHostSpec(
                        host,
                        tuple(InitiatorSpec(f"{host}-{x}", fabrics[x]) for x in fabrics),
                    )
                    for host in hosts
                ),
                exports=tuple(
                    ExportSpec(volume, host, lun)
                    for host, names in hosts.items()
                    for lun, volume in enumerate(names)
                ),
            ),
        ),
        multipath_hosts=tuple(
            MultipathHostSpec(host, (f"{host}-a", f"{host}-b"), Selector.ROUND_ROBIN, depth)
            for host in hosts
        ),
        hosts=tuple(HostSpec(host) for host in hosts),
        vms=tuple(VmSpec(host, vm) for host, names in hosts.items() for vm in names),
        disks=tuple(
            DiskSpec(host, vm, "d0", f"a1.{vm}") for host, names in hosts.items() for vm in names
        ),
        jobs=(compile_job(spec, name, parse(data)),),
        seed=seed,
    )


def digests(data: bytes, *, depth: int = 32, seed: int = 1) -> tuple[str, str]:
    """The digest of a replay in the reference, and through the whole API."""
    reference = build_reference(default_stack(data, depth=depth, seed=seed))
    reference.run()
    scenario = default_scenario()
    scenario.seed = seed
    for host in scenario.hosts:
        host.lun_queue_depth = depth
    result = run_stack(scenario, trace=data)
    assert result["ios"] == len(reference.completions)
    return reference.digest(), str(result["digest"])


def test_a_trace_on_the_default_stack_agrees() -> None:
    reference, real = digests(bundled())
    assert reference == real


@pytest.mark.skipif(not RECORDED.is_file(), reason="SMOKESTACK_TRACE names no recorded trace")
def test_a_recorded_trace_agrees_and_depends_on_depth_and_seed() -> None:
    data = RECORDED.read_bytes()[: PREFIX * 32]
    runs = [digests(data), digests(data, depth=4), digests(data, seed=2)]
    assert all(reference == real for reference, real in runs)
    assert len({reference for reference, _ in runs}) == 3
