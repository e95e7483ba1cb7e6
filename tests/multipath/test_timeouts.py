"""Commands that are not answered in time."""

from __future__ import annotations

from smokestack.array.model import ArrayModel
from smokestack.engine.fault_rules import FaultRule
from smokestack.engine.records import Status
from smokestack.multipath.model import MultipathModel
from smokestack.multipath.specs import MultipathSpec
from smokestack.multipath.updates import update_layer
from tests.multipath.test_multipath import attach, make_stack, serve, writes

MS = 1_000_000


def stack(timeout_ns: int, slow_ns: int = 3 * MS) -> tuple[ArrayModel, MultipathModel]:
    """One path to a controller that takes some milliseconds for the first two commands."""
    array, multipath = make_stack(ports=1, spec=MultipathSpec(command_timeout_ns=timeout_ns))
    attach(multipath)
    factor = 1_000 * slow_ns // 18_000
    rule = FaultRule(
        "CONTROLLER_SLOW", "arrays/a1/controllers/c0", count=2, factor_per_mille=factor
    )
    array.faults.inject(rule)
    return array, multipath


def test_a_command_is_sent_again_when_it_is_late_and_its_late_answer_is_dropped() -> None:
    array, multipath = stack(MS)
    (answer,) = serve(multipath, writes(0), for_ns=20 * MS)
    assert (answer["status"], answer["attempt"]) == (Status.GOOD, 2)
    assert 2 * MS < answer["time"] < 3 * MS, "before the first attempt was through"
    row = multipath.state["device"][0]
    assert (row["timed_out"], row["retries"], row["errors"]) == (2, 2, 0)
    told = [e for e in multipath.events.after(0, 99) if e.kind == "COMMANDS_TIMED_OUT"]
    aborted_ns = multipath.lookahead_ns + 1_000  # there, on the port's wire, and back
    assert [e.time_ns for e in told] == [MS, 2 * MS + aborted_ns]
    assert int(array.state["itl"]["good"][0]) == 1, "the array answers none that was aborted"
    task = array.state["task"][0]
    assert (task["abort_tasks"], task["aborted"]) == (2, 2)
    assert int(array.state["port"]["outstanding"][0]) == 0


def test_without_a_time_out_a_command_takes_as_long_as_it_takes() -> None:
    _, multipath = stack(0)
    (answer,) = serve(multipath, writes(0), for_ns=20 * MS)
    assert answer["attempt"] == 0 and answer["time"] > 3 * MS


def test_a_new_time_out_is_that_of_commands_sent_from_then_on() -> None:
    _, multipath = stack(2 * MS)
    update_layer(multipath, {"command_timeout_ns": MS})
    serve(multipath, writes(0), for_ns=100_000)
    update_layer(multipath, {"command_timeout_ns": 0})
    serve(multipath, writes(), for_ns=20 * MS)
    told = [e.time_ns for e in multipath.events.after(0, 99) if e.kind == "COMMANDS_TIMED_OUT"]
    assert told == [MS], "the first attempt keeps its own, the second has none"
    assert [e.kind for e in multipath.events.after(0, 99)].count("MULTIPATH_UPDATED") == 2


def test_a_time_out_below_the_lookahead_counts_as_that() -> None:
    _, multipath = stack(1, slow_ns=18_000)
    serve(multipath, writes(0), for_ns=MS)
    assert int(multipath.state["device"]["timed_out"][0]) > 0
    told = [e.time_ns for e in multipath.events.after(0, 99) if e.kind == "COMMANDS_TIMED_OUT"]
    assert told[0] == multipath.lookahead_ns
