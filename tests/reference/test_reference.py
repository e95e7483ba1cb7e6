"""What holds of the reference on any stack, and that generated stacks get into trouble."""

from __future__ import annotations

import typing
from collections import Counter
from dataclasses import replace

from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st

from smokestack.array.specs import Access, OutOfSpace
from smokestack.engine.records import Kind, Sense, Status
from smokestack.multipath.specs import ApdHandling, PathFailureHandling, QueueControl
from tests.reference.build import build_reference
from tests.reference.config import Change, FaultChange, HoldTimeSet, StackConfig
from tests.reference.digest import digest_of
from tests.reference.generate import Scenario, scenarios
from tests.reference.samples import job, stack


@settings(max_examples=30)
@given(scenarios())
def test_where_a_run_is_cut_changes_nothing(scenario: Scenario) -> None:
    whole = build_reference(scenario.stack)
    whole.run(scenario.until_ns)
    pieces = build_reference(scenario.stack)
    for cut in (*scenario.cuts, scenario.until_ns):
        pieces.run(cut)
    assert pieces.completions == whole.completions
    assert pieces.digest() == whole.digest() == digest_of(whole.completions)


@settings(max_examples=30)
@given(scenarios())
def test_each_io_completes_once_in_order(scenario: Scenario) -> None:
    world = build_reference(scenario.stack)
    world.run(scenario.until_ns)
    keys = [(record.time, record.ident, record.attempt) for record in world.completions]
    assert keys == sorted(keys)
    assert len({record.ident for record in world.completions}) == len(keys)
    assert all(record.time < scenario.until_ns for record in world.completions)


def yielding(stack: StackConfig) -> StackConfig:
    """A stack that comes to rest: nothing waits for what nobody will do.

    Otherwise hosts may reach no controller that serves, pull a volume to and fro, wait for a path
    or for a pool that is full, hang, or take commands back before they can be answered.
    """
    arrays = tuple(
        replace(
            array,
            access=replace(array.access, access=min(array.access.access, Access.ALUA)),
            ports=tuple(replace(port, hang_refusals=0) for port in array.ports),
            pools=tuple(replace(pool, out_of_space=OutOfSpace.FAIL_WRITES) for pool in array.pools),
        )
        for array in stack.arrays
    )
    hosts = tuple(
        replace(host, queue_control=QueueControl(), path_failure_handling=PathFailureHandling())
        for host in stack.multipath_hosts
    )
    patient = replace(stack.multipath, command_timeout_ns=0, apd_handling=ApdHandling.FAIL)
    return replace(stack, arrays=arrays, multipath_hosts=hosts, multipath=patient)


@settings(max_examples=30)
@given(scenarios(with_changes=False))
def test_an_idle_stack_holds_nothing_back(scenario: Scenario) -> None:
    world = build_reference(yielding(scenario.stack))
    world.run()
    for device in world.multipath.devices.values():
        assert (device.active, len(device.queue)) == (0, 0)
        assert all(path.in_flight == 0 for path in device.paths)
    for array in world.arrays.values():
        assert all(port.outstanding == 0 for port in array.ports.values())
        assert all(itl.outstanding == 0 for itl in array.itls)
        for pool in array.pools.values():
            assert pool.allocated <= pool.limit_pages
        pages = [page for v in array.volumes.values() for page in v.pages.values()]
        assert len(pages) == sum(pool.allocated for pool in array.pools.values())


def test_generated_stacks_get_into_every_trouble() -> None:
    seen: Counter[str] = Counter()

    def run(scenario: Scenario) -> None:
        world = build_reference(scenario.stack)
        world.run(scenario.until_ns)
        seen["ios"] += len(world.completions)
        for record in world.completions:
            seen["retried"] += record.attempt > 0
            seen["no path"] += record.kind == Kind.HOST
            seen["pool dry"] += record.sense == Sense.SPACE_ALLOCATION_FAILED
            seen["good"] += (record.kind, record.status) == (Kind.RESPONSE, Status.GOOD)
        seen.update(type(change).__name__ for change in scenario.stack.changes)

    kinds = {kind.__name__ for kind in typing.get_args(Change)}
    elsewhere = {*typing.get_args(FaultChange), HoldTimeSet}  # drawn with faults, with fabrics
    kinds -= {kind.__name__ for kind in elsewhere}
    wanted = kinds | {"retried", "no path", "pool dry", "good"}
    for number in range(60):  # until all of it has been seen: rare kinds take a while
        limits = settings(max_examples=50, database=None, phases=(Phase.generate,))
        limits(seed(number)(given(scenarios())(run)))()
        if all(seen[what] for what in wanted):
            break
    assert all(seen[what] for what in wanted), seen
    assert seen["good"] > seen["ios"] // 6


@given(st.integers(0, 100), st.integers(101, 200))
def test_the_seed_matters(one: int, other: int) -> None:
    def digest(seed: int) -> str:
        plan = job(io_limit=20, slots=4, pattern=1, read_threshold=1 << 63)
        world = build_reference(stack(plan, seed=seed))
        world.run()
        return world.digest()

    assert digest(one) == digest(one) != digest(other)
