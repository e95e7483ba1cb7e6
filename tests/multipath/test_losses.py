"""Devices without a usable path: permanent loss, all paths down, its time-out, what waits."""

from __future__ import annotations

import pytest

from smokestack.array.model import ArrayModel
from smokestack.array.specs import ExportSpec
from smokestack.engine.blockdevice import NOTHING
from smokestack.engine.event_kinds import EventKind
from smokestack.engine.fault_rules import FaultRule
from smokestack.engine.records import HostStatus, Kind, Sense, Status
from smokestack.multipath.model import MultipathModel
from smokestack.multipath.specs import ApdHandling, DeviceState, MultipathSpec
from tests.multipath.test_multipath import L, attach, make_stack, serve, writes

MS = 1_000_000
APD_NS = 5 * MS


def stack(handling: ApdHandling = ApdHandling.FAIL) -> tuple[ArrayModel, MultipathModel]:
    """Two paths, and a time-out of 5 ms."""
    array, multipath = make_stack(
        ports=2, spec=MultipathSpec(apd_timeout_ns=APD_NS, apd_handling=handling)
    )
    attach(multipath)
    return array, multipath


def state(multipath: MultipathModel) -> DeviceState:
    (device,) = multipath.devices("h1")
    return device.state


def kinds(multipath: MultipathModel) -> list[str]:
    """What has been told of the device and its paths."""
    events = multipath.events.after(0, 1_000)
    return [e.kind for e in events if "/devices/" in e.subject and "ADDED" not in e.kind]


def links(array: ArrayModel, up: bool) -> None:
    """Moves both links; the hosts hear of it within the next window."""
    for port_id in ("p0", "p1"):
        array.set_port_enabled(port_id, up)


def cut(array: ArrayModel, multipath: MultipathModel) -> None:
    """Takes both links down, and lets the host hear of it."""
    links(array, up=False)
    serve(multipath, NOTHING, for_ns=MS)


def test_a_volume_hidden_under_load_is_lost_for_good_once_every_path_has_said_so() -> None:
    array, multipath = stack()
    serve(multipath, writes(0, 0), for_ns=MS)
    array.delete_export("v1", "h1")
    now = multipath.now_ns
    first, second = serve(multipath, writes(now, now), for_ns=MS)
    for answer in (first, second):
        assert (answer["kind"], answer["status"]) == (Kind.HOST, HostStatus.NO_CONNECT)
        assert answer["sense"] == Sense.LU_NOT_SUPPORTED
    assert state(multipath) is DeviceState.PDL
    assert kinds(multipath) == ["PATH_DOWN", "PATH_DOWN", "DEVICE_PERMANENTLY_LOST"]
    path, _, lost = (e for e in multipath.events.after(0, 99) if e.kind in kinds(multipath))
    assert path.cause.startswith("arrays/a1/events/") and path.detail["sense"] == "5/25/00"
    assert first["cause"] == lost.number
    (third,) = serve(multipath, writes(multipath.now_ns), for_ns=MS)
    assert (third["time"], third["sense"]) == (now + MS + L, Sense.LU_NOT_SUPPORTED)
    dispatched = int(multipath.state["path"]["dispatched"].sum())
    serve(multipath, writes(multipath.now_ns), for_ns=MS)
    assert int(multipath.state["path"]["dispatched"].sum()) == dispatched, "nothing is sent"


def test_a_device_that_is_shown_anew_is_found_by_a_rescan() -> None:
    array, multipath = stack()
    array.delete_export("v1", "h1")
    serve(multipath, writes(0, 0), for_ns=MS)
    assert state(multipath) is DeviceState.PDL
    array.create_export(ExportSpec("v1", "h1", 0))
    multipath.rescan("h1")
    assert state(multipath) is DeviceState.ON
    (answer,) = serve(multipath, writes(multipath.now_ns), for_ns=MS)
    assert answer["status"] == Status.GOOD
    assert kinds(multipath)[-1] == "DEVICE_PATHS_RESTORED"


def test_all_paths_down_times_out_and_ends_when_a_path_returns() -> None:
    array, multipath = stack()
    cut(array, multipath)
    (answer,) = serve(multipath, writes(MS), for_ns=MS)
    assert (answer["kind"], answer["status"]) == (Kind.HOST, HostStatus.NO_CONNECT)
    assert state(multipath) is DeviceState.APD
    serve(multipath, NOTHING, for_ns=5 * MS)
    assert state(multipath) is DeviceState.APD_TIMEOUT
    times = {e.kind: e.time_ns for e in multipath.events.after(0, 99)}
    assert times["DEVICE_APD_TIMEOUT"] == times["DEVICE_ALL_PATHS_DOWN"] + APD_NS
    links(array, up=True)
    serve(multipath, NOTHING, for_ns=MS)
    assert state(multipath) is DeviceState.ON
    row = multipath.state["device"][0]
    assert (row["apd_count"], row["pdl_count"]) == (1, 0)


@pytest.mark.parametrize("handling", [ApdHandling.UNTIL_TIMEOUT, ApdHandling.HOLD])
def test_commands_wait_for_a_path(handling: ApdHandling) -> None:
    array, multipath = stack(handling)
    cut(array, multipath)
    assert serve(multipath, writes(MS, MS), for_ns=3 * MS) == []
    (device,) = multipath.devices("h1")
    assert (device.queued_count, device.active_count) == (2, 0)
    back_ns = multipath.now_ns
    links(array, up=True)
    answers = serve(multipath, NOTHING, for_ns=MS)
    assert [a["status"] for a in answers] == [Status.GOOD] * 2
    assert back_ns + L < answers[0]["time"] < back_ns + MS


def test_those_that_wait_until_the_time_out_fail_then_and_others_wait_on() -> None:
    for handling, failed in ((ApdHandling.UNTIL_TIMEOUT, 2), (ApdHandling.HOLD, 0)):
        array, multipath = stack(handling)
        cut(array, multipath)
        answers = serve(multipath, writes(MS, MS), for_ns=20 * MS)
        down = next(e for e in multipath.events.after(0, 99) if e.kind == "DEVICE_ALL_PATHS_DOWN")
        assert [int(a["time"]) for a in answers] == [down.time_ns + APD_NS + L] * failed
        assert kinds(multipath)[-1] == EventKind.DEVICE_APD_TIMEOUT


def test_a_path_back_in_use_by_hand_or_by_a_rule_lets_go_what_waits_at_that_border() -> None:
    for by_hand in (True, False):
        _, multipath = stack(ApdHandling.HOLD)
        name = "multipaths/m1/hosts/h1/devices/a1.v1/paths/*"
        if by_hand:
            for path in ("h1-a.p0", "h1-a.p1"):
                multipath.set_path_enabled("h1", "a1.v1", path, False)
        else:
            multipath.faults.inject(FaultRule("PATH_DISABLED", name, duration_ns=3 * MS))
        answers = serve(multipath, writes(1_000), for_ns=3 * MS)
        assert answers == []
        if by_hand:
            multipath.set_path_enabled("h1", "a1.v1", "h1-a.p1", True)
            multipath.exchange(multipath.now_ns, NOTHING)  # with which every Advance begins
        (answer,) = serve(multipath, NOTHING, for_ns=MS)
        assert answer["status"] == Status.GOOD
        assert 3 * MS + L < answer["time"] < 3 * MS + 2 * L


def test_what_waits_and_until_when_is_part_of_a_snapshot() -> None:
    array, multipath = stack(ApdHandling.UNTIL_TIMEOUT)
    cut(array, multipath)
    serve(multipath, writes(MS, MS), for_ns=2 * MS)
    pieces = {piece.service: piece for piece in multipath.snapshot("s1")}
    expected = serve(multipath, NOTHING, for_ns=10 * MS)
    multipath.stage(pieces)
    multipath.restore()
    again = serve(multipath, NOTHING, for_ns=10 * MS)
    assert [a.tobytes() for a in again] == [a.tobytes() for a in expected] != []
