"""What multipath makes of unit attentions and of logical units that are not ready."""

from __future__ import annotations

from smokestack.array.model import ArrayModel
from smokestack.engine.event_kinds import EventKind
from smokestack.engine.events import Event
from smokestack.engine.fault_rules import FaultRule
from smokestack.engine.records import Attention, Sense, Status
from smokestack.multipath.model import MultipathModel
from smokestack.multipath.state import HEARD_ROWS
from tests.multipath.test_multipath import attach, make_stack, serve, writes

HEARD = {EventKind.UNIT_ATTENTION, EventKind.RESCAN_WANTED, EventKind.SOFT_THRESHOLD_HEARD}


def told(multipath: MultipathModel) -> list[Event]:
    """What was heard, as events."""
    return [e for e in multipath.events.after(0, 1_000) if e.kind in HEARD]


def heard(multipath: MultipathModel, attention: Attention) -> int:
    """How often the first device has heard an attention."""
    return int(multipath.state["heard"][:HEARD_ROWS][attention])


def establish(array: ArrayModel, attention: Attention) -> Event:
    """Makes all nexuses tell, because of the newest event."""
    array.establish_attention(attention, array.events.last)
    return array.events.get(array.events.last)


def test_a_command_that_was_told_something_leaves_again_and_guests_hear_nothing_of_it() -> None:
    array, multipath = make_stack(ports=2)
    attach(multipath)
    because = establish(array, Attention.ACCESS_CHANGED)
    answers = serve(multipath, writes(0, 0, 0))
    assert [a["status"] for a in answers] == [Status.GOOD] * 3
    assert sorted(int(a["attempt"]) for a in answers) == [0, 1, 1]
    assert heard(multipath, Attention.ACCESS_CHANGED) == 2
    (event,) = told(multipath)
    assert (event.kind, event.cause) == (EventKind.UNIT_ATTENTION, because.name)
    assert event.subject == "multipaths/m1/hosts/h1/devices/a1.v1"
    assert event.detail["sense"] == "6/2A/06"
    device = multipath.state["device"][0]
    assert (device["errors"], device["active"], device["queued"]) == (0, 0, 0)


def test_each_path_tells_on_its_own_and_the_first_to_be_heard_is_an_event() -> None:
    array, multipath = make_stack(ports=2)
    attach(multipath)
    kinds = {
        Attention.LUNS_CHANGED: EventKind.RESCAN_WANTED,
        Attention.SOFT_THRESHOLD: EventKind.SOFT_THRESHOLD_HEARD,
        Attention.POWER_ON: EventKind.UNIT_ATTENTION,
    }
    for n, (attention, kind) in enumerate(kinds.items()):
        establish(array, attention)
        serve(multipath, writes(*[multipath.now_ns] * 4))
        assert heard(multipath, attention) == 2
        assert [e.kind for e in told(multipath)][n:] == [kind]


def test_a_unit_that_is_not_ready_is_asked_again_after_the_delay() -> None:
    array, multipath = make_stack(ports=2)
    attach(multipath)
    array.faults.inject(FaultRule("NOT_READY", "arrays/a1/volumes/v1", count=2))
    (answer,) = serve(multipath, writes(0))
    assert (answer["status"], answer["attempt"]) == (Status.GOOD, 2)
    assert answer["time"] > 2 * multipath.spec.not_ready_retry_delay_ns
    row = HEARD_ROWS - 3 + Sense.TRANSITION - Sense.TRANSITION
    assert multipath.state["heard"][row] == 2
    assert told(multipath) == []
