"""Asymmetric access: owners of volumes, how others serve them, and how they move."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from smokestack.array.access import GROUPS_MAX
from smokestack.array.model import ArrayModel
from smokestack.array.specs import (
    Access,
    AccessSpec,
    ArrayHostSpec,
    ControllerSpec,
    ExportSpec,
    InitiatorSpec,
    PoolSpec,
    PortSpec,
    VolumeSpec,
)
from smokestack.engine.blockdevice import NOTHING
from smokestack.engine.errors import FailedPrecondition, InvalidArgument
from smokestack.engine.event_kinds import EventKind
from smokestack.engine.records import AccessState, Flag, Op, Sense, Status
from tests.array.test_array import attach, batch
from tests.array.test_array import make_array as plain_array

TRANSITION_NS = 1_000_000
LONGER_NS = 77_000


def make_array(access: Access) -> ArrayModel:
    """Two controllers with a port each; c0 owns the volume."""
    array = ArrayModel("a1")
    array.create_controller(ControllerSpec("c0"))
    array.create_controller(ControllerSpec("c1", partner="c0"))
    array.create_port(PortSpec("p0", "c0", "fa"))
    array.create_port(PortSpec("p1", "c1", "fa"))
    array.ownership.configure(AccessSpec(access, LONGER_NS, TRANSITION_NS))
    array.create_pool(PoolSpec("q", 1 << 30))
    array.create_volume(VolumeSpec("v1", "q", 1 << 29))
    array.create_host(ArrayHostSpec("h1", (InitiatorSpec("i", "fa"),)))
    array.create_export(ExportSpec("v1", "h1", 0))
    attach(array)
    array.exchange(0, NOTHING)
    return array


def write(array: ArrayModel, nexus: int, number: int, flags: int = 0) -> Any:
    """The answer to one write through p0 (nexus 0) or p1 (nexus 1)."""
    start = array.now_ns
    one = batch((start, number, Op.WRITE, 0, 4096))
    one.records["nexus"], one.records["flags"] = nexus, flags
    array.exchange(start + 1, one)
    reply = array.exchange(start + 400_000, NOTHING)
    [answer] = [reply.records[n].copy() for n in range(reply.count)]
    return answer


def groups(answer: Any) -> list[AccessState]:
    """What an answer says of the first two target port groups."""
    told = int(answer["first_data_ns"])
    return [AccessState(told & 15), AccessState(told >> 4 & 15)]


def test_the_longer_way_costs_what_it_is_said_to() -> None:
    array = make_array(Access.ALUA)
    near, far = write(array, 0, 1), write(array, 1, 2)
    assert far["array_ns"] - near["array_ns"] == LONGER_NS
    assert (near["status"], far["status"]) == (Status.GOOD, Status.GOOD)


@pytest.mark.parametrize(
    ("access", "sense", "state"),
    [
        (Access.STANDBY, Sense.STANDBY, AccessState.STANDBY),
        (Access.UNAVAILABLE, Sense.UNAVAILABLE, AccessState.UNAVAILABLE),
    ],
)
def test_other_controllers_say_why_they_do_not_serve(
    access: Access, sense: Sense, state: AccessState
) -> None:
    array = make_array(access)
    answer = write(array, 1, 1)
    assert (answer["sense"], groups(answer)) == (sense, [AccessState.OPTIMIZED, state])
    assert [nexus.access for nexus in array.report_luns(["i"])] == groups(answer)
    assert array.volume_usage("v1").allocated_bytes == 0


def test_a_volume_that_is_moved_is_in_transition_and_then_tells_every_nexus() -> None:
    array = make_array(Access.ALUA)
    array.ownership.assign("v1", "c1")
    assert array.ownership.in_transition("v1")
    during = write(array, 0, 1)
    assert (during["sense"], groups(during)) == (Sense.TRANSITION, [AccessState.TRANSITIONING] * 2)
    array.exchange(TRANSITION_NS, NOTHING)
    for nexus in (0, 1):
        told = write(array, nexus, 2 + nexus)
        assert told["sense"] == Sense.ACCESS_CHANGED
        assert groups(told) == [AccessState.NON_OPTIMIZED, AccessState.OPTIMIZED]
    assert array.ownership.owner("v1") == "c1"
    [moved] = [e for e in array.events.after(0, 99) if e.kind == EventKind.VOLUME_MOVED]
    assert told["cause"] == moved.number


def test_a_lost_owner_s_volumes_go_to_its_partner_and_come_back() -> None:
    array = make_array(Access.ALUA)
    array.set_controller_enabled("c0", enabled=False)
    array.exchange(0, NOTHING)
    assert array.ownership.owner("v1") == "c1"
    array.set_controller_enabled("c0", enabled=True)
    array.exchange(10_000, NOTHING)
    array.exchange(10_000, NOTHING)
    assert array.ownership.owner("v1") == "c0"
    events = array.events.after(0, 99)
    there, back = [e for e in events if e.kind == EventKind.VOLUME_MOVED]
    causes = {e.name: e.kind for e in events}
    assert causes[there.cause] == EventKind.CONTROLLER_FAILED
    assert causes[back.cause] == EventKind.CONTROLLER_ONLINE


def test_on_an_active_passive_array_a_command_pulls_the_volume_over() -> None:
    array = make_array(Access.ACTIVE_PASSIVE)
    assert write(array, 0, 1)["status"] == Status.GOOD
    assert write(array, 1, 2)["sense"] == Sense.TRANSITION
    assert array.ownership.owner("v1") == "c1"
    array.exchange(array.now_ns + TRANSITION_NS, NOTHING)
    assert write(array, 1, 3)["sense"] == Sense.ACCESS_CHANGED
    assert write(array, 1, 4)["status"] == Status.GOOD
    [event] = [e for e in array.events.after(0, 99) if e.kind == EventKind.VOLUME_TRESPASSED]
    assert event.detail["by"] == "arrays/a1/hosts/h1"


@pytest.mark.parametrize("access", [Access.STANDBY, Access.UNAVAILABLE])
def test_a_host_moves_a_volume_where_it_may(access: Access) -> None:
    array = make_array(access)
    refusal = Sense.STANDBY if access is Access.STANDBY else Sense.UNAVAILABLE
    assert write(array, 1, 1, Flag.SET_GROUPS)["sense"] == refusal
    array.ownership.configure(replace(array.ownership.spec, explicit_access=True))
    assert write(array, 1, 2)["sense"] == refusal, "nobody has asked for it"
    assert write(array, 0, 3, Flag.SET_GROUPS)["status"] == Status.GOOD, "it is there"
    assert write(array, 1, 4, Flag.SET_GROUPS)["sense"] == Sense.TRANSITION
    assert array.ownership.owner("v1") == "c1"
    array.exchange(array.now_ns + TRANSITION_NS, NOTHING)
    told = write(array, 1, 5, Flag.SET_GROUPS)
    assert told["sense"] == Sense.ACCESS_CHANGED
    assert groups(told)[1] == AccessState.OPTIMIZED
    assert write(array, 1, 6)["status"] == Status.GOOD
    [event] = [e for e in array.events.after(0, 99) if e.kind == EventKind.VOLUME_TRESPASSED]
    assert event.detail["by"] == "arrays/a1/hosts/h1"


def test_a_volume_moves_from_the_longer_way_for_a_host_that_asks_and_for_no_other() -> None:
    array = make_array(Access.ALUA)
    assert write(array, 1, 1, Flag.SET_GROUPS)["status"] == Status.GOOD, "it may not"
    array.ownership.configure(replace(array.ownership.spec, explicit_access=True))
    assert write(array, 1, 2)["status"] == Status.GOOD
    assert array.ownership.owner("v1") == "c0"
    assert write(array, 1, 3, Flag.SET_GROUPS)["sense"] == Sense.TRANSITION
    assert array.ownership.owner("v1") == "c1"


def test_moves_that_cannot_be_are_refused() -> None:
    symmetric = make_array(Access.SYMMETRIC)
    with pytest.raises(FailedPrecondition, match="all controllers alike"):
        symmetric.ownership.assign("v1", "c1")
    array = make_array(Access.ALUA)
    with pytest.raises(InvalidArgument, match="no controller of the array"):
        array.ownership.assign("v1", "c7")
    array.set_controller_enabled("c1", enabled=False)
    with pytest.raises(FailedPrecondition, match="is down"):
        array.ownership.assign("v1", "c1")
    with pytest.raises(InvalidArgument, match="transition_ns"):
        array.ownership.configure(AccessSpec(Access.ALUA, 0, -1))
    with pytest.raises(InvalidArgument, match=r"volume\.controller"):
        array.create_volume(VolumeSpec("v2", "q", 512, controller_id="c9"))


def test_a_controller_that_is_deleted_leaves_its_volumes_to_others() -> None:
    array = plain_array()
    array.create_controller(ControllerSpec("c1"))
    array.ownership.configure(AccessSpec(Access.ALUA, transition_ns=1))
    array.ownership.assign("v1", "c1")
    array.delete_controller("c1")
    assert (array.ownership.owner("v1"), array.volumes["v1"].controller_id) == ("c0", "")
    moved, deleted = list(array.events.after(0, 99))[-1], list(array.events.after(0, 99))[-2]
    assert (moved.kind, moved.cause) == (EventKind.VOLUME_MOVED, deleted.name)


def test_where_access_is_asymmetric_a_controller_too_many_is_refused() -> None:
    array = plain_array()
    array.ownership.configure(AccessSpec(Access.ALUA))
    for number in range(1, GROUPS_MAX):
        array.create_controller(ControllerSpec(f"c{number}"))
    with pytest.raises(FailedPrecondition, match="make its access symmetric"):
        array.create_controller(ControllerSpec("more"))
    array.ownership.configure(AccessSpec())
    array.create_controller(ControllerSpec("more"))
