"""Shares by a VM's name: in a scenario, by the estate, on the command line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner

from smokestack.cli.main import main
from smokestack.engine.errors import FailedPrecondition, InvalidArgument, NotFound, Unavailable
from smokestack.server.estate import EstateService, local_peers
from smokestack.server.scenario import ScenarioError
from smokestack.server.stack import Stack
from smokestack.v1 import estate_pb2 as pb
from smokestack.v1 import hypervisor_pb2, multipath_pb2, scenario_pb2, simulation_pb2
from tests.server.scenarios import small_scenario

DEVICE = "multipaths/m1/hosts/h1/devices/a1.v1"
MS = 1_000_000


def two_vms() -> scenario_pb2.Scenario:
    """Returns a host whose VMs "gold" and "on-a1" compete for one device."""
    found = small_scenario(io_limit=0)
    host = found.hosts[0]
    for port in found.arrays[0].ports:
        port.queue_limit = 64
    host.lun_queue_depth = 4
    [old] = [vm for vm in host.vms if vm.disks[0].device == "a1.v1"]
    gold = host.vms.add(name="gold")
    gold.disks.add(name="d0", device="a1.v1")
    for vm in (old, gold):
        del vm.jobs[:]
        vm.jobs.add(name="j0", disk="d0", iodepth=16, read_ratio=1.0)
    return found


@pytest.fixture
def stack() -> Iterator[Stack]:
    with Stack(two_vms()) as stack:
        yield stack


def set_shares(stack: Stack, vm: str = "hosts/h1/vms/gold", **fields: object) -> object:
    request = pb.SetIoSharesRequest(vm=vm, **fields)
    return EstateService(local_peers(stack.rooms)).SetIoShares(request)


def worlds(stack: Stack) -> list[multipath_pb2.WorldShares]:
    request = multipath_pb2.GetDeviceRequest(name=DEVICE)
    return list(stack.api.multipath.GetDevice(request).world_shares)


def ios(stack: Stack, vm: str) -> int:
    number = stack.api.hypervisor.GetVm(hypervisor_pb2.GetVmRequest(name=vm)).number
    request = multipath_pb2.GetDeviceStatisticsRequest(name=DEVICE)
    found = stack.api.multipath.GetDeviceStatistics(request).worlds
    return {world.vm_number: world.queue.ios_count for world in found}[number]


def test_a_vm_gets_its_share_by_name_and_others_keep_theirs(stack: Stack) -> None:
    done = set_shares(stack, io_shares=multipath_pb2.IoShares(shares=3_000))
    assert list(done.devices) == [DEVICE]
    set_shares(stack, "hosts/h1/vms/on-a1", io_shares=multipath_pb2.IoShares(limit_iops=900_000))
    assert sorted((w.shares, w.limit_iops) for w in worlds(stack)) == [(1_000, 900_000), (3_000, 0)]
    stack.api.simulation.Advance(simulation_pb2.AdvanceRequest(duration_ns=50 * MS))
    gold, other = ios(stack, "hosts/h1/vms/gold"), ios(stack, "hosts/h1/vms/on-a1")
    assert 2.8 < gold / other < 3.2
    set_shares(stack)
    assert [w.shares for w in worlds(stack)] == [1_000]


class Balking:
    """A multipath layer that refuses one device's update, once the others have been made."""

    def __init__(self, api: Any, device: str) -> None:
        self._api, self._device = api, device

    def __getattr__(self, name: str) -> Any:
        return getattr(self._api, name)

    def UpdateDevice(self, request: multipath_pb2.UpdateDeviceRequest) -> multipath_pb2.Device:
        if request.device.name == self._device:
            raise Unavailable("the layer is gone")
        return self._api.UpdateDevice(request)


def test_a_device_that_refuses_leaves_all_others_as_they_were() -> None:
    scenario = two_vms()
    scenario.arrays[0].exports.add(volume="v2", host="h1", lun=9)
    [gold] = [vm for vm in scenario.hosts[0].vms if vm.name == "gold"]
    gold.disks.add(name="d1", device="a1.v2")
    with Stack(scenario) as stack:
        set_shares(stack, io_shares=multipath_pb2.IoShares(shares=2_000), devices=[DEVICE])
        before = worlds(stack)
        peers = [
            replace(peer, api=Balking(peer.api, DEVICE.replace("v1", "v2")))
            if peer.kind == "multipaths"
            else peer
            for peer in local_peers(stack.rooms)
        ]
        request = pb.SetIoSharesRequest(vm="hosts/h1/vms/gold")
        request.io_shares.shares = 500
        with pytest.raises(Unavailable, match="the layer is gone"):
            EstateService(peers).SetIoShares(request)
        assert worlds(stack) == before


def test_a_scenario_gives_it_too() -> None:
    scenario = two_vms()
    scenario.hosts[0].vms[-1].io_shares.reservation_iops = 5
    with Stack(scenario) as stack:
        [world] = worlds(stack)
        vm = hypervisor_pb2.GetVmRequest(name="hosts/h1/vms/gold")
        assert world.vm_number == stack.api.hypervisor.GetVm(vm).number
        assert (world.shares, world.reservation_iops) == (1_000, 5)


def test_a_scenario_is_refused_at_the_place_of_the_value() -> None:
    scenario = two_vms()
    at = len(scenario.hosts[0].vms) - 1
    scenario.hosts[0].vms[at].io_shares.shares = 0
    with pytest.raises(ScenarioError, match=rf"hosts\[0\]\.vms\[{at}\]\.io_shares\.shares"):
        Stack(scenario)
    del scenario.hosts[0].vms[at].disks[:], scenario.hosts[0].vms[at].jobs[:]
    with pytest.raises(ScenarioError, match=r"io_shares.*no disk"):
        Stack(scenario)


def test_bad_input_is_refused_and_changes_nothing(stack: Stack) -> None:
    with pytest.raises(NotFound, match="hosts/h1/vms/nobody"):
        set_shares(stack, "hosts/h1/vms/nobody")
    with pytest.raises(InvalidArgument) as refused:
        set_shares(stack, "gold")
    assert [v.field for v in refused.value.violations] == ["vm"]
    with pytest.raises(InvalidArgument) as refused:
        limits = multipath_pb2.IoShares(reservation_iops=20, limit_iops=10)
        set_shares(stack, io_shares=limits)
    assert [v.field for v in refused.value.violations] == ["io_shares.limit_iops"]
    with pytest.raises(InvalidArgument) as refused:
        set_shares(stack, devices=[DEVICE.replace("a1.v1", "a2.v1")])
    assert [v.field for v in refused.value.violations] == ["devices[0]"]
    bare = hypervisor_pb2.CreateVmRequest(parent="hosts/h1", vm_id="bare")
    stack.api.hypervisor.CreateVm(bare)
    with pytest.raises(FailedPrecondition, match="no disk"):
        set_shares(stack, "hosts/h1/vms/bare")
    assert not worlds(stack)


def test_without_the_hypervisor_nobody_knows_vms(stack: Stack) -> None:
    below = EstateService(peer for peer in local_peers(stack.rooms) if peer.kind != "hypervisors")
    with pytest.raises(Unavailable):
        below.SetIoShares(pb.SetIoSharesRequest(vm="hosts/h1/vms/gold"))


def test_on_the_command_line(stack: Stack) -> None:
    words = ["--address", stack.serve(metrics_ports=None)[0].address]
    run = CliRunner().invoke
    done = run(main, ["shares", "h1/gold", "--shares", "2000", "--device", "h1/a1.v1", *words])
    assert (done.exit_code, done.output) == (0, f"{DEVICE}: world {worlds(stack)[0].vm_number}\n")
    assert worlds(stack)[0].shares == 2_000
    assert run(main, ["shares", "h1/gold", "--none", *words]).exit_code == 0
    assert not worlds(stack)
    assert run(main, ["shares", "h1/gold", *words]).exit_code == 2
