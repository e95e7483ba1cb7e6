"""An array's profile: what defaults ports, pools, volumes and access have of it, and what wins."""

from __future__ import annotations

import pytest

from smokestack.array.port_kinds import PORT_LIMITS
from smokestack.array.profiles import PROFILES
from smokestack.array.specs import GIB, PortKind, Profile
from smokestack.engine.errors import InvalidArgument
from smokestack.server.scenario import ScenarioError, parse_scenario
from smokestack.server.stack import Stack as Served
from smokestack.v1 import array_pb2 as pb
from tests.api import ARRAY, Stack

FILE = """
fabrics: [a]
arrays:
  - name: a1
    PROFILE
    controllers: [{name: c0}]
    ports:
      - {name: p0, controller: c0, fabric: a}
      - {name: p1, controller: c0, fabric: a, kind: EMULEX_4G_FC}
      - {name: p2, controller: c0, fabric: a, kind: EMULEX_4G_FC, queue_limit: 7}
    pools:
      - {name: q, capacity_bytes: 42 GiB}
      - {name: s, capacity_bytes: 42 GiB, profile: SVC}
    volumes:
      - {name: v1, pool: q, capacity_bytes: 1 GiB}
      - {name: v2, pool: q, capacity_bytes: 1 GiB, queue_limit: 0}
hosts: [{name: h1, initiators: [{name: h1-a, fabric: a}]}]
"""


def update(stack: Stack, **fields: object) -> pb.Array:
    """The array after an update."""
    array = pb.Array(name=ARRAY)
    array.MergeFrom(pb.Array(**fields))
    return stack.array.UpdateArray(pb.UpdateArrayRequest(array=array))


def test_a_scenario_names_a_family_once() -> None:
    scenario = parse_scenario(FILE.replace("PROFILE", "profile: HDP"))
    with Served(scenario) as stack:
        api = stack.api.arrays["a1"]
        ports = api.ListPorts(pb.ListPortsRequest(parent=ARRAY)).ports
        assert [port.queue_limit for port in ports] == [2048, 959, 7]
        pools = api.ListPools(pb.ListPoolsRequest(parent=ARRAY)).pools
        assert [pool.profile for pool in pools] == [pb.POOL_PROFILE_HDP, pb.POOL_PROFILE_SVC]
        assert [pool.page_bytes for pool in pools] == [42 << 20, 256 << 10]
        volumes = api.ListVolumes(pb.ListVolumesRequest(parent=ARRAY)).volumes
        assert [volume.queue_limit for volume in volumes] == [32, 0]
        array = api.GetArray(pb.GetArrayRequest(name=ARRAY))
        assert (array.profile, array.access) == (pb.POOL_PROFILE_HDP, pb.ACCESS_SYMMETRIC)


def test_a_scenario_says_more_of_the_access_that_a_family_gives() -> None:
    more = "profile: SVC\n    transition_ns: 1 s\n    explicit_access: true"
    with Served(parse_scenario(FILE.replace("PROFILE", more))) as stack:
        array = stack.api.arrays["a1"].GetArray(pb.GetArrayRequest(name=ARRAY))
    assert array.access == pb.ACCESS_ALUA
    assert (array.transition_ns, array.explicit_access) == (10**9, True)


def test_without_a_family_all_is_as_it_was() -> None:
    with Served(parse_scenario(FILE.replace("PROFILE", ""))) as stack:
        api = stack.api.arrays["a1"]
        ports = api.ListPorts(pb.ListPortsRequest(parent=ARRAY)).ports
        assert [port.queue_limit for port in ports] == [1638, 959, 7]
        volumes = api.ListVolumes(pb.ListVolumesRequest(parent=ARRAY)).volumes
        assert [volume.queue_limit for volume in volumes] == [0, 0]


def test_a_scenario_says_where_a_number_of_nodes_is_wrong() -> None:
    wrong = FILE.replace("PROFILE", "profile: INSERV_3PAR\n    node_count: 0")
    with pytest.raises(ScenarioError, match=r"arrays\[0\].node_count: 0 is none of 2, 4, 6, 8"):
        Served(parse_scenario(wrong)).close()


@pytest.mark.parametrize("profile", Profile)
def test_a_family_gives_an_array_its_access(profile: Profile) -> None:
    array = update(Stack(), profile=int(profile))
    assert array.access == PROFILES[profile].access.value
    assert PROFILES[profile].access.source.startswith(("FACTS", "from memory", "ours"))


def test_an_access_that_was_chosen_goes_before_the_familys() -> None:
    stack = Stack()
    both = update(stack, profile=pb.POOL_PROFILE_COMPELLENT, access=pb.ACCESS_STANDBY)
    assert both.access == pb.ACCESS_STANDBY
    assert update(stack, profile=pb.POOL_PROFILE_VMAX).access == pb.ACCESS_STANDBY
    back = pb.UpdateArrayRequest(array=pb.Array(name=ARRAY), update_mask={"paths": ["access"]})
    assert stack.array.UpdateArray(back).access == pb.ACCESS_SYMMETRIC
    assert update(stack, profile=pb.POOL_PROFILE_SVC).access == pb.ACCESS_ALUA


def test_what_is_there_keeps_what_it_has() -> None:
    stack = Stack()
    before = stack.array.ListPools(pb.ListPoolsRequest(parent=ARRAY))
    array = update(stack, profile=pb.POOL_PROFILE_INSERV_3PAR, node_count=4)
    assert array.node_count == 4
    assert stack.array.ListPools(pb.ListPoolsRequest(parent=ARRAY)) == before
    pool = pb.Pool(capacity_bytes=512 * GIB)
    made = stack.array.CreatePool(pb.CreatePoolRequest(parent=ARRAY, pool_id="cpg", pool=pool))
    assert (made.profile, made.growth_bytes) == (pb.POOL_PROFILE_INSERV_3PAR, 64 * GIB)
    pool.node_count, pool.profile = 8, pb.POOL_PROFILE_INSERV_3PAR
    made = stack.array.CreatePool(pb.CreatePoolRequest(parent=ARRAY, pool_id="cpg8", pool=pool))
    assert made.growth_bytes == 128 * GIB


def test_a_limit_goes_back_to_what_the_family_has() -> None:
    stack = Stack()
    update(stack, profile=pb.POOL_PROFILE_HDP)
    volume = pb.Volume(name=f"{ARRAY}/volumes/v1", queue_limit=5)
    assert stack.array.UpdateVolume(pb.UpdateVolumeRequest(volume=volume)).queue_limit == 5
    volume.ClearField("queue_limit")
    request = pb.UpdateVolumeRequest(volume=volume, update_mask={"paths": ["queue_limit"]})
    assert stack.array.UpdateVolume(request).queue_limit == 32
    port = pb.Port(name=f"{ARRAY}/ports/p0")
    back = pb.UpdatePortRequest(port=port, update_mask={"paths": ["queue_limit"]})
    assert stack.array.UpdatePort(back).queue_limit == 2048


def test_every_kind_of_port_has_a_limit_with_its_source() -> None:
    assert set(PORT_LIMITS) == set(PortKind) - {PortKind.CUSTOM}
    for limit in PORT_LIMITS.values():
        assert limit.value > 0
        assert limit.source.startswith(("FACTS 4.2", "from memory"))


def test_a_family_that_there_is_not_is_refused_whole() -> None:
    stack = Stack()
    before = stack.array.GetArray(pb.GetArrayRequest(name=ARRAY))
    for fields, place in (
        ({"profile": 99}, "profile"),
        ({"node_count": 3, "profile": pb.POOL_PROFILE_INSERV_3PAR}, "node_count"),
        ({"profile": pb.POOL_PROFILE_SVC, "transition_ns": -1}, "transition_ns"),
    ):
        with pytest.raises(InvalidArgument, match=rf"array\.{place}"):
            update(stack, **fields)
    assert stack.array.GetArray(pb.GetArrayRequest(name=ARRAY)) == before
    port = pb.Port(controller=f"{ARRAY}/controllers/c0", fabric="a", kind=99)
    with pytest.raises(InvalidArgument, match=r"port\.kind: 99 is none of CUSTOM"):
        stack.array.CreatePort(pb.CreatePortRequest(parent=ARRAY, port_id="p9", port=port))


def test_a_restored_array_has_its_family_again() -> None:
    stack = Stack()
    update(stack, profile=pb.POOL_PROFILE_HDP, node_count=4)
    saved = stack.array_model.keeper.parts["model"].save()
    update(stack, profile=pb.POOL_PROFILE_SVC, node_count=2)
    stack.array_model.keeper.parts["model"].load(saved)()
    array = stack.array.GetArray(pb.GetArrayRequest(name=ARRAY))
    assert (array.profile, array.node_count) == (pb.POOL_PROFILE_HDP, 4)
    assert array.access == pb.ACCESS_SYMMETRIC
