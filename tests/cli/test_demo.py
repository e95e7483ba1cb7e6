"""`smokestack demo`: the neighbour is seen, and the same seed shows the same."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from tests.cli.command import Terminal, figures, smokestack

VICTIM, NEIGHBOUR = "hosts/h1/vms/v1", "hosts/h2/vms/v3"


@pytest.fixture(scope="module")
def result() -> Any:
    return figures("demo")


def row(result: Any, vm: str, phase: str) -> Any:
    [found] = [
        row
        for entry in result["vms"]
        if entry["vm"] == vm
        for row in entry["phases"]
        if row["phase"] == phase
    ]
    return found


def test_the_neighbour_slows_the_trace_while_it_is_there(result: Any) -> None:
    before, during, after = (
        row(result, VICTIM, phase)["p99_ns"] for phase in ("before", "during", "after")
    )
    assert during > 10 * before
    assert after < during / 5


def test_the_neighbour_works_in_its_phase_only(result: Any) -> None:
    assert row(result, NEIGHBOUR, "before")["ios"] == row(result, NEIGHBOUR, "after")["ios"] == 0
    assert row(result, NEIGHBOUR, "during")["ios"] > 100_000


def test_the_tables_add_up(result: Any) -> None:
    ios = sum(row["ios"] for vm in result["vms"] for row in vm["phases"])
    assert ios == result["ios"] == sum(path["ios"] for path in result["paths"])
    assert sum(row["ios"] for row in result["vms"][0]["phases"]) == 5140  # all of the trace
    assert result["errors"] == 0
    assert {path["device"] for path in result["paths"]} == {"a1.v1", "a1.v3"}
    assert 0 < result["pools"][0]["allocated_bytes"] < result["pools"][0]["capacity_bytes"]


def test_the_seed_decides(result: Any) -> None:
    other = figures("demo", "--seed", "7")
    assert other["seed"] == 7
    assert other["digest"] != result["digest"]


def test_a_pipe_gets_plain_lines_and_the_tables(result: Any) -> None:
    done = smokestack("demo")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert "28–30 s" in done.stdout
    for words in (
        "What each VM saw",
        "during, 28–58 s",
        "Paths",
        "h2-b.p3",
        "Next: `smokestack up`",
    ):
        assert words in done.stdout
    assert result["digest"][:16] in done.stdout


def test_a_terminal_gets_a_live_table_that_fits() -> None:
    with Terminal("demo", "--speed", "0") as terminal:
        assert terminal.finish() == 0
    assert "neighbour is noisy" in terminal.shown
    assert "▇" in terminal.shown or "█" in terminal.shown
    assert "…" not in terminal.shown  # no cell was cut at 80 columns


def test_an_interrupt_ends_it_and_gives_the_terminal_back() -> None:
    with Terminal("demo") as terminal:
        terminal.wait_for("virtual time")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.finish() == 130
    assert terminal.shown.rstrip().endswith("\x1b[?25h")  # the cursor is back
    assert "Traceback" not in terminal.shown
