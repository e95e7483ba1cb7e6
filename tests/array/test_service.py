"""The array as its API shows it: standard methods, defaults, and refusals that name the field."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from google.protobuf.message import Message

from smokestack.engine.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Refused,
)
from smokestack.v1 import array_pb2 as pb
from smokestack.v1 import types_pb2
from tests.api import ARRAY, GIB, Stack


@pytest.fixture
def stack() -> Stack:
    return Stack()


def test_what_is_not_set_takes_the_documented_default(stack: Stack) -> None:
    port = stack.array.GetPort(pb.GetPortRequest(name=f"{ARRAY}/ports/p0"))
    assert (port.queue_limit, port.command_ns, port.refusal_ns) == (1638, 1000, 2000)
    assert (port.forward_latency_ns, port.return_latency_ns) == (50_000, 50_000)
    assert port.enabled and port.bandwidth_bytes_per_second == 800_000_000
    controller = stack.array.GetController(pb.GetControllerRequest(name=f"{ARRAY}/controllers/c0"))
    assert (controller.core_count, controller.read_hit_ratio) == (8, 0.5)
    assert controller.write_back
    pool = stack.array.GetPool(pb.GetPoolRequest(name=f"{ARRAY}/pools/pool1"))
    assert (pool.page_bytes, pool.disk_count) == (16384, 64)
    assert pool.media_distribution == pb.MEDIA_DISTRIBUTION_EXPONENTIAL


def test_a_zero_that_is_set_is_not_a_default(stack: Stack) -> None:
    controller = pb.Controller(read_ns=0, read_hit_ratio=0, write_back=False)
    made = stack.array.CreateController(
        pb.CreateControllerRequest(parent=ARRAY, controller_id="c1", controller=controller)
    )
    assert (made.read_ns, made.read_hit_ratio, made.write_back) == (0, 0, False)
    assert made.write_ns == 18_000


def test_space_adds_up(stack: Stack) -> None:
    stack.create_volume("v2")
    array = stack.array.GetArray(pb.GetArrayRequest(name=ARRAY))
    assert (array.capacity_bytes, array.subscribed_bytes) == (8 * GIB, 8 * GIB)
    assert stack.array.ListArrays(pb.ListArraysRequest()).arrays[0] == array


def test_lists_page_and_gets_agree(stack: Stack) -> None:
    for n in range(2, 7):
        stack.create_volume(f"v{n}")
    names: list[str] = []
    token = ""
    while True:
        found = stack.array.ListVolumes(
            pb.ListVolumesRequest(parent=ARRAY, page_size=4, page_token=token)
        )
        for volume in found.volumes:
            assert stack.array.GetVolume(pb.GetVolumeRequest(name=volume.name)) == volume
            names.append(volume.name)
        token = found.next_page_token
        if not token:
            break
    assert names == [f"{ARRAY}/volumes/v{n}" for n in range(1, 7)]


def test_an_export_takes_the_lowest_free_lun(stack: Stack) -> None:
    luns = []
    for volume_id in ("v2", "v3"):
        stack.create_volume(volume_id)
        luns.append(stack.create_export(volume_id).lun)
    assert luns == [1, 2]
    name = f"{ARRAY}/exports/v2.h1"
    assert stack.array.GetExport(pb.GetExportRequest(name=name)).lun == 1
    stack.array.DeleteExport(pb.DeleteExportRequest(name=name))
    assert stack.create_export("v2").lun == 1


def test_updates_change_what_the_mask_names(stack: Stack) -> None:
    port = pb.Port(name=f"{ARRAY}/ports/p0", queue_limit=7, enabled=False)
    request = pb.UpdatePortRequest(port=port)
    request.update_mask.paths.append("queue_limit")
    made = stack.array.UpdatePort(request)
    assert (made.queue_limit, made.enabled) == (7, True)
    made = stack.array.UpdatePort(pb.UpdatePortRequest(port=port))
    assert (made.queue_limit, made.enabled) == (7, False)
    request.port.ClearField("enabled")
    request.port.ClearField("queue_limit")
    request.update_mask.paths[:] = ["*"]
    made = stack.array.UpdatePort(request)
    assert (made.queue_limit, made.enabled) == (1638, True)


def test_a_refused_update_changes_nothing(stack: Stack) -> None:
    port = pb.Port(name=f"{ARRAY}/ports/p0", queue_limit=0, enabled=False)
    with pytest.raises(InvalidArgument, match=r"port\.queue_limit"):
        stack.array.UpdatePort(pb.UpdatePortRequest(port=port))
    assert stack.array.GetPort(pb.GetPortRequest(name=port.name)).enabled


def test_capacities_grow(stack: Stack) -> None:
    pool = pb.Pool(name=f"{ARRAY}/pools/pool1", capacity_bytes=16 * GIB)
    assert stack.array.UpdatePool(pb.UpdatePoolRequest(pool=pool)).capacity_bytes == 16 * GIB
    volume = pb.Volume(name=f"{ARRAY}/volumes/v1", capacity_bytes=5 * GIB)
    made = stack.array.UpdateVolume(pb.UpdateVolumeRequest(volume=volume))
    assert made.capacity_bytes == 5 * GIB
    volume.capacity_bytes = GIB
    with pytest.raises(InvalidArgument, match="only grows"):
        stack.array.UpdateVolume(pb.UpdateVolumeRequest(volume=volume))


def test_a_retried_create_is_one_create(stack: Stack) -> None:
    request = pb.CreatePoolRequest(
        parent=ARRAY, pool_id="p2", pool=pb.Pool(capacity_bytes=GIB), request_id="once"
    )
    first = stack.array.CreatePool(request)
    assert stack.array.CreatePool(request) == first
    request.request_id = ""
    with pytest.raises(AlreadyExists):
        stack.array.CreatePool(request)


INITIATOR = types_pb2.Initiator(name="h1-a", fabric="a")
REFUSED: list[tuple[str, Message, type[Refused], str]] = [
    ("CreatePool", pb.CreatePoolRequest(parent="arrays/a2", pool_id="p"), NotFound, ""),
    ("CreatePool", pb.CreatePoolRequest(parent="a1", pool_id="p"), InvalidArgument, "parent"),
    (
        "CreatePool",
        pb.CreatePoolRequest(parent=ARRAY, pool_id="P", pool=pb.Pool(capacity_bytes=GIB)),
        InvalidArgument,
        "pool_id",
    ),
    (
        "CreatePool",
        pb.CreatePoolRequest(parent=ARRAY, pool_id="p"),
        InvalidArgument,
        "pool.capacity_bytes",
    ),
    (
        "CreatePool",
        pb.CreatePoolRequest(
            parent=ARRAY, pool_id="p", pool=pb.Pool(capacity_bytes=GIB, page_bytes=5000)
        ),
        InvalidArgument,
        "pool.page_bytes",
    ),
    (
        "CreatePool",
        pb.CreatePoolRequest(
            parent=ARRAY,
            pool_id="p",
            pool=pb.Pool(capacity_bytes=GIB, media_distribution=9),
        ),
        InvalidArgument,
        "pool.media_distribution",
    ),
    (
        "CreatePort",
        pb.CreatePortRequest(parent=ARRAY, port_id="p", port=pb.Port(controller="c0")),
        InvalidArgument,
        "port.controller",
    ),
    (
        "CreatePort",
        pb.CreatePortRequest(
            parent=ARRAY, port_id="p", port=pb.Port(controller="arrays/a2/controllers/c0")
        ),
        InvalidArgument,
        "port.controller",
    ),
    (
        "CreatePort",
        pb.CreatePortRequest(
            parent=ARRAY, port_id="p", port=pb.Port(controller=f"{ARRAY}/controllers/c0")
        ),
        InvalidArgument,
        "port.fabric",
    ),
    (
        "CreateVolume",
        pb.CreateVolumeRequest(
            parent=ARRAY,
            volume_id="v9",
            volume=pb.Volume(pool=f"{ARRAY}/pools/none", capacity_bytes=GIB),
        ),
        NotFound,
        "",
    ),
    (
        "CreateArrayHost",
        pb.CreateArrayHostRequest(parent=ARRAY, array_host_id="h2"),
        InvalidArgument,
        "array_host.initiators",
    ),
    (
        "CreateArrayHost",
        pb.CreateArrayHostRequest(
            parent=ARRAY, array_host_id="h2", array_host=pb.ArrayHost(initiators=[INITIATOR])
        ),
        AlreadyExists,
        "",
    ),
    ("GetPool", pb.GetPoolRequest(name=f"{ARRAY}/pools/none"), NotFound, ""),
    ("GetPool", pb.GetPoolRequest(name=f"{ARRAY}/volumes/v1"), InvalidArgument, "name"),
    ("GetExport", pb.GetExportRequest(name=f"{ARRAY}/exports/v1"), NotFound, ""),
    ("DeleteExport", pb.DeleteExportRequest(name=f"{ARRAY}/exports/v1.h9"), NotFound, ""),
    (
        "DeleteController",
        pb.DeleteControllerRequest(name=f"{ARRAY}/controllers/c0"),
        FailedPrecondition,
        "",
    ),
    ("DeletePort", pb.DeletePortRequest(name=f"{ARRAY}/ports/p0"), FailedPrecondition, ""),
    ("DeletePool", pb.DeletePoolRequest(name=f"{ARRAY}/pools/pool1"), FailedPrecondition, ""),
    ("DeleteVolume", pb.DeleteVolumeRequest(name=f"{ARRAY}/volumes/v1"), FailedPrecondition, ""),
    (
        "DeleteArrayHost",
        pb.DeleteArrayHostRequest(name=f"{ARRAY}/hosts/h1"),
        FailedPrecondition,
        "",
    ),
    (
        "UpdatePort",
        pb.UpdatePortRequest(port=pb.Port(name=f"{ARRAY}/ports/p0", fabric="b")),
        InvalidArgument,
        "update_mask",
    ),
    (
        "UpdatePort",
        pb.UpdatePortRequest(port=pb.Port(name=f"{ARRAY}/ports/p9", enabled=True)),
        NotFound,
        "",
    ),
    (
        "ListPorts",
        pb.ListPortsRequest(parent=ARRAY, page_size=-1),
        InvalidArgument,
        "page_size",
    ),
]


@pytest.mark.parametrize(
    ("method", "request_", "refusal", "field"),
    REFUSED,
    ids=[f"{method}-{refusal.__name__}-{n}" for n, (method, _, refusal, _) in enumerate(REFUSED)],
)
def test_bad_requests_are_refused_and_change_nothing(
    stack: Stack, method: str, request_: Message, refusal: type[Refused], field: str
) -> None:
    before = stack.array.GetArray(pb.GetArrayRequest(name=ARRAY))
    handler: Callable[[Message], Message] = getattr(stack.array, method)
    with pytest.raises(refusal) as caught:
        handler(request_)
    assert [v.field for v in caught.value.violations] == ([field] if field else [])
    assert stack.array.GetArray(pb.GetArrayRequest(name=ARRAY)) == before


def test_everything_goes_in_the_reverse_of_its_making(stack: Stack) -> None:
    array = stack.array
    array.DeleteExport(pb.DeleteExportRequest(name=f"{ARRAY}/exports/v1.h1"))
    array.DeleteArrayHost(pb.DeleteArrayHostRequest(name=f"{ARRAY}/hosts/h1"))
    array.DeleteVolume(pb.DeleteVolumeRequest(name=f"{ARRAY}/volumes/v1"))
    array.DeletePool(pb.DeletePoolRequest(name=f"{ARRAY}/pools/pool1"))
    for port_id in ("p0", "p1"):
        array.DeletePort(pb.DeletePortRequest(name=f"{ARRAY}/ports/{port_id}"))
    array.DeleteController(pb.DeleteControllerRequest(name=f"{ARRAY}/controllers/c0"))
    assert not array.ListPorts(pb.ListPortsRequest(parent=ARRAY)).ports
    assert not array.ListControllers(pb.ListControllersRequest(parent=ARRAY)).controllers
    assert not array.ListPools(pb.ListPoolsRequest(parent=ARRAY)).pools
    assert not array.ListArrayHosts(pb.ListArrayHostsRequest(parent=ARRAY)).array_hosts
    assert not array.ListExports(pb.ListExportsRequest(parent=ARRAY)).exports


def test_snapshots_in_a_batch_are_all_taken_at_one_instant_or_none(stack: Stack) -> None:
    stack.create_volume("v2")

    def batch(*ids: tuple[str, str]) -> list[pb.VolumeSnapshot]:
        requests = [
            pb.CreateVolumeSnapshotRequest(
                volume_snapshot_id=snapshot_id,
                volume_snapshot=pb.VolumeSnapshot(
                    volume=f"{ARRAY}/volumes/{volume}", labels={"app": volume}
                ),
            )
            for snapshot_id, volume in ids
        ]
        answer = stack.array.BatchCreateVolumeSnapshots(
            pb.BatchCreateVolumeSnapshotsRequest(parent=ARRAY, requests=requests)
        )
        return list(answer.volume_snapshots)

    taken = batch(("s1", "v1"), ("s2", "v2"))
    assert [snapshot.labels["app"] for snapshot in taken] == ["v1", "v2"]
    assert len({snapshot.create_ns for snapshot in taken}) == 1
    with pytest.raises(NotFound):
        batch(("s3", "v1"), ("s4", "v9"))
    with pytest.raises(AlreadyExists):
        batch(("s5", "v1"), ("s5", "v2"))
    listed = stack.array.ListVolumeSnapshots(pb.ListVolumeSnapshotsRequest(parent=ARRAY))
    assert len(listed.volume_snapshots) == 2
