"""Faults in a whole stack: one result however it is run and cut, and the reference agrees."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, reject, settings

from smokestack.array.specs import PortSpec
from smokestack.engine.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from smokestack.engine.event_kinds import EventKind
from smokestack.server.run import run_stack
from smokestack.server.scenario import ScenarioError, parse_scenario
from smokestack.server.stack import Stack
from smokestack.v1 import faults_pb2 as pb
from smokestack.v1 import scenario_pb2, simulation_pb2
from tests.reference.build import build_models, build_reference
from tests.reference.config import Change, ExportDeleted, PortEnabled
from tests.reference.generate import Scenario
from tests.reference.generate_faults import faulty_scenarios
from tests.reference.samples import array, job, stack
from tests.server.scenarios import small_scenario

MS = 1_000_000
RULES: list[dict[str, Any]] = [
    {"kind": "PORT_DOWN", "target": "arrays/*/ports/p0", "start_ns": 3 * MS, "duration_ns": 2 * MS},
    {"kind": "MEDIA_SLOW", "target": "arrays/a1/pools/p1", "factor_per_mille": 5_000},
    {"kind": "CONTROLLER_SLOW", "target": "arrays/a2/controllers/*", "factor_per_mille": 1_500},
    {"kind": "COMMAND_FAILED", "target": "arrays/a2/volumes/*", "probability": 0.01, "count": 20},
    {"kind": "MEDIA_ERROR", "target": "arrays/*/pools/*", "probability": 0.9},
    {"kind": "TASK_SET_FULL", "target": "arrays/a1/ports/*", "probability": 0.2},
    {
        "kind": "PATH_DISABLED",
        "target": "multipaths/m1/hosts/h1/devices/*/paths/h1-b.*",
        "start_ns": 10 * MS,
        "duration_ns": 7 * MS + 1,
    },
    {
        "kind": "WRONG_VOLUME",
        "target": "arrays/a1/exports/*",
        "start_ns": 4 * MS,
        "duration_ns": 1 * MS + 7,
    },
    {
        "kind": "PATH_FALSELY_DEAD",
        "target": "multipaths/m1/hosts/h2/devices/*/paths/h2-a.*",
        "start_ns": 14 * MS,
        "duration_ns": 3 * MS,
    },
    {"kind": "IDENTITY_CHANGED", "target": "arrays/a2/volumes/*"},
    {"kind": "VM_PAUSED", "target": "hosts/h2/vms/*", "start_ns": 5 * MS, "duration_ns": 20 * MS},
]


def broken_scenario(seed: int = 1) -> scenario_pb2.Scenario:
    """Two arrays and two hosts; everything that can break does."""
    scenario = small_scenario(2, seed=seed)
    for rule in RULES:
        scenario.faults.add(**rule)
    return scenario


@pytest.fixture
def broken() -> Stack:
    return Stack(broken_scenario())


def log(stack: Stack) -> list[Any]:
    return [event for room in stack.rooms for event in room.model.events.after(0, 10_000)]


def rules(stack: Stack) -> list[Any]:
    return [
        fault
        for room in stack.rooms
        for fault in room.simulation.ListFaults(pb.ListFaultsRequest()).faults
    ]


def test_processes_break_as_one_process_does() -> None:
    here, there = (run_stack(broken_scenario(), processes=p) for p in (False, True))
    assert here["digest"] == there["digest"]
    for figure in ("ios", "errors", "virtual_seconds", "latency", "windows", "disks", "paths"):
        assert here[figure] == there[figure]


def test_where_time_is_cut_changes_nothing(broken: Stack) -> None:
    whole, pieces = broken, Stack(broken_scenario())
    whole.hypervisor.model.advance(30 * MS)
    edges = [edge + off for edge in (3 * MS, 5 * MS, 10 * MS, 25 * MS) for off in (-1, 0, 1)]
    for until in sorted([*range(0, 30 * MS, 777_777), *edges, 30 * MS]):
        pieces.hypervisor.model.advance(until)
    assert pieces.hypervisor.model.digest() == whole.hypervisor.model.digest()
    assert log(pieces) == log(whole)
    assert rules(pieces) == rules(whole)
    hits = {fault.kind: fault.hit_count for fault in rules(whole)}
    assert min(hits.values()) > 0, hits


def test_the_seed_breaks_the_same_way_again_and_another_does_not() -> None:
    first, again, other = (run_stack(broken_scenario(seed))["digest"] for seed in (1, 1, 2))
    assert first == again != other


@settings(max_examples=60)
@given(faulty_scenarios())
def test_the_reference_breaks_the_same_way(scenario: Scenario) -> None:
    reference, models = build_reference(scenario.stack), build_models(scenario.stack)
    reference.run(scenario.until_ns)
    try:
        for time in (*scenario.cuts, scenario.until_ns):
            models.run(time)
    except (InvalidArgument, FailedPrecondition) as refused:
        assert "matches nothing" in str(refused) or refused.reason == "SNAPSHOT_STALE"
        reject()
    assert models.completions == reference.completions
    assert models.digest() == reference.digest()


def test_what_follows_names_the_rule_as_its_cause(broken: Stack) -> None:
    broken.hypervisor.model.advance(12 * MS)
    array = broken.arrays["a1"].model.events.after(0, 10_000)
    [began] = [e for e in array if e.subject.endswith("port-down-1") and e.kind == "FAULT_STARTED"]
    [down] = [e for e in array if e.kind == EventKind.PORT_DOWN]
    assert (began.time_ns, down.time_ns, down.cause) == (3 * MS, 3 * MS, began.name)
    [ended] = [e for e in array if e.cause == began.name and e.kind == EventKind.FAULT_ENDED]
    [up] = [e for e in array if e.kind == EventKind.PORT_UP]
    assert (up.time_ns, up.cause) == (5 * MS, ended.name)
    paths = broken.multipath.model.events.after(0, 10_000)
    assert {e.cause for e in paths if e.kind == EventKind.PATH_DOWN} >= {down.name}
    disabled = [e for e in paths if e.kind == EventKind.PATH_DISABLED]
    [began] = [e for e in paths if e.kind == EventKind.FAULT_STARTED]
    assert disabled and {e.cause for e in disabled} == {began.name}


def test_a_command_under_way_to_what_is_hidden_by_then_is_not_left_hanging() -> None:
    ports = (PortSpec("p0", "c0", "fa", forward_latency_ns=10_000, return_latency_ns=20_000),)
    changes: tuple[Change, ...] = (
        ExportDeleted(12_000, "a1", "v1", "h1"),
        PortEnabled(12_001, "a1", "p0", False),
    )
    config = stack(job(io_limit=1), arrays=(array(ports=ports),), changes=changes)
    models = build_models(config)
    models.run_until_idle(10**9)
    assert len(models.completions) == 1


# --- the API ----------------------------------------------------------------------------------


def inject(room: Any, **fields: Any) -> pb.FaultRule:
    fault_id = fields.pop("fault_id", "")
    fault = pb.FaultRule(**fields)
    answer: pb.FaultRule = room.simulation.InjectFault(
        pb.InjectFaultRequest(fault_id=fault_id, fault=fault, request_id=f"{fault_id} {fault}")
    )
    return answer


def test_a_rule_is_injected_once_shown_and_cleared() -> None:
    room = Stack(small_scenario(io_limit=0)).arrays["a1"]
    fields = {"kind": "PORT_DOWN", "target": "arrays/a1/ports/*", "duration_ns": 5 * MS}
    made = inject(room, fault_id="cut", **fields)
    assert inject(room, fault_id="cut", **fields) == made
    assert (made.name, made.probability) == ("arrays/a1/faults/cut", 1.0)
    assert (made.state, made.begin_ns, made.end_ns) == (pb.FAULT_STATE_ACTIVE, 0, 5 * MS)
    by_name = room.simulation.GetFault(pb.GetFaultRequest(name=made.name))
    assert by_name == made
    cleared = room.simulation.ClearFault(pb.ClearFaultRequest(name=made.name))
    assert (cleared.state, cleared.hit_count) == (pb.FAULT_STATE_ENDED, 2)
    with pytest.raises(NotFound):
        room.simulation.GetFault(pb.GetFaultRequest(name=made.name))


def test_rules_come_in_pages_by_name() -> None:
    room = Stack(small_scenario()).arrays["a1"]
    for fault_id in ("b", "c", "a"):
        inject(room, fault_id=fault_id, kind="PORT_DOWN", target="arrays/a1/ports/p0")
    first = room.simulation.ListFaults(pb.ListFaultsRequest(page_size=2))
    rest = room.simulation.ListFaults(pb.ListFaultsRequest(page_token=first.next_page_token))
    names = [fault.name.rpartition("/")[2] for page in (first, rest) for fault in page.faults]
    assert names == ["a", "b", "c"]
    with pytest.raises(AlreadyExists):
        inject(room, fault_id="a", kind="PORT_DOWN", target="arrays/a1/ports/p1")


def test_each_service_lists_the_kinds_that_it_models() -> None:
    listed = {
        room.name: [
            (kind.name, kind.target_example)
            for kind in room.simulation.ListFaultKinds(pb.ListFaultKindsRequest()).fault_kinds
        ]
        for room in Stack(small_scenario(2)).rooms
    }
    assert listed["hypervisors/hv1"] == [("VM_PAUSED", "hosts/h1/vms/v1")]
    kinds = {name for name, _ in listed["multipaths/m1"]}
    assert {"PATH_DISABLED", "SLOW_DRAIN"} <= kinds
    assert all(example.startswith("multipaths/m1/") for _, example in listed["multipaths/m1"])
    assert ("MEDIA_ERROR", "arrays/a2/pools/p1") in listed["arrays/a2"]
    assert ("WRONG_VOLUME", "arrays/a1/exports/v1.h1") in listed["arrays/a1"]


@pytest.mark.parametrize(
    "name", ["arrays/a2/faults/x", "arrays/a1/ports/p0", "faults/x", "arrays/a1/faults/"]
)
def test_the_name_of_another_thing_is_refused(name: str) -> None:
    room = Stack(small_scenario()).arrays["a1"]
    with pytest.raises(InvalidArgument) as refused:
        room.simulation.GetFault(pb.GetFaultRequest(name=name))
    assert refused.value.violations[0].field == "name"


def test_a_rule_for_another_service_is_refused_with_what_is_here() -> None:
    stack = Stack(small_scenario(2))
    with pytest.raises(InvalidArgument, match="arrays/a1/ports/p0, arrays/a1/ports/p1"):
        inject(stack.arrays["a1"], kind="PORT_DOWN", target="arrays/a2/ports/*")
    with pytest.raises(InvalidArgument, match="use one of VM_PAUSED"):
        inject(stack.hypervisor, kind="PORT_DOWN", target="arrays/a2/ports/*")


def test_a_rule_in_force_takes_in_what_is_created_later() -> None:
    stack = Stack(small_scenario(io_limit=0))
    inject(stack.multipath, kind="PATH_DISABLED", target="multipaths/m1/hosts/*/devices/*/paths/*")
    model = stack.arrays["a1"].model
    inject(stack.arrays["a1"], kind="PORT_DOWN", target="arrays/a1/ports/*")
    model.create_port(PortSpec("p7", "c0", "a"))
    stack.multipath.model.rescan("h1")
    request = simulation_pb2.AdvanceRequest(duration_ns=MS)
    stack.hypervisor.simulation.Advance(request)
    assert not model.state.used("port")["up"].any()
    states = {p.state.name for d in stack.multipath.model.devices("h1") for p in d.paths}
    assert states == {"DEAD"}


# --- scenarios --------------------------------------------------------------------------------

YAML = """
fabrics: [a]
arrays:
  - name: a1
    controllers: [{name: c0}]
    ports: [{name: p0, controller: c0, fabric: a}]
faults:
"""


def built(*lines: str) -> Stack:
    return Stack(parse_scenario(YAML + "\n".join(f"  - {line}" for line in lines)))


def test_a_scenario_breaks_as_its_file_says() -> None:
    stack = built(
        "{name: cut, kind: PORT_DOWN, target: arrays/a1/ports/p0, start_ns: 2 ms, "
        "down_ns: 1 ms, up_ns: 4 ms, count: 3}",
        "{kind: CONTROLLER_SLOW, target: arrays/*/controllers/*, factor_per_mille: 2500}",
    )
    names = [fault.name for fault in rules(stack)]
    assert names == ["arrays/a1/faults/controller-slow-1", "arrays/a1/faults/cut"]
    cut = rules(stack)[1]
    assert (cut.down_ns, cut.up_ns, cut.count) == (1 * MS, 4 * MS, 3)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{kind: PORT_UP, target: arrays/a1/ports/p0}", r"faults\[0\].kind: 'PORT_UP' is no kind"),
        ("{kind: PORT_DOWN, target: arrays/a9/ports/p0}", r"faults\[0\].target: .*arrays/a1/"),
        ("{kind: PORT_DOWN, target: arrays/a1/ports/p9}", r"faults\[0\].target: .*has arrays/a1/p"),
        ("{kind: PORT_DOWN, target: arrays/a1/ports/p0, state: ACTIVE}", r"\.state: is reported"),
        ("{name: A, kind: PORT_DOWN, target: arrays/a1/ports/p0}", r"faults\[0\].name: 'A' is no"),
        ("{kind: PORT_DOWN, target: arrays/a1/ports/p0, start_ns: soon}", r"\.start_ns: 'soon'"),
    ],
)
def test_a_scenario_that_cannot_break_so_names_the_place(line: str, complaint: str) -> None:
    with pytest.raises(ScenarioError, match=complaint):
        built(line)
