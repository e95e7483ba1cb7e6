"""Runs the real command as its users do: in a process of its own."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

COMMAND = (sys.executable, "-m", "smokestack.cli")
PATIENCE_SECONDS = 120  # for a busy machine; no command here needs more than a few
BUNDLED = Path(str(resources.files("smokestack.workload.traces"))) / "bundled.vscsi"

ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "SMOKESTACK_ADDRESS"}
ENVIRONMENT |= {"PYTHONIOENCODING": "utf-8", "PYTHONWARNINGS": "error"}


def smokestack(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        check=False,
        encoding="utf-8",
        env=ENVIRONMENT,
        timeout=PATIENCE_SECONDS,
    )


def figures(*arguments: str | Path) -> Any:
    """Returns the JSON that a command prints, and nothing beside it."""
    done = smokestack(*arguments, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def refusal(*arguments: str | Path, code: int = 2) -> str:
    """Returns the one line that a command ends with."""
    done = smokestack(*arguments)
    assert done.returncode == code, done.stderr
    [line] = done.stderr.splitlines()
    assert line.startswith("smokestack: ")
    return line


class Terminal:
    """A command that runs on a terminal of its own, and what it has shown so far."""

    def __init__(self, *arguments: str | Path) -> None:
        self._master, slave = os.openpty()
        self.process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**ENVIRONMENT, "TERM": "xterm", "COLUMNS": "80", "LINES": "40"},
        )
        os.close(slave)
        self.shown = ""

    def wait_for(self, words: str) -> None:
        """Reads until the words have been shown."""
        while words not in self.shown:
            assert self._read(), f"{words!r} never came: {self.shown}"

    def finish(self) -> int:
        """Reads to the end; returns the exit code."""
        while self._read():
            pass
        return self.process.wait(PATIENCE_SECONDS)

    def children(self) -> list[int]:
        """Returns the ids of the processes that it has started."""
        pid = self.process.pid
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
        return [int(child) for child in listed.split()]

    def _read(self) -> bool:
        ready, _, _ = select.select([self._master], [], [], PATIENCE_SECONDS)
        try:
            data = os.read(self._master, 1 << 16) if ready else b""
        except OSError:  # Linux's way to say that the other end is closed
            data = b""
        self.shown += data.decode("utf-8", "replace")
        return bool(data)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)


@contextmanager
def started(*arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    """Yields a command that runs, and ends it if nothing else has."""
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=ENVIRONMENT,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def interrupt(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Does what Ctrl-C does; returns the exit code and what was still said."""
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    return process.returncode, out, err
