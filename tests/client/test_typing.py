"""Types as a user's checker sees them: both ways, from one definition."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house import tree

PROGRAM = """
from smokestack.client import Async, Stack, Volume, aio, connect

def blocking(stack: Stack) -> None:
    volumes = stack.array("a1").volumes
    reveal_type(volumes.create("v9", pool="p1", capacity_bytes=1))
    reveal_type([volume.capacity_bytes for volume in volumes])
    reveal_type(volumes["v1"].delete())
    reveal_type(stack.hypervisor.batch_create_vms({"h1/v1": {"broker_ns": 1}}))
    volumes.create("v9", pool="p1", capacity_bytez=1)
    volumes.create("v9", pool="p1", capacity_bytes="1")
    volumes["v1"].size

async def awaited(stack: Stack[Async]) -> None:
    volumes = stack.array("a1").volumes
    reveal_type(await volumes.create("v9", pool="p1", capacity_bytes=1))
    reveal_type([volume async for volume in volumes])
    for volume in volumes: ...
    async with aio.connect() as other:
        reveal_type(await other.advance(seconds=1))
"""
EXPECTED = [
    'note: Revealed type is "smokestack.client.array.Volume[smokestack.client.operations.Sync]"',
    'note: Revealed type is "list[int]"',
    'note: Revealed type is "None"',
    'note: Revealed type is "list[smokestack.client.hypervisor.Vm'
    '[smokestack.client.operations.Sync]]"',
    'error: Unexpected keyword argument "capacity_bytez"',
    'error: Argument "capacity_bytes" has incompatible type "str"; expected "int"',
    'error: "Volume[Sync]" has no attribute "size"',
    'note: Revealed type is "smokestack.client.array.Volume[smokestack.client.operations.Async]"',
    'note: Revealed type is "list[smokestack.client.array.Volume'
    '[smokestack.client.operations.Async]]"',
    'error: Invalid self argument "Volumes[Async]" to attribute function "__iter__"',
    'note: Revealed type is "smokestack.v1.simulation_pb2.AdvanceResponse"',
]


@pytest.mark.full
def test_a_users_checker_tells_the_two_ways_apart(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    roots = os.pathsep.join(str(tree.ROOT / root) for root in tree.SOURCE_ROOTS)
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--no-error-summary",
            "--namespace-packages",
            "--explicit-package-bases",
            "--config-file",
            str(tree.ROOT / "pyproject.toml"),
            str(program),
        ],
        env={**os.environ, "MYPYPATH": roots},
        capture_output=True,
        text=True,
        check=False,
    )
    said = [line.partition(": ")[2] for line in run.stdout.splitlines() if "program.py" in line]
    for expected in EXPECTED:
        assert any(line.startswith(expected) for line in said), (expected, run.stdout, run.stderr)
