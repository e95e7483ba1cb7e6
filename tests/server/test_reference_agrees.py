"""The stack and its plain-Python reference agree to the last record.

The reference knows no windows, no C and no tables; it is built from the same description.  Both are
cut into Advances at will, changed on the way, and lose arrays.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from smokestack.engine.records import Op, Sense, Status, compared
from smokestack.hypervisor.specs import DiskSpec, HostSpec, VmSpec
from smokestack.multipath.specs import (
    NATIVE,
    ClaimRule,
    MultipathHostSpec,
    Plugin,
    Selector,
    SelectorSettings,
    WorldShares,
)
from smokestack.server.run import run_stack
from smokestack.server.scenario import default_scenario
from smokestack.workload import JobSpec, compile_job
from smokestack.workload.traces import bundled, parse
from tests.reference.agreement import differences, differences_on, values
from tests.reference.build import build_models, build_reference
from tests.reference.config import (
    ArrayConfig,
    DeviceUpdated,
    PathEnabled,
    PathUpdated,
    PortEnabled,
    StackConfig,
)
from tests.reference.generate import Scenario, scenarios
from tests.reference.generate_changes import SHARES
from tests.reference.samples import array, job, port, stack
from tests.reference.test_queues import two_vms

RECORDED = Path(os.environ.get("SMOKESTACK_TRACE", "../shared/data/cloudphysics-w00.vscsi"))
PREFIX = 10_000  # commands of 32 bytes each


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
    assert not differences(config, 1_000_000, cuts)
    models = build_models(config)
    models.run(1_000_000)
    ends = sorted((done.status, done.sense) for done in models.completions)
    assert ends == [(Status.GOOD, Sense.NONE), (Status.CHECK_CONDITION, Sense.MISCOMPARE)]
    (there,) = models.arrays.values()
    assert values(there, there.row_of("volumes", "v1")) in ({0: 1}, {0: 2})


def test_a_deeper_queue_is_used_at_the_border_where_it_is_made() -> None:
    changes = (DeviceUpdated(20_000, "h1", "a1.v1", lun_queue_depth=2),)
    assert not differences(stack(job(io_limit=2, slots=2), depth=1, changes=changes), 1_000_000)


@pytest.mark.parametrize("shares", SHARES, ids=len)
@pytest.mark.parametrize("depth", [1, 4])
def test_worlds_get_what_mclock_gives_them(shares: tuple[WorldShares, ...], depth: int) -> None:
    config = two_vms(depth, 32)
    jobs = tuple(replace(plan, io_limit=300, slots=6) for plan in config.jobs)
    changes = (
        DeviceUpdated(10_000, "h1", "a1.v1", world_shares=shares),
        DeviceUpdated(3_000_000, "h1", "a1.v1", world_shares=shares[:1]),
    )
    assert not differences(replace(config, jobs=jobs, changes=changes), 40_000_000, (5_000_000,))


def test_round_robin_goes_on_where_it_was_when_a_preferred_path_is_named() -> None:
    changes = (DeviceUpdated(50_000, "h1", "a1.v1", preferred_path="h1-b.p1"),)
    arrays = (array(ports=(port("p0", "fa"), port("p1", "fb", return_latency_ns=30_000))),)
    assert not differences(
        stack(job(io_limit=9), arrays=arrays, ios_per_path=3, changes=changes), 1_000_000
    )


FLAP = (PortEnabled(1_000, "a1", "p0", False), PortEnabled(1_500, "a1", "p0", True))
DOWN = (PortEnabled(5_000, "a1", "p0", False),)
ALL_CUTS = [(), (13_000,), (31_000,), tuple(range(0, 60_000, 1_000))]


@pytest.mark.parametrize("cuts", ALL_CUTS, ids=len)
def test_a_path_takes_back_what_answers_after_it_went_down(cuts: tuple[int, ...]) -> None:
    # The port is back before the command arrives, and answers; but that is at 42,096, and the host
    # has heard at 31,000 that the path went down.
    assert not differences(stack(job(io_limit=1), changes=FLAP), 1_000_000, cuts)


@pytest.mark.parametrize("cuts", ALL_CUTS, ids=len)
def test_a_path_takes_back_what_is_refused_after_it_went_down(cuts: tuple[int, ...]) -> None:
    # The refusal of the second command reaches the host at 47,096, after the event of 35,000.
    arrays = (array(ports=(port(queue_limit=1, refusal_ns=10_000),)),)
    assert not differences(
        stack(job(io_limit=2, slots=2), arrays=arrays, changes=DOWN), 1_000_000, cuts
    )


@settings(max_examples=100)
@given(scenarios(with_changes=False))
def test_any_stack_agrees(scenario: Scenario) -> None:
    assert not differences_on(scenario, scenario.cuts)


@settings(max_examples=100)
@given(scenarios())
def test_any_stack_agrees_through_changes_and_losses(scenario: Scenario) -> None:
    assert not differences_on(scenario, scenario.cuts)


@settings(max_examples=20)
@given(scenarios(), st.integers(1_000, 50_000))
def test_any_stack_agrees_however_finely_it_is_cut(scenario: Scenario, step_ns: int) -> None:
    assert not differences_on(scenario, tuple(range(0, scenario.until_ns, step_ns)))


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
    assert not differences(
        replace(config, multipath_hosts=hosts), 30_000_000, (1_234_567, 5_000_000)
    )


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
