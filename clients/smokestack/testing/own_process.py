"""A stack served by a process of its own: what it does to the machine is its alone."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from .remote import Remote
from .server import Closing, ServerRefused
from .source import Source


class OwnProcess(Closing):
    """Starts `smokestack up` for a scenario, and ends it."""

    def __init__(self, source: Source | None = None) -> None:
        """Waits until it serves; ServerRefused has what the command says otherwise."""
        self.source = source or Source()
        with tempfile.TemporaryDirectory(prefix="smokestack-") as folder:
            self._process = subprocess.Popen(
                [*_UP, *self._scenario(Path(folder))],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                start_new_session=True,  # an interrupt at the terminal is pytest's to handle
            )
            assert self._process.stdout is not None
            line = self._process.stdout.readline()
        if not line:
            _, error = self._process.communicate()
            raise ServerRefused(error.strip() or f"`smokestack up` ended without a word: {_UP}")
        self._services = json.loads(line)["services"]
        try:
            self._remote = Remote(self.addresses)
        except BaseException:
            self._end()
            raise

    def _scenario(self, folder: Path) -> Sequence[str]:
        if self.source.path or not self.source.text:
            return [str(self.source.path)] if self.source.path else []
        file = folder / "scenario.yaml"
        file.write_text(self.source.text, encoding="utf-8")
        return [str(file)]

    @property
    def addresses(self) -> Mapping[str, str]:
        """Where each service is served."""
        return {service["name"]: service["address"] for service in self._services}

    @property
    def metrics_urls(self) -> Mapping[str, str]:
        """Where each service's metrics are."""
        return {service["name"]: service["metrics_url"] for service in self._services}

    def reset(self, seed: int | None = None) -> int:
        """Brings the stack back to time 0."""
        return self._remote.reset(seed)

    def close(self) -> None:
        """Ends the process."""
        self._remote.close()
        self._end()

    def _end(self) -> None:
        self._process.terminate()
        self._process.communicate()


_UP = (
    *(sys.executable, "-m", "smokestack.cli", "up", "--json"),
    *("--port-base", "0", "--clock", "manual", "--autojump"),
)
