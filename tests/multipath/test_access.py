"""Paths by target port group: what hosts use, how they learn of a change, how they thrash."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smokestack.array.specs import (
    Access,
    AccessSpec,
    ArrayHostSpec,
    ControllerSpec,
    ExportSpec,
    InitiatorSpec,
)
from smokestack.engine.errors import FailedPrecondition, InvalidArgument
from smokestack.engine.event_kinds import EventKind
from smokestack.engine.records import AccessState
from smokestack.hypervisor.specs import HostSpec, VmSpec
from smokestack.multipath.specs import (
    ClaimRule,
    Failback,
    MultipathSpec,
    PathFailureHandling,
    PathState,
    Selector,
)
from smokestack.multipath.updates import update_host
from tests.reference.agreement import differences
from tests.reference.build import Models, build_models
from tests.reference.config import (
    Change,
    ControllerEnabled,
    PathEnabled,
    PortEnabled,
    StackConfig,
    VolumeAssigned,
)
from tests.reference.samples import array, job, port, stack
from tests.server.test_snapshot_pieces import sealed, taken

TRANSITION_NS = 200_000


def config(access: Access, **fields: Any) -> StackConfig:
    """Two hosts' worth of paths to one volume: p0 of c0, which owns it, and p1 of c1."""
    ports = (port("p0", "fa"), replace(port("p1", "fb"), controller_id="c1"))
    one = replace(
        array(ports=ports),
        controllers=(
            ControllerSpec("c0", core_count=1, read_ns=3_000, write_ns=5_000),
            ControllerSpec("c1", core_count=1, read_ns=3_000, write_ns=5_000, partner="c0"),
        ),
        access=AccessSpec(access, 10_000, TRANSITION_NS),
    )
    layer = MultipathSpec(not_ready_retry_delay_ns=50_000)
    return replace(stack(job(slots=2), arrays=(one,), **fields), multipath=layer)


def thrashing(one: StackConfig) -> StackConfig:
    """The same with hosts that may have Fixed wherever they like."""
    hosts = tuple(replace(host, allow_thrashing=True) for host in one.multipath_hosts)
    return replace(one, multipath_hosts=hosts)


def paths(models: Models) -> list[tuple[PathState, AccessState]]:
    status = models.multipath.device_status("h1", "a1.v1")
    return [(path.state, path.access) for path in status.paths]


def ios(models: Models) -> list[int]:
    return [path.io_count for path in models.multipath.device_status("h1", "a1.v1").paths]


def test_only_optimized_paths_carry_while_there_are_any() -> None:
    models = build_models(config(Access.ALUA))
    models.run(2_000_000)
    assert paths(models) == [
        (PathState.ACTIVE, AccessState.OPTIMIZED),
        (PathState.STANDBY, AccessState.NON_OPTIMIZED),
    ]
    assert ios(models)[0] > 10
    assert ios(models)[1] == 0


def test_a_host_follows_a_volume_to_its_new_owner() -> None:
    change = VolumeAssigned(500_000, "a1", "v1", "c1")
    models = build_models(config(Access.ALUA, changes=(change,)))
    models.run(5_000_000)
    assert paths(models) == [
        (PathState.STANDBY, AccessState.NON_OPTIMIZED),
        (PathState.ACTIVE, AccessState.OPTIMIZED),
    ]
    assert ios(models)[1] > 10
    assert all(record.status == 0 for record in models.completions)
    kinds = [event.kind for event in models.multipath.events.after(0, 999)]
    assert EventKind.DEVICE_ACCESS_CHANGED in kinds


def test_a_host_goes_on_when_the_owner_is_lost() -> None:
    change = ControllerEnabled(500_000, "a1", "c0", enabled=False)
    models = build_models(config(Access.ALUA, changes=(change,)))
    models.run(5_000_000)
    assert paths(models)[1] == (PathState.ACTIVE, AccessState.OPTIMIZED)
    assert ios(models)[1] > 10
    assert all(record.status == 0 for record in models.completions)


def standby(explicit_access: bool) -> Models:
    """A host that loses its paths to a volume's owner, which lives on; others are on standby."""
    one = config(Access.STANDBY, changes=(PortEnabled(500_000, "a1", "p0", False),))
    access = replace(one.arrays[0].access, explicit_access=explicit_access)
    return build_models(replace(one, arrays=(replace(one.arrays[0], access=access),)))


def test_a_host_moves_a_volume_whose_owner_it_cannot_reach() -> None:
    models = standby(explicit_access=True)
    models.run(5_000_000)
    assert models.arrays["a1"].ownership.owner("v1") == "c1"
    assert paths(models)[1] == (PathState.ACTIVE, AccessState.OPTIMIZED)
    assert ios(models)[1] > 10
    assert all(record.status == 0 for record in models.completions)
    kinds = [event.kind for event in models.arrays["a1"].events.after(0, 999)]
    assert kinds.count(EventKind.VOLUME_TRESPASSED) == 1


def test_a_host_waits_where_it_may_not_move_a_volume() -> None:
    models = standby(explicit_access=False)
    models.run(5_000_000)
    assert models.arrays["a1"].ownership.owner("v1") == "c0"
    assert paths(models)[1] == (PathState.ACTIVE, AccessState.STANDBY)
    assert ios(models)[1] == 0


def test_fixed_on_the_passive_side_pulls_the_volume_over() -> None:
    models = build_models(thrashing(config(Access.ACTIVE_PASSIVE, selector=Selector.FIXED)))
    models.multipath.update_device("h1", "a1.v1", preferred_path="h1-b.p1")
    models.run(3_000_000)
    assert models.arrays["a1"].ownership.owner("v1") == "c1"
    assert ios(models)[0] == 0
    assert ios(models)[1] > 10


def test_round_robin_leaves_the_passive_side_alone() -> None:
    models = build_models(config(Access.ACTIVE_PASSIVE, ios_per_path=1))
    models.run(3_000_000)
    assert models.arrays["a1"].ownership.owner("v1") == "c0"
    assert ios(models)[1] == 0


def test_two_hosts_that_prefer_different_sides_thrash() -> None:
    """Fixed on an active/passive array (FACTS 2.1): the volume goes to and fro."""
    one = config(Access.ACTIVE_PASSIVE)
    other = InitiatorSpec("h2-a", "fa"), InitiatorSpec("h2-b", "fb")
    shared = replace(
        one.arrays[0],
        hosts=(*one.arrays[0].hosts, ArrayHostSpec("h2", other)),
        exports=(*one.arrays[0].exports, ExportSpec("v1", "h2", 0)),
    )
    second = replace(one.jobs[0], host_id="h2", uid=7)
    layer = replace(one.multipath_hosts[0], selector=Selector.FIXED, allow_thrashing=True)
    both = replace(
        one,
        arrays=(shared,),
        multipath_hosts=(layer, replace(layer, host_id="h2", initiators=("h2-a", "h2-b"))),
        hosts=(*one.hosts, HostSpec("h2")),
        vms=(*one.vms, VmSpec("h2", "v1", 2_000)),
        disks=(*one.disks, replace(one.disks[0], host_id="h2")),
        jobs=(*one.jobs, second),
    )
    models = build_models(both)
    models.multipath.update_device("h2", "a1.v1", preferred_path="h2-b.p1")
    models.run(20_000_000)
    kinds = [event.kind for event in models.arrays["a1"].events.after(0, 9_999)]
    thrashed = kinds.count(EventKind.VOLUME_TRESPASSED)
    agreed = build_models(both)
    agreed.run(20_000_000)
    assert thrashed > 20
    assert len(models.completions) < len(agreed.completions) // 4


def policy(models: Models) -> Selector:
    return models.multipath.device_status("h1", "a1.v1").selector


def test_fixed_is_refused_where_it_would_pull_a_volume_to_and_fro() -> None:
    models = build_models(config(Access.ACTIVE_PASSIVE))
    layer = models.multipath
    with pytest.raises(FailedPrecondition, match=r"active/passive.*MOST_RECENTLY_USED.*allow_th"):
        layer.update_device("h1", "a1.v1", selector=Selector.FIXED, lun_queue_depth=3)
    status = layer.device_status("h1", "a1.v1")
    assert (status.selector, status.lun_queue_depth) == (Selector.ROUND_ROBIN, 32)
    update_host(layer, replace(layer.host("h1"), allow_thrashing=True))
    layer.update_device("h1", "a1.v1", selector=Selector.FIXED)
    assert policy(models) is Selector.FIXED
    update_host(layer, replace(layer.host("h1"), allow_thrashing=False))
    assert policy(models) is Selector.MOST_RECENTLY_USED


@pytest.mark.parametrize("by_rule", [False, True])
def test_hosts_that_say_fixed_use_another_policy_there(by_rule: bool) -> None:
    one = config(Access.ACTIVE_PASSIVE)
    says = (
        {"claim_rules": (ClaimRule(selector=Selector.FIXED),)}
        if by_rule
        else {"selector": Selector.FIXED}
    )
    host = replace(one.multipath_hosts[0], **says)
    models = build_models(replace(one, multipath_hosts=(host,)))
    assert policy(models) is Selector.MOST_RECENTLY_USED
    models.run(2_000_000)
    assert ios(models)[1] == 0
    update_host(models.multipath, replace(host, allow_thrashing=True))
    assert policy(models) is Selector.FIXED  # which its host still says


@pytest.mark.parametrize("access", [Access.SYMMETRIC, Access.ALUA, Access.STANDBY])
def test_fixed_is_free_where_no_command_moves_a_volume(access: Access) -> None:
    models = build_models(config(access, selector=Selector.FIXED))
    assert policy(models) is Selector.FIXED
    models.multipath.rescan("h1")
    assert policy(models) is Selector.FIXED


def test_a_rescan_takes_fixed_from_what_has_become_active_passive() -> None:
    models = build_models(config(Access.ALUA, selector=Selector.FIXED))
    models.arrays["a1"].ownership.configure(
        AccessSpec(Access.ACTIVE_PASSIVE, 10_000, TRANSITION_NS)
    )
    models.multipath.rescan("h1")
    assert policy(models) is Selector.MOST_RECENTLY_USED


AWAY = (
    ControllerEnabled(500_000, "a1", "c0", False),
    ControllerEnabled(2_000_000, "a1", "c0", True),
)


def home(access: Access, *changes: Change, explicit: bool = True, **failback: Any) -> StackConfig:
    """The owner is lost and comes back, on an array that leaves volumes where they are."""
    one = config(access, changes=changes)
    array_access = replace(one.arrays[0].access, explicit_access=explicit)
    handling = PathFailureHandling(**failback)
    hosts = tuple(replace(host, path_failure_handling=handling) for host in one.multipath_hosts)
    arrays = (replace(one.arrays[0], access=array_access),)
    return replace(one, arrays=arrays, multipath_hosts=hosts)


def failing_back(access: Access, *changes: Change, **fields: Any) -> Models:
    return build_models(home(access, *changes, **fields))


def trespasses(models: Models) -> list[int]:
    events = models.arrays["a1"].events.after(0, 999)
    return [event.time_ns for event in events if event.kind == EventKind.VOLUME_TRESPASSED]


@pytest.mark.parametrize("access", [Access.ALUA, Access.STANDBY, Access.UNAVAILABLE])
@pytest.mark.parametrize("failback", [Failback.IMMEDIATE, Failback.FOLLOWOVER])
def test_a_host_has_a_volume_moved_back_when_its_controller_returns(
    access: Access, failback: Failback
) -> None:
    models = failing_back(access, *AWAY, failback=failback)
    models.run(1_900_000)
    assert models.arrays["a1"].ownership.owner("v1") == "c1"
    models.run(5_000_000)
    assert models.arrays["a1"].ownership.owner("v1") == "c0"
    assert paths(models)[0] == (PathState.ACTIVE, AccessState.OPTIMIZED)
    assert paths(models)[1][0] is PathState.STANDBY
    [moved] = trespasses(models)
    assert 2_000_000 < moved < 2_300_000
    assert all(record.status == 0 for record in models.completions)


def test_by_hand_a_volume_stays_where_it_is() -> None:
    models = failing_back(Access.ALUA, *AWAY)
    models.run(5_000_000)
    assert models.arrays["a1"].ownership.owner("v1") == "c1"
    assert not trespasses(models)


def test_a_delay_passes_before_a_volume_is_moved_back() -> None:
    models = failing_back(
        Access.ALUA, *AWAY, failback=Failback.DELAYED, failback_delay_ns=1_000_000
    )
    models.run(6_000_000)
    [moved] = trespasses(models)
    assert 3_000_000 < moved < 3_300_000


def test_a_delay_ends_with_its_reason() -> None:
    again = ControllerEnabled(2_500_000, "a1", "c0", False)
    models = failing_back(
        Access.ALUA, *AWAY, again, failback=Failback.DELAYED, failback_delay_ns=1_000_000
    )
    models.run(6_000_000)
    assert not trespasses(models)


def test_an_array_whose_volumes_hosts_may_not_move_is_used_the_longer_way() -> None:
    lost = PortEnabled(500_000, "a1", "p0", False)
    models = failing_back(Access.ALUA, lost, explicit=False, failback=Failback.IMMEDIATE)
    models.run(3_000_000)
    assert not trespasses(models)
    assert ios(models)[1] > 10


@pytest.mark.parametrize(
    ("failback", "moves"), [(Failback.IMMEDIATE, True), (Failback.FOLLOWOVER, False)]
)
def test_what_another_host_has_moved_stays_there_for_who_follows_over(
    failback: Failback, moves: bool
) -> None:
    models = failing_back(Access.ACTIVE_PASSIVE, failback=failback)
    models.run(1_000_000)
    array = models.arrays["a1"]
    array.ownership._move("v1", "c1", array.acts_ns, "")  # as a command of its would
    models.run(5_000_000)
    assert (array.ownership.owner("v1") == "c0") == moves
    assert bool(trespasses(models)) == moves


@settings(max_examples=10)
@given(
    access=st.sampled_from([Access.ALUA, Access.STANDBY, Access.ACTIVE_PASSIVE]),
    failback=st.sampled_from(
        [{"failback": f} for f in Failback if f is not Failback.DELAYED]
        + [{"failback": Failback.DELAYED, "failback_delay_ns": 300_000}]
    ),
    times=st.lists(st.integers(1, 4_000_000), min_size=6, max_size=6),
    cuts=st.lists(st.integers(1, 5_000_000), max_size=3),
)
def test_failback_agrees_with_the_reference(
    access: Access, failback: dict[str, Any], times: list[int], cuts: list[int]
) -> None:
    whats = itertools.cycle(
        [
            lambda at: ControllerEnabled(at, "a1", "c0", False),
            lambda at: ControllerEnabled(at, "a1", "c0", True),
            lambda at: PortEnabled(at, "a1", "p1", False),
            lambda at: PortEnabled(at, "a1", "p1", True),
            lambda at: PathEnabled(at, "h1", "a1.v1", "h1-a.p0", False),
            lambda at: PathEnabled(at, "h1", "a1.v1", "h1-a.p0", True),
        ]
    )
    changes = [next(whats)(at) for at in sorted(times)]
    assert not differences(home(access, *changes, **failback), 5_000_000, tuple(sorted(cuts)))


@pytest.mark.parametrize(
    "wrong", [{"failback": Failback.DELAYED}, {"failback_delay_ns": 1}], ids=["delay", "policy"]
)
def test_a_delay_goes_with_its_policy(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match="set both, or neither"):
        failing_back(Access.ALUA, **wrong)


def test_a_snapshot_amid_a_delay_leads_to_the_same_end() -> None:
    models, ends = (
        failing_back(Access.ALUA, *AWAY, failback=Failback.DELAYED, failback_delay_ns=1_000_000),
        [],
    )
    models.run(2_500_000)
    pieces = sealed(taken(models.hypervisor))
    for _ in range(2):
        assert not trespasses(models)
        models.hypervisor.advance(6_000_000)
        ends.append((models.digest(), trespasses(models)))
        models.hypervisor.restore(pieces)
    assert ends[0] == ends[1]
    assert len(ends[0][1]) == 1
