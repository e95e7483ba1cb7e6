"""An array that loses its power, and comes back."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from smokestack.array.attentions import pending
from smokestack.array.durable import ArrayDurable
from smokestack.engine.blockdevice import NOTHING, Attachment
from smokestack.engine.fault_rules import FaultRule
from smokestack.engine.records import Attention, EventCode, Kind, Op, Sense, Status
from tests.array.test_array import PAGE, F, R, attach, make_array, serve

MS = 1_000_000
COUNTS = {"hits", "misses", "busy_ns", "forced", "destaged_bytes", "flushes", "evictions"}


def test_what_is_in_an_array_is_lost_with_its_power_and_what_was_written_is_not() -> None:
    array = attach(make_array())
    array.faults.inject(FaultRule("ARRAY_POWER_LOSS", "arrays/a1", start_ns=2 * MS, duration_ns=MS))
    before, late = 2 * MS - 400_000, 2 * MS - F - 5_000  # the second is in the controller then
    records = serve(
        array,
        (before, 1, Op.WRITE, 0, 4096),
        (late, 2, Op.WRITE, PAGE, 4096),
        (2 * MS - F + 1_000, 3, Op.WRITE, 2 * PAGE, 4096),  # finds it dead
        for_ns=5 * MS,
    )
    answers = [int(r["id"]) for r in records if r["kind"] == Kind.RESPONSE]
    events = [(int(r["time"]), int(r["sense"])) for r in records if r["kind"] == Kind.EVENT]
    assert answers == [1]
    assert events == [(2 * MS + R, EventCode.PATH_DOWN), (3 * MS + R, EventCode.PATH_UP)]
    assert array.pool_usage("p1").allocated_bytes == PAGE
    row = array.state.row
    assert (row["page_pending"], row["io_free_count"]) == (0, len(array.state["io"]))
    assert array.state["port"]["outstanding"][0] == array.state["itl"]["outstanding"][0] == 0
    first, second = serve(
        array, *((array.now_ns + n, 9 + n, Op.READ, 0, 512) for n in range(2)), for_ns=MS
    )
    assert (first["sense"], second["status"]) == (Sense.POWER_ON, Status.GOOD)
    told = array.events.get(int(first["cause"]))
    assert (told.kind, told.subject) == ("ARRAY_POWERED_ON", "arrays/a1")
    assert [e.kind for e in array.events.after(0, 99)][-8:] == [
        "FAULT_STARTED",
        "ARRAY_POWER_LOST",
        "CONTROLLER_FAILED",
        "PORT_DOWN",
        "FAULT_ENDED",
        "ARRAY_POWERED_ON",
        "CONTROLLER_ONLINE",
        "PORT_UP",
    ]


def test_a_loss_by_surprise_takes_the_array_at_the_next_windows_end() -> None:
    array = attach(make_array())
    serve(array, (0, 1, Op.READ, 0, 512), for_ns=MS)
    array.faults.inject(FaultRule("ARRAY_POWER_LOSS", "arrays/a1", "off"))
    assert not array.report_luns(["h1-a"])[0].usable
    array.exchange(array.now_ns, NOTHING)
    assert not array.state["port"]["up"][0]
    array.faults.clear("off")
    array.exchange(array.now_ns, NOTHING)
    assert array.state["port"]["up"][0]
    assert pending(array, 0) == (Attention.POWER_ON,)


@pytest.mark.parametrize("crashed", [False, True])
@pytest.mark.parametrize("ruled", [False, True])
def test_a_port_that_refusals_had_brought_to_hang_begins_anew(crashed: bool, ruled: bool) -> None:
    array = attach(make_array(queue_limit=1, hang_refusals=1))
    serve(array, *((n, n, Op.READ, 0, 512) for n in range(3)), for_ns=MS)
    assert array.state["port"]["hung"][0]
    if ruled:
        array.faults.inject(FaultRule("PORT_HANG", "arrays/a1/ports/p0"))
    array.detach()
    if crashed:
        ArrayDurable(array).power_on({})
    else:
        array.attach(Attachment("d", 1, 1, array.now_ns, array.lookahead_ns, power_on=True))
    assert bool(array.state["port"]["hung"][0]) == ruled


def test_after_a_crash_all_counters_of_controllers_begin_anew() -> None:
    array = attach(make_array())
    for name in ("controller", "destage", "read_cache"):
        for column in set(array.state[name].dtype.names or ()) & COUNTS:
            array.state[name][column] = 7
    array.detach()
    ArrayDurable(array).power_on({})
    usage = array.controller_usage("c0")
    counts = {name: value for name, value in asdict(usage).items() if name.endswith("_count")}
    assert counts == dict.fromkeys(counts, 0)
    assert (usage.busy_ns, usage.dirty_bytes) == (0, 0)
