"""Which recorded trace an experiment replays: the one given, or that of the package."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

VARIABLE = "SMOKESTACK_TRACE"
_BUNDLED = ("smokestack.workload.traces", "bundled.vscsi")


def trace_file(given: Path | None = None) -> Path:
    """Returns the given file, else that of $SMOKESTACK_TRACE, else the bundled trace."""
    named = given or os.environ.get(VARIABLE)
    if named:
        return Path(named)
    package, name = _BUNDLED
    return Path(str(resources.files(package))) / name
