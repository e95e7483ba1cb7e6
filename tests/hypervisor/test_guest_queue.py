"""The guest's own queue: who waits, for how long, and who goes next, worked out by hand.

With the plain sample stack (see tests/reference/samples.py) a command comes back 40,096 ns after it
was submitted, and one that leaves with it 5,096 ns later, for it waits for the wire.
"""

from __future__ import annotations

from dataclasses import replace

from smokestack.engine.fault_rules import FaultRule
from smokestack.engine.jobplan import JobKind
from smokestack.server.run import run_stack
from smokestack.server.stack import Stack as WholeStack
from smokestack.v1 import hypervisor_pb2 as pb
from smokestack.v1 import scenario_pb2, simulation_pb2, snapshots_pb2
from tests.api import DEVICE, VM, Stack
from tests.reference.build import Models, build_models, build_reference
from tests.reference.config import FaultInjected, JobStopped, StackConfig
from tests.reference.samples import array, job, stack
from tests.server.scenarios import small_scenario

BACK = 40_096
BEHIND = 5_096


def limited(config: StackConfig, disks: tuple[int, ...] = (), adapter: int = 0) -> StackConfig:
    """A stack with limits at its disks and at its VM's adapter."""
    (vm,) = config.vms
    depths = (*disks, *[0] * len(config.disks))
    return replace(
        config,
        vms=(replace(vm, guest_adapter_queue_depth=adapter),),
        disks=tuple(
            replace(disk, guest_queue_depth=depth)
            for disk, depth in zip(config.disks, depths, strict=False)
        ),
    )


def ran(config: StackConfig, until_ns: int = 1_000_000, step_ns: int = 0) -> Models:
    """Runs the models, in steps or at once, and the reference, to one end."""
    models, reference = build_models(config), build_reference(config)
    for time in range(step_ns, until_ns, step_ns) if step_ns else ():
        models.run(time)
    models.run(until_ns)
    reference.run(until_ns)
    assert models.completions == reference.completions
    return models


def times(models: Models) -> list[tuple[int, int]]:
    """When which slot's command came back."""
    return [(record.time, record.ident >> 40) for record in models.completions]


def test_a_disk_of_depth_one_sends_one_by_one() -> None:
    config = limited(stack(job(io_limit=3, slots=3)), (1,))
    for step_ns in (0, 1_000):
        models = ran(config, step_ns=step_ns)
        assert times(models) == [(2_000 + n * BACK, n - 1) for n in (1, 2, 3)]
        found = models.hypervisor.disk_statistics("h1", "v1", "d0")
        # What the guest sees begins before brokering, and the wait is in it.
        assert (found.latency.count, found.latency.max_ns) == (3, 2_000 + 3 * BACK)
        wait = found.guest_queue_wait
        assert (wait.count, wait.mean_ns, wait.max_ns) == (2, 3 * BACK // 2, 2 * BACK)
        # Below, nothing waited: each was alone.
        (world,) = (w for w in models.multipath.state["world"] if w["ios"])
        assert world["device_ns"] + world["kernel_ns"] == 3 * BACK


def test_what_waits_is_counted_while_it_does() -> None:
    config = limited(stack(job(io_limit=3, slots=3)), (1,))
    models = ran(config, until_ns=10_000)
    found = models.hypervisor.disk_statistics("h1", "v1", "d0")
    assert (found.outstanding_count, found.guest_queued_count) == (3, 2)
    total = models.hypervisor.statistics()
    assert (total.outstanding_count, total.guest_queued_count) == (3, 2)


def two_disks(*jobs: dict[str, int]) -> StackConfig:
    both = array(volume_ids=("v1", "v2"))
    plans = (job(f"j{n}", disk_id=f"d{n}", **fields) for n, fields in enumerate(jobs))
    return stack(*plans, arrays=(both,), devices=("a1.v1", "a1.v2"))


def test_an_adapter_serves_its_disks_in_the_order_of_coming() -> None:
    config = two_disks({"io_limit": 2, "slots": 2}, {"io_limit": 1, "slots": 1, "start_ns": 1_000})
    models = ran(limited(config, adapter=1))
    assert [slot for _, slot in times(models)] == [0, 1, 2]
    later = replace(config, jobs=(replace(config.jobs[0], start_ns=1_001), config.jobs[1]))
    assert [slot for _, slot in times(ran(limited(later, adapter=1)))] == [2, 0, 1]


def test_a_full_disk_holds_no_other_disk_up() -> None:
    config = two_disks({"io_limit": 2, "slots": 2}, {"io_limit": 1, "slots": 1, "start_ns": 1_000})
    models = ran(limited(config, (1,), adapter=2))
    # The second command of the first disk came before, but only the other disk has a place.
    assert [slot for _, slot in times(models)] == [0, 2, 1]


def test_what_waits_leaves_even_after_its_job_stops() -> None:
    config = limited(stack(job(slots=3)), (1,))
    config = replace(config, changes=(JobStopped(10_000, "h1", "v1", "j0"),))
    assert len(times(ran(config))) == 3


def test_a_rate_waits_in_the_guest_twice_over() -> None:
    plan = job(kind=JobKind.RATE, interval_ns=10_000, slots=4, io_limit=12)
    models = ran(limited(stack(plan), (2,)), until_ns=2_000_000)
    assert len(models.completions) == 12
    assert models.hypervisor.idle
    queue = models.hypervisor.state["queue"][0]
    assert (queue["busy"], queue["queued"], queue["head"], queue["tail"]) == (0, 0, 0, 0)


def test_a_place_is_given_to_a_paused_vm_and_used_when_it_goes_on() -> None:
    rule = FaultRule("VM_PAUSED", "hosts/h1/vms/v1", "p", start_ns=20_000, duration_ns=80_000)
    config = limited(stack(job(io_limit=2, slots=2)), (1,))
    config = replace(config, changes=(FaultInjected(1_000, "hypervisors/hv1", rule),))
    assert times(ran(config)) == [(2_000 + BACK, 0), (100_000 + BACK, 1)]


def test_without_a_limit_nothing_is_different() -> None:
    config = stack(job(io_limit=30, slots=3))
    wide = limited(config, (3,), adapter=3)
    assert ran(config).digest() == ran(wide).digest()


def test_the_api_shows_both_depths() -> None:
    api = Stack().hypervisor
    vm = pb.Vm(guest_adapter_queue_depth=254)
    made = api.CreateVm(pb.CreateVmRequest(parent="hosts/h1", vm_id="v2", vm=vm))
    assert (made.guest_adapter_queue_depth, made.guest_queued_count) == (254, 0)
    disk = pb.Disk(device=DEVICE, guest_queue_depth=64)
    shown = api.CreateDisk(pb.CreateDiskRequest(parent=made.name, disk_id="d", disk=disk))
    assert (shown.guest_queue_depth, shown.guest_queued_count) == (64, 0)
    assert api.GetVm(pb.GetVmRequest(name=VM)).guest_adapter_queue_depth == 0


def narrow() -> scenario_pb2.Scenario:
    """A scenario whose guests' queues are never empty for long."""
    scenario = small_scenario(io_limit=0)
    for host in scenario.hosts:
        host.vms[0].guest_adapter_queue_depth = 5
        host.vms[0].disks[0].guest_queue_depth = 3
    return scenario


def test_a_scenario_gives_one_digest_in_one_process_and_in_many() -> None:
    one = run_stack(narrow(), seconds=0.01)
    assert one["digest"] == run_stack(narrow(), processes=True, seconds=0.01)["digest"]
    assert one["digest"] != run_stack(small_scenario(io_limit=0), seconds=0.01)["digest"]


def test_a_snapshot_holds_what_waits() -> None:
    with WholeStack(narrow()) as whole:
        api = whole.api

        def run_to(until_ns: int) -> pb.Statistics:
            api.simulation.Advance(simulation_pb2.AdvanceRequest(until_ns=until_ns))
            return api.hypervisor.GetStatistics(pb.GetStatisticsRequest())

        now = run_to(2_000_000)
        assert now.guest_queued_count > 0 < now.guest_queue_wait.count
        api.simulation.CreateSnapshot(snapshots_pb2.CreateSnapshotRequest(snapshot_id="s1"))
        then = run_to(9_000_000)
        api.simulation.RestoreSnapshot(snapshots_pb2.RestoreSnapshotRequest(name="snapshots/s1"))
        assert api.hypervisor.GetStatistics(pb.GetStatisticsRequest()) == now
        assert run_to(9_000_000) == then
        vm = api.hypervisor.GetVm(pb.GetVmRequest(name="hosts/h1/vms/on-a1"))
        assert vm.guest_queued_count == then.disks[0].guest_queued_count
