"""`smokestack snapshot`, `recording` and `replay`, on a stack that runs and on files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from smokestack.server.stack import Stack
from tests.cli.command import refusal, smokestack
from tests.server.scenarios import small_scenario


@pytest.fixture
def address() -> Iterator[str]:
    with Stack(small_scenario(io_limit=0)) as stack:
        stack.serve(metrics_ports=None)
        yield stack.endpoints[0].address


def said(address: str, *arguments: str | Path) -> str:
    done = smokestack(*arguments, "--address", address)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_stack_is_taken_back_and_carried_away(address: str, tmp_path: Path) -> None:
    said(address, "advance", "--duration", "2ms")
    made = json.loads(said(address, "snapshot", "create", "before", "--output", "json"))
    assert made["now_ns"] == 2_000_000
    said(address, "advance", "--duration", "1ms")
    assert "snapshots/before restored: 2.00 ms" in said(address, "snapshot", "restore", "before")
    file = tmp_path / "before.smoke"
    assert "bytes" in said(address, "snapshot", "export", "before", file)
    assert made["digest"] in said(address, "snapshot", "import", "copy", file)
    listed = said(address, "snapshot", "list")
    assert "snapshots/before" in listed
    assert "snapshots/copy" in listed
    assert "deleted" in said(address, "snapshot", "delete", "before", "copy")
    file.write_bytes(file.read_bytes()[:-1])
    line = refusal("snapshot", "import", "copy", file, "--address", address)
    assert "damaged or cut short" in line


def test_a_recording_is_downloaded_and_replayed(address: str, tmp_path: Path) -> None:
    said(address, "advance", "--duration", "1ms")
    fault = ("fault", "inject", "PORT_DOWN", "arrays/a1/ports/p0", "--duration", "1ms")
    said(address, *fault)
    said(address, "advance", "--duration", "3ms")
    file = tmp_path / "day.jsonl"
    assert "1 calls" in said(address, "recording", "-o", file)
    assert said(address, "recording") == file.read_text(encoding="utf-8")
    done = smokestack("replay", file)
    assert done.returncode == 0, done.stderr
    assert "1 calls, 4.00 ms of virtual time: the same digest" in done.stdout
    other = tmp_path / "other.yaml"
    assert smokestack("init", other).returncode == 0
    assert "is of another scenario" in refusal("replay", file, "--scenario", other, code=1)
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('"duration_ns":"1000000"', '"duration_ns":"900000"'), "utf-8")
    assert "another history" in refusal("replay", file, code=1)
    file.write_text(text[:-20], encoding="utf-8")
    assert "line 3 of the recording is no JSON" in refusal("replay", file)
