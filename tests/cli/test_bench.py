"""`smokestack bench`: every benchmark's figures, from one run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from smokestack.cli.main import main
from smokestack.server import bench as benchmarks

FIGURES: dict[str, Any] = {"ios_per_wall_second": 1_000_000, "rows": [{"size": 1, "rate": 2.5}]}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts two benchmarks that take no time in the place of the real ones."""
    quick_ones = {"one": lambda: FIGURES, "two": lambda: FIGURES}
    monkeypatch.setattr(benchmarks, "BENCHMARKS", quick_ones)


def test_all_of_them_run_and_stdout_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main.main(["bench", "--json"])
    assert json.loads(capsys.readouterr().out) == {"one": FIGURES, "two": FIGURES}


def test_those_named_run_and_people_read_them(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main.main(["bench", "two"])
    shown = capsys.readouterr().out
    assert "1,000,000" in shown
    assert "2.5" in shown
    assert "one" not in shown
