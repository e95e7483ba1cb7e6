"""Reads fio's I/O logs, versions 2 and 3, as ``write_iolog`` makes them.

Version 3 stamps every line with microseconds since the log's start.  Version 2 has no times: its
commands stand at 0, or where ``wait`` actions (microseconds, each after the one before) put them,
so it is best replayed in a closed loop.  A volume is named by its file name.  Assumes names without
blanks, as fio itself does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from smokestack.engine.errors import InvalidArgument
from smokestack.engine.records import BLOCK_BYTES
from smokestack.workload.traces.records import Faults, assemble

NAME: Final = "fio-iolog"
TICK_NS: Final = 1000
_HEADER: Final = "fio version "
_VERSIONS: Final = {"fio version 2 iolog": 2, "fio version 3 iolog": 3}
_FILE_ACTIONS: Final = ("add", "open", "close")
_NUMBER_MAX: Final = (1 << 63) - 1


@dataclass
class _Log:
    """The columns gathered so far, and the first fault, at which reading ends."""

    version: int
    volume: str  # the one to read; empty: the only one
    first_volume: str = ""
    wait_us: int = 0
    line: list[int] = field(default_factory=list)
    ticks: list[int] = field(default_factory=list)
    start_block: list[int] = field(default_factory=list)
    length_bytes: list[int] = field(default_factory=list)
    is_read: list[bool] = field(default_factory=list)


class _BadLine(Exception):
    """A line that is not of the format; its text is the reason."""


def sniff(head: bytes) -> bool:
    """Returns whether the first line is an iolog's."""
    return head.startswith(_HEADER.encode())


def read(data: bytes, volume: str = "") -> npt.NDArray[Any]:
    """Returns the trace's commands."""
    lines = data.decode("utf-8", "replace").split("\n")
    if lines[-1] == "":
        lines.pop()
    version = _VERSIONS.get(lines[0].rstrip("\r")) if lines else None
    if version is None:
        shown = lines[0][:40] if lines else ""
        known = " or ".join(repr(header) for header in _VERSIONS)
        raise InvalidArgument.at("trace", f"line 1: {shown!r} is not {known}")
    log = _Log(version, volume)
    reason, number = "", 1
    for number, line in enumerate(lines[1:], 2):
        try:
            _take(log, line, number)
        except _BadLine as bad:
            reason = str(bad)
            break
    places = [*log.line, number]
    faults = Faults(lambda i: f"line {places[i]}", len(places))
    if reason:
        faults.note_end(len(log.line), reason)
    elif volume and not log.line:
        raise InvalidArgument.at("trace.volume", f"{volume!r} has no command in the file")
    return assemble(
        faults,
        ticks=np.array(log.ticks, np.uint64),
        tick_ns=TICK_NS,
        start_block=np.array(log.start_block, np.uint64),
        length_bytes=np.array(log.length_bytes, np.uint64),
        is_read=np.array(log.is_read, np.bool_),
    )


def _take(log: _Log, line: str, number: int) -> None:
    """Adds one line's command to the log; raises _BadLine."""
    fields = line.split()
    stamp_us = log.wait_us
    if log.version == 3 and fields:
        stamp_us = _number(fields.pop(0), "timestamp")
    if len(fields) not in (2, 4):
        form = "timestamp filename" if log.version == 3 else "filename"
        raise _BadLine(f"{line[:40]!r} is not '{form} action [offset length]'")
    name, action = fields[:2]
    if len(fields) == 2:
        if action not in _FILE_ACTIONS:
            raise _BadLine(f"the file action {action!r} is none of {', '.join(_FILE_ACTIONS)}")
        return
    offset, length = _number(fields[2], "offset"), _number(fields[3], "length")
    if action == "wait" and log.version == 2:
        log.wait_us += offset
        return
    if action not in ("read", "write"):
        raise _BadLine(f"the action {action!r} is neither read nor write")
    if log.volume and name != log.volume:
        return
    log.first_volume = log.first_volume or name
    if name != log.first_volume:
        raise _BadLine(
            f"volume {name!r} after {log.first_volume!r}: "
            "a replay drives one disk, so name the volume to read"
        )
    if offset % BLOCK_BYTES:
        raise _BadLine(f"the offset, {offset}, is not a multiple of {BLOCK_BYTES} bytes")
    log.line.append(number)
    log.ticks.append(stamp_us)
    log.start_block.append(offset // BLOCK_BYTES)
    log.length_bytes.append(length)
    log.is_read.append(action == "read")


def _number(text: str, what: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 19 or int(text) > _NUMBER_MAX:
        raise _BadLine(f"the {what}, {text[:40]!r}, is not a whole number up to {_NUMBER_MAX}")
    return int(text)
