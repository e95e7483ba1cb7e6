"""An array kept in a state directory, and what of it has to survive."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
    "array_hosts": pb.ListArrayHostsRequest,
    "exports": pb.ListExportsRequest,
}
_COUNTED = ("_count", "x_bytes", "mean_response_ns")  # from the last power-on: how such fields end


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
    found["itls"] = state.used("itl")[["volume", "port", "valid", "hidden"]].tolist()
    found["now_ns"], found["seed"] = room.model.now_ns, room.model.seed
    faults = room.simulation.ListFaults(faults_pb2.ListFaultsRequest())
    found["faults"] = [MessageToDict(fault) for fault in faults.faults]
    if events:
        kept, _, _ = room.model.events.state()
        found["events"] = [event for event in kept if event.kind != "RECOVERED"]
    return found


def check_sums(model: ArrayModel) -> None:
    """Asserts that pools and volumes count the pages that are mapped, each taken once."""
    state = model.state
    keys, physical = (state["page"][field] for field in ("key", "physical"))
    mapped = keys != 0
    volumes = (keys[mapped] >> 40).astype(int) - 1
    assert int(state.row["page_count"]) == int(mapped.sum())
    rows = state.used("volume")
    for index, row in enumerate(rows):
        assert row["allocated_pages"] == (volumes == index).sum()
        assert row["valid"] or not row["allocated_pages"]
    pools = rows["pool"][volumes]
    for index, row in enumerate(state.used("pool")):
        taken = physical[mapped][pools == index]
        assert row["allocated_pages"] == len(set(taken.tolist())) == len(taken)
        assert len(taken) == 0 or row["next_page"] > taken.max()


def _words(listing: str) -> str:
    return "".join(word.capitalize() for word in listing.split("_"))


def _lasting(message: Any) -> dict[str, Any]:
    """Returns a message without what counts from the last power-on."""
    known = MessageToDict(message, preserving_proto_field_name=True)
    return {key: value for key, value in known.items() if not key.endswith(_COUNTED)}
