"""Fabrics that hold answers up agree with the reference, whatever dies while answers cross them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from smokestack.engine.errors import InvalidArgument
from smokestack.engine.fault_rules import FaultRule
from smokestack.multipath.fabrics import frames, frames_on
from smokestack.multipath.specs import PathState, Selector
from tests.reference.build import build_models, build_reference
from tests.reference.config import Change, FaultInjected, LinkUpdated, StackConfig, TrunkSet
from tests.reference.generate import Scenario, scenarios
from tests.reference.generate_faults import faulty_scenarios
from tests.reference.samples import array, job, port, stack
from tests.server.test_reference_agrees import agree_on

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


@settings(max_examples=20)
@given(narrow(scenarios()))
def test_a_narrow_fabric_agrees(scenario: Scenario) -> None:
    agree_on(scenario, scenario.cuts)


@settings(max_examples=20)
@given(narrow(faulty_scenarios()), st.integers(5_000, 100_000))
def test_a_narrow_fabric_agrees_while_things_break(scenario: Scenario, step_ns: int) -> None:
    try:
        agree_on(scenario, tuple(range(0, scenario.until_ns, step_ns)))
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


def test_a_damaged_frame_costs_another_attempt_and_no_error() -> None:
    rule = FaultRule("FRAME_DAMAGED", "multipaths/m1/fabrics/fa/links/h1-a", "d", probability=0.5)
    models = build_models(readers(FaultInjected(0, "multipaths/m1", rule)))
    models.run(50_000_000)
    assert len(models.completions) == 40
    assert all(record.status == 0 for record in models.completions)
    assert any(record.attempt for record in models.completions)
    links = models.multipath.fabrics.fabrics["fa"].links
    assert models.multipath.state["link"]["crc_errors"][links["h1-a"].row] > 0
