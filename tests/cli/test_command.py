"""The command as a whole: it answers at once, and tells failures in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from smokestack.cli.main import main
from tests.cli.command import BUNDLED, ENVIRONMENT, refusal, smokestack

SLOW_TO_IMPORT = ("grpc", "rich", "yaml", "google")


def exit_code(arguments: list[str]) -> Any:
    """Runs the whole command in this process."""
    with pytest.raises(SystemExit) as ended:
        main.main(arguments, prog_name="smokestack")
    return ended.value.code


def test_version_names_the_program() -> None:
    done = smokestack("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("smokestack ")


@pytest.mark.parametrize("group", [(), ("trace",), ("array",), ("scenario",)])
def test_a_bare_group_shows_what_it_has(group: tuple[str, ...]) -> None:
    done = smokestack(*group)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Commands:" in done.stdout


@pytest.mark.parametrize("name", main.commands)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"Usage: smokestack {name} ")
    assert len(shown.splitlines()[2]) > 20


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["trace", "info", str(BUNDLED)], ["no-such-command"]],
    ids=lambda arguments: arguments[0],
)
def test_what_needs_no_server_imports_none(arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from smokestack.cli.main import main\n"
        "try:\n"
        "    main(sys.argv[1:])\n"
        "finally:\n"
        f"    print([name for name in {SLOW_TO_IMPORT} if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        check=False,
        encoding="utf-8",
        env=ENVIRONMENT,
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no-such-command"], "'no-such-command' (see smokestack --help)"),
        (["demo", "--seed", "-1"], "--seed"),
        (["run"], "give a SCENARIO, or a trace to replay with --trace FILE"),
        (["run", "no-such.yaml"], "no-such.yaml: No such file or directory"),
        (["run", "--trace", "no-such.vscsi"], "no-such.vscsi: No such file or directory"),
        (["trace", "info", "."], ".: Is a directory"),
        (["bench", "no-such"], "'no-such' is no benchmark: use closed-network"),
        (["advance", "--duration", "5"], "'5' is not a number with a unit, e.g. 250ms"),
        (["advance", "--duration", "1s", "--until-idle"], "choose one of --duration"),
        (["advance", "--limit", "1s"], "--limit goes with --until-idle"),
        (["status", "--address", "here"], "'here' is not host:port, e.g. 127.0.0.1:50051"),
        (["multipath", "serve", "--array", "a1"], "'a1' is not ID=HOST:PORT"),
        (["array", "serve", "--listen", "here"], "listen: 'here' is not host:port"),
        (["array", "serve", "--listen", "0.0.0.0:0"], "open to other machines"),
        (["array", "serve", "--name", "A_"], "'A_' is no id"),
    ],
    ids=" ".join,
)
def test_bad_input_is_told_in_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(arguments) == 2
    said = capsys.readouterr()
    [line] = said.err.splitlines()
    assert line.startswith("smokestack: ")
    assert words in line
    assert said.out == ""


def test_a_malformed_trace_is_told_with_its_name_and_the_place(tmp_path: Path) -> None:
    short = tmp_path / "short.vscsi"
    short.write_bytes(BUNDLED.read_bytes()[:-5])
    for command in (["trace", "info", short], ["run", "--trace", short]):
        line = refusal(*command)
        assert "short.vscsi: " in line
        assert "offset" in line
