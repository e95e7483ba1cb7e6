"""What of a service that is kept whole stands in its directory at every instant."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smokestack.array.model import ArrayModel
from smokestack.engine.errors import FailedPrecondition
from smokestack.server.kept_whole import difference, merged
from smokestack.server.recovery import kept_in
from smokestack.server.rooms import Room, hypervisor_room, multipath_room
from smokestack.v1 import faults_pb2, snapshots_pb2
from smokestack.v1 import hypervisor_pb2 as pb

LEAVES = st.integers(0, 2) | st.text("ab", max_size=1) | st.tuples(st.integers(0, 1), st.booleans())
KEYS = st.sampled_from("abcd")
NESTED = st.recursive(
    st.dictionaries(KEYS, LEAVES),
    lambda inner: st.dictionaries(KEYS, inner | LEAVES),
    max_leaves=8,
)


@given(NESTED, NESTED)
def test_a_difference_makes_one_of_the_other(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert merged(old, difference(new, old)) == new


@given(NESTED)
def test_nothing_differs_from_itself(held: dict[str, Any]) -> None:
    assert not any(difference(held, held).values())


@contextmanager
def kept(path: Path) -> Iterator[Room[Any]]:
    room = hypervisor_room("hv1")
    with kept_in(room, path):
        yield room


@contextmanager
def after_a_crash(path: Path) -> Iterator[Room[Any]]:
    """Yields what comes back from the directory as it is at this instant, in another place."""
    copy = path.parent / "crashed"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(path, copy)
    with kept(copy) as room:
        yield room


def add_vms(room: Room[Any], *vms: str) -> None:
    for vm in vms:
        room.api.CreateVm(pb.CreateVmRequest(parent="hosts/h1", vm_id=vm, request_id=f"r-{vm}"))


def vms(room: Room[Any]) -> list[str]:
    return [vm for _, vm in room.model.vms]


def test_every_acknowledged_call_is_there_in_its_order(tmp_path: Path) -> None:
    path = tmp_path / "state"
    with kept(path) as room:
        room.api.CreateHost(pb.CreateHostRequest(host_id="h1"))
        for vm in ("a", "b", "c"):
            add_vms(room, vm)
            with after_a_crash(path) as other:
                assert vms(other) == vms(room)
        room.api.DeleteVm(pb.DeleteVmRequest(name="hosts/h1/vms/a"))
        add_vms(room, "d")
        with after_a_crash(path) as other:
            assert vms(other) == ["b", "c", "d"]
            told = [e.kind for e in other.model.events.since(0)]
            assert told == [*(e.kind for e in room.model.events.since(0)), "RECOVERED"]
            add_vms(other, "e")
            add_vms(other, "e")  # a retry
            assert vms(other) == ["b", "c", "d", "e"]
    with kept(path) as room:
        assert vms(room) == ["b", "c", "d"]
        assert room.model.events.since(0)[-1].detail["after"] == "a stop"


def test_traces_and_faults_come_back(tmp_path: Path) -> None:
    path = tmp_path / "state"
    description = pb.UploadTraceDescription(trace_id="t1", format="fio-iolog", request_id="trace")
    log = b"fio version 2 iolog\n/dev/a add\n/dev/a open\n/dev/a read 0 4096\n/dev/a close\n"
    with kept(path) as room:
        room.api.CreateHost(pb.CreateHostRequest(host_id="h1"))
        add_vms(room, "a")
        parts = pb.UploadTraceRequest(description=description), pb.UploadTraceRequest(data=log)
        trace = room.api.UploadTrace(iter(parts))
        rule = faults_pb2.FaultRule(kind="VM_PAUSED", target="hosts/h1/vms/a")
        room.simulation.InjectFault(faults_pb2.InjectFaultRequest(fault_id="f1", fault=rule))
        add_vms(room, "b")
        with after_a_crash(path) as other:
            assert other.api.GetTrace(pb.GetTraceRequest(name="traces/t1")) == trace
            assert [f.rule.fault_id for f in other.model.faults.active()] == ["f1"]
            assert vms(other) == ["a", "b"]


def test_what_a_snapshot_brought_back_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "state"
    with kept(path) as room:
        room.api.CreateHost(pb.CreateHostRequest(host_id="h1"))
        add_vms(room, "a")
        snapshot = room.simulation.CreateSnapshot(
            snapshots_pb2.CreateSnapshotRequest(snapshot_id="s1")
        )
        add_vms(room, "b")
        room.simulation.RestoreSnapshot(snapshots_pb2.RestoreSnapshotRequest(name=snapshot.name))
        with after_a_crash(path) as other:
            assert vms(other) == ["a"]
        add_vms(room, "c")
        with after_a_crash(path) as other:
            assert vms(other) == ["a", "c"]


def test_a_layer_of_other_arrays_is_refused_and_its_directory_stays(tmp_path: Path) -> None:
    with kept_in(multipath_room(), tmp_path / "state"):
        pass
    other = multipath_room()
    other.model.connect_array("a1", ArrayModel("a1"))
    before = {f.name: f.read_bytes() for f in (tmp_path / "state").glob("checkpoint*")}
    with (
        pytest.raises(FailedPrecondition, match="none; multipaths/m1 has a1"),
        kept_in(other, tmp_path / "state"),
    ):
        pass
    assert before == {f.name: f.read_bytes() for f in (tmp_path / "state").glob("checkpoint*")}
