"""A port that hangs, and what hosts do about it: one result, wherever time and services are cut."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smokestack.engine.errors import FailedPrecondition
from smokestack.multipath.resets import reset_device
from smokestack.server.run import run_stack
from smokestack.server.stack import Stack
from smokestack.v1 import scenario_pb2
from tests.server.scenarios import small_scenario
from tests.server.test_snapshot_pieces import empty, sealed, taken, told

MS = 1_000_000
END_NS = 12 * MS


def hung_scenario(*, tas: bool = True) -> scenario_pb2.Scenario:
    """Both hosts' commands to a port hang twice: until a target reset, and until the rule's end."""
    scenario = small_scenario()
    scenario.multipath.command_timeout_ns = MS
    scenario.multipath.task_management_timeout_ns = 400_000
    for volume in scenario.arrays[0].volumes:
        volume.task_aborted_status = tas
    for start_ns, duration_ns in ((2 * MS, 0), (7 * MS, 1_300_000)):
        scenario.faults.add(
            kind="PORT_HANG",
            target="arrays/a1/ports/p0",
            start_ns=start_ns,
            duration_ns=duration_ns,
        )
    return scenario


def counts(stack: Stack) -> dict[str, int]:
    """What hosts have done, all devices together."""
    table = stack.multipath.model.state["recovery"]
    names = ("aborts", "unanswered", "lun_resets", "target_resets", "given_up", "task_aborted")
    return {name: int(table[name].sum()) for name in names}


def log(stack: Stack) -> list[Any]:
    return [event for room in stack.rooms for event in room.model.events.after(0, 10_000)]


def test_hosts_come_through_and_processes_as_one_process() -> None:
    here, there = (run_stack(hung_scenario(), processes=p) for p in (False, True))
    assert here["digest"] == there["digest"]
    for figure in ("ios", "errors", "virtual_seconds", "latency", "windows", "disks", "paths"):
        assert here[figure] == there[figure]
    assert here["ios"] == 3_000, "every I/O ends"


@pytest.mark.parametrize("tas", [True, False])
def test_where_time_is_cut_changes_nothing(tas: bool) -> None:
    whole, pieces = Stack(hung_scenario(tas=tas)), Stack(hung_scenario(tas=tas))
    whole.hypervisor.model.advance(END_NS)
    edges = [edge + off for edge in (2 * MS, 3 * MS, 7 * MS) for off in (-1, 0, 1)]
    for until_ns in sorted([*range(0, END_NS, 277_777), *edges, END_NS]):
        pieces.hypervisor.model.advance(until_ns)
    assert pieces.hypervisor.model.digest() == whole.hypervisor.model.digest()
    assert log(pieces) == log(whole)
    assert counts(pieces) == counts(whole)
    found = counts(whole)
    assert min(found[name] for name in ("aborts", "unanswered", "lun_resets", "target_resets")) > 0


@settings(max_examples=8)
@given(cut_ns=st.integers(2 * MS, 10 * MS), through_bytes=st.booleans())
def test_a_snapshot_amid_aborts_leads_to_the_same_end(cut_ns: int, through_bytes: bool) -> None:
    first, second = Stack(hung_scenario()), empty()
    first.hypervisor.model.advance(cut_ns)
    with suppress(FailedPrecondition):  # it is being reset already
        reset_device(first.multipath.model, "h1", "a1.v1")
    pieces = taken(first.hypervisor.model)
    second.hypervisor.model.restore(sealed(pieces) if through_bytes else pieces)
    for stack in (first, second):
        stack.hypervisor.model.advance(END_NS)
    assert told(second) == told(first)
    first.hypervisor.model.restore(pieces)
    first.hypervisor.model.advance(END_NS)
    assert told(first) == told(second)
    assert counts(first) == counts(second)
