"""A driver whose device was lost, or stands further on than it does: it takes it up again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from smokestack.engine.blockdevice import IoBatch, PeerLost, Reply
from smokestack.engine.errors import FailedPrecondition, Unavailable
from smokestack.engine.event_kinds import EventKind
from smokestack.engine.fault_rules import FaultRule
from smokestack.hypervisor.model import HypervisorModel
from smokestack.hypervisor.specs import DiskSpec, HostSpec, VmSpec
from smokestack.multipath.model import MultipathModel
from smokestack.workload import JobSpec, compile_job
from tests.reference.build import Link
from tests.server.small_stack import MS, SmallStack


class Breaking(Link):
    """A link that can break, as a stream does, and be found again, with another device or none."""

    gone = torn = False  # nobody answers any more; it breaks under the next submissions

    def reconnect(self) -> None:
        if self.gone:
            raise Unavailable("nothing answers")
        self.broken = False

    def exchange(self, until_ns: int, submissions: IoBatch) -> Reply:
        if self.torn and submissions.count:
            self.broken = self.gone = True
            self.torn = False
            self.device.detach()
        if self.broken:
            raise PeerLost("it is gone")
        return self.device.exchange(until_ns, submissions)


@pytest.fixture
def stack() -> SmallStack:
    return SmallStack()


def kinds(hypervisor: HypervisorModel) -> list[str]:
    return [event.kind for event in hypervisor.events.since(0)]


def another(stack: SmallStack, *jobs: JobSpec) -> HypervisorModel:
    """A hypervisor that begins anew, at time 0, above a layer that has run."""
    stack.hypervisor.close()
    hypervisor = HypervisorModel(seed=7)
    hypervisor.connect(stack.multipath)
    hypervisor.create_host(HostSpec("h1"))
    hypervisor.create_vm(VmSpec("h1", "new"))
    hypervisor.create_disk(DiskSpec("h1", "new", "d0", "a1.v1"))
    for job in jobs:
        hypervisor.create_job(compile_job(job, f"hosts/h1/vms/new/jobs/{job.job_id}"))
    return hypervisor


def closed(job_id: str = "j0", **more: int) -> JobSpec:
    return JobSpec(host_id="h1", vm_id="new", disk_id="d0", job_id=job_id, iodepth=4, **more)


def times(hypervisor: HypervisorModel) -> Iterator[tuple[str, int]]:
    for event in hypervisor.events.since(0):
        yield event.kind, event.time_ns


def test_a_driver_behind_its_device_goes_on_to_its_time(stack: SmallStack) -> None:
    stack.hypervisor.advance(5 * MS)
    hypervisor = another(stack, closed(io_limit=20), closed("late", io_limit=4, start_ns=6 * MS))
    hypervisor.advance(9 * MS)
    caught_up = next(e for e in hypervisor.events.since(0) if e.kind is EventKind.CLOCK_CAUGHT_UP)
    assert (caught_up.time_ns, dict(caught_up.detail)) == (5 * MS, {"from_ns": 0, "to_ns": 5 * MS})
    assert hypervisor.statistics().io_count == 24
    ended = {time_ns for kind, time_ns in times(hypervisor) if kind == EventKind.JOB_FINISHED}
    assert min(ended) > 5 * MS
    assert max(ended) > 6 * MS, "a job that is to start later starts when it was to"


def test_a_driver_that_is_ahead_stays_where_it_is(stack: SmallStack) -> None:
    stack.hypervisor.advance(5 * MS)
    stack.hypervisor.close()
    stack.hypervisor.advance(6 * MS)
    assert EventKind.CLOCK_CAUGHT_UP not in kinds(stack.hypervisor)


def test_a_paused_vm_stays_paused_while_its_host_catches_up(stack: SmallStack) -> None:
    stack.hypervisor.advance(5 * MS)
    hypervisor = another(stack, closed(io_limit=20))
    rule = FaultRule(kind="VM_PAUSED", target="hosts/h1/vms/new", duration_ns=7 * MS)
    hypervisor.faults.inject(rule)
    hypervisor.advance(6 * MS)
    assert hypervisor.statistics().io_count == 0
    hypervisor.advance(9 * MS)
    assert hypervisor.statistics().io_count == 20


@pytest.mark.parametrize("kind", ["RATE", "CLOSED"])
def test_what_was_to_be_done_before_is_done_at_that_time(stack: SmallStack, kind: str) -> None:
    stack.hypervisor.advance(5 * MS)
    more = {"rate_iops": 10_000} if kind == "RATE" else {}
    hypervisor = another(stack, closed(io_limit=30, **more))
    hypervisor.advance(20 * MS)
    assert hypervisor.statistics().io_count == 30
    assert hypervisor.idle


def broken(stack: SmallStack) -> tuple[HypervisorModel, Breaking]:
    """A hypervisor whose device is lost while all its jobs have I/O in flight."""
    hypervisor, link = HypervisorModel(seed=7), Breaking(stack.multipath)
    stack.hypervisor.close()
    hypervisor.connect(link)
    hypervisor.create_host(HostSpec("h1"))
    hypervisor.create_vm(VmSpec("h1", "new"))
    hypervisor.create_disk(DiskSpec("h1", "new", "d0", "a1.v1"))
    hypervisor.create_job(compile_job(closed(), "hosts/h1/vms/new/jobs/j0"))
    hypervisor.advance(2 * MS)
    link.torn = True
    for _ in range(2):
        with pytest.raises(Unavailable, match="multipaths/m1 is gone"):
            hypervisor.advance(4 * MS)
    return hypervisor, link


def test_a_device_that_is_back_is_taken_up_and_what_was_in_flight_is_over(
    stack: SmallStack,
) -> None:
    hypervisor, link = broken(stack)
    before = hypervisor.statistics()
    link.gone = False
    hypervisor.advance(6 * MS)
    after = hypervisor.statistics()
    assert 0 < after.error_count <= 4, "a closed loop of four; some answers were here already"
    assert after.io_count > before.io_count, "and the job goes on"
    told = kinds(hypervisor)
    assert told.count(EventKind.PEER_LOST) == told.count(EventKind.PEER_RETURNED) == 1
    errors = next(e for e in hypervisor.events.since(0) if e.kind == "DISK_IO_ERRORS_BEGAN")
    assert errors.detail["status"] == "RESET"


def test_a_layer_that_came_back_without_a_disks_device_is_refused(stack: SmallStack) -> None:
    hypervisor, link = broken(stack)
    link.device, link.gone = MultipathModel(), False
    with pytest.raises(FailedPrecondition, match=r"has no multipaths/m1/hosts/h1/devices/a1\.v1"):
        hypervisor.advance(6 * MS)
    link.device = stack.multipath
    hypervisor.advance(6 * MS)
    assert hypervisor.now_ns == 6 * MS


def test_the_same_loss_gives_the_same_digest() -> None:
    digests = set()
    for _ in range(2):
        hypervisor, link = broken(SmallStack())
        link.gone = False
        hypervisor.advance(6 * MS)
        digests.add(hypervisor.digest())
    assert len(digests) == 1
