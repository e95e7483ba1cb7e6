"""Reads trace files by path: whole and checked, or refused with the path, the place and the reason.

Imports no gRPC, so that a command that only looks at a file starts fast.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy.typing as npt

from smokestack.engine.errors import InvalidArgument
from smokestack.workload.traces import parse, trace_info

FILE_BYTES_MAX = 1 << 30  # as HypervisorService.UploadTrace


def read_trace(path: Path, trace_format: str = "", volume: str = "") -> npt.NDArray[Any]:
    """Returns a file's commands; of a file that holds several disks, those of ``volume``."""
    size_bytes = path.stat().st_size
    if size_bytes > FILE_BYTES_MAX:
        raise InvalidArgument(f"{path}: {size_bytes} bytes are more than {FILE_BYTES_MAX}: cut it")
    try:
        return parse(path.read_bytes(), trace_format, volume)
    except InvalidArgument as error:
        raise InvalidArgument(f"{path}: {error.message}", violations=error.violations) from None


def describe(path: Path, trace_format: str = "", volume: str = "") -> dict[str, Any]:
    """Returns a trace file's figures, ready for JSON."""
    return trace_info(read_trace(path, trace_format, volume))
