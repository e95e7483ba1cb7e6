"""CSI over a served stack, as an orchestrator calls it: the whole way of a volume, and back."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smokestack.csi.v1 import controller_pb2, identity_pb2, node_pb2, types_pb2
from smokestack.dialects.csi import Plugin, Settings
from smokestack.dialects.csi.names import identifier_of
from smokestack.server.csi import Elsewhere
from smokestack.server.processes import Processes
from smokestack.server.replay import replay
from smokestack.server.stack import Stack
from smokestack.v1 import array_pb2, multipath_pb2, snapshots_pb2
from tests.dialects.csi_client import GIB, Client, capability
from tests.house import tree
from tests.server.durable_array import after_a_crash, build, kept_array
from tests.server.scenarios import small_scenario

MIB = 1 << 20
DEVICES = "multipaths/m1/hosts/h1/devices"


@pytest.fixture
def stack() -> Iterator[Stack]:
    with Stack(small_scenario()) as stack:
        stack.serve(metrics_ports=None)
        yield stack


@pytest.fixture
def client(stack: Stack, tmp_path: Path) -> Iterator[Client]:
    endpoint = stack.serve_csi(f"unix://{tmp_path}/csi.sock")
    client = Client(endpoint.address, tmp_path)
    yield client
    client.channel.close()


def refused(call: Callable[..., Any], *arguments: Any, **named: Any) -> str:
    """Returns the code and the message of a call that is refused."""
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **named)
    return f"{caught.value.code().name}: {caught.value.details()}"


def devices(stack: Stack) -> dict[str, multipath_pb2.Device]:
    request = multipath_pb2.ListDevicesRequest(parent="multipaths/m1/hosts/h1")
    found = stack.api.multipath.ListDevices(request).devices
    return {device.name.rpartition("/")[2]: device for device in found}


def published(client: Client) -> dict[str, list[str]]:
    answer = client.controller.ListVolumes(controller_pb2.ListVolumesRequest())
    return {e.volume.volume_id: list(e.status.published_node_ids) for e in answer.entries}


# --- the whole way -------------------------------------------------------------------------------


@pytest.mark.parametrize("access", ["mount", "block"])
def test_a_published_volume_is_a_device_with_paths_until_it_is_unpublished(
    stack: Stack, client: Client, access: str
) -> None:
    used = capability(access=access)
    volume_id = client.create("pvc-1").volume_id
    assert volume_id == "arrays/a1/volumes/pvc-1"
    assert "a1.pvc-1" not in devices(stack)
    assert client.publish(volume_id, used=used) == {
        "lun": "1",
        "ports": "p0,p1",
        "device": "a1.pvc-1",
    }
    assert "a1.pvc-1" not in devices(stack)  # until the node looks
    client.node_stage(volume_id, used)
    client.node_publish(volume_id, used)
    assert devices(stack)["a1.pvc-1"].capacity_bytes == GIB
    request = multipath_pb2.ListPathsRequest(parent=f"{DEVICES}/a1.pvc-1")
    paths = stack.api.multipath.ListPaths(request).paths
    assert [path.name.rpartition("/")[2] for path in paths] == ["h1-a.p0", "h1-b.p1"]
    assert all(path.state == multipath_pb2.PATH_STATE_ACTIVE for path in paths)
    assert published(client)[volume_id] == ["h1"]
    if access == "block":
        assert client.target.read_text() == f"{DEVICES}/a1.pvc-1\n"
    else:
        assert list(client.target.iterdir()) == []
    client.node_unpublish(volume_id)
    client.node_unstage(volume_id)
    assert not client.target.exists()
    client.unpublish(volume_id, "h1")
    assert "a1.pvc-1" not in devices(stack)
    assert published(client)[volume_id] == []
    client.delete(volume_id)
    assert volume_id not in published(client)


def test_a_volume_can_be_published_to_be_read_only(stack: Stack, client: Client) -> None:
    used = capability(mode="MULTI_NODE_READER_ONLY")
    volume_id = client.create("pvc-1").volume_id
    for _ in range(2):
        client.publish(volume_id, used=used, readonly=True)
    request = array_pb2.GetExportRequest(name="arrays/a1/exports/pvc-1.h1")
    assert stack.api.arrays["a1"].GetExport(request).read_only
    assert refused(client.publish, volume_id, used=used).startswith("ALREADY_EXISTS")
    client.unpublish(volume_id, "h1")
    client.publish(volume_id, used=used)
    assert not stack.api.arrays["a1"].GetExport(request).read_only


@pytest.mark.parametrize("asked", ["thin", "thick", "FULL"])
def test_a_class_says_when_its_volumes_take_their_pages(
    stack: Stack, client: Client, asked: str
) -> None:
    for _ in range(2):
        volume = client.create("pvc-1", 1 << 20, parameters={"provisioning": asked})
    made = stack.api.arrays["a1"].GetVolume(array_pb2.GetVolumeRequest(name=volume.volume_id))
    assert made.provisioning == array_pb2.Provisioning.Value(f"PROVISIONING_{asked.upper()}")
    other = {"provisioning": "thick" if asked == "thin" else "thin"}
    assert refused(client.create, "pvc-1", 1 << 20, parameters=other).startswith("ALREADY_EXISTS")
    said = refused(client.create, "pvc-2", parameters={"provisioning": "lazy"})
    assert "'lazy' is none of thin, thick, full" in said


def test_every_call_may_be_repeated(stack: Stack, client: Client) -> None:
    for _ in range(3):
        volume = client.create("pvc-1", parameters={"pool": "p1"})
    for _ in range(3):
        context = client.publish(volume.volume_id)
    for _ in range(3):
        client.node_stage(volume.volume_id)
    for _ in range(3):
        client.node_publish(volume.volume_id)
    assert context["lun"] == "1"
    assert len(devices(stack)) == 2
    back: list[Callable[[str], None]] = [client.node_unpublish, client.node_unstage]
    for call in (*back, client.unpublish, client.delete):
        for _ in range(3):
            call(volume.volume_id)
    assert len(devices(stack)) == 1


def test_a_repeated_name_finds_its_volume_only_if_it_fits(client: Client) -> None:
    volume = client.create("pvc-1", 2 * GIB)
    assert client.create("pvc-1", 1 * GIB) == volume
    assert refused(client.create, "pvc-1", 3 * GIB).startswith("ALREADY_EXISTS")
    assert refused(client.create, "v1").startswith("ALREADY_EXISTS: arrays/a1/volumes/v1 exists")


def test_a_name_that_is_no_identifier_still_finds_its_volume(client: Client) -> None:
    names = ["PVC_1", "pvc 1", "pvc_1", "ä" * 64, "1"]
    volumes = {name: client.create(name).volume_id for name in names}
    assert len(set(volumes.values())) == len(names)
    assert volumes == {name: client.create(name).volume_id for name in names}


@given(st.lists(st.text(min_size=1, max_size=40), min_size=2, max_size=2, unique=True))
def test_identifiers_of_names_are_identifiers_and_differ(names: list[str]) -> None:
    identifiers = [identifier_of(name) for name in names]
    assert all(re.fullmatch(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", i) for i in identifiers)
    assert identifiers[0] != identifiers[1]


def test_a_full_pool_exhausts_resources(stack: Stack, client: Client) -> None:
    assert capacity(client) == 8 * MIB
    client.create("before", 100 * GIB)  # thin: promised, not taken
    stack.api.arrays["a1"].FillPool(
        array_pb2.FillPoolRequest(name="arrays/a1/pools/p1", ratio=1, volume="arrays/a1/volumes/v1")
    )
    assert capacity(client) == 0
    assert refused(client.create, "after").startswith(
        "RESOURCE_EXHAUSTED: arrays/a1/pools/p1 is full"
    )
    assert client.create("before", 100 * GIB).volume_id.endswith("before")


def capacity(client: Client, **fields: Any) -> int:
    answer = client.controller.GetCapacity(controller_pb2.GetCapacityRequest(**fields))
    found: int = answer.available_capacity
    return found


def test_capacity_is_asked_of_pools_and_places(client: Client) -> None:
    assert capacity(client, parameters={"pool": "arrays/a1/pools/p1"}) == 8 * MIB
    assert "p9" in refused(capacity, client, parameters={"pool": "p9"})
    for host, free in (("h1", 8 * MIB), ("h9", 0)):
        place = types_pb2.Topology(segments={"csi.smokestack/host": host})
        assert capacity(client, accessible_topology=place) == free


def test_a_volume_is_made_where_a_node_can_reach_it(client: Client) -> None:
    def within(host: str) -> types_pb2.TopologyRequirement:
        place = types_pb2.Topology(segments={"csi.smokestack/host": host})
        return types_pb2.TopologyRequirement(requisite=[place])

    info = client.node.NodeGetInfo(node_pb2.NodeGetInfoRequest())
    assert info.node_id == "h1"
    volume = client.create("pvc-1", accessibility_requirements=within("h2"))
    assert info.accessible_topology in volume.accessible_topology
    assert refused(client.create, "pvc-2", accessibility_requirements=within("h9")).startswith(
        "RESOURCE_EXHAUSTED"
    )


def test_a_retry_of_what_was_half_done_removes_the_device(stack: Stack, client: Client) -> None:
    volume_id = client.use("pvc-1")
    export = array_pb2.DeleteExportRequest(name="arrays/a1/exports/pvc-1.h1")
    stack.api.arrays["a1"].DeleteExport(export)
    assert "a1.pvc-1" in devices(stack)
    client.unpublish(volume_id, "h1")
    assert "a1.pvc-1" not in devices(stack)


def test_a_target_that_cannot_be_noted_is_not_left_behind(client: Client, tmp_path: Path) -> None:
    used = capability("MULTI_NODE_READER_ONLY")
    volume_id = client.use("pvc-1", used)
    made = 0
    with pytest.raises(grpc.RpcError, match="characters"):
        for made in range(500):
            client.node_publish(volume_id, used, tmp_path / f"target-{made}")
    assert made > 50
    assert not (tmp_path / f"target-{made}").exists()


# --- several nodes, several targets --------------------------------------------------------------


def test_a_mode_for_one_node_keeps_a_volume_from_the_second(client: Client) -> None:
    volume_id = client.create("pvc-1").volume_id
    client.publish(volume_id, "h1")
    assert refused(client.publish, volume_id, "h2").startswith(
        f"FAILED_PRECONDITION: {volume_id} is published to node h1"
    )
    shared = capability("MULTI_NODE_MULTI_WRITER", "block")
    client.publish(volume_id, "h2", used=shared)
    assert published(client)[volume_id] == ["h1", "h2"]
    client.unpublish(volume_id)  # from all
    assert published(client)[volume_id] == []


@pytest.mark.parametrize(
    ("mode", "allowed"),
    [
        ("SINGLE_NODE_WRITER", False),
        ("SINGLE_NODE_SINGLE_WRITER", False),
        ("SINGLE_NODE_READER_ONLY", False),
        ("SINGLE_NODE_MULTI_WRITER", True),
        ("MULTI_NODE_READER_ONLY", True),
    ],
)
def test_the_mode_decides_about_a_second_target(
    client: Client, tmp_path: Path, mode: str, allowed: bool
) -> None:
    used = capability(mode)
    volume_id = client.use("pvc-1", used)
    other = tmp_path / "other"
    if allowed:
        client.node_publish(volume_id, used, other, readonly=True)
        assert other.is_dir()
    else:
        assert "one target" in refused(client.node_publish, volume_id, used, other)
        assert not other.exists()
    assert refused(client.node_publish, volume_id, used, readonly=True).startswith("ALREADY_EXISTS")


def test_a_node_takes_only_so_many_volumes(stack: Stack) -> None:
    plugin = Plugin(
        stack.api.arrays["a1"], "arrays/a1", stack.api.multipath, Settings("h2", volumes_per_node=2)
    )
    assert plugin.node is not None
    info = plugin.node.NodeGetInfo(node_pb2.NodeGetInfoRequest())
    assert (info.node_id, info.max_volumes_per_node) == ("h2", 2)

    def publish(volume: str) -> None:
        plugin.controller.ControllerPublishVolume(
            controller_pb2.ControllerPublishVolumeRequest(
                volume_id=f"arrays/a1/volumes/{volume}",
                node_id="h2",
                volume_capability=capability("MULTI_NODE_MULTI_WRITER", "block"),
            )
        )

    publish("v2")  # which it has
    publish("v1")
    stack.api.arrays["a1"].CreateVolume(
        array_pb2.CreateVolumeRequest(
            parent="arrays/a1",
            volume_id="v3",
            volume=array_pb2.Volume(pool="arrays/a1/pools/p1", capacity_bytes=GIB),
        )
    )
    with pytest.raises(Exception, match="node h2 has 2 volumes, as many as it may"):
        publish("v3")


# --- growth, settings, health --------------------------------------------------------------------


def test_a_volume_grows_while_it_is_used(client: Client) -> None:
    volume_id = client.use("pvc-1")

    def node_expand(size: int) -> int:
        request = node_pb2.NodeExpandVolumeRequest(
            volume_id=volume_id,
            volume_path=str(client.target),
            capacity_range=types_pb2.CapacityRange(required_bytes=size),
        )
        found: int = client.node.NodeExpandVolume(request).capacity_bytes
        return found

    def expand(size: int, limit: int = 0) -> int:
        answer = client.controller.ControllerExpandVolume(
            controller_pb2.ControllerExpandVolumeRequest(
                volume_id=volume_id,
                capacity_range=types_pb2.CapacityRange(required_bytes=size, limit_bytes=limit),
            )
        )
        assert answer.node_expansion_required
        found: int = answer.capacity_bytes
        return found

    assert refused(node_expand, 2 * GIB).startswith("OUT_OF_RANGE")
    assert expand(2 * GIB) == 2 * GIB
    assert expand(2 * GIB) == expand(GIB) == 2 * GIB  # it never shrinks
    assert node_expand(2 * GIB) == 2 * GIB
    assert refused(expand, 1, GIB).startswith("OUT_OF_RANGE")
    assert refused(expand, 1 << 60).startswith("OUT_OF_RANGE")
    assert refused(expand, 0).startswith("INVALID_ARGUMENT")


def test_settings_reach_the_devices_that_there_are_and_those_to_come(
    stack: Stack, client: Client
) -> None:
    volume_id = client.create("pvc-1", mutable_parameters={"lun_queue_depth": "3"}).volume_id
    client.publish(volume_id)
    client.node_stage(volume_id)
    assert devices(stack)["a1.pvc-1"].lun_queue_depth == 3

    def modify(**settings: str) -> None:
        client.controller.ControllerModifyVolume(
            controller_pb2.ControllerModifyVolumeRequest(
                volume_id=volume_id, mutable_parameters=settings
            )
        )

    modify(selector="FIXED")
    device = devices(stack)["a1.pvc-1"]
    assert (device.selector, device.lun_queue_depth) == (multipath_pb2.SELECTOR_FIXED, 3)
    assert "is none of" in refused(modify, selector="BEST", lun_queue_depth="9")
    assert "is not within 1 to 4096" in refused(modify, lun_queue_depth="4097")
    assert "is no setting" in refused(modify, iops="1000")
    assert devices(stack)["a1.pvc-1"] == device


def test_health_is_what_ports_paths_and_pools_say(stack: Stack, client: Client) -> None:
    volume_id = client.use("pvc-1")

    def health() -> tuple[list[str], list[str], list[str]]:
        array = client.controller.ControllerGetVolumeHealth(
            controller_pb2.ControllerGetVolumeHealthRequest(volume_id=volume_id)
        )
        node = client.node.NodeGetVolumeHealth(
            node_pb2.NodeGetVolumeHealthRequest(volume_id=volume_id)
        )
        storage = client.node.NodeGetStorageHealth(node_pb2.NodeGetStorageHealthRequest())
        return (
            [e.reason for e in array.volume_health.health_statuses],
            [e.reason for e in node.volume_health.health_statuses],
            [e.reason for e in storage.backend_health],
        )

    assert health() == ([], [], [])
    port = array_pb2.Port(name="arrays/a1/ports/p0", enabled=False)
    stack.api.arrays["a1"].UpdatePort(array_pb2.UpdatePortRequest(port=port))
    stack.hypervisor.model.advance(1_000_000)  # until the hosts have heard of it
    assert health() == (["PORTS_DOWN"], ["PATHS_DEAD"], ["PATHS_DEAD"])
    stack.api.arrays["a1"].FillPool(
        array_pb2.FillPoolRequest(name="arrays/a1/pools/p1", ratio=1, volume="arrays/a1/volumes/v1")
    )
    assert health()[0] == ["PORTS_DOWN", "POOL_FULL"]
    port.name = "arrays/a1/ports/p1"
    stack.api.arrays["a1"].UpdatePort(array_pb2.UpdatePortRequest(port=port))
    stack.hypervisor.model.advance(2_000_000)
    assert health()[1:] == (["ALL_PATHS_DOWN"], ["PATHS_DEAD"])
    listed = client.controller.ControllerListVolumeHealth(
        controller_pb2.ControllerListVolumeHealthRequest(max_entries=1)
    )
    assert [e.volume_id for e in listed.entries] == [volume_id]
    assert listed.next_token


def test_usage_is_what_the_volume_has_taken(client: Client) -> None:
    volume_id = client.use("pvc-1")
    request = node_pb2.NodeGetVolumeStatsRequest(
        volume_id=volume_id, volume_path=str(client.target)
    )
    [usage] = client.node.NodeGetVolumeStats(request).usage
    assert (usage.total, usage.used, usage.available) == (GIB, 0, GIB)
    request.volume_path = "/elsewhere"
    assert refused(client.node.NodeGetVolumeStats, request).startswith("NOT_FOUND")


# --- state ---------------------------------------------------------------------------------------


def test_a_snapshot_and_a_reset_include_what_nodes_use(stack: Stack, client: Client) -> None:
    volume_id = client.use("pvc-1")
    mounts = devices(stack)["a1.pvc-1"].labels["csi.smokestack/mounts"]
    stack.api.simulation.CreateSnapshot(snapshots_pb2.CreateSnapshotRequest(snapshot_id="s1"))
    client.node_unpublish(volume_id)
    client.unpublish(volume_id)
    stack.api.simulation.RestoreSnapshot(snapshots_pb2.RestoreSnapshotRequest(name="snapshots/s1"))
    assert devices(stack)["a1.pvc-1"].labels["csi.smokestack/mounts"] == mounts
    client.node_publish(volume_id)  # it is published; the directory is made again
    assert client.target.is_dir()
    stack.reset()
    assert volume_id not in published(client)
    assert client.create("pvc-1").volume_id == volume_id


def test_lists_come_in_pages_and_know_their_tokens(client: Client) -> None:
    for number in range(3):
        client.create(f"pvc-{number}")
    request = controller_pb2.ListVolumesRequest(max_entries=2)
    found: list[str] = []
    while True:
        answer = client.controller.ListVolumes(request)
        found += [entry.volume.volume_id.rpartition("/")[2] for entry in answer.entries]
        request.starting_token = answer.next_token
        if not answer.next_token:
            break
    assert found == ["pvc-0", "pvc-1", "pvc-2", "v1", "v2"]
    request = controller_pb2.ListVolumesRequest(starting_token="nonsense")
    assert refused(client.controller.ListVolumes, request).startswith("ABORTED")
    request = controller_pb2.ListVolumesRequest(max_entries=-1)
    assert refused(client.controller.ListVolumes, request).startswith("INVALID_ARGUMENT")


def test_a_name_finds_its_volume_after_a_crash(tmp_path: Path) -> None:
    request = controller_pb2.CreateVolumeRequest(
        name="PVC 1", volume_capabilities=[capability()], mutable_parameters={"selector": "FIXED"}
    )
    with kept_array(tmp_path / "state") as room:
        build(room)
        made = Plugin(room.api, "arrays/a1").controller.CreateVolume(request)
        with after_a_crash(tmp_path / "state") as back:
            assert Plugin(back.api, "arrays/a1").controller.CreateVolume(request) == made
            found = back.api.GetVolume(array_pb2.GetVolumeRequest(name=made.volume.volume_id))
            assert found.labels["csi.smokestack/selector"] == "FIXED"


def test_a_recording_repeats_what_came_by_csi(stack: Stack, client: Client) -> None:
    volume_id = client.use("pvc-1")
    stack.hypervisor.model.advance(5_000_000)
    parts = stack.api.simulation.GetRecording(snapshots_pb2.GetRecordingRequest())
    replayed = replay(b"".join(part.data for part in parts))
    with replayed.stack as again:
        assert replayed.same
        assert devices(again)["a1.pvc-1"] == devices(stack)["a1.pvc-1"]
        volume = array_pb2.GetVolumeRequest(name=volume_id)
        assert again.api.arrays["a1"].GetVolume(volume).labels["csi.smokestack/name"] == "pvc-1"


# --- where it is served --------------------------------------------------------------------------


def test_an_array_serves_csi_on_its_own_port(stack: Stack, tmp_path: Path) -> None:
    client = Client(stack.endpoints[-1].address, tmp_path)
    info = client.identity.GetPluginInfo(identity_pb2.GetPluginInfoRequest())
    assert info.name == "csi.smokestack"
    assert client.identity.Probe(identity_pb2.ProbeRequest()).ready.value
    client.use("pvc-1")
    assert "a1.pvc-1" in devices(stack)
    client.channel.close()


def test_callers_on_other_machines_get_no_paths_here(stack: Stack, tmp_path: Path) -> None:
    class Far:
        def peer(self) -> str:
            return "ipv4:192.0.2.1:4711"

    plugin = Plugin(stack.api.arrays["a1"], "arrays/a1", stack.api.multipath)
    assert plugin.node is not None
    volume_id = "arrays/a1/volumes/v1"
    stage = node_pb2.NodeStageVolumeRequest(
        volume_id=volume_id, staging_target_path="/far/staging", volume_capability=capability()
    )
    publish = node_pb2.NodePublishVolumeRequest(
        volume_id=volume_id,
        staging_target_path="/far/staging",
        target_path=str(tmp_path / "target"),
        volume_capability=capability(),
    )
    plugin.node.NodeStageVolume(stage, Far())
    plugin.node.NodePublishVolume(publish, Far())
    assert "far" in devices(stack)["a1.v1"].labels["csi.smokestack/mounts"]
    assert not (tmp_path / "target").exists()


def test_what_was_not_published_is_never_removed(client: Client, tmp_path: Path) -> None:
    volume_id = client.create("pvc-1").volume_id
    kept = tmp_path / "kept"
    kept.write_text("not ours")
    assert "stays as it is" in refused(client.node_unpublish, volume_id, kept)
    assert kept.read_text() == "not ours"
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    assert refused(client.node_unpublish, volume_id, tmp_path / "full").startswith("INVALID_ARG")
    (tmp_path / "link").symlink_to(kept)
    assert "stays as it is" in refused(client.node_unpublish, volume_id, tmp_path / "link")


def test_a_socket_is_taken_by_one_server_and_gone_after_it(stack: Stack, tmp_path: Path) -> None:
    address = f"unix://{tmp_path}/one.sock"
    stack.serve_csi(address)
    with pytest.raises(Exception, match="a server listens there already"):
        stack.serve_csi(address)
    (tmp_path / "file").touch()
    with pytest.raises(Exception, match="something else is there"):
        stack.serve_csi(f"unix://{tmp_path}/file")
    with pytest.raises(Exception, match="absolute path"):
        stack.serve_csi("unix://here")
    stack.close()
    assert not (tmp_path / "one.sock").exists()


def test_a_plugin_works_the_same_over_services_of_other_processes(tmp_path: Path) -> None:
    with Processes(small_scenario()) as processes:
        array = processes.arrays["a1"].endpoint.address
        multipath = processes.multipath.endpoint.address
        plugin = Plugin(Elsewhere("arrays", array), "arrays/a1", Elsewhere("multipaths", multipath))
        assert plugin.node is not None
        made = plugin.controller.CreateVolume(
            controller_pb2.CreateVolumeRequest(name="pvc-1", volume_capabilities=[capability()])
        ).volume
        plugin.controller.ControllerPublishVolume(
            controller_pb2.ControllerPublishVolumeRequest(
                volume_id=made.volume_id, node_id="h1", volume_capability=capability()
            )
        )
        plugin.node.NodeStageVolume(
            node_pb2.NodeStageVolumeRequest(
                volume_id=made.volume_id,
                staging_target_path=str(tmp_path),
                volume_capability=capability(),
            )
        )
        health = plugin.node.NodeGetVolumeHealth(
            node_pb2.NodeGetVolumeHealthRequest(volume_id=made.volume_id)
        )
        assert not health.volume_health.health_statuses
        alone = Client(array, tmp_path)
        request = node_pb2.NodeGetInfoRequest()
        assert refused(alone.node.NodeGetInfo, request).startswith("UNIMPLEMENTED")
        alone.channel.close()


def test_the_example_lives_a_claims_life(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example = runpy.run_path(str(tree.ROOT / "clients/examples/csi/claim.py"))
    example["main"](f"unix://{tmp_path}/csi.sock")
    assert capsys.readouterr().out.splitlines() == [
        "provisioned arrays/a1/volumes/pvc-example, 10 GiB",
        "attached to h1 as LUN 1, through ports p0,p1",
        f"published: {DEVICES}/a1.pvc-example",
        "healthy: True",
        "deleted",
    ]
    assert "arrays/a1/volumes/pvc-example" not in published(client)
