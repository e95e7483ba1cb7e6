"""`smokestack experiment`: what it prints, for people and for programs, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from smokestack.cli.main import main
from smokestack.experiments import find
from smokestack.experiments.experiment import MUST_HOLD, Claim
from tests.cli.command import figures, refusal


def test_json_is_all_that_is_printed() -> None:
    found = figures("experiment", "run", "repeats", "--size", "small", "--workers", "2")
    assert found["name"] == "repeats"
    assert found["parameters"]["size"] == "small"
    assert all(claim["holds"] for claim in found["claims"])


def test_people_see_rows_claims_and_progress(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main.main(["experiment", "run", "repeats", "--size", "small", "--workers", "1"])
    shown = capsys.readouterr()
    assert "one-digest-per-seed: holds" in shown.out
    assert "p99" in shown.out
    assert "repeats: 4 of 4" in shown.err


def test_a_claim_that_fails_and_must_hold_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = Claim("broken", MUST_HOLD, "It is so", 2, 1, holds=False)
    monkeypatch.setattr(type(find("repeats")), "claims", lambda *_: [broken])
    with pytest.raises(SystemExit, match="1"):
        main.main(["experiment", "run", "repeats", "--size", "small", "--workers", "1", "--json"])
    assert json.loads(capsys.readouterr().out)["claims"][0]["holds"] is False


def test_the_list_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main.main(["experiment", "list", "--json"])
    [found] = [row for row in json.loads(capsys.readouterr().out) if row["name"] == "repeats"]
    assert found["sizes"] == ["small", "default"]


def test_bad_input_is_refused_before_anything_runs(tmp_path: Path) -> None:
    assert "there are" in refusal("experiment", "run", "nothing")
    assert "no size 'vast'" in refusal("experiment", "run", "repeats", "--size", "vast")
    assert "no trace" in refusal("experiment", "run", "repeats", "--trace", tmp_path / "t")
