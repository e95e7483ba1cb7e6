"""Exports that a host may only read: what writes is answered 7/27/00 and has no effect."""

from __future__ import annotations

import pytest

from smokestack.array.model import ArrayModel
from smokestack.array.specs import (
    ArrayHostSpec,
    ExportSpec,
    HostSetSpec,
    InitiatorSpec,
    SetExportSpec,
)
from smokestack.engine.records import Op, Sense, Status
from smokestack.v1 import array_pb2 as pb
from tests.api import ARRAY, Stack
from tests.array.test_array import PAGE, attach, batch, make_array


def make() -> ArrayModel:
    """A volume that one host writes and another one only reads."""
    array = make_array()
    array.create_host(ArrayHostSpec("h2", (InitiatorSpec("h2-a", "fabric-a"),)))
    array.create_export(ExportSpec("v1", "h2", 0, read_only=True))
    return attach(array)


def answer(array: ArrayModel, nexus: int, op: Op, flags: int = 0) -> tuple[int, int]:
    """Status and sense of one command to the first page."""
    ios = batch((array.now_ns, array.now_ns << 8 | op, op, 0, PAGE))
    ios.records["nexus"], ios.records["flags"] = nexus, flags
    reply = array.exchange(array.now_ns + 10**9, ios)
    return int(reply.records[0]["status"]), int(reply.records[0]["sense"])


def the_readers(array: ArrayModel) -> int:
    return next(index for index, itl in enumerate(array.itls) if itl[1] == "h2")


@pytest.mark.parametrize("op", [Op.WRITE, Op.WRITE_SAME, Op.UNMAP])
def test_what_writes_is_refused_without_effect(op: Op) -> None:
    array = make()
    protected = (Status.CHECK_CONDITION, Sense.WRITE_PROTECTED)
    assert answer(array, the_readers(array), op) == protected
    assert array.pool_usage("p1").allocated_bytes == 0
    assert answer(array, 0, Op.WRITE) == (Status.GOOD, Sense.NONE)
    had = array.pool_usage("p1").allocated_bytes
    assert had > 0
    assert answer(array, the_readers(array), op) == protected
    assert array.pool_usage("p1").allocated_bytes == had
    assert answer(array, the_readers(array), Op.READ) == (Status.GOOD, Sense.NONE)
    row = array.state["itl"][the_readers(array)]
    assert (int(row["check_condition"]), int(row["good"])) == (2, 1)


def test_a_port_created_later_is_read_only_too() -> None:
    array = make()
    array.create_port(array.ports["p0"].__class__("p7", "c0", "fabric-a"))
    late = next(i for i, itl in enumerate(array.itls) if itl[1] == "h2" and itl[3] == "p7")
    assert answer(array, late, Op.WRITE)[1] == Sense.WRITE_PROTECTED


def test_a_sets_export_can_be_read_only_for_all_who_join() -> None:
    array = make_array()
    array.create_host(ArrayHostSpec("h2", (InitiatorSpec("h2-a", "fabric-a"),)))
    array.create_host(ArrayHostSpec("h3", (InitiatorSpec("h3-a", "fabric-a"),)))
    array.sets.create_host_set(HostSetSpec("hs", ("h2",)))
    array.sets.create_export(SetExportSpec("v1", "hs", 3, read_only=True))
    array.sets.update_host_set("hs", ("h2", "h3"))
    assert array.exports["v1", "h3"].read_only
    attach(array)
    mine = next(i for i, itl in enumerate(array.itls) if itl[1] == "h3")
    assert answer(array, mine, Op.WRITE)[1] == Sense.WRITE_PROTECTED


def test_the_api_exports_read_only() -> None:
    stack = Stack()
    stack.create_volume("v2")
    export = pb.Export(volume=f"{ARRAY}/volumes/v2", host=f"{ARRAY}/hosts/h1", read_only=True)
    made = stack.array.CreateExport(pb.CreateExportRequest(parent=ARRAY, export=export))
    assert made.read_only
    assert not stack.array.GetExport(pb.GetExportRequest(name=f"{ARRAY}/exports/v1.h1")).read_only
