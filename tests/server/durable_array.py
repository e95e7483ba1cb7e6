"""An array kept in a state directory, and what of it has to survive."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.json_format import MessageToDict

from smokestack.array.model import ArrayModel
from smokestack.engine.records import Op
from smokestack.server.recovery import kept_in
from smokestack.server.rooms import Room, array_room
from smokestack.v1 import array_pb2 as pb
from smokestack.v1 import faults_pb2, types_pb2
from tests.array.test_array import serve

ARRAY = "arrays/a1"
PAGE = 16 << 10
GIB = 1 << 30
_LISTS = {
    "controllers": pb.ListControllersRequest,
    "ports": pb.ListPortsRequest,
    "pools": pb.ListPoolsRequest,
    "volumes": pb.ListVolumesRequest,
    "volume_snapshots": pb.ListVolumeSnapshotsRequest,
    "array_hosts": pb.ListArrayHostsRequest,
    "exports": pb.ListExportsRequest,
    "host_sets": pb.ListHostSetsRequest,
    "port_sets": pb.ListPortSetsRequest,
    "set_exports": pb.ListSetExportsRequest,
}
_SHARED = 1 << 63  # of a page's physical number
_COUNTED = (
    "_count",
    "x_bytes",
    "mean_response_ns",
    "busy_ns",
)  # from the last power-on: how such fields end


@contextmanager
def kept_array(path: Path, seed: int = 1) -> Iterator[Room[ArrayModel]]:
    """Yields an array as its directory has it; at the end it stops in order."""
    room = array_room("a1", seed)
    with kept_in(room, path):
        yield room


@contextmanager
def after_a_crash(path: Path) -> Iterator[Room[ArrayModel]]:
    """Yields what comes back from the directory as it is at this instant, in another place."""
    copy = path.parent / f"{path.name}-crashed"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(path, copy)
    with kept_array(copy) as room:
        yield room


def build(room: Room[ArrayModel], pages: int = 1 << 16) -> None:
    """Gives an array a controller, a port, a pool, a host and volume v1 on it."""
    api = room.api
    api.CreateController(
        pb.CreateControllerRequest(parent=ARRAY, controller_id="c0", controller=pb.Controller())
    )
    api.CreatePort(
        pb.CreatePortRequest(
            parent=ARRAY,
            port_id="p0",
            port=pb.Port(controller=f"{ARRAY}/controllers/c0", fabric="fabric-a"),
        )
    )
    api.CreatePool(
        pb.CreatePoolRequest(
            parent=ARRAY,
            pool_id="p1",
            pool=pb.Pool(capacity_bytes=pages * PAGE, page_bytes=PAGE),
        )
    )
    host = pb.ArrayHost(initiators=[types_pb2.Initiator(name="h1-a", fabric="fabric-a")])
    api.CreateArrayHost(
        pb.CreateArrayHostRequest(parent=ARRAY, array_host_id="h1", array_host=host)
    )
    create_volume(room, "v1")
    export(room, "v1")


def create_volume(room: Room[ArrayModel], volume_id: str, request_id: str = "") -> pb.Volume:
    """Makes a volume of 1 GiB."""
    made: pb.Volume = room.api.CreateVolume(
        pb.CreateVolumeRequest(
            parent=ARRAY,
            volume_id=volume_id,
            volume=pb.Volume(pool=f"{ARRAY}/pools/p1", capacity_bytes=GIB),
            request_id=request_id,
        )
    )
    return made


def snapshot(room: Room[ArrayModel], volume_id: str, snapshot_id: str) -> None:
    """Takes a snapshot of a volume."""
    room.api.CreateVolumeSnapshot(
        pb.CreateVolumeSnapshotRequest(
            parent=ARRAY,
            volume_snapshot_id=snapshot_id,
            volume_snapshot=pb.VolumeSnapshot(volume=f"{ARRAY}/volumes/{volume_id}"),
        )
    )


def export(room: Room[ArrayModel], volume_id: str) -> None:
    """Shows a volume to h1."""
    room.api.CreateExport(
        pb.CreateExportRequest(
            parent=ARRAY,
            export=pb.Export(volume=f"{ARRAY}/volumes/{volume_id}", host=f"{ARRAY}/hosts/h1"),
        )
    )


def write(room: Room[ArrayModel], first: int, count: int, step: int = 3) -> None:
    """Writes so many pages of v1 from a page on, each some pages behind the one before."""
    with room.border.change():
        now_ns = room.model.now_ns
        serve(
            room.model,
            *(
                (now_ns + n, now_ns << 20 | n, Op.WRITE, (first + n * step) * PAGE, PAGE)
                for n in range(count)
            ),
        )


def settled(room: Room[ArrayModel]) -> None:
    """Waits until all that has happened so far is safe."""
    room.simulation.recording.keep_time(room.border)


def observed(room: Room[ArrayModel], events: bool = True) -> dict[str, Any]:
    """Returns all that has to survive; of the events those from before the power came back."""
    found: dict[str, Any] = {}
    for listing, request in _LISTS.items():
        answer = getattr(room.api, f"List{_words(listing)}")(request(parent=ARRAY, page_size=1000))
        found[listing] = [_lasting(one) for one in getattr(answer, listing)]
    state = room.model.state
    parts = room.model.keeper.parts["model"].save()
    diversions = parts.pop("diversions")
    found["diversions"] = [
        diversions["targets"],
        {i: d[:2] for i, d in diversions["going"].items()},
    ]
    found["parts"] = {name: part for name, part in parts.items() if name != "tables"}
    pages = state["page"][state["page"]["key"] != 0]
    found["pages"] = sorted(pages.tolist())
    found["shares"] = sorted(state["share"][state["share"]["key"] != 0].tolist())
    found["itls"] = state.used("itl")[["volume", "port", "valid", "excluded", "hidden"]].tolist()
    found["now_ns"], found["seed"] = room.model.now_ns, room.model.seed
    faults = room.simulation.ListFaults(faults_pb2.ListFaultsRequest())
    found["faults"] = [MessageToDict(fault) for fault in faults.faults]
    if events:
        kept, _, _ = room.model.events.state()
        found["events"] = [event for event in kept if event.kind != "RECOVERED"]
    return found


def check_sums(model: ArrayModel) -> None:
    """Asserts that sums and references are those of the pages that are mapped, counted anew."""
    state = model.state
    rows = state["page"][state["page"]["key"] != 0]
    volumes, used = (rows["key"] >> 40).astype(int) - 1, state.used("volume")
    pages, is_shared = rows["physical"] & (_SHARED - 1), rows["physical"] >= _SHARED
    assert len(rows) == state.row["page_count"]
    assert used["valid"][volumes].all()
    counted = np.bincount(volumes, minlength=len(used))
    assert counted.tolist() == used["allocated_pages"].tolist()
    holders = np.where(used["is_snapshot"][volumes] != 0, 1, 1 << 32).astype(np.uint64)
    physical = (used["pool"][volumes].astype(np.uint64) + 1) << np.uint64(40) | pages
    held, which, count = np.unique(physical, return_inverse=True, return_counts=True)
    sums = np.zeros(len(held), np.uint64)
    np.add.at(sums, which, holders)
    assert is_shared[count[which] > 1].all()
    shares = state["share"][state["share"]["key"] != 0]
    assert len(shares) == state.row["share_count"]
    assert set(held[count > 1].tolist()) <= set(shares["key"].tolist()) <= set(held.tolist())
    assert sums[np.searchsorted(held, shares["key"])].tolist() == shares["physical"].tolist()
    for index, row in enumerate(state.used("pool")):
        mine = held >> np.uint64(40) == index + 1
        assert row["allocated_pages"] == mine.sum()
        assert row["snapshot_pages"] == (sums[mine] < 1 << 32).sum()
        assert not mine.any() or row["next_page"] > (held[mine] & np.uint64((1 << 40) - 1)).max()


def _words(listing: str) -> str:
    return "".join(word.capitalize() for word in listing.split("_"))


def _lasting(message: Any) -> dict[str, Any]:
    """Returns a message without what counts from the last power-on."""
    known = MessageToDict(message, preserving_proto_field_name=True)
    return {key: value for key, value in known.items() if not key.endswith(_COUNTED)}
