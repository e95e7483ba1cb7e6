"""Batches: all or none, and a refusal says which one it is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from smokestack.client import GiB, Stack, errors
from smokestack.server.stack import Stack as Served
from smokestack.v1 import hypervisor_pb2 as pb


def test_an_inventory_in_five_calls(stack: Stack) -> None:
    array, hypervisor = stack.array("a1"), stack.hypervisor
    array.volumes.batch_create({f"n{i}": {"pool": "p1", "capacity_bytes": GiB} for i in range(50)})
    exports = array.exports.batch_create([{"volume": f"n{i}", "host": "h1"} for i in range(50)])
    assert [export.lun for export in exports] == list(range(2, 52))  # 0 and 1 are taken
    assert stack.multipath.hosts["h1"].rescan().devices_added_count == 50
    vms = hypervisor.batch_create_vms({f"h1/n{i}": {} for i in range(50)})
    assert vms[49].name == "hosts/h1/vms/n49"
    disks = hypervisor.batch_create_disks(
        {f"h1/n{i}/d0": {"device": f"a1.n{i}"} for i in range(50)}
    )
    assert {disk.capacity_bytes for disk in disks} == {GiB}
    jobs = hypervisor.batch_create_jobs(
        {f"h1/n{i}/j0": {"disk": "d0", "io_limit": 3, "iodepth": 2} for i in range(50)}
    )
    assert {(job.state, job.iodepth) for job in jobs} == {("RUNNING", 2)}
    assert stack.advance_until_idle().io_count == 150


def test_a_batch_gives_what_single_calls_give(stack: Stack) -> None:
    vm = stack.hypervisor.hosts["h1"].vms["v1"]
    [first] = vm.jobs.batch_create({"j1": {"disk": "d0", "rate_iops": 10.0}})
    second = vm.jobs.create("j2", disk="d0", rate_iops=10.0)
    assert vars(first) | {"name": ""} == vars(second) | {"name": ""}
    [disk] = vm.disks.batch_create({"d1": {"device": "a1.v1", "capacity_bytes": GiB}})
    assert vars(disk) == vars(vm.disks.get("d1"))
    snapshots = stack.array("a1").snapshots
    taken = snapshots.batch_create({"s1": {"volume": "v1"}, "s2": {"volume": "v2"}})
    assert [vars(one) for one in taken] == [vars(snapshots.get(i)) for i in ("s1", "s2")]
    assert {one.create_ns for one in taken} == {snapshots.create("s3", volume="v1").create_ns}


@pytest.mark.parametrize(
    ("call", "error", "field"),
    [
        (
            lambda s: s.hypervisor.hosts["h1"].vms.batch_create(
                {"n1": {}, "n2": {"broker_ns": -1}}
            ),
            errors.InvalidArgument,
            "requests[1].vm.broker_ns",
        ),
        (
            lambda s: s.hypervisor.hosts["h1"].vms.batch_create({"n1": {}, "N2": {}}),
            errors.InvalidArgument,
            "requests[1].vm_id",
        ),
        (
            lambda s: s.hypervisor.batch_create_vms({"h1/n1": {}, "h1/v1": {}}),
            errors.AlreadyExists,
            "requests[1]",
        ),
        (
            lambda s: s.hypervisor.batch_create_vms({"h1/n1": {}, "h9/n1": {}}),
            errors.NotFound,
            "requests[1]",
        ),
        (
            lambda s: (
                s.hypervisor.hosts["h1"]
                .vms["v1"]
                .disks.batch_create({"n1": {"device": "a1.v1"}, "n2": {"device": "a1.v9"}})
            ),
            errors.InvalidArgument,
            "requests[1].disk.device",
        ),
        (
            lambda s: (
                s.hypervisor.hosts["h1"]
                .vms["v1"]
                .jobs.batch_create({"n1": {"disk": "d0"}, "n2": {"disk": "d0", "iodepth": 0}})
            ),
            errors.InvalidArgument,
            "requests[1].job.iodepth",
        ),
        (
            lambda s: s.array("a1").volumes.batch_create(
                {
                    "n1": {"pool": "p1", "capacity_bytes": GiB},
                    "n2": {"pool": "p1", "capacity_bytes": 1},
                }
            ),
            errors.InvalidArgument,
            "requests[1].volume.capacity_bytes",
        ),
        (
            lambda s: s.array("a1").exports.batch_create(
                [{"volume": "v3", "host": "h1"}, {"volume": "v4", "host": "h1", "lun": 2}]
            ),
            errors.AlreadyExists,
            "requests[1]",
        ),
        (
            lambda s: s.array("a1").exports.batch_create(
                [{"volume": "v3", "host": "h1"}, {"volume": "v3", "host": "h1"}]
            ),
            errors.AlreadyExists,
            "requests[1]",
        ),
        (lambda s: s.hypervisor.batch_create_vms({}), errors.InvalidArgument, "requests"),
        (lambda s: s.hypervisor.batch_create_vms({"n1": {}}), errors.InvalidArgument, "n1"),
    ],
)
def test_one_that_is_refused_refuses_all_and_is_named(
    stack: Stack, call: Callable[[Any], Any], error: type[errors.Error], field: str
) -> None:
    before = _everything(stack)
    with pytest.raises(error) as caught:
        call(stack)
    assert str(caught.value).startswith(f"{field}: ")
    if error is errors.InvalidArgument:
        assert [v.field for v in caught.value.violations] == [field]
    assert _everything(stack) == before


def _everything(stack: Stack) -> list[str]:
    vms = [vm for host in stack.hypervisor.hosts for vm in host.vms]
    below = [thing for vm in vms for things in (vm.disks, vm.jobs) for thing in things]
    array = stack.array("a1")
    return [thing.name for thing in [*vms, *below, *array.volumes, *array.exports]]


def test_slots_are_counted_over_the_whole_batch(stack: Stack) -> None:
    vm = stack.hypervisor.hosts["h1"].vms["v1"]
    jobs: dict[str, Any] = {
        f"n{i}": {"disk": "d0", "rate_iops": 1.0, "iodepth": 65_536} for i in range(257)
    }
    with pytest.raises(errors.FailedPrecondition, match=r"requests\[25\d\]: .*slots") as caught:
        vm.jobs.batch_create(jobs)
    assert caught.value.reason == "SLOTS_EXHAUSTED"
    assert not list(vm.jobs)


def test_parents_agree(server: Served, stack: Stack) -> None:
    from smokestack.engine.errors import InvalidArgument

    request = pb.BatchCreateVmsRequest(
        parent="hosts/h1", requests=[pb.CreateVmRequest(parent="hosts/h2", vm_id="n1")]
    )
    with pytest.raises(InvalidArgument, match=r"requests\[0\]\.parent: 'hosts/h2' is not"):
        server.hypervisor.api.BatchCreateVms(request)
    request.requests[0].parent = "hosts/h1"
    assert server.hypervisor.api.BatchCreateVms(request).vms[0].name == "hosts/h1/vms/n1"
    with pytest.raises(InvalidArgument, match="10001 entries"):
        server.hypervisor.api.BatchCreateVms(
            pb.BatchCreateVmsRequest(requests=[pb.CreateVmRequest()] * 10_001)
        )
