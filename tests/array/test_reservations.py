"""Persistent reservations: who may do what, who hears of it, and what outlives a loss of power."""

from __future__ import annotations

import numpy as np
import pytest

from smokestack.array.model import ArrayModel
from smokestack.array.reservations import (
    ReservationAction,
    Reservations,
    ReservationType,
    ReserveOut,
)
from smokestack.array.specs import ArrayHostSpec, ExportSpec, InitiatorSpec
from smokestack.engine.blockdevice import IoBatch
from smokestack.engine.errors import FailedPrecondition, InvalidArgument, NotFound
from smokestack.engine.event_kinds import EventKind
from smokestack.engine.fault_rules import FaultRule
from smokestack.engine.records import SUBMISSION, Op, Sense, Status
from smokestack.v1 import array_pb2 as pb
from tests.api import ARRAY, Stack
from tests.array.test_array import L, attach, make_array

GOOD = (Status.GOOD, Sense.NONE)
CONFLICT = (Status.RESERVATION_CONFLICT, Sense.NONE)
HOSTS = ("h1", "h2", "h3")
Do, Type = ReservationAction, ReservationType


def shared() -> ArrayModel:
    """A volume that three hosts reach."""
    array = make_array()
    for host in HOSTS[1:]:
        array.create_host(ArrayHostSpec(host, (InitiatorSpec(f"{host}-a", "fabric-a"),)))
        array.create_export(ExportSpec("v1", host, 0))
    return attach(array)


def do(array: ArrayModel, host: str, op: Op = Op.WRITE) -> tuple[int, int]:
    """What a command of a host is answered."""
    records = np.zeros(1, SUBMISSION)
    records["time"], records["id"], records["op"], records["length"] = array.now_ns, 1, op, 4096
    records["nexus"] = next(i for i, itl in enumerate(array.itls) if itl[1] == host)
    reply = array.exchange(array.now_ns + 10**9, IoBatch(records, 1))
    done = int(reply.records[0]["status"]), int(reply.records[0]["sense"])
    array.exchange(array.now_ns + L, IoBatch(records, 0))
    return done


def out(array: ArrayModel, host: str, action: Do, *keys: int, kind: Type | None = None) -> None:
    array.reservations.carry_out("v1", ReserveOut(host, action, *keys, kind=kind))


def register(array: ArrayModel, **keys: int) -> None:
    for host, key in keys.items():
        out(array, host, Do.REGISTER, 0, key)


def allowed(array: ArrayModel) -> str:
    """What each host may do: "rw", "r-" or "--"."""
    found = []
    for host in HOSTS:
        reads, writes = do(array, host, Op.READ), do(array, host)
        assert {reads, writes} <= {GOOD, CONFLICT}
        found.append("-r"[reads == GOOD] + "-w"[writes == GOOD])
    return " ".join(found)


@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        (Type.WRITE_EXCLUSIVE, "rw r- r-"),
        (Type.EXCLUSIVE_ACCESS, "rw -- --"),
        (Type.WRITE_EXCLUSIVE_REGISTRANTS_ONLY, "rw rw r-"),
        (Type.EXCLUSIVE_ACCESS_REGISTRANTS_ONLY, "rw rw --"),
        (Type.WRITE_EXCLUSIVE_ALL_REGISTRANTS, "rw rw r-"),
        (Type.EXCLUSIVE_ACCESS_ALL_REGISTRANTS, "rw rw --"),
    ],
)
def test_each_type_keeps_others_from_what_it_says(kind: Type, seen: str) -> None:
    array = shared()
    register(array, h1=1, h2=2)
    assert allowed(array) == "rw rw rw"
    out(array, "h1", Do.RESERVE, 1, kind=kind)
    assert allowed(array) == seen
    out(array, "h1", Do.RELEASE, 1, kind=kind)
    told = (Status.CHECK_CONDITION, Sense.RESERVATIONS_RELEASED)
    assert do(array, "h2") == (told if "REGISTRANTS" in kind.name else GOOD)
    assert allowed(array) == "rw rw rw"


def test_a_conflict_is_counted_and_changes_nothing() -> None:
    array = shared()
    register(array, h1=1)
    out(array, "h1", Do.RESERVE, 1, kind=Type.WRITE_EXCLUSIVE)
    assert do(array, "h2", Op.UNMAP) == do(array, "h3", Op.WRITE_SAME) == CONFLICT
    assert array.volume_usage("v1").allocated_bytes == 0
    assert array.port_usage("p0").outstanding_count == 0


def test_the_holder_that_leaves_ends_its_reservation() -> None:
    array = shared()
    register(array, h1=1, h2=2)
    kind = Type.EXCLUSIVE_ACCESS_REGISTRANTS_ONLY
    out(array, "h1", Do.RESERVE, 1, kind=kind)
    out(array, "h1", Do.REGISTER, 1, 0)
    assert do(array, "h2") == (Status.CHECK_CONDITION, Sense.RESERVATIONS_RELEASED)
    assert allowed(array) == "rw rw rw"
    assert array.reservations.of("v1").keys == (("h2", 2),)


def test_all_registrants_hold_until_the_last_one_leaves() -> None:
    array = shared()
    register(array, h1=1, h2=2)
    out(array, "h1", Do.RESERVE, 1, kind=Type.EXCLUSIVE_ACCESS_ALL_REGISTRANTS)
    out(array, "h1", Do.REGISTER, 1, 0)
    assert allowed(array) == "-- rw --"
    array.delete_export("v1", "h2")
    assert array.reservations.of("v1").kind is None
    assert do(array, "h3") == GOOD


def test_clear_ends_everything_and_tells_the_others() -> None:
    array = shared()
    register(array, h1=1, h2=2)
    out(array, "h1", Do.RESERVE, 1, kind=Type.EXCLUSIVE_ACCESS)
    out(array, "h2", Do.CLEAR, 2)
    assert do(array, "h1") == (Status.CHECK_CONDITION, Sense.RESERVATIONS_PREEMPTED)
    assert allowed(array) == "rw rw rw"
    left = array.reservations.of("v1")
    assert (left.keys, left.kind, left.generation) == ((), None, 3)


def test_preempting_the_holder_takes_the_reservation_over() -> None:
    array = shared()
    register(array, h1=1, h2=2, h3=3)
    out(array, "h1", Do.RESERVE, 1, kind=Type.WRITE_EXCLUSIVE_REGISTRANTS_ONLY)
    out(array, "h2", Do.PREEMPT, 2, 1, kind=Type.WRITE_EXCLUSIVE)
    assert do(array, "h1") == (Status.CHECK_CONDITION, Sense.REGISTRATIONS_PREEMPTED)
    assert do(array, "h3") == (Status.CHECK_CONDITION, Sense.RESERVATIONS_RELEASED)
    assert allowed(array) == "r- rw r-"
    assert array.reservations.of("v1").holder == "h2"
    [*_, told] = [e for e in array.events.after(0, 999) if e.kind == EventKind.RESERVATIONS_CHANGED]
    assert dict(told.detail)["action"] == "PREEMPT"


def test_preempting_another_key_only_ends_registrations() -> None:
    array = shared()
    register(array, h1=1, h2=2, h3=2)
    out(array, "h1", Do.RESERVE, 1, kind=Type.WRITE_EXCLUSIVE)
    out(array, "h1", Do.PREEMPT, 1, 2, kind=Type.EXCLUSIVE_ACCESS)
    for host in ("h2", "h3"):
        assert do(array, host) == (Status.CHECK_CONDITION, Sense.REGISTRATIONS_PREEMPTED)
    assert allowed(array) == "rw r- r-"


@pytest.mark.parametrize("aptpl", [False, True])
def test_only_what_is_to_persist_outlives_a_loss_of_power(aptpl: bool) -> None:
    array = shared()
    array.reservations.carry_out("v1", ReserveOut("h1", Do.REGISTER, 0, 7, aptpl=aptpl))
    out(array, "h1", Do.RESERVE, 7, kind=Type.EXCLUSIVE_ACCESS)
    array.faults.inject(
        FaultRule("ARRAY_POWER_LOSS", array.name, start_ns=10**7, duration_ns=10**6)
    )
    for window_ns in (L, 10**8):  # the rule is known before the window that it acts in
        array.exchange(array.now_ns + window_ns, IoBatch(np.zeros(0, SUBMISSION), 0))
    for host in HOSTS:
        assert do(array, host) == (Status.CHECK_CONDITION, Sense.POWER_ON)
    assert allowed(array) == ("rw -- --" if aptpl else "rw rw rw")
    assert bool(array.reservations.held) is aptpl


def test_a_host_that_gains_a_port_is_what_it_was() -> None:
    array = shared()
    register(array, h1=1)
    out(array, "h1", Do.RESERVE, 1, kind=Type.EXCLUSIVE_ACCESS)
    array.create_host(ArrayHostSpec("h4", (InitiatorSpec("h4-a", "fabric-a"),)))
    array.create_export(ExportSpec("v1", "h4", 0))
    assert do(array, "h4") == CONFLICT


@pytest.mark.parametrize(
    ("action", "keys", "kind", "says"),
    [
        (Do.REGISTER, (5, 6), None, "registered with key 0, not 5"),
        (Do.RESERVE, (0,), Type.WRITE_EXCLUSIVE, "not registered"),
        (Do.CLEAR, (9,), None, "not 9"),
    ],
)
def test_who_is_not_registered_with_the_key_conflicts(
    action: Do, keys: tuple[int, ...], kind: Type | None, says: str
) -> None:
    array = shared()
    with pytest.raises(FailedPrecondition, match=says) as refused:
        out(array, "h1", action, *keys, kind=kind)
    assert refused.value.reason == "RESERVATION_CONFLICT"
    assert array.reservations.of("v1") == Reservations()


def test_what_cannot_be_is_refused() -> None:
    array = shared()
    register(array, h1=1, h2=2)
    out(array, "h1", Do.RESERVE, 1, kind=Type.WRITE_EXCLUSIVE)
    with pytest.raises(FailedPrecondition, match="reserved as WRITE_EXCLUSIVE by h1"):
        out(array, "h2", Do.RESERVE, 2, kind=Type.WRITE_EXCLUSIVE)
    with pytest.raises(FailedPrecondition, match="reserved as WRITE_EXCLUSIVE by h1"):
        out(array, "h1", Do.RESERVE, 1, kind=Type.EXCLUSIVE_ACCESS)
    with pytest.raises(InvalidArgument, match="reserved as WRITE_EXCLUSIVE"):
        out(array, "h1", Do.RELEASE, 1, kind=Type.EXCLUSIVE_ACCESS)
    with pytest.raises(InvalidArgument, match="is not set"):
        out(array, "h1", Do.RESERVE, 1)
    with pytest.raises(InvalidArgument, match="give the key"):
        out(array, "h2", Do.PREEMPT, 2, 0, kind=Type.WRITE_EXCLUSIVE)
    with pytest.raises(FailedPrecondition, match="nobody else"):
        out(array, "h2", Do.PREEMPT, 2, 77, kind=Type.WRITE_EXCLUSIVE)
    with pytest.raises(InvalidArgument, match="reservation_key"):
        out(array, "h2", Do.REGISTER, -1, 5)
    with pytest.raises(NotFound, match=r"exports/v1\.h9"):
        out(array, "h9", Do.REGISTER, 0, 5)
    out(array, "h2", Do.RELEASE, 2, kind=Type.WRITE_EXCLUSIVE)  # it holds none: no effect
    assert array.reservations.of("v1").holder == "h1"


def test_the_api_reserves_and_tells() -> None:
    stack = Stack()
    name = f"{ARRAY}/exports/v1.h1"
    send = stack.array.PersistentReserveOut
    request = pb.PersistentReserveOutRequest(
        name=name,
        action=pb.RESERVATION_ACTION_REGISTER,
        service_action_reservation_key=42,
        aptpl=True,
    )
    send(request)
    request = pb.PersistentReserveOutRequest(
        name=name,
        action=pb.RESERVATION_ACTION_RESERVE,
        reservation_key=42,
        type=pb.RESERVATION_TYPE_EXCLUSIVE_ACCESS,
    )
    made = send(request)
    volume = f"{ARRAY}/volumes/v1"
    assert made == pb.VolumeReservations(
        volume=volume,
        registrations=[{"host": f"{ARRAY}/hosts/h1", "reservation_key": 42}],
        type=pb.RESERVATION_TYPE_EXCLUSIVE_ACCESS,
        holder=f"{ARRAY}/hosts/h1",
        generation=1,
        aptpl=True,
    )
    found = stack.array.GetVolumeReservations(pb.GetVolumeReservationsRequest(name=volume))
    assert found == made
    with pytest.raises(NotFound):
        stack.array.GetVolumeReservations(pb.GetVolumeReservationsRequest(name=f"{volume}x"))
    request.action = pb.RESERVATION_ACTION_UNSPECIFIED
    with pytest.raises(InvalidArgument, match="REGISTER, RESERVE"):
        send(request)
    request.action, request.type = pb.RESERVATION_ACTION_RESERVE, 2
    with pytest.raises(InvalidArgument, match="none of WRITE_EXCLUSIVE"):
        send(request)
