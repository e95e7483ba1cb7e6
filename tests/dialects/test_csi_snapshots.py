"""Snapshots, clones and groups over CSI: they share pages, and belong to one instant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict

from smokestack.csi.v1 import controller_pb2, group_pb2, types_pb2
from smokestack.dialects.csi import Plugin
from smokestack.engine.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    OutOfRange,
    Refused,
)
from smokestack.server.stack import Stack
from smokestack.v1 import array_pb2
from tests.dialects.csi_client import GIB, capability
from tests.server.scenarios import small_scenario

V1, V2 = "arrays/a1/volumes/v1", "arrays/a1/volumes/v2"
MIB = 1 << 20


@pytest.fixture
def stack() -> Iterator[Stack]:
    with Stack(small_scenario()) as stack:
        yield stack


@pytest.fixture
def plugin(stack: Stack) -> Plugin:
    return Plugin(stack.api.arrays["a1"], "arrays/a1", stack.api.multipath)


def take(plugin: Plugin, name: str, volume: str = V1, **fields: Any) -> types_pb2.Snapshot:
    request = controller_pb2.CreateSnapshotRequest(name=name, source_volume_id=volume, **fields)
    return plugin.controller.CreateSnapshot(request).snapshot


def create(
    plugin: Plugin, name: str, size: int = GIB, **source: dict[str, str]
) -> types_pb2.Volume:
    request = controller_pb2.CreateVolumeRequest(
        name=name,
        volume_capabilities=[capability()],
        capacity_range=types_pb2.CapacityRange(required_bytes=size),
    )
    ParseDict({"volume_content_source": source}, request)
    return plugin.controller.CreateVolume(request).volume


def listed(plugin: Plugin, **fields: Any) -> list[str]:
    answer = plugin.controller.ListSnapshots(controller_pb2.ListSnapshotsRequest(**fields))
    return [entry.snapshot.snapshot_id.rpartition("/")[2] for entry in answer.entries]


def test_a_copy_has_its_sources_pages_and_takes_none(stack: Stack, plugin: Plugin) -> None:
    array = stack.api.arrays["a1"]
    fill = array_pb2.FillPoolRequest(name="arrays/a1/pools/p1", ratio=0.5, volume=V1)
    assert array.FillPool(fill).allocated_bytes == 4 * MIB
    snapshot = take(plugin, "s1")
    assert snapshot.snapshot_id == "arrays/a1/snapshots/s1"
    assert (snapshot.source_volume_id, snapshot.size_bytes) == (V1, GIB)
    assert snapshot.ready_to_use and snapshot.HasField("creation_time")
    of_snapshot = create(plugin, "c1", snapshot={"snapshot_id": snapshot.snapshot_id})
    of_volume = create(plugin, "c2", 2 * GIB, volume={"volume_id": V1})
    assert of_snapshot.content_source.snapshot.snapshot_id == snapshot.snapshot_id
    assert of_volume.content_source.volume.volume_id == V1
    assert of_volume.capacity_bytes == 2 * GIB
    for copy in (of_snapshot, of_volume):
        request = array_pb2.GetVolumeRequest(name=copy.volume_id)
        assert array.GetVolume(request).allocated_bytes == 4 * MIB
    pool = array.GetPool(array_pb2.GetPoolRequest(name="arrays/a1/pools/p1"))
    assert pool.allocated_bytes == 4 * MIB


def test_a_repeated_snapshot_is_found_and_another_is_refused(plugin: Plugin) -> None:
    first = take(plugin, "S 1")
    assert take(plugin, "S 1") == first
    with pytest.raises(AlreadyExists, match="another name"):
        take(plugin, "S 1", V2)
    for _ in range(2):
        request = controller_pb2.DeleteSnapshotRequest(snapshot_id=first.snapshot_id)
        plugin.controller.DeleteSnapshot(request)
    assert listed(plugin) == []


def test_a_repeated_copy_is_found_only_if_its_source_is_the_same(plugin: Plugin) -> None:
    take(plugin, "s1")
    source = {"snapshot_id": "arrays/a1/snapshots/s1"}
    copy = create(plugin, "c1", snapshot=source)
    plugin.controller.DeleteSnapshot(
        controller_pb2.DeleteSnapshotRequest(snapshot_id=source["snapshot_id"])
    )
    assert create(plugin, "c1", snapshot=source) == copy  # it needs its source no more
    with pytest.raises(NotFound, match="is no snapshot"):
        create(plugin, "c2", snapshot=source)
    with pytest.raises(AlreadyExists, match="copy of something else"):
        create(plugin, "c1")
    assert copy.volume_id == "arrays/a1/volumes/c1"


def test_sources_that_do_not_fit_are_refused(stack: Stack, plugin: Plugin) -> None:
    take(plugin, "s1")
    with pytest.raises(NotFound, match="is no volume"):
        create(plugin, "c1", volume={"volume_id": "nothing"})
    with pytest.raises(OutOfRange, match="would be needed"):
        plugin.controller.CreateVolume(
            controller_pb2.CreateVolumeRequest(
                name="c1",
                volume_capabilities=[capability()],
                capacity_range=types_pb2.CapacityRange(limit_bytes=GIB - 512),
                volume_content_source=types_pb2.VolumeContentSource(
                    volume=types_pb2.VolumeContentSource.VolumeSource(volume_id=V1)
                ),
            )
        )
    pool = array_pb2.Pool(capacity_bytes=8 * MIB)
    stack.api.arrays["a1"].CreatePool(
        array_pb2.CreatePoolRequest(parent="arrays/a1", pool_id="p2", pool=pool)
    )
    request = controller_pb2.CreateVolumeRequest(
        name="c1", volume_capabilities=[capability()], parameters={"pool": "p2"}
    )
    request.volume_content_source.snapshot.snapshot_id = "arrays/a1/snapshots/s1"
    with pytest.raises(InvalidArgument, match="cannot be in another pool"):
        plugin.controller.CreateVolume(request)


def test_a_volume_with_snapshots_stays(plugin: Plugin) -> None:
    volume = create(plugin, "pvc-1")
    take(plugin, "s1", volume.volume_id)
    request = controller_pb2.DeleteVolumeRequest(volume_id=volume.volume_id)
    with pytest.raises(FailedPrecondition, match="snapshots"):
        plugin.controller.DeleteVolume(request)
    plugin.controller.DeleteSnapshot(
        controller_pb2.DeleteSnapshotRequest(snapshot_id="arrays/a1/snapshots/s1")
    )
    plugin.controller.DeleteVolume(request)


def test_snapshots_are_listed_by_volume_by_name_and_in_pages(plugin: Plugin) -> None:
    for name, volume in (("s1", V1), ("s2", V2), ("s3", V1)):
        take(plugin, name, volume)
    assert listed(plugin) == ["s1", "s2", "s3"]
    assert listed(plugin, source_volume_id=V1) == ["s1", "s3"]
    assert listed(plugin, snapshot_id="arrays/a1/snapshots/s2") == ["s2"]
    assert listed(plugin, snapshot_id="nothing") == []
    request = controller_pb2.ListSnapshotsRequest(max_entries=1, source_volume_id=V1)
    token = plugin.controller.ListSnapshots(request).next_token
    assert listed(plugin, source_volume_id=V1, starting_token=token) == ["s3"]
    with pytest.raises(Aborted, match="begin without one"):
        listed(plugin, starting_token=token)  # which is another list's
    with pytest.raises(InvalidArgument, match="negative"):
        listed(plugin, max_entries=-1)


@pytest.mark.parametrize(
    ("method", "request_", "code", "word"),
    [
        ("CreateSnapshot", {"source_volume_id": V1}, "INVALID_ARGUMENT", "name"),
        ("CreateSnapshot", {"name": "s"}, "INVALID_ARGUMENT", "source_volume_id"),
        ("CreateSnapshot", {"name": "s", "source_volume_id": "x"}, "NOT_FOUND", "no volume"),
        (
            "CreateSnapshot",
            {"name": "s", "source_volume_id": V1, "parameters": {"x": "y"}},
            "INVALID_ARGUMENT",
            "no setting",
        ),
        ("DeleteSnapshot", {}, "INVALID_ARGUMENT", "snapshot_id"),
        ("GetSnapshot", {}, "INVALID_ARGUMENT", "snapshot_id"),
        ("GetSnapshot", {"snapshot_id": "x"}, "NOT_FOUND", "no snapshot"),
    ],
)
def test_a_condition_has_its_code(
    plugin: Plugin, method: str, request_: dict[str, Any], code: str, word: str
) -> None:
    message = getattr(controller_pb2, f"{method}Request")()
    with pytest.raises(Refused, match=word) as refused:
        getattr(plugin.controller, method)(ParseDict(request_, message))
    assert refused.value.code == code


# --- groups --------------------------------------------------------------------------------------


def group(plugin: Plugin, name: str, *volumes: str) -> group_pb2.VolumeGroupSnapshot:
    request = group_pb2.CreateVolumeGroupSnapshotRequest(name=name, source_volume_ids=volumes)
    return plugin.group.CreateVolumeGroupSnapshot(request).group_snapshot


def test_a_group_is_of_one_instant_and_goes_together(plugin: Plugin) -> None:
    made = group(plugin, "g1", V2, V1)
    assert [snapshot.source_volume_id for snapshot in made.snapshots] == [V1, V2]
    assert {s.creation_time.ToNanoseconds() for s in made.snapshots} == {
        made.creation_time.ToNanoseconds()
    }
    assert group(plugin, "g1", V1, V2) == made
    with pytest.raises(AlreadyExists, match="another name"):
        group(plugin, "g1", V1)
    with pytest.raises(InvalidArgument, match="is in the group arrays/a1/groups/g1"):
        plugin.controller.DeleteSnapshot(
            controller_pb2.DeleteSnapshotRequest(snapshot_id=made.snapshots[0].snapshot_id)
        )
    names = [snapshot.snapshot_id for snapshot in made.snapshots]
    get = group_pb2.GetVolumeGroupSnapshotRequest(
        group_snapshot_id=made.group_snapshot_id, snapshot_ids=names
    )
    assert plugin.group.GetVolumeGroupSnapshot(get).group_snapshot == made
    delete = group_pb2.DeleteVolumeGroupSnapshotRequest(
        group_snapshot_id=made.group_snapshot_id, snapshot_ids=names[:1]
    )
    with pytest.raises(InvalidArgument, match="are not those of the group"):
        plugin.group.DeleteVolumeGroupSnapshot(delete)
    delete.ClearField("snapshot_ids")
    for _ in range(2):
        plugin.group.DeleteVolumeGroupSnapshot(delete)
    assert listed(plugin) == []
    with pytest.raises(NotFound, match="is no group"):
        plugin.group.GetVolumeGroupSnapshot(get)


def test_a_group_that_cannot_be_whole_is_not_begun(plugin: Plugin) -> None:
    with pytest.raises(NotFound, match="is no volume"):
        group(plugin, "g1", V1, "nothing")
    assert listed(plugin) == []
    with pytest.raises(InvalidArgument, match="at least one volume"):
        group(plugin, "g1")
