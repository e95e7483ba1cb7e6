"""The estate: what stands on what, and what is said of a service that is not there."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest

from smokestack.engine.errors import InvalidArgument, NotFound
from smokestack.server.estate import EstateService, local_peers, remote
from smokestack.server.listen import Listener
from smokestack.server.rooms import array_room, multipath_room
from smokestack.server.serve import connected
from smokestack.server.stack import Stack
from smokestack.v1 import array_pb2, estate_pb2_grpc, hypervisor_pb2, multipath_pb2
from smokestack.v1 import estate_pb2 as pb
from smokestack.v1 import simulation_pb2 as simulation
from tests.server.scenarios import small_scenario

UP, DEGRADED, DOWN = (
    pb.TOPOLOGY_STATE_UP,
    pb.TOPOLOGY_STATE_DEGRADED,
    pb.TOPOLOGY_STATE_DOWN,
)
MISSING, UNKNOWN = pb.TOPOLOGY_STATE_MISSING, pb.TOPOLOGY_STATE_UNKNOWN


@pytest.fixture
def stack() -> Iterator[Stack]:
    with Stack(small_scenario(2)) as stack:
        stack.hypervisor.model.advance(0)
        yield stack


def ask(estate: EstateService, **fields: object) -> pb.Topology:
    return estate.GetTopology(pb.GetTopologyRequest(**fields))  # type: ignore[arg-type]


def of(stack: Stack) -> EstateService:
    return EstateService(local_peers(stack.rooms))


def advance(stack: Stack) -> None:
    request = simulation.AdvanceRequest(duration_ns=10_000_000)
    stack.api.simulation.Advance(request)


def test_a_chain_leads_from_the_vm_to_the_pool(stack: Stack) -> None:
    topology = ask(of(stack))
    [disk] = [chain for chain in topology.chains if chain.disk.name][:1]
    assert disk.vm.startswith(f"{disk.host}/vms/")
    assert disk.disk.name.startswith(f"{disk.vm}/disks/")
    assert disk.device.name.split("/")[3] == disk.host.split("/")[1]
    assert [p.port_state for p in disk.paths] == [UP] * len(disk.paths) and disk.paths
    assert all("/controllers/" in p.controller for p in disk.paths)
    assert disk.volume.exported
    assert disk.pool.capacity_bytes > 0
    assert {c.state for c in topology.chains} == {UP}
    assert [p.service for p in topology.parts] == [room.name for room in stack.rooms]
    assert all(p.answered and p.from_ns == p.until_ns for p in topology.parts)


def test_a_port_that_goes_down_takes_its_paths_with_it(stack: Stack) -> None:
    estate = of(stack)
    port = ask(estate).chains[0].paths[0].port
    array = stack.arrays[port.split("/")[1]].api
    array.UpdatePort(array_pb2.UpdatePortRequest(port=array_pb2.Port(name=port, enabled=False)))
    advance(stack)
    chain = ask(estate).chains[0]
    assert chain.device.state == chain.state
    assert chain.state in (DEGRADED, DOWN)
    path = next(p for p in chain.paths if p.port == port)
    assert (path.port_state, path.state) == (DOWN, multipath_pb2.PATH_STATE_DEAD)


def test_what_is_not_there_yet_is_said_step_by_step(stack: Stack) -> None:
    estate = of(stack)
    array = stack.arrays["a1"].api
    first = array.ListVolumes(array_pb2.ListVolumesRequest(parent="arrays/a1")).volumes[0]
    volume = array_pb2.Volume(pool=first.pool, capacity_bytes=1 << 30)
    array.CreateVolume(
        array_pb2.CreateVolumeRequest(parent="arrays/a1", volume_id="new", volume=volume)
    )
    [alone] = ask(estate, volume="arrays/a1/volumes/new").chains
    assert (alone.host, alone.volume.exported, alone.state) == ("", False, UP)
    host = array.ListArrayHosts(array_pb2.ListArrayHostsRequest(parent="arrays/a1"))
    name = host.array_hosts[0].name
    export = array_pb2.Export(volume="arrays/a1/volumes/new", host=name)
    array.CreateExport(array_pb2.CreateExportRequest(parent="arrays/a1", export=export))
    [exported] = ask(estate, volume="arrays/a1/volumes/new").chains
    assert (exported.device.name, exported.device.state) == ("", MISSING)
    assert exported.host == f"hosts/{name.split('/')[3]}"
    at_multipath = f"{stack.multipath.name}/{exported.host}"
    rescan = multipath_pb2.RescanMultipathHostRequest(name=at_multipath)
    stack.api.multipath.RescanMultipathHost(rescan)
    [found] = ask(estate, volume="arrays/a1/volumes/new").chains
    assert (found.device.state, found.vm) == (UP, "")


def test_filters_pages_and_what_is_wrong_with_them(stack: Stack) -> None:
    estate = of(stack)
    everything = list(ask(estate).chains)
    paged, token = [], ""
    while True:
        answer = ask(estate, page_size=1, page_token=token)
        paged += answer.chains
        token = answer.next_page_token
        if not token:
            break
    assert paged == everything
    vm = next(c.vm for c in everything if c.vm)
    assert {c.vm for c in ask(estate, vm=vm).chains} == {vm}
    with pytest.raises(NotFound, match="hosts/h99 does not exist"):
        ask(estate, host="hosts/h99")
    with pytest.raises(InvalidArgument, match="vm: 'v1'"):
        ask(estate, vm="v1")


def test_a_vm_without_a_disk_is_a_chain_too(stack: Stack) -> None:
    stack.api.hypervisor.CreateHost(hypervisor_pb2.CreateHostRequest(host_id="h9"))
    [bare] = ask(of(stack), host="hosts/h9").chains
    assert bare == pb.TopologyChain(host="hosts/h9", state=UP)
    request = hypervisor_pb2.CreateVmRequest(parent="hosts/h9", vm_id="v9")
    stack.api.hypervisor.CreateVm(request)
    [idle] = ask(of(stack), host="hosts/h9").chains
    assert idle == pb.TopologyChain(host="hosts/h9", vm="hosts/h9/vms/v9", state=UP)


def test_served_with_the_stack_and_from_one_address_alone(stack: Stack) -> None:
    endpoints = stack.serve(metrics_ports=None)
    with grpc.insecure_channel(endpoints[0].address) as channel:
        stub = estate_pb2_grpc.EstateServiceStub(channel)
        beside = stub.GetTopology(pb.GetTopologyRequest())
    alone = ask(EstateService([remote("hypervisors", endpoints[0].address)]))
    assert alone.chains == beside.chains
    assert [p.address for p in alone.parts] == [e.address for e in endpoints]


def test_a_service_that_is_not_there_takes_only_its_part_with_it(stack: Stack) -> None:
    hypervisor, multipath, array, _ = stack.serve(metrics_ports=None)
    peers = [
        remote("hypervisors", hypervisor.address),
        remote("multipaths", multipath.address),
        remote("arrays", array.address, "arrays/a1"),
        remote("arrays", "127.0.0.1:1", "arrays/a2"),
    ]
    topology = ask(EstateService(peers))
    assert [p.answered for p in topology.parts] == [True, True, True, False]
    gone = topology.parts[3]
    assert gone.service == "arrays/a2"
    assert gone.message.startswith("arrays/a2 does not answer")
    states = {c.volume.name.split("/")[1]: c.state for c in topology.chains if c.volume.name}
    assert states == {"a1": UP, "a2": UNKNOWN}
    wrong = ask(EstateService([remote("arrays", array.address, "arrays/a7")]))
    assert wrong.parts[0].message == f"{array.address} serves arrays/a1, not arrays/a7"


def test_an_array_that_dies_before_the_first_window_is_missed_alone() -> None:
    array = Listener(array_room("a1"))
    array.start()
    multipath = multipath_room()
    device = connected(array.endpoint.address)
    multipath.model.connect_array("a1", device)
    multipath.simulation.services["arrays/a1"] = array.endpoint.address
    estate = EstateService(local_peers([multipath]))
    assert [part.answered for part in ask(estate).parts] == [True, True]
    array.stop()
    assert [part.answered for part in ask(estate).parts] == [True, False]
    device.close()
