"""Snapshots from model to model: taken at any border, put back here, elsewhere, or over links."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smokestack.array.specs import VolumeSpec
from smokestack.engine.errors import FailedPrecondition, InvalidArgument, Refused
from smokestack.engine.fault_rules import FaultRule
from smokestack.engine.snapshot import Piece, Pieces
from smokestack.hypervisor.model import HypervisorModel
from smokestack.server import pieces as pieces_of_wire
from smokestack.server.build import Api, build
from smokestack.server.link import GrpcDevice
from smokestack.server.listen import Listener
from smokestack.server.rooms import array_room, hypervisor_room, multipath_room
from smokestack.server.stack import Stack
from smokestack.v1 import scenario_pb2
from tests.server.scenarios import small_scenario

MS = 1_000_000
END_NS = 12 * MS


def live(stack: Stack) -> None:
    """A run with a bit of everything: dry pools, refusals, faults, links that come and go."""
    hypervisor = stack.hypervisor.model
    array = stack.arrays["a1"].model
    array.faults.inject(FaultRule("PORT_DOWN", "arrays/a1/ports/p1", "gone", 1, 0, 3 * MS, MS))
    array.faults.inject(FaultRule("COMMAND_FAILED", "arrays/a1/volumes/*", "bad", 0.05, 40, 2 * MS))
    hypervisor.advance(MS)
    array.set_port_enabled("p0", False)
    hypervisor.advance(2 * MS)
    array.set_port_enabled("p0", True)


def taken(hypervisor: HypervisorModel, snapshot: str = "s1") -> Pieces:
    return {piece.service: piece for piece in hypervisor.snapshot(snapshot)}


def sealed(pieces: Pieces) -> Pieces:
    return {
        name: Piece(p.snapshot, p.service, p.now_ns, data=p.sealed()) for name, p in pieces.items()
    }


def rooms_of(stack: Stack) -> list[Any]:
    return [room.model for room in stack.rooms]


def told(stack: Stack) -> list[Any]:
    """Everything that anybody could compare: digest, figures, events, tables and inventories."""
    found: list[Any] = [stack.hypervisor.model.statistics()]
    for model in rooms_of(stack):
        found.append(model.events.after(model.events.first - 1, 10**6))
        for name in model.state.order:
            if name not in ("dispatch", "counts", "out", "inbox", "hand", "born", "calendar"):
                table = model.state.used(name)
                found.append(
                    (name, table.tobytes() if table.dtype.names is None else fields(table))
                )
    found.append(stack.multipath.model.devices("h1"))
    array = stack.arrays["a1"].model
    found.append((array.exports.copy(), array.itls.copy(), list(array.faults.all())))
    found.append(array.luns._volumes.copy())
    return found


def fields(table: Any) -> dict[str, bytes]:
    """Returns a table's content without what pads its rows."""
    names = table.dtype.names
    if names is None:
        return {"": table.tobytes()}
    return {name: np.ascontiguousarray(table[name]).tobytes() for name in names}


def empty(arrays: int = 1) -> Stack:
    """A stack of the same services, with nothing in it."""
    names = [scenario_pb2.ScenarioArray(name=f"a{n + 1}") for n in range(arrays)]
    return Stack(scenario_pb2.Scenario(arrays=names))


@settings(max_examples=15)
@given(
    cut_ns=st.integers(2 * MS, END_NS),
    cuts=st.lists(st.integers(0, END_NS), max_size=4),
    through_bytes=st.booleans(),
)
def test_two_futures_of_one_past_are_those_of_two_fresh_runs(
    cut_ns: int, cuts: list[int], through_bytes: bool
) -> None:
    first, second = Stack(small_scenario()), empty()
    live(first)
    first.hypervisor.model.advance(cut_ns)
    pieces = taken(first.hypervisor.model)
    second.hypervisor.model.restore(sealed(pieces) if through_bytes else pieces)
    assert told(second) == told(first)
    for until_ns in sorted(cuts):
        if until_ns > cut_ns:
            second.hypervisor.model.advance(until_ns)
    for stack in (first, second):
        stack.hypervisor.model.advance(END_NS)
        stack.arrays["a1"].model.delete_export("v1", "h1")
        stack.hypervisor.model.advance(END_NS + 3 * MS)
    assert told(second) == told(first)
    assert first.hypervisor.model.statistics().io_count > 500
    first.hypervisor.model.restore(pieces)
    assert first.hypervisor.model.now_ns == cut_ns
    first.hypervisor.model.advance(END_NS)
    first.arrays["a1"].model.delete_export("v1", "h1")
    first.hypervisor.model.advance(END_NS + 3 * MS)
    assert told(first) == told(second)


def test_a_snapshot_changes_nothing_and_is_changed_by_nothing() -> None:
    watched, left_alone = Stack(small_scenario()), Stack(small_scenario())
    for stack in (watched, left_alone):
        live(stack)
        stack.hypervisor.model.advance(4 * MS)
    pieces = taken(watched.hypervisor.model)
    before = {name: piece.sealed() for name, piece in pieces.items()}
    for _ in range(2):
        for stack in (watched, left_alone):
            stack.hypervisor.model.advance(stack.hypervisor.model.now_ns + 2 * MS)
            stack.hypervisor.model.restore(pieces) if stack is watched else None
            watched.hypervisor.model.advance(stack.hypervisor.model.now_ns)
        assert told(watched) == told(left_alone)
    assert {name: piece.sealed() for name, piece in pieces.items()} == before


def test_a_stack_goes_back_whatever_has_become_of_its_inventory() -> None:
    stack = Stack(small_scenario())
    live(stack)
    hypervisor, array = stack.hypervisor.model, stack.arrays["a1"].model
    at_start = taken(hypervisor)
    known = told(stack)
    hypervisor.advance(4 * MS)
    hypervisor.stop_job("h1", "on-a1", "j0")
    array.create_volume(VolumeSpec("v9", "p1", 1 << 30))
    array.delete_export("v2", "h2")
    stack.multipath.model.rescan("h2")
    array.faults.clear("bad")
    hypervisor.advance(6 * MS)
    hypervisor.restore(at_start)
    assert told(stack) == known


def test_a_snapshot_before_the_first_advance_leaves_the_tree_without_a_driver() -> None:
    stack = Stack(small_scenario())
    at_start = taken(stack.hypervisor.model)
    known = told(stack)
    stack.hypervisor.model.advance(2 * MS)
    stack.hypervisor.model.restore(at_start)
    assert told(stack) == known
    assert stack.arrays["a1"].model.driver is None
    fresh = Stack(small_scenario())
    for one in (stack, fresh):
        one.hypervisor.model.advance(2 * MS)
    assert stack.hypervisor.model.digest() == fresh.hypervisor.model.digest()


def linked(scenario: scenario_pb2.Scenario, resources: ExitStack) -> HypervisorModel:
    """A built stack whose rooms meet over links, as processes do."""
    array, multipath, hypervisor = array_room("a1"), multipath_room(), hypervisor_room()
    for room, connect in (
        (array, lambda link: multipath.model.connect_array("a1", link)),
        (multipath, hypervisor.model.connect),
    ):
        listener = Listener(room)
        resources.callback(listener.stop)
        listener.start()
        link = GrpcDevice(listener.endpoint.address)
        resources.callback(link.close)
        connect(link)
    api = Api(
        arrays={"a1": array.api},
        multipath=multipath.api,
        hypervisor=hypervisor.api,
        simulation=hypervisor.simulation,
        simulations={room.name: room.simulation for room in (array, multipath, hypervisor)},
    )
    build(scenario, api)
    return hypervisor.model


@pytest.mark.parametrize("part_bytes", [1 << 20, 5_000])
def test_over_links_every_service_is_at_the_same_border(
    part_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces_of_wire, "PART_BYTES", part_bytes)
    with ExitStack() as resources:
        driver = linked(small_scenario(), resources)
        fresh = Stack(small_scenario()).hypervisor.model
        at_start = taken(driver)
        driver.advance(3 * MS)
        pieces = taken(driver, "s2")
        assert {(p.now_ns, p.snapshot) for p in pieces.values()} == {(3 * MS, "s2")}
        assert set(pieces) == {"hypervisors/hv1", "multipaths/m1", "arrays/a1"}
        digests = []
        for past in (pieces, at_start, pieces):
            driver.advance(8 * MS)
            digests.append(driver.digest())
            driver.restore(past)
        fresh.restore(pieces)
        for one in (driver, fresh):
            one.advance(8 * MS)
            digests.append(one.digest())
        assert digests == digests[:1] * 5
        assert driver.statistics() == fresh.statistics()
        with pytest.raises(InvalidArgument) as refusal:
            driver.restore({**pieces, "arrays/a1": at_start["arrays/a1"]})
        assert refusal.value.reason == "SNAPSHOT_MIXED"
        damaged = replace(pieces["arrays/a1"], data=pieces["arrays/a1"].sealed()[:-1])
        with pytest.raises(InvalidArgument, match="damaged or cut short"):
            driver.restore({**pieces, "arrays/a1": damaged})
        assert driver.now_ns == 8 * MS
        driver.advance(9 * MS)
        fresh.advance(9 * MS)
        assert driver.digest() == fresh.digest()


def test_pieces_of_different_snapshots_never_mix() -> None:
    stack = Stack(small_scenario())
    stack.hypervisor.model.advance(2 * MS)
    early = taken(stack.hypervisor.model)
    stack.hypervisor.model.advance(3 * MS)
    late = taken(stack.hypervisor.model, "s2")
    known = told(stack)
    mixed = {**late, "arrays/a1": sealed(early)["arrays/a1"]}
    disguised = {**late, "arrays/a1": replace(mixed["arrays/a1"], snapshot="s2", now_ns=3 * MS)}
    for pieces in (mixed, disguised):
        with pytest.raises(Refused) as refusal:
            stack.hypervisor.model.restore(pieces)
        assert refusal.value.reason == "SNAPSHOT_MIXED"
    without = {name: piece for name, piece in late.items() if name != "arrays/a1"}
    with pytest.raises(FailedPrecondition, match="holds nothing of arrays/a1"):
        stack.hypervisor.model.restore(without)
    more = {**late, "arrays/a9": replace(late["arrays/a1"], service="arrays/a9")}
    with pytest.raises(FailedPrecondition, match="arrays/a9, which is not here"):
        stack.hypervisor.model.restore(more)
    assert told(stack) == known


def test_a_snapshot_of_another_stack_is_refused_with_what_it_is_of() -> None:
    one, two = Stack(small_scenario()), Stack(small_scenario(2))
    pieces = taken(one.hypervisor.model)
    known = told(two)
    with pytest.raises(FailedPrecondition, match=r"is of a stack with arrays a1; .* has a1, a2"):
        two.hypervisor.model.restore(pieces)
    assert told(two) == known


@settings(max_examples=60)
@given(data=st.data())
def test_damaged_bytes_are_refused_and_nothing_is_half_restored(data: st.DataObject) -> None:
    stack = Stack(small_scenario())
    stack.hypervisor.model.advance(1 * MS)
    pieces = sealed(taken(stack.hypervisor.model))
    known = told(stack)
    name = data.draw(st.sampled_from(sorted(pieces)))
    content = bytearray(pieces[name].data or b"")
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] ^= data.draw(st.integers(1, 255))
    else:
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    with pytest.raises(InvalidArgument):
        stack.hypervisor.model.restore({**pieces, name: replace(pieces[name], data=bytes(content))})
    assert told(stack) == known
