"""Task management in an array, driven record by record."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smokestack.array.model import ArrayModel
from smokestack.array.reservations import ReservationAction, ReservationType, ReserveOut
from smokestack.array.specs import (
    ArrayHostSpec,
    ControllerSpec,
    ExportSpec,
    InitiatorSpec,
    MediaDistribution,
    PoolSpec,
    PortSpec,
    VolumeSpec,
)
from smokestack.engine.blockdevice import Attachment, IoBatch
from smokestack.engine.fault_rules import FaultRule
from smokestack.engine.records import (
    RESET_ATTEMPT,
    SUBMISSION,
    Attention,
    Kind,
    Op,
    Sense,
    Status,
    Task,
)

MS = 1_000_000
Row = tuple[int, int, int, int, int]  # time, id, op, nexus, attempt


def make_array(
    *, tas: bool = False, queue_limit: int = 64, write_ns: int = 10_000, hang_refusals: int = 0
) -> ArrayModel:
    """Two hosts, a port each way, two volumes; the media take a millisecond."""
    array = ArrayModel("a1")
    array.create_controller(ControllerSpec("c0", core_count=1, write_ns=write_ns, write_back=False))
    port = PortSpec("p0", "c0", "f", queue_limit=queue_limit, command_ns=1_000)
    array.create_port(replace(port, hang_refusals=hang_refusals))
    array.create_pool(
        PoolSpec(
            "p1",
            1 << 30,
            disk_count=1,
            media_ns=MS,
            media_distribution=MediaDistribution.CONSTANT,
        )
    )
    for number in (1, 2):
        array.create_volume(VolumeSpec(f"v{number}", "p1", 1 << 20, task_aborted_status=tas))
    for host in ("h1", "h2"):
        array.create_host(ArrayHostSpec(host, (InitiatorSpec(f"{host}-a", "f"),)))
    # Nexuses: 0 and 1 of the first volume, 2 of the second.
    array.create_export(ExportSpec("v1", "h1", 0))
    array.create_export(ExportSpec("v1", "h2", 0))
    array.create_export(ExportSpec("v2", "h1", 1))
    array.attach(Attachment("multipaths/m1", 1, 1, 0, array.lookahead_ns))
    return array


def exchange(array: ArrayModel, *rows: Row, until_ns: int = 20 * MS) -> list[tuple[int, ...]]:
    """Runs one window; returns (kind, status, id, attempt, sense) of what comes back, in order."""
    records = np.zeros(len(rows), SUBMISSION)
    for record, (time, ident, op, nexus, attempt) in zip(records, rows, strict=True):
        record["time"], record["id"], record["op"] = time, ident, op
        record["nexus"], record["attempt"] = nexus, attempt
        record["length"] = 0 if op in tuple(Task) else 4096
        record["lba"] = 77 if op in tuple(Task) else 8 * (ident % 64)
    reply = array.exchange(until_ns, IoBatch(records, len(records)))
    names = ("kind", "status", "id", "attempt", "sense")
    return [tuple(int(r[name]) for name in names) for r in reply.records[: reply.count]]


def task(array: ArrayModel, itl: int) -> tuple[int, int, int, int]:
    """ABORT TASK, resets, commands ended, and those answered, of a nexus."""
    row = array.state["task"][itl]
    return tuple(int(row[n]) for n in ("abort_tasks", "lun_resets", "aborted", "task_aborted"))


GOOD = (Kind.RESPONSE, Status.GOOD)
DONE = (Kind.TASK, Status.GOOD)


def test_an_aborted_command_leaves_without_an_answer_when_its_station_lets_it_go() -> None:
    array = make_array()
    rows = (0, 1, Op.WRITE, 0, 0), (0, 2, Op.WRITE, 0, 0), (50_000, 2, Task.ABORT_TASK, 0, 0)
    told = exchange(array, *rows, until_ns=MS // 2)
    assert told == [(*DONE, 2, 0, 77)], "its own word comes back"
    assert int(array.state["port"]["outstanding"][0]) == 2, "places are kept for now"
    assert exchange(array, until_ns=20 * MS) == [(*GOOD, 1, 0, 0)]
    assert int(array.state["port"]["outstanding"][0]) == 0
    assert int(array.state["pool"]["media_busy_ns"][0]) == 2 * MS, "the disk had begun"
    assert task(array, 0) == (1, 0, 1, 0)


def test_a_command_that_waits_in_the_controller_never_gets_to_the_media() -> None:
    array = make_array(write_ns=100_000)
    many = [(0, n, Op.WRITE, 0, 0) for n in range(1, 40)]
    told = exchange(array, *many, (1, 39, Task.ABORT_TASK, 0, 0), until_ns=100 * MS)
    assert len(told) == 39, "38 answers and one word"
    assert int(array.state["pool"]["media_busy_ns"][0]) == 38 * MS


def test_an_abort_of_what_is_not_there_is_complete_and_of_another_nexus_does_nothing() -> None:
    array = make_array()
    told = exchange(
        array,
        (0, 1, Op.WRITE, 0, 0),
        (50_000, 1, Task.ABORT_TASK, 1, 0),
        (50_000, 1, Task.ABORT_TASK, 0, 3),
    )
    assert sorted(told) == sorted([(*GOOD, 1, 0, 0), (*DONE, 1, 0, 77), (*DONE, 1, 3, 77)])
    assert task(array, 0) == (1, 0, 0, 0)


def test_task_management_is_taken_however_full_the_port_is() -> None:
    array = make_array(queue_limit=1)
    told = exchange(
        array,
        (0, 1, Op.WRITE, 0, 0),
        (10, 2, Op.WRITE, 0, 0),
        (20, 1, Task.ABORT_TASK, 0, 0),
        until_ns=MS,
    )
    assert (*DONE, 1, 0, 77) in told
    assert (Kind.RESPONSE, Status.TASK_SET_FULL, 2, 0, 0) in told


@pytest.mark.parametrize("tas", [False, True])
def test_a_unit_reset_ends_all_its_commands_and_tells_other_nexuses(tas: bool) -> None:
    array = make_array(tas=tas)
    rows = [(0, n, Op.WRITE, n % 3, 0) for n in range(3, 9)]  # two of each nexus
    reset = (50_000, 9, Task.LOGICAL_UNIT_RESET, 0, RESET_ATTEMPT)
    told = exchange(array, *rows, reset, until_ns=MS // 2)
    ended = [(Kind.RESPONSE, Status.TASK_ABORTED, n, 0, 0) for n in (4, 7)] if tas else []
    assert told == [(*DONE, 9, RESET_ATTEMPT, 77), *ended]
    assert exchange(array) == [(*GOOD, 5, 0, 0), (*GOOD, 8, 0, 0)], "of the other volume"
    assert task(array, 0) == (0, 1, 2, 0)
    assert task(array, 1) == (0, 0, 2, 2 * tas)
    pending = [int(bits) for bits in array.state["itl"]["attentions"][:3]]
    assert pending == [0, 1 << Attention.LUN_RESET, 0]
    (answer,) = exchange(array, (20 * MS, 10, Op.READ, 1, 0), until_ns=30 * MS)
    assert answer == (Kind.RESPONSE, Status.CHECK_CONDITION, 10, 0, Sense.LUN_RESET)


def test_a_target_reset_is_of_all_units_behind_its_port() -> None:
    array = make_array()
    rows = [(0, n, Op.WRITE, n % 3, 0) for n in range(3, 9)]
    reset = (50_000, 9, Task.TARGET_RESET, 0, RESET_ATTEMPT)
    assert exchange(array, *rows, reset) == [(*DONE, 9, RESET_ATTEMPT, 77)]
    assert [task(array, n)[2] for n in range(3)] == [2, 2, 2]
    pending = [int(bits) for bits in array.state["itl"]["attentions"][:3]]
    assert pending == [0, 1 << Attention.LUN_RESET, 1 << Attention.LUN_RESET]
    assert int(array.state["port"]["target_resets"][0]) == 1


def test_a_hung_port_answers_nothing_but_a_target_reset() -> None:
    array = make_array()
    exchange(array, (0, 1, Op.WRITE, 0, 0), until_ns=50_000)
    array.faults.inject(FaultRule("PORT_HANG", "arrays/a1/ports/p0"))
    lost = (
        (60_000, 2, Op.WRITE, 0, 0),
        (60_000, 3, Task.ABORT_TASK, 0, 0),
        (70_000, 4, Task.LOGICAL_UNIT_RESET, 0, RESET_ATTEMPT),
    )
    assert exchange(array, *lost, until_ns=5 * MS) == []
    reset = (5 * MS, 5, Task.TARGET_RESET, 0, RESET_ATTEMPT)
    assert exchange(array, reset, until_ns=6 * MS) == [(*DONE, 5, RESET_ATTEMPT, 77)]
    told = exchange(array, (6 * MS, 6, Op.WRITE, 0, 0), until_ns=20 * MS)
    assert told == [(*GOOD, 6, 0, 0)], "though the rule goes on"
    assert array.port_usage("p0").dropped_count == 4


def test_refusals_in_a_row_make_a_port_hang_until_its_link_has_gone() -> None:
    array = make_array(queue_limit=2, hang_refusals=3)
    many = [(n * 5_000, n, Op.WRITE, 0, 0) for n in range(6)]
    assert [row[1] for row in exchange(array, *many, until_ns=5 * MS)] == [
        Status.TASK_SET_FULL,
        Status.TASK_SET_FULL,
    ]
    [event] = [e for e in array.events.after(0, 99) if e.kind == "PORT_HUNG"]
    assert (event.subject, event.detail) == ("arrays/a1/ports/p0", {"refusals": 3})
    array.set_port_enabled("p0", False)
    exchange(array, until_ns=6 * MS)
    array.set_port_enabled("p0", True)
    exchange(array, until_ns=7 * MS)
    told = exchange(array, (7 * MS, 9, Op.WRITE, 0, 0), until_ns=20 * MS)
    assert told[-1] == (*GOOD, 9, 0, 0)


def test_a_port_hangs_until_the_last_rule_that_says_so_ends() -> None:
    array = make_array()
    for number, duration_ns in enumerate((2 * MS, 4 * MS)):
        rule = FaultRule("PORT_HANG", "arrays/a1/ports/*", f"f{number}", duration_ns=duration_ns)
        array.faults.inject(rule)
    assert exchange(array, (3 * MS, 1, Op.WRITE, 0, 0), until_ns=4 * MS + 50_000) == []
    told = exchange(array, (5 * MS, 2, Op.WRITE, 0, 0), until_ns=20 * MS)
    assert told == [(*GOOD, 2, 0, 0)]


@pytest.mark.parametrize("tas", [True, False])
def test_who_is_preempted_and_aborted_hears_only_where_tas_is_set(tas: bool) -> None:
    array = make_array(tas=tas)
    for host, key in (("h1", 1), ("h2", 2)):
        array.reservations.carry_out("v1", ReserveOut(host, ReservationAction.REGISTER, 0, key))
    kind = ReservationType.WRITE_EXCLUSIVE
    rows = (0, 1, Op.WRITE, 0, 0), (0, 2, Op.WRITE, 1, 0), (0, 3, Op.WRITE, 2, 0)
    assert exchange(array, *rows, until_ns=MS // 2) == []
    preempts = ReserveOut("h2", ReservationAction.PREEMPT_AND_ABORT, 2, 1, kind)
    array.reservations.carry_out("v1", preempts)
    assert task(array, 0) == (0, 0, 0, 0)  # the driver has been promised silence
    assert exchange(array, until_ns=MS // 2) == []
    assert task(array, 0) == (0, 0, 1, tas)
    aborted = exchange(array, until_ns=MS // 2 + 1)
    assert aborted == ([(Kind.RESPONSE, Status.TASK_ABORTED, 1, 0, 0)] if tas else [])
    assert exchange(array, until_ns=20 * MS) == [(*GOOD, 2, 0, 0), (*GOOD, 3, 0, 0)]
    told = exchange(array, (20 * MS, 4, Op.WRITE, 0, 0), until_ns=40 * MS)
    assert told == [(Kind.RESPONSE, Status.CHECK_CONDITION, 4, 0, Sense.REGISTRATIONS_PREEMPTED)]


def test_who_preempts_without_a_driver_aborts_nothing() -> None:
    array = make_array()
    array.detach()
    for host, key in (("h1", 1), ("h2", 2)):
        array.reservations.carry_out("v1", ReserveOut(host, ReservationAction.REGISTER, 0, key))
    kind = ReservationType.WRITE_EXCLUSIVE
    preempts = ReserveOut("h2", ReservationAction.PREEMPT_AND_ABORT, 2, 1, kind)
    assert array.reservations.carry_out("v1", preempts).keys == (("h2", 2),)
    assert not array.links.waiting
