"""Imports run one way: protos ← engine ← rooms ← server, and protos ← client ← {cli, testing}.

Rooms meet through BlockDevice and never import one another; only `server` composes them.  An
experiment has its private stack from `testing` and sees nothing of it but the public API.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.house import tree

# Room → the rooms of ours that it may import. A room that is not here has no rule yet: add one.
MAY_IMPORT = {
    "v1": set(),
    "csi": set(),
    "engine": set(),
    "workload": {"engine"},
    "hypervisor": {"engine"},
    "multipath": {"engine"},
    "array": {"engine"},
    "dialects": {"engine", "v1", "csi"},
    "server": {"engine", "workload", "hypervisor", "multipath", "array", "dialects", "v1"},
    "client": {"v1"},
    "testing": {"client", "v1", "server"},
    "experiments": {"client", "v1", "testing"},
    "cli": {"client", "v1", "server", "experiments"},
}
LAZILY = {
    ("cli", "server"),  # to start it
    ("cli", "experiments"),  # to run one
    ("testing", "server"),
    ("experiments", "testing"),
}
SIMULATION = {"engine", "workload", "hypervisor", "multipath", "array"}
WIRE = (
    "grpc",
    "grpc_health",
    "grpc_reflection",
    "grpc_status",
    "google",
    "smokestack.v1",
    "smokestack.csi",
)
CLOCK = ("time", "datetime", "sched")
CHANCE = ("random", "secrets", "uuid", "numpy.random", "os.urandom")


def is_under(module: str, names: tuple[str, ...]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in names)


def may_speak_grpc(path: Path) -> bool:
    return (
        path.name.endswith("service.py")
        or path.parts[0] in ("protos", "clients")
        or tree.room_of(path) in ("server", "dialects")
    )


def may_speak_prometheus(path: Path) -> bool:
    return (
        path.name == "collector.py"
        or path.match("server/exporter.py")
        or path.match("server/bench/*.py")  # measures the exporter against it
    )


def broken_rules(path: Path) -> list[str]:
    room = tree.room_of(path)
    wire = may_speak_grpc(path)
    allowed = MAY_IMPORT[room] | {room} | ({"v1"} if wire else set())
    broken = []
    for found in tree.imports(path):
        where = f"{path}:{found.line}: imports {found.module}"
        ours = found.module.split(".")
        if ours[0] == "smokestack" and ours[1] not in allowed:
            broken.append(f"{where}, but {room} may import only {sorted(allowed)} of ours")
        if ours[0] == "smokestack" and found.at_top and (room, ours[1]) in LAZILY:
            broken.append(f"{where} at the top: import it inside the function that starts it")
        if is_under(found.module, WIRE) and not wire:
            broken.append(f"{where}: the wire belongs in service.py, server/ and clients/")
        if is_under(found.module, ("prometheus_client",)) and not may_speak_prometheus(path):
            broken.append(f"{where}: metrics belong in collector.py and server/exporter.py")
        if is_under(found.module, CLOCK) and not path.match("engine/clock.py"):
            broken.append(f"{where}: the only wall clock is engine/clock.py")
        if is_under(found.module, CHANCE) and room in SIMULATION:
            broken.append(f"{where}: draw from engine's streams, which the seed repeats")
    return broken


@pytest.mark.parametrize("path", tree.python_sources(), ids=str)
def test_imports_run_one_way(path: Path) -> None:
    assert not broken_rules(path)


@pytest.mark.parametrize("path", tree.python_sources(), ids=str)
def test_simulation_takes_nothing_from_chance(path: Path) -> None:
    if tree.room_of(path) not in SIMULATION:
        return
    for node in ast.walk(tree.parsed(path)):
        if isinstance(node, ast.Attribute) and node.attr in ("random", "urandom"):
            owner = node.value
            assert not (isinstance(owner, ast.Name) and owner.id in ("np", "numpy", "os")), (
                f"{path}:{node.lineno}: draw from engine's streams, which the seed repeats"
            )
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "hash", (
                f"{path}:{node.lineno}: hash() of a string differs from process to process"
            )


def test_the_rules_cover_every_room() -> None:
    rooms = {tree.room_of(path) for path in tree.python_sources()}
    assert rooms <= set(MAY_IMPORT), "a new room needs its import rule"


@pytest.mark.parametrize(
    ("place", "line", "complaint"),
    [
        ("services/smokestack/array/model.py", "from smokestack.multipath import model", "array"),
        ("services/smokestack/array/model.py", "from ..multipath import model", "array"),
        ("services/smokestack/array/model.py", "import grpc", "the wire"),
        ("services/smokestack/array/model.py", "from google.protobuf import any_pb2", "the wire"),
        ("services/smokestack/array/model.py", "import prometheus_client", "metrics"),
        ("services/smokestack/server/stack.py", "from time import monotonic", "wall clock"),
        ("services/smokestack/engine/streams.py", "from numpy.random import Philox", "seed"),
        ("clients/smokestack/cli/up.py", "from smokestack.server import stack", "at the top"),
        ("clients/smokestack/client/sdk.py", "from smokestack.server import stack", "client"),
        (
            "clients/smokestack/experiments/x.py",
            "from smokestack.server import stack",
            "experiments",
        ),
    ],
)
def test_a_broken_rule_is_seen(
    place: str, line: str, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "parsed", lambda _path: ast.parse(line))
    [found] = broken_rules(Path(place))[:1]
    assert complaint in found


def test_what_the_rules_allow_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "from smokestack.engine.records import SUBMISSION\nfrom .specs import PoolSpec\n"
    monkeypatch.setattr(tree, "parsed", lambda _path: ast.parse(lines))
    assert broken_rules(Path("services/smokestack/array/model.py")) == []
