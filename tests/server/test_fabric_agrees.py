"""Fabrics that hold answers up agree with the reference, whatever dies while answers cross them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from smokestack.engine.errors import FailedPrecondition, InvalidArgument
from smokestack.engine.fault_rules import FaultRule
from smokestack.multipath.fabrics import frames, frames_on
from smokestack.multipath.specs import (
    Escalation,
    PathChecker,
    PathFailureHandling,
    PathState,
    Selector,
)
from smokestack.multipath.updates import update_fabric
from tests.reference.agreement import differences, differences_on
from tests.reference.build import build_models, build_reference
from tests.reference.config import (
    ArrayLost,
    Change,
    DeviceReset,
    ExportDeleted,
    FaultCleared,
    FaultInjected,
    HoldTimeSet,
    LinkUpdated,
    Rescanned,
    StackConfig,
    TrunkSet,
)
from tests.reference.generate import Scenario, scenarios
from tests.reference.generate_faults import faulty_scenarios
from tests.reference.samples import array, job, port, stack

KIB64 = 64 << 10
DEEP = LinkUpdated(0, "fa", "h1-a", 0, 1_000)  # more buffers than there are frames


@st.composite
def narrow(draw: st.DrawFn, base: st.SearchStrategy[Scenario]) -> Scenario:
    """Draws a stack whose fabric is a bottleneck from the start."""
    scenario = draw(base)
    rate = st.sampled_from([10**7, 5 * 10**7, 10**8])
    first: list[Change] = [TrunkSet(0, "fa", draw(rate | st.just(0)))]
    for link in draw(st.lists(st.sampled_from(["a0.p0"]), max_size=1)):
        first.append(LinkUpdated(0, "fa", link, draw(rate), draw(st.integers(1, 4))))
    stack = replace(scenario.stack, changes=(*first, *scenario.stack.changes))
    return replace(scenario, stack=stack)


@st.composite
def holding(draw: st.DrawFn, base: st.SearchStrategy[Scenario]) -> Scenario:
    """Draws a stack whose switches drop what they hold, and whose hosts do not wait for it."""
    scenario = draw(narrow(base))
    stack = scenario.stack
    timeout_ns = draw(st.sampled_from([200_000, 150_001, 3_000_000]))
    hold_ns = st.sampled_from([1_000, 2_001, 20_000, 100_000])
    first: list[Change] = [HoldTimeSet(0, "fa", draw(hold_ns))]
    if draw(st.booleans()):
        at_ns = draw(st.integers(1, max(scenario.until_ns, 2) - 1))
        first.append(HoldTimeSet(at_ns, "fa", draw(hold_ns | st.just(0))))
    layer = replace(stack.multipath, command_timeout_ns=timeout_ns)
    changes = tuple(sorted((*stack.changes, *first), key=lambda change: change.at_ns))
    return replace(scenario, stack=replace(stack, multipath=layer, changes=changes))


@settings(max_examples=20)
@given(holding(scenarios()))
def test_switches_that_drop_what_they_hold_agree(scenario: Scenario) -> None:
    assert not differences_on(scenario, scenario.cuts)


@settings(max_examples=20)
@given(holding(faulty_scenarios()), st.integers(5_000, 100_000))
def test_switches_that_drop_agree_while_things_break(scenario: Scenario, step_ns: int) -> None:
    try:
        assert not differences_on(scenario, tuple(range(0, scenario.until_ns, step_ns)))
    except InvalidArgument as refused:
        assert "matches nothing" in str(refused)
        reject()


@settings(max_examples=20)
@given(narrow(scenarios()))
def test_a_narrow_fabric_agrees(scenario: Scenario) -> None:
    assert not differences_on(scenario, scenario.cuts)


@settings(max_examples=20)
@given(narrow(faulty_scenarios()), st.integers(5_000, 100_000))
def test_a_narrow_fabric_agrees_while_things_break(scenario: Scenario, step_ns: int) -> None:
    try:
        assert not differences_on(scenario, tuple(range(0, scenario.until_ns, step_ns)))
    except InvalidArgument as refused:
        assert "matches nothing" in str(refused)
        reject()


def readers(*changes: Change) -> StackConfig:
    """A host that reads 64 KiB at a time over two fabrics, fa and fb."""
    ports = (port("p0", "fa"), port("p1", "fb"))
    return stack(
        job("j0", slots=4, read_always=True, block_sizes=((KIB64, 1 << 32),), io_limit=40),
        arrays=(array(ports=ports),),
        selector=Selector.QUEUE_LENGTH,
        changes=changes,
    )


def test_a_trunk_that_comes_after_one_was_taken_away_has_sent_nothing_yet() -> None:
    trunks = (TrunkSet(0, "fa", 10**7), TrunkSet(300_000, "fa", 0), TrunkSet(600_000, "fa", 10**8))
    config = stack(
        job("j0", slots=4, read_always=True, block_sizes=((KIB64, 1 << 32),), io_limit=40),
        job("j1", slots=4, read_always=True, start_ns=700_000, io_limit=40),
        changes=trunks,
    )
    assert not differences(config, 40_000_000, (150_000,))


def test_a_slow_receiver_makes_answers_late_by_what_its_frames_take() -> None:
    slow = FaultRule("SLOW_DRAIN", "multipaths/m1/fabrics/fa/links/h1-a", factor_per_mille=10_000)
    plain, drained = (
        build_reference(readers(*changes))
        for changes in ((), (FaultInjected(0, "multipaths/m1", replace(slow, fault_id="s")),))
    )
    plain.run()
    drained.run()
    last = [max(record.time for record in world.completions) for world in (plain, drained)]
    assert last[1] > last[0]


def test_the_kernel_counts_frames_and_waits_for_credits() -> None:
    models = build_models(readers(TrunkSet(0, "fa", 10**8), LinkUpdated(0, "fa", "h1-a", 10**7, 2)))
    models.run(10_000_000)
    rows = models.multipath.state["link"]
    fabric = models.multipath.fabrics.fabrics["fa"]
    host, trunk = (rows[fabric.links[name].row] for name in ("h1-a", "trunk"))
    assert host["frames"] == trunk["frames"] > 0
    assert trunk["credit_zero"] > 0, "a trunk waits while the host's link has no free buffer"
    assert trunk["credit_zero_ns"] > 0
    for row in (host, trunk):
        assert row["busy_ns"] == row["frames"] * row["frame_ns"]


def held(hold_ns: int) -> StackConfig:
    """Readers behind a slow link, four at once: an answer's frames take 6.5 ms."""
    config = readers(LinkUpdated(0, "fa", "h1-a", 10**7, 2), HoldTimeSet(0, "fa", hold_ns))
    layer = replace(config.multipath, command_timeout_ns=40_000_000)
    return replace(config, multipath=layer)


@pytest.mark.parametrize("step_ns", [10**9, 70_000])
def test_what_a_switch_drops_is_counted_costs_no_rate_and_is_sent_again(step_ns: int) -> None:
    config = held(300_000)
    models, world = build_models(config), build_reference(config)
    for until_ns in range(step_ns, 10**9 + 1, step_ns) if step_ns < 10**9 else (10**9,):
        models.run(until_ns)
        if len(models.completions) == 40:
            break
    world.run()
    assert len(models.completions) == len(world.completions) == 40
    assert all(record.status == 0 for record in models.completions)
    rows = models.multipath.state["link"]
    links = models.multipath.fabrics.fabrics["fa"].links
    dropped = {name: int(rows[link.row]["class3_discards"]) for name, link in links.items()}
    assert dropped == {
        name: link.discards for name, link in world.multipath.fabrics["fa"].links.items()
    }
    assert dropped["h1-a"] > 0 and dropped["a1.p0"] == 0, "an array's port is no switch"
    host, target = rows[links["h1-a"].row], rows[links["a1.p0"].row]
    assert target["frames"] == host["frames"] + dropped["h1-a"]
    assert host["busy_ns"] == host["frames"] * host["frame_ns"], "what is dropped takes no time"


def test_the_answer_to_an_abort_that_crosses_when_its_array_is_lost_counts() -> None:
    config = stack(
        job("j0", slots=2, read_always=True, block_sizes=((KIB64, 1 << 32),)),
        arrays=(array(read_hit_ratio=0.0),),
        changes=(TrunkSet(0, "fa", 10**7), ArrayLost(9_000_000, "a1")),
    )
    layer = replace(config.multipath, command_timeout_ns=250_000)
    assert not differences(replace(config, multipath=layer), 20_000_000)


@pytest.mark.parametrize("cuts", [(), (230_000,)], ids=len)
def test_an_abort_that_was_answered_too_late_ends_nothing(cuts: tuple[int, ...]) -> None:
    # A write's answer has the trunk until 152,203. Its abort leaves at 62,000; the word would be
    # through at 262,310, but times out at 212,000. The next one's is known before, and comes later.
    trunk = TrunkSet(0, "fa", 18_600_000), TrunkSet(150_000, "fa", 10**9)
    config = stack(job("j0", io_limit=1), changes=trunk)
    timeouts = {"command_timeout_ns": 60_000, "task_management_timeout_ns": 150_000}
    layer = replace(config.multipath, escalation=Escalation.ABORT_TASK, **timeouts)
    assert not differences(replace(config, multipath=layer), 500_000, cuts)


@pytest.mark.parametrize("cuts", [(), (60_000,), tuple(range(1_000, 400_000, 7_000))], ids=len)
def test_what_answers_when_a_reset_is_over_takes_no_place_on_links(cuts: tuple[int, ...]) -> None:
    # Its word is through at 71,962. A check's answer comes at 84,000, and the check is sent anew.
    slow = LinkUpdated(0, "fa", "a1.p0", 5 * 10**7, 4)
    reset = DeviceReset(2, "h1", "a1.v1", target=False)
    config = stack(job("j0", read_always=True, io_limit=9), changes=(slow, reset))
    assert not differences(checked(config), 2_000_000, cuts)


def checked(config: StackConfig) -> StackConfig:
    """The same, with paths that are checked every 50 us."""
    checks = PathFailureHandling(PathChecker.TUR, polling_interval_ns=50_000)
    [host] = config.multipath_hosts
    return replace(config, multipath_hosts=(replace(host, path_failure_handling=checks),))


def test_what_answers_a_check_of_a_path_that_its_host_let_go_of_takes_no_place_on_links() -> None:
    # Both devices' checks leave at 50,000; what is answered before 80,500 is known at the rescan.
    changes = (
        LinkUpdated(0, "fa", "a1.p0", 5 * 10**7, 4),
        ExportDeleted(45_000, "a1", "v1", "h1"),
        Rescanned(50_500, "h1"),
    )
    config = stack(
        job("j0", read_always=True, io_limit=9),
        arrays=(array(volume_ids=("v1", "v2")),),
        devices=("a1.v2",),
        changes=changes,
    )
    assert not differences(checked(config), 2_000_000)


def test_a_hold_time_that_nothing_waits_for_changes_nothing() -> None:
    kept, never = build_models(held(10**10)), build_models(held(0))
    for models in (kept, never):
        models.run(10**9)
    assert kept.completions == never.completions
    assert not kept.multipath.state["link"]["class3_discards"].any()


def test_a_hold_time_is_kept_with_the_fabric() -> None:
    models = build_models(held(300_000))
    models.run(1)
    multipath = models.multipath
    saved = multipath.keeper.parts["model"].save()
    update_fabric(multipath, "fa", hold_time_ns=0)
    multipath.keeper.parts["model"].load(saved)()
    fabric = multipath.fabrics.fabrics["fa"]
    rows = multipath.state["link"]["hold_ns"]
    assert fabric.hold_time_ns == 300_000
    assert [rows[fabric.links[name].row] for name in ("h1-a", "a1.p0")] == [300_000, 0]


def test_a_hold_time_needs_hosts_that_time_out() -> None:
    multipath = build_models(readers()).multipath
    with pytest.raises(FailedPrecondition, match="has no command_timeout_ns"):
        update_fabric(
            multipath, "fa", hold_time_ns=220_000_000, trunk_bandwidth_bytes_per_second=10**8
        )
    assert "trunk" not in multipath.fabrics.fabrics["fa"].links
    update_fabric(multipath, "fa", hold_time_ns=0)
    with pytest.raises(InvalidArgument, match=r"fabric\.hold_time_ns"):
        update_fabric(multipath, "fa", hold_time_ns=999)


@pytest.mark.parametrize(
    "changes",
    [
        (),
        (LinkUpdated(0, "fa", "h1-a", 10**8, 4),),
        (TrunkSet(300_000, "fa", 0), LinkUpdated(400_000, "fb", "h1-b", 10**8, 4)),
        (TrunkSet(300_000, "fa", 10**8), TrunkSet(900_000, "fa", 0)),
    ],
    ids=["without", "from the start", "later", "for a while"],
)
def test_links_count_all_frames_with_limits_and_without(changes: tuple[Change, ...]) -> None:
    models = build_models(readers(*changes))
    models.run(100_000_000)
    state, fabrics = models.multipath.state, models.multipath.fabrics.fabrics
    counted = frames(state)
    assert len(models.completions) == 40
    for ends in (("h1-a", "h1-b"), ("a1.p0", "a1.p1")):
        rows = [fabrics[f].links[end].row for f, end in zip(("fa", "fb"), ends, strict=True)]
        assert counted[rows].sum() == 40 * KIB64 // 2048
        assert [frames_on(state, row) for row in rows] == counted[rows].tolist()


def test_a_link_is_out_of_credits_no_longer_than_there_is_time() -> None:
    link = "multipaths/m1/fabrics/fa/links/h1-a"
    slow = FaultRule("SLOW_DRAIN", link, "s", factor_per_mille=9_000)
    config = readers(FaultInjected(0, "multipaths/m1", slow))
    models = build_models(config)
    models.run(100_000_000)
    last_ns = max(record.time for record in models.completions)
    rows = models.multipath.state["link"]
    links = models.multipath.fabrics.fabrics["fa"].links
    for name in ("h1-a", "a1.p0"):  # each of four answers has 32 frames, for 16 buffers
        assert 0.5 * last_ns < rows["credit_zero_ns"][links[name].row] < last_ns
    roomy = build_models(replace(config, changes=(*config.changes, DEEP)))
    roomy.run(100_000_000)
    assert not roomy.multipath.state["link"]["credit_zero_ns"].any()


def test_a_link_that_goes_down_takes_its_paths_along_and_brings_them_back() -> None:
    rule = FaultRule(
        "LINK_DOWN", "multipaths/m1/fabrics/fa/links/h1-a", "l", start_ns=200_000, duration_ns=10**6
    )
    models = build_models(readers(FaultInjected(0, "multipaths/m1", rule)))
    models.run(400_000)
    [device] = models.multipath.all_devices()
    rows = models.multipath.state["path"]
    states = {path.name: int(rows[path.row]["state"]) for path in device.paths.values()}
    assert states == {"h1-a.p0": PathState.DEAD, "h1-b.p1": PathState.ACTIVE}
    models.run(1_300_000)
    assert all(int(rows[path.row]["state"]) == PathState.ACTIVE for path in device.paths.values())
    kinds = [event.kind for event in models.multipath.events.since(0)]
    for kind in ("LINK_DOWN", "PATH_DOWN", "LINK_UP", "PATH_UP"):
        assert kinds.count(kind) == 1


def flapping(service: str, kind: str, target: str) -> FaultInjected:
    times = {"start_ns": 200_000, "down_ns": 100_000, "up_ns": 300_000, "count": 3}
    return FaultInjected(0, service, FaultRule(kind, f"{service}/{target}", "f", **times))


LINK_FLAP = flapping("multipaths/m1", "LINK_DOWN", "fabrics/fa/links/h1-a")
PORT_FLAP = flapping("arrays/a1", "PORT_DOWN", "ports/p0")


@pytest.mark.parametrize("change", [LINK_FLAP, PORT_FLAP], ids=["link", "port"])
def test_what_flaps_goes_down_and_up_in_turn_because_of_its_rule(change: FaultInjected) -> None:
    models = build_models(readers(change))
    models.run(3_000_000)
    room = models.multipath if change is LINK_FLAP else models.arrays["a1"]
    which = change.rule.kind.removesuffix("DOWN")
    told = [e for e in room.events.since(0) if e.kind in (f"{which}DOWN", f"{which}UP")]
    times = [200_000, 300_000, 600_000, 700_000, 1_000_000, 1_100_000]
    assert [(event.time_ns, event.kind) for event in told] == [
        (time, f"{which}{way}") for time, way in zip(times, ["DOWN", "UP"] * 3, strict=True)
    ]
    started, ended = (e for e in room.events.since(0) if e.kind.startswith("FAULT_"))
    assert [event.cause for event in told] == [started.name] * 5 + [ended.name]
    assert (ended.time_ns, ended.detail["because"]) == (1_100_000, "count")
    assert not differences(readers(change), 3_000_000, (150_000, 250_000, 650_000))


@pytest.mark.parametrize("change", [LINK_FLAP, PORT_FLAP], ids=["link", "port"])
@pytest.mark.parametrize("clears", [(), (2_450_000,), (2_650_000,)], ids=["never", "down", "up"])
def test_what_flaps_without_end_agrees_until_it_is_cleared(
    change: FaultInjected, clears: tuple[int, ...]
) -> None:
    endless = replace(change, rule=replace(change.rule, count=0))
    cleared = [FaultCleared(at_ns, change.service, "f") for at_ns in clears]
    assert not differences(readers(endless, *cleared), 6_000_000, (150_000, 250_000, 2_500_000))


H1_A = "multipaths/m1/fabrics/fa/links/h1-a"
REFUSED = FaultInjected(
    0,
    "multipaths/m1",
    FaultRule("LOGIN_REJECTED", H1_A, "r", start_ns=150_000, duration_ns=700_000),
)
REFUSED_FLAP = FaultInjected(
    0,
    "multipaths/m1",
    FaultRule("LINK_DOWN", H1_A, "l", start_ns=200_000, down_ns=100_000, up_ns=300_000, count=2),
)


def test_a_link_whose_logins_are_refused_gives_its_paths_back_when_the_rule_ends() -> None:
    models = build_models(readers(REFUSED, REFUSED_FLAP))
    models.run(190_000)
    [device] = models.multipath.all_devices()
    row = models.multipath.state["path"][device.paths["h1-a.p0"].row]
    assert int(row["state"]) == PathState.ACTIVE, "it is logged in"
    models.run(3_000_000)
    told = models.multipath.events.since(0)
    fault = {(e.subject[-1], e.kind): e.name for e in told if e.kind.startswith("FAULT_")}
    assert [(e.time_ns, e.kind, e.cause) for e in told if e.subject == H1_A] == [
        (200_000, "LINK_DOWN", fault["l", "FAULT_STARTED"]),
        (300_000, "LINK_UP", fault["l", "FAULT_STARTED"]),
        (300_000, "LOGIN_REJECTED", fault["r", "FAULT_STARTED"]),
        (600_000, "LINK_DOWN", fault["l", "FAULT_STARTED"]),
        (700_000, "LINK_UP", fault["l", "FAULT_ENDED"]),
        (700_000, "LOGIN_REJECTED", fault["r", "FAULT_STARTED"]),
        (850_000, "LOGIN_ACCEPTED", fault["r", "FAULT_ENDED"]),
    ]
    [accepted] = [e for e in told if e.kind == "LOGIN_ACCEPTED"]
    [down, up] = [e for e in told if e.kind in ("PATH_DOWN", "PATH_UP")]
    assert (down.kind, up.kind, up.cause) == ("PATH_DOWN", "PATH_UP", accepted.name)
    assert up.time_ns == 850_000 + models.multipath.lookahead_ns
    assert models.multipath.wires.rejects == {("fa", "h1-a"): 2}
    assert not differences(
        readers(REFUSED, REFUSED_FLAP), 3_000_000, (150_000, 250_000, 650_000, 710_000)
    )


def test_which_links_are_barred_is_kept_by_a_snapshot() -> None:
    models = build_models(readers(REFUSED, REFUSED_FLAP))
    models.run(750_000)
    wires, part = models.multipath.wires, models.multipath.keeper.parts["model"]
    saved = part.save()
    models.run(3_000_000)
    assert (wires.barred, wires.rejects) == (set(), {("fa", "h1-a"): 2})
    wires.rejects.clear()
    part.load(saved)()
    assert (wires.barred, wires.rejects) == ({("fa", "h1-a")}, {("fa", "h1-a"): 2})
    [device] = models.multipath.all_devices()
    row = models.multipath.state["path"][device.paths["h1-a.p0"].row]
    assert int(row["state"]) == PathState.DEAD


@st.composite
def refusing(draw: st.DrawFn) -> Scenario:
    """Draws a stack that breaks, with a link that flaps and logins across it that are refused."""
    scenario = draw(faulty_scenarios())
    links = st.sampled_from([f"multipaths/m1/fabrics/*/links/{end}" for end in ("h0-*", "a0.p0")])
    times = st.integers(0, max(scenario.until_ns // 2, 1))
    target, added = draw(links), []
    taken = {change.at_ns for change in scenario.stack.changes}
    for kind in ("LOGIN_REJECTED", "LINK_DOWN"):
        at_ns = draw(times.filter(lambda time: time not in taken))
        taken.add(at_ns)
        flaps = {"down_ns": 20_000, "up_ns": draw(st.integers(1_000, 50_000)), "count": 5}
        rule = FaultRule(
            kind,
            target,
            f"x-{kind.lower().replace('_', '-')}",
            duration_ns=draw(st.sampled_from([60_000, 100_000, 1_000_000])),
            **(flaps if kind == "LINK_DOWN" else {}),
        )
        added.append(FaultInjected(at_ns, "multipaths/m1", rule))
    changes = sorted([*scenario.stack.changes, *added], key=lambda change: change.at_ns)
    return replace(scenario, stack=replace(scenario.stack, changes=tuple(changes)))


@settings(max_examples=20)
@given(refusing(), st.integers(5_000, 100_000))
def test_links_whose_logins_are_refused_agree(scenario: Scenario, step_ns: int) -> None:
    try:
        assert not differences_on(scenario, tuple(range(0, scenario.until_ns, step_ns)))
    except InvalidArgument as refused:
        assert "matches nothing" in str(refused)
        reject()


def test_a_damaged_frame_costs_another_attempt_and_no_error() -> None:
    rule = FaultRule("FRAME_DAMAGED", "multipaths/m1/fabrics/fa/links/h1-a", "d", probability=0.5)
    models = build_models(readers(FaultInjected(0, "multipaths/m1", rule)))
    models.run(50_000_000)
    assert len(models.completions) == 40
    assert all(record.status == 0 for record in models.completions)
    assert any(record.attempt for record in models.completions)
    links = models.multipath.fabrics.fabrics["fa"].links
    assert models.multipath.state["link"]["crc_errors"][links["h1-a"].row] > 0
