"""What an array says of itself: true until a fault makes it lie, and true again afterwards."""

from __future__ import annotations

import pytest

from smokestack.array.advertised import identifier_of
from smokestack.array.model import ArrayModel
from smokestack.array.specs import (
    ArrayHostSpec,
    ControllerSpec,
    ExportSpec,
    InitiatorSpec,
    PoolSpec,
    PortSpec,
    VolumeSpec,
)
from smokestack.engine.errors import InvalidArgument
from smokestack.engine.fault_rules import FaultRule
from smokestack.server.stack import Stack
from smokestack.v1 import array_pb2 as pb
from smokestack.v1 import hypervisor_pb2, simulation_pb2
from tests.server.scenarios import small_scenario

GIB = 1 << 30


@pytest.fixture
def array() -> ArrayModel:
    array = ArrayModel("a1")
    array.create_controller(ControllerSpec("c0"))
    array.create_port(PortSpec("p0", "c0", "fa"))
    array.create_pool(PoolSpec("p1", 4 * GIB))
    for volume in ("v1", "v2", "v3"):
        array.create_volume(VolumeSpec(volume, "p1", 2 * GIB))
    array.create_host(ArrayHostSpec("h1", (InitiatorSpec("h1-a", "fa"),)))
    array.create_export(ExportSpec("v1", "h1", 0))
    array.create_export(ExportSpec("v3", "h1", 1))
    return array


def lie(array: ArrayModel, kind: str, target: str, factor: int = 0) -> None:
    array.faults.inject(FaultRule(kind, f"arrays/a1/{target}", "lie", factor_per_mille=factor))


def told(array: ArrayModel) -> dict[str, tuple[int, str]]:
    return {n.volume: (n.capacity_bytes, n.identifier) for n in array.report_luns(["h1-a"])}


def test_a_volume_is_overstated_to_hosts_alone(array: ArrayModel) -> None:
    honest = told(array)
    lie(array, "VOLUME_OVERSTATED", "volumes/v1", 1_333)
    said = told(array)
    assert said["a1.v1"][0] == 2 * GIB * 1_333 // 1000 // 512 * 512
    assert said["a1.v3"] == honest["a1.v3"]
    assert array.volumes["v1"].capacity_bytes == 2 * GIB
    array.faults.clear("lie")
    assert told(array) == honest


def test_a_pool_is_overstated_in_whole_pages_and_holds_no_more_for_it(array: ArrayModel) -> None:
    lie(array, "POOL_OVERSTATED", "pools/p1", 1_500)
    assert array.pool_usage("p1").capacity_bytes == 6 * GIB
    assert array.pools["p1"].capacity_bytes == 4 * GIB
    assert array.state["pool"]["capacity_pages"][0] == 4 * GIB // (16 << 10)


def test_identifiers_are_one_for_each_volume_and_change_for_hosts_alone(array: ArrayModel) -> None:
    honest = told(array)
    assert honest["a1.v1"][1] == array.advertised.identifier("v1")
    assert honest["a1.v1"][1] == identifier_of("arrays/a1/volumes/v1")
    assert len({identifier for _, identifier in honest.values()}) == 2
    assert all(i.startswith("naa.6") and len(i) == 36 for _, i in honest.values())
    lie(array, "IDENTITY_CHANGED", "volumes/v1")
    assert told(array)["a1.v1"][1] not in {honest["a1.v1"][1], honest["a1.v3"][1]}
    assert array.advertised.identifier("v1") == honest["a1.v1"][1]
    array.faults.clear("lie")
    assert told(array) == honest


def test_another_volume_stands_behind_the_lun_until_the_lie_ends(array: ArrayModel) -> None:
    rows = array.state["itl"]["volume"]
    honest = told(array), rows[:2].tolist()
    lie(array, "WRONG_VOLUME", "exports/*.h1")
    assert rows[:2].tolist() == [array.row_of("volumes", "v2"), array.row_of("volumes", "v1")]
    assert told(array)["a1.v1"] == (2 * GIB, array.advertised.identifier("v2"))
    array.create_export(ExportSpec("v2", "h1", 7))  # which comes under the rule as well
    assert array.state["itl"]["volume"][2] == array.row_of("volumes", "v3")
    array.faults.clear("lie")
    assert (array.state["itl"]["volume"][:3].tolist()) == [
        *honest[1],
        array.row_of("volumes", "v2"),
    ]
    array.delete_export("v2", "h1")
    assert told(array) == honest[0]


def test_a_volume_alone_in_its_pool_cannot_be_mistaken(array: ArrayModel) -> None:
    array.create_pool(PoolSpec("p2", GIB))
    array.create_volume(VolumeSpec("w", "p2", GIB))
    array.create_export(ExportSpec("w", "h1", 9))
    lie(array, "WRONG_VOLUME", "exports/w.h1")
    assert array.state["itl"]["volume"][2] == array.row_of("volumes", "w")


def test_a_lie_lasts_and_needs_its_factor(array: ArrayModel) -> None:
    with pytest.raises(InvalidArgument, match="factor_per_mille"):
        lie(array, "POOL_OVERSTATED", "pools/p1")
    with pytest.raises(InvalidArgument, match="factor_per_mille"):
        lie(array, "IDENTITY_CHANGED", "volumes/v1", 2_000)
    with pytest.raises(InvalidArgument, match="probability"):
        rule = FaultRule("WRONG_VOLUME", "arrays/a1/exports/v1.h1", probability=0.5)
        array.faults.inject(rule)


# --- in a stack that carries I/O ------------------------------------------------------------------


def volumes(stack: Stack) -> dict[str, pb.Volume]:
    found = stack.arrays["a1"].api.ListVolumes(pb.ListVolumesRequest(parent="arrays/a1")).volumes
    return {volume.name.rpartition("/")[2]: volume for volume in found}


def run(stack: Stack, ms: int) -> None:
    stack.hypervisor.simulation.Advance(simulation_pb2.AdvanceRequest(duration_ns=ms * 1_000_000))


def test_response_times_are_counted_for_who_answered_and_told_as_the_lie_has_it() -> None:
    stack = Stack(small_scenario(io_limit=0))
    run(stack, 20)
    before = volumes(stack)
    asked = hypervisor_pb2.GetStatisticsRequest()
    assert sum(v.response_count for v in before.values()) >= (
        stack.api.hypervisor.GetStatistics(asked).io_count
    )
    model = stack.arrays["a1"].model
    name = next(name for name, volume in before.items() if volume.response_count)
    lie(model, "LATENCY_UNDERSTATED", f"volumes/{name}", 10_000)
    run(stack, 1)
    true = model.advertised.diversions.responses(name)
    assert volumes(stack)[name].mean_response_ns == true.mean_response_ns // 10
    model.faults.clear("lie")
    lie(model, "WRONG_VOLUME", f"exports/{name}.*")
    run(stack, 5)
    held = volumes(stack)
    run(stack, 20)
    after = volumes(stack)
    assert after[name].response_count == held[name].response_count
    total = sum(v.response_count for v in after.values())
    itls = model.state.used("histogram")
    assert total == itls["count"].sum()
    model.faults.clear("lie")
    run(stack, 5)
    assert sum(v.response_count for v in volumes(stack).values()) == itls["count"].sum()
    assert volumes(stack)[name].response_count > after[name].response_count


def test_a_service_level_is_kept_and_refused_where_it_cannot_be() -> None:
    api = Stack(small_scenario(io_limit=0)).arrays["a1"].api
    name = api.ListVolumes(pb.ListVolumesRequest(parent="arrays/a1")).volumes[0].name
    changed = pb.Volume(name=name, service_level_ns=2_000_000)
    assert api.UpdateVolume(pb.UpdateVolumeRequest(volume=changed)).service_level_ns == 2_000_000
    with pytest.raises(InvalidArgument, match="service_level_ns"):
        api.UpdateVolume(pb.UpdateVolumeRequest(volume=pb.Volume(name=name, service_level_ns=-1)))
