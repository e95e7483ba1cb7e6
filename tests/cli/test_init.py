"""`smokestack init`: a file to start from, never over another."""

from __future__ import annotations

from pathlib import Path

from tests.cli.command import refusal, smokestack


def test_the_default_scenario_is_written_with_its_comments(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    assert f"smokestack up {file}" in smokestack("init", str(file)).stdout
    assert file.read_text(encoding="utf-8") == smokestack("scenario", "show").stdout
    assert "good: 1 array," in smokestack("scenario", "check", str(file)).stdout


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("precious", encoding="utf-8")
    assert f"{file} exists already" in refusal("init", str(file), code=1)
    assert file.read_text(encoding="utf-8") == "precious"
    assert "nowhere" in refusal("init", str(tmp_path / "nowhere" / "mine.yaml"), code=1)
