"""The first ten minutes of somebody new: what the README and `smokestack up` tell them to type."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import COMMAND, ENVIRONMENT, PATIENCE_SECONDS, interrupt, started
from tests.house import tree

SHOWS = "#=>"


@pytest.fixture
def printed() -> Iterator[list[str]]:
    """What `smokestack up` prints; the stack is up meanwhile."""
    with started("up", "--port-base", "0") as process:
        assert process.stdout is not None
        lines = []
        while not lines or "Ctrl-C" not in lines[-1]:
            lines.append(process.stdout.readline())
            assert lines[-1], lines
        yield lines
        assert interrupt(process)[0] == 0


def typed(line: str, address: str) -> str:
    """Runs a line of shell as it stands; returns what it prints."""
    words = shlex.split(line, comments=True)
    assert words[0] == "smokestack"
    done = subprocess.run(
        [*COMMAND, *words[1:]],
        capture_output=True,
        check=False,
        encoding="utf-8",
        env={**ENVIRONMENT, "SMOKESTACK_ADDRESS": address},
        timeout=PATIENCE_SECONDS,
    )
    assert (done.returncode, done.stderr) == (0, ""), line
    return done.stdout


def of_the_readme() -> list[str]:
    return [line for line in block("sh").splitlines() if line.startswith("smokestack ")]


def block(language: str) -> str:
    section = tree.text(Path("README.md")).split("## The first ten minutes")[1].split("\n## ")[0]
    [found] = re.findall(rf"```{language}\n(.*?)```", section, flags=re.DOTALL)
    assert isinstance(found, str)
    return found


def test_what_is_printed_and_what_the_readme_says_works_as_it_stands(printed: list[str]) -> None:
    address = printed[0].split()[1]
    commands = [line.strip() for line in printed if line.startswith("  smokestack ")]
    assert len(commands) >= 3
    for command in commands:
        assert typed(command, "").strip(), command
    lines = of_the_readme()
    assert len(lines) >= 10
    for line in lines:
        command, _, shown = line.partition(SHOWS)
        assert shown.strip() in typed(command, address), line


def test_the_readmes_test_passes_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "test_full.py").write_text(block("python"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        capture_output=True,
        check=False,
        cwd=tmp_path,
        encoding="utf-8",
        env=ENVIRONMENT,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
