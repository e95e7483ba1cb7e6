"""`smokestack trace info`: what is in a file, as text and as JSON."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.command import BUNDLED, figures, smokestack

TRACE = Path(os.environ.get("SMOKESTACK_TRACE", "../shared/data/cloudphysics-w00.vscsi"))


def test_the_bundled_trace_is_described() -> None:
    found = figures("trace", "info", BUNDLED)
    assert found["commands"] == found["reads"] + found["writes"] == 5140
    assert 89 < found["duration_seconds"] < 90
    assert sum(size["commands"] for size in found["sizes"]) <= found["commands"]


def test_people_read_the_same_figures() -> None:
    shown = smokestack("trace", "info", BUNDLED).stdout
    assert "commands        5,140\n" in shown
    assert "1 min 30 s" in shown


@pytest.mark.skipif(not TRACE.is_file(), reason="SMOKESTACK_TRACE names no recorded trace")
def test_a_recorded_trace_has_as_many_commands_as_its_authors_say() -> None:
    found = figures("trace", "info", TRACE)
    if TRACE.name == "cloudphysics-w00.vscsi":
        assert (found["commands"], found["writes"], found["reads"]) == (113_872, 66_898, 46_974)
    assert found["commands"] > 0
