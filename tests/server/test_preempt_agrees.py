"""PREEMPT AND ABORT in the middle of I/O, and the plain-Python reference, however it is cut."""

from __future__ import annotations

from dataclasses import replace

import pytest

from smokestack.array.reservations import ReservationAction, ReservationType, ReserveOut
from smokestack.array.specs import ArrayHostSpec, ExportSpec, InitiatorSpec
from smokestack.engine.records import Status
from smokestack.engine.streams import job_uid
from smokestack.hypervisor.specs import DiskSpec, HostSpec, VmSpec
from tests.reference.agreement import differences
from tests.reference.build import build_reference
from tests.reference.config import ReservedOut, StackConfig
from tests.reference.samples import array, job, port, stack

UNTIL_NS = 4_000_000


def two_hosts(*, tas: bool) -> StackConfig:
    """Both write a volume to its media; each preempts the other's registration at a time."""
    plain = array(ports=(port(), port("p1", "fb")), write_back=False)
    second = ArrayHostSpec("h2", (InitiatorSpec("h2-a", "fa"), InitiatorSpec("h2-b", "fb")))
    there = replace(
        plain,
        volumes=(replace(plain.volumes[0], task_aborted_status=tas),),
        hosts=(*plain.hosts, second),
        exports=(*plain.exports, ExportSpec("v1", "h2", 0)),
    )
    jobs = [
        replace(job(slots=6), host_id=host, uid=job_uid(f"hosts/{host}/vms/v1/jobs/j0"))
        for host in ("h1", "h2")
    ]
    config = stack(*jobs, arrays=(there,))
    multipath = config.multipath_hosts[0]
    kind, register = ReservationType.WRITE_EXCLUSIVE, ReservationAction.REGISTER
    abort = ReservationAction.PREEMPT_AND_ABORT
    outs = [
        (1_000, ReserveOut("h1", register, 0, 1)),
        (1_000, ReserveOut("h2", register, 0, 2)),
        (500_000, ReserveOut("h1", ReservationAction.RESERVE, 1, 0, kind)),
        (900_000, ReserveOut("h1", abort, 1, 2, kind)),
        (1_500_000, ReserveOut("h2", register, 0, 3)),
        (2_000_123, ReserveOut("h2", abort, 3, 1, kind)),
    ]
    return replace(
        config,
        multipath_hosts=(
            multipath,
            replace(multipath, host_id="h2", initiators=("h2-a", "h2-b")),
        ),
        hosts=(*config.hosts, HostSpec("h2")),
        vms=(*config.vms, VmSpec("h2", "v1", 2_000)),
        disks=(*config.disks, DiskSpec("h2", "v1", "d0", "a1.v1")),
        multipath=replace(config.multipath, command_timeout_ns=600_000),
        changes=tuple(ReservedOut(at, "a1", "v1", out) for at, out in outs),
    )


@pytest.mark.parametrize("cuts", [(), tuple(range(7_000, UNTIL_NS, 7_000))], ids=len)
@pytest.mark.parametrize("tas", [False, True])
def test_who_is_preempted_ends_as_in_the_reference(tas: bool, cuts: tuple[int, ...]) -> None:
    config = two_hosts(tas=tas)
    assert not differences(config, UNTIL_NS, cuts)
    world = build_reference(config)
    world.run(UNTIL_NS)
    conflicts = [r for r in world.completions if r.status == Status.RESERVATION_CONFLICT]
    assert {record.nexus for record in conflicts} == {0, 1}
