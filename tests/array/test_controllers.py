"""Controllers that fail and come back, their write caches, ports that partners take over."""

from __future__ import annotations

from typing import Any

import pytest

from smokestack.array.model import ArrayModel
from smokestack.array.specs import (
    ArrayHostSpec,
    ControllerSpec,
    ControllerState,
    ExportSpec,
    InitiatorSpec,
    MediaDistribution,
    PoolSpec,
    PortSpec,
    VolumeSpec,
)
from smokestack.engine.blockdevice import NOTHING
from smokestack.engine.errors import FailedPrecondition, InvalidArgument
from smokestack.engine.event_kinds import EventKind
from smokestack.engine.fault_rules import FaultRule
from smokestack.engine.records import EventCode, Kind, Op, Status
from tests.array.test_array import F, R, attach, batch, serve

REBOOT_NS = 5_000_000
MEDIA_NS = 300_000
WRITE = (0, 1, Op.WRITE, 0, 4096)


def make_pair(*, ports_paired: bool = False, **first: Any) -> ArrayModel:
    """Two controllers that mirror each other, a port each on one fabric."""
    array = ArrayModel("a1")
    array.create_controller(ControllerSpec("c0", core_count=1, reboot_ns=REBOOT_NS, **first))
    array.create_controller(ControllerSpec("c1", core_count=1, partner="c0", mirror_ns=7_000))
    array.create_port(PortSpec("p0", "c0", "fa"))
    array.create_port(PortSpec("p1", "c1", "fa", partner="p0" if ports_paired else ""))
    array.create_pool(
        PoolSpec("q", 1 << 30, media_ns=MEDIA_NS, media_distribution=MediaDistribution.CONSTANT)
    )
    array.create_volume(VolumeSpec("v1", "q", 1 << 29))
    array.create_host(ArrayHostSpec("h1", (InitiatorSpec("i", "fa"),)))
    array.create_export(ExportSpec("v1", "h1", 0))
    attach(array)
    array.exchange(0, NOTHING)
    return array


def run(array: ArrayModel, until_ns: int) -> list[Any]:
    reply = array.exchange(until_ns, NOTHING)
    return [reply.records[n].copy() for n in range(reply.count)]


def kinds(array: ArrayModel) -> list[str]:
    return [event.kind for event in array.events.after(0, 100)]


def responses(records: list[Any]) -> list[Any]:
    return [record for record in records if record["kind"] == Kind.RESPONSE]


def test_a_controller_takes_its_ports_along_and_comes_back_after_its_reboot() -> None:
    array = make_pair()
    array.set_controller_enabled("c0", enabled=False)
    run(array, 0)
    events = [r for r in run(array, 10_000) if r["kind"] == Kind.EVENT]
    assert [(e["nexus"], e["sense"], e["time"]) for e in events] == [
        (0, EventCode.PATH_DOWN, F + R)
    ]
    assert array.controller_usage("c0").state is ControllerState.FAILED
    array.set_controller_enabled("c0", enabled=True)
    run(array, 10_000)
    run(array, 10_000 + F)
    assert array.controller_usage("c0").state is ControllerState.REBOOTING
    [up] = [r for r in run(array, 10_001 + REBOOT_NS) if r["kind"] == Kind.EVENT]
    assert (up["sense"], up["time"]) == (EventCode.PATH_UP, 10_000 + F + REBOOT_NS + R)
    assert array.controller_usage("c0").state is ControllerState.ONLINE


def test_a_fault_takes_a_controller_down_for_its_duration_and_the_reboot() -> None:
    array = make_pair()
    rule = FaultRule("CONTROLLER_DOWN", "arrays/a1/controllers/c0", duration_ns=1_000_000)
    array.faults.inject(rule)
    states = []
    for until in (0, 900_000, 1_100_000, 1_000_000 + REBOOT_NS + F):
        run(array, until)
        states.append(array.controller_usage("c0").state.name)
    assert states == ["FAILED", "FAILED", "REBOOTING", "ONLINE"]


def test_what_the_lost_controller_had_is_lost_and_maps_no_page() -> None:
    array = make_pair(write_ns=100_000)
    # At the port at F, with the controller 6,120 ns later; lost in between.
    array.exchange(1_000, batch(WRITE))
    rule = FaultRule("CONTROLLER_DOWN", "arrays/a1/controllers/c0", start_ns=F + 2_000)
    array.faults.inject(rule)
    run(array, 1_000)
    assert not responses(run(array, 10_000_000))
    assert array.volume_usage("v1").allocated_bytes == 0
    assert array.port_usage("p0").dropped_count == 1


def test_the_survivor_writes_through_until_its_mirror_is_back() -> None:
    array = make_pair()
    to_p1 = batch(WRITE)
    to_p1.records["nexus"] = 1
    array.exchange(1, to_p1)
    [mirrored] = responses(run(array, 2_000_000))
    array.reboot_controller("c0")
    run(array, 2_000_000)
    assert array.controller_usage("c1").write_through
    later = batch((2_100_000, 2, Op.WRITE, 0, 4096))
    later.records["nexus"] = 1
    array.exchange(2_200_000, later)
    [alone] = responses(run(array, 4_000_000))
    assert alone["array_ns"] - mirrored["array_ns"] == MEDIA_NS - 7_000
    run(array, 2_000_000 + REBOOT_NS + F)
    assert not array.controller_usage("c1").write_through
    told = kinds(array)
    assert told.index(EventKind.CACHE_WRITE_THROUGH) < told.index(EventKind.CACHE_WRITE_BACK)


def test_a_partner_takes_the_port_over_and_hosts_keep_the_path() -> None:
    array = make_pair(ports_paired=True, write_ns=1_000_000)
    array.exchange(1_000, batch(WRITE))
    rule = FaultRule("CONTROLLER_DOWN", "arrays/a1/controllers/c0", start_ns=F + 500_000)
    array.faults.inject(rule)
    run(array, 1_000)
    records = run(array, 3_000_000)
    # The controller that failed had it; the heir has it sent again, and nobody hears of paths.
    assert [(r["kind"], r["status"]) for r in records] == [(Kind.RESPONSE, Status.BUSY)]
    assert array.carrier("p0") == "p1"
    [again] = serve(array, (3_000_000, 1, Op.WRITE, 0, 4096), for_ns=2_000_000)
    assert again["status"] == Status.GOOD
    array.faults.clear("controller-down-1")
    run(array, 5_000_000)
    run(array, 5_000_000 + REBOOT_NS + F)
    assert array.carrier("p0") == "p0"
    told = kinds(array)
    assert EventKind.PORT_DOWN not in told
    assert told.index(EventKind.PORT_TAKEN_OVER) < told.index(EventKind.PORT_RETURNED)


def test_a_full_cache_makes_writes_wait_for_the_media_until_it_is_destaged() -> None:
    array = make_pair(cache_bytes=8192, mirror_ns=0)
    writes = batch(*((0, n, Op.WRITE, n * 4096, 4096) for n in range(3)))
    array.exchange(1, writes)
    run(array, 100_000)
    assert array.controller_usage("c0").dirty_bytes == 8192
    answers = responses(run(array, 250_000)) or responses(run(array, 251_000))
    usage = array.controller_usage("c0")
    assert (usage.forced_write_count, usage.write_through) == (1, False)
    answers += responses(run(array, 3_000_000))
    assert array.controller_usage("c0").dirty_bytes == 0
    assert len(answers) <= 3


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (ControllerSpec("c2", partner="c2"), "controller.partner"),
        (ControllerSpec("c2", partner="c9"), "controller.partner"),
        (ControllerSpec("c2", partner="c0"), "controller.partner"),
        (ControllerSpec("c2", cache_bytes=-1), "controller.cache_bytes"),
        (ControllerSpec("c2", reboot_ns=1 << 60), "controller.reboot_ns"),
    ],
)
def test_pairs_and_caches_that_cannot_be_are_refused(spec: ControllerSpec, field: str) -> None:
    array = make_pair()
    with pytest.raises(InvalidArgument) as refused:
        array.create_controller(spec)
    assert refused.value.violations[0].field == field


@pytest.mark.parametrize(
    "spec", [PortSpec("p2", "c0", "fa", partner="p0"), PortSpec("p2", "c1", "fb", partner="p0")]
)
def test_a_port_is_taken_over_by_one_of_another_controller_on_its_fabric(spec: PortSpec) -> None:
    array = make_pair()
    with pytest.raises(InvalidArgument, match=r"port\.partner"):
        array.create_port(spec)


def test_rebooting_what_is_down_or_takes_no_time_is_refused() -> None:
    array = make_pair()
    with pytest.raises(FailedPrecondition, match="takes no time"):
        array.reboot_controller("c1")
    array.set_controller_enabled("c0", enabled=False)
    with pytest.raises(FailedPrecondition, match="is disabled"):
        array.reboot_controller("c0")
