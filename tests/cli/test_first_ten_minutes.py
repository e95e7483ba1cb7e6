"""The first ten minutes of somebody new: what the README and `smokestack up` tell them to type."""

from __future__ import annotations

import shlex
import subprocess
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
    text = tree.text(Path("README.md"))
    section = text.split("## The first ten minutes")[1].split("```")[1]
    return [line for line in section.splitlines() if line.startswith("smokestack ")]


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
