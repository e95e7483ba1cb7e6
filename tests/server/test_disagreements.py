"""Small stacks, written out, of what the reference and the real stack once did not agree on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from smokestack.array.specs import Access, AccessSpec, ExportSpec, VolumeSpec
from smokestack.engine.fault_rules import FaultRule
from smokestack.hypervisor.specs import DiskSpec
from smokestack.multipath.specs import (
    ApdHandling,
    DepthRule,
    Escalation,
    MultipathSpec,
    QueueControl,
)
from tests.reference.agreement import differences
from tests.reference.build import Models, build_models
from tests.reference.config import (
    ArrayConfig,
    ArrayLost,
    Change,
    ControllerEnabled,
    DiskCreated,
    ExportCreated,
    FaultCleared,
    FaultInjected,
    HoldTimeSet,
    JobStarted,
    LinkUpdated,
    PortEnabled,
    Rescanned,
    StackConfig,
    VolumeAssigned,
    VolumeCreated,
)
from tests.reference.samples import PAGE, array, job, port, stack

NOON, END = 500_000, 2_000_000
NEW = VolumeCreated(NOON, "a1", VolumeSpec("w1", "pool", 256 * PAGE))
LOST = FaultRule("CONTROLLER_DOWN", "arrays/a1/controllers/c0", fault_id="f", duration_ns=END)
POWER = replace(LOST, kind="ARRAY_POWER_LOSS", target="arrays/a1")
PATIENT = MultipathSpec()
OTHER = replace(LOST, kind="IDENTITY_CHANGED", target="arrays/a1/volumes/w1")


def pair(access: Access) -> ArrayConfig:
    """Two controllers with a port each, of which the second need not own anything at first."""
    ports = (port(controller_id="c1"), port("p1", "fb", controller_id="c0"))
    one = array(ports=ports)
    controllers = (*one.controllers, replace(one.controllers[0], controller_id="c1"))
    return replace(one, controllers=controllers, access=AccessSpec(access, 0, 0))


def shown(volume_id: str = "w1") -> tuple[Change, ...]:
    """A volume is exported, found and written to, all at once."""
    return (
        ExportCreated(NOON, "a1", ExportSpec(volume_id, "h1", 9)),
        Rescanned(NOON, "h1"),
        DiskCreated(NOON, DiskSpec("h1", "v1", "x", f"a1.{volume_id}")),
        JobStarted(NOON, job("y", disk_id="x", io_limit=5)),
    )


def parted(config: StackConfig) -> dict[str, tuple[Any, Any]]:
    """Where the stack, in one piece or in many, parts from the reference."""
    in_many = tuple(range(0, END, 7_001))
    return differences(config, END) | differences(config, END, in_many)


def ran(config: StackConfig) -> Models:
    """The stack when all is over."""
    models = build_models(config)
    models.run(END)
    return models


@pytest.mark.parametrize("access", [Access.ALUA, Access.ACTIVE_PASSIVE])
@pytest.mark.parametrize(
    "before",
    [
        (ControllerEnabled(1_000, "a1", "c0", False), NEW),
        (NEW, ControllerEnabled(NOON, "a1", "c0", False)),
        (NEW, VolumeAssigned(NOON, "a1", "w1", "c1")),
        (NEW, FaultInjected(NOON, "arrays/a1", LOST)),
        (NEW, FaultInjected(NOON, "arrays/a1", OTHER)),
        (FaultInjected(1_000, "arrays/a1", POWER), NEW, FaultCleared(NOON, "arrays/a1", "f")),
    ],
    ids=["created-without-its-owner", "owner-lost", "assigned", "rule", "identity", "power"],
)
def test_a_nexus_does_not_hear_of_what_was_done_before_it(
    before: tuple[Change, ...], access: Access
) -> None:
    assert not parted(stack(arrays=(pair(access),), changes=(*before, *shown())))


def test_a_command_that_hangs_on_its_port_still_times_out() -> None:
    # Its refusal was in hand when an older command's time came, and took no part in what is next.
    config = stack(
        job(slots=2, io_limit=9),
        arrays=(array(ports=(port(queue_limit=1, refusal_ns=20_000, return_latency_ns=50_000),)),),
        multipath=MultipathSpec(command_timeout_ns=200_000, apd_handling=ApdHandling.HOLD),
        changes=(PortEnabled(5_000, "a1", "p0", False), PortEnabled(60_000, "a1", "p0", True)),
    )
    legacy = QueueControl(DepthRule.LEGACY_NO_THROTTLE)
    hosts = tuple(replace(host, queue_control=legacy) for host in config.multipath_hosts)
    assert not parted(replace(config, multipath_hosts=hosts))


@pytest.mark.parametrize("at_ns", [10_000, 110_000], ids=["that-it-is-down", "that-it-is-up"])
def test_a_rescan_leaves_alone_what_a_path_is_yet_to_hear_of_its_links(at_ns: int) -> None:
    rule = FaultRule(
        "LINK_DOWN", "multipaths/m1/fabrics/*/links/h1-a", fault_id="l", duration_ns=100_000
    )
    changes = (FaultInjected(5_000, "multipaths/m1", rule), Rescanned(at_ns, "h1"))
    # It is at work until the link has been up for long: a path that lost count stays down.
    assert not parted(stack(job(slots=4, io_limit=400, error_backoff_ns=20_000), changes=changes))


@pytest.mark.parametrize("access", [Access.ALUA, Access.STANDBY, Access.ACTIVE_PASSIVE])
def test_a_nexus_that_is_new_in_a_transition_hears_of_its_end(access: Access) -> None:
    one = replace(pair(access), access=AccessSpec(access, 0, 300_000))
    changes = (NEW, VolumeAssigned(NOON, "a1", "w1", "c1"), *shown())
    layer = MultipathSpec(not_ready_retry_delay_ns=200_000)
    config = stack(arrays=(one,), changes=changes, multipath=layer)
    assert not parted(config)
    told = [e for e in ran(config).multipath.events.since(0) if e.kind == "DEVICE_ACCESS_CHANGED"]
    assert told, "the device was found in transition, and is not any more"


def test_all_frames_of_an_answer_cross_though_one_is_damaged() -> None:
    rule = FaultRule("FRAME_DAMAGED", "multipaths/m1/fabrics/fa/links/a1.p0", "d", probability=0.5)
    changes = (
        LinkUpdated(0, "fa", "a1.p0", 10**8, 2),
        FaultInjected(0, "multipaths/m1", rule),
    )
    assert not parted(stack(job(read_always=True, io_limit=9), changes=changes))


@pytest.mark.parametrize("access", [Access.STANDBY, Access.UNAVAILABLE])
def test_a_volume_stays_where_a_host_has_moved_it(access: Access) -> None:
    # Whatever rules come and go meanwhile, or ports that its host has not asked for it back.
    slow = FaultRule("CONTROLLER_SLOW", "arrays/a1/controllers/c0", "s", factor_per_mille=2_000)
    moving = replace(pair(access), access=AccessSpec(access, 0, 20_000, explicit_access=True))
    changes = (
        PortEnabled(1_000, "a1", "p1", False),
        FaultInjected(NOON, "arrays/a1", slow),
        PortEnabled(NOON + 90_000, "a1", "p1", True),
        ControllerEnabled(NOON + 200_000, "a1", "c0", False),
        ControllerEnabled(NOON + 300_000, "a1", "c0", True),
    )
    layer = MultipathSpec(not_ready_retry_delay_ns=10_000)
    config = stack(job(slots=2, io_limit=60), arrays=(moving,), changes=changes, multipath=layer)
    models = ran(config)
    assert not parted(config)
    assert models.arrays["a1"].ownership.owner("v1") == "c1"
    assert len(models.completions) == 60


def losing(*changes: Change, layer: MultipathSpec = PATIENT) -> StackConfig:
    """Readers behind a link of which answers take 400 us, and more while others are before them."""
    narrow = LinkUpdated(0, "fa", "h1-a", 10**7, 2)
    return stack(
        job(slots=4, read_always=True, io_limit=40, error_backoff_ns=20_000),
        multipath=layer,
        changes=(narrow, *changes),
    )


@pytest.mark.parametrize("escalation", [Escalation.ABORT_TASK, Escalation.PATH_DOWN])
@pytest.mark.parametrize("hold_ns", [0, 20_000], ids=["held-up", "dropped"])
@pytest.mark.parametrize("lost_ns", [100_000, 131_161, 410_000, 700_000])
def test_what_comes_too_late_or_never_is_lost_with_its_array(
    lost_ns: int, hold_ns: int, escalation: Escalation
) -> None:
    # The reference took it for answered, as it had left the array in time.
    hold = (HoldTimeSet(0, "fa", hold_ns),) if hold_ns else ()
    layer = MultipathSpec(
        command_timeout_ns=200_000, task_management_timeout_ns=100_000, escalation=escalation
    )
    assert not parted(losing(*hold, ArrayLost(lost_ns, "a1"), layer=layer))


@pytest.mark.parametrize("before_ns", [5_000, 15_000, 25_000])
@pytest.mark.parametrize("rule", [False, True], ids=["port", "link"])
def test_what_a_path_would_not_have_brought_any_more_is_lost_with_its_array(
    rule: bool, before_ns: int
) -> None:
    # A host that knows already that the path goes down waited for what it had dropped, for ever.
    link = FaultRule("LINK_DOWN", "multipaths/m1/fabrics/fa/links/h1-a", "l")
    port_down = PortEnabled(300_000 - before_ns, "a1", "p0", False)
    link_down = FaultInjected(300_000 - before_ns, "multipaths/m1", link)
    config = losing(link_down if rule else port_down, ArrayLost(300_000, "a1"))
    assert not parted(config)
    assert len(ran(config).completions) == 40, "nothing hangs"


@pytest.mark.parametrize("after_ns", [1_000, 20_000])
def test_links_that_go_down_later_keep_nothing_of_a_lost_array_back(after_ns: int) -> None:
    link = FaultRule("LINK_DOWN", "multipaths/m1/fabrics/fa/links/h1-a", "l")
    down = FaultInjected(300_000 + after_ns, "multipaths/m1", link)
    config = losing(ArrayLost(300_000, "a1"), down)
    assert not parted(config)
    assert len(ran(config).completions) == 40, "nothing hangs"
