"""Reads a trace of any known format: all of its commands, or a refusal that says where and why.

Assumes that a replay drives one disk: of a file that holds several, the caller names one.  Files
may be gzipped.
"""

from __future__ import annotations

import zlib
from importlib import resources
from typing import Any, Final, Protocol

import numpy.typing as npt

from smokestack.engine.errors import InvalidArgument
from smokestack.workload.traces import (
    fio_iolog,
    msr_cambridge,
    systor17,
    tencent,
    vscsi1,
    vscsi2,
)

UNPACKED_BYTES_MAX: Final = 1 << 30  # a gzip of a few KB can hold as many GB
_GZIP_MAGIC: Final = b"\x1f\x8b"
_GZIP_WBITS: Final = 31
_HEAD_BYTES: Final = 4096


class TraceFormat(Protocol):
    """What a format's module offers; see the README beside this package on adding one."""

    @property
    def NAME(self) -> str:
        """The name that people give to choose the format."""

    def sniff(self, head: bytes) -> bool:
        """Returns whether a file that begins like this looks like the format."""

    def read(self, data: bytes, volume: str = "") -> npt.NDArray[Any]:
        """Returns the commands as engine.records.TRACE, in ascending time from the first.

        ``volume`` chooses one of several disks in a file, named as the format names them.
        Raises InvalidArgument at "trace" with the offset or the line, and the reason.
        """


_MODULES: Final[tuple[TraceFormat, ...]] = (
    vscsi1,
    vscsi2,
    msr_cambridge,
    systor17,
    tencent,
    fio_iolog,
)
FORMATS: Final[dict[str, TraceFormat]] = {module.NAME: module for module in _MODULES}


def parse(data: bytes, trace_format: str = "", volume: str = "") -> npt.NDArray[Any]:
    """Returns a trace's commands; without a format's name, the file's beginning decides."""
    known = ", ".join(FORMATS)
    if trace_format and trace_format not in FORMATS:
        raise InvalidArgument.at("trace.format", f"{trace_format!r} is none of {known}")
    if not data:
        raise InvalidArgument.at("trace", "offset 0: the file is empty")
    data = _unpacked(data)
    if trace_format:
        return FORMATS[trace_format].read(data, volume)
    for module in _MODULES:
        if module.sniff(data[:_HEAD_BYTES]):
            return module.read(data, volume)
    raise InvalidArgument.at(
        "trace", f"offset 0: the file begins like none of the known formats ({known})"
    )


def bundled() -> bytes:
    """Returns the trace that comes with the package, a file in format vscsi1."""
    return resources.files(__package__).joinpath("bundled.vscsi").read_bytes()


def _unpacked(data: bytes) -> bytes:
    """Returns the contents of a gzip file, and any other file as it is."""
    if not data.startswith(_GZIP_MAGIC):
        return data
    parts: list[bytes] = []
    room = UNPACKED_BYTES_MAX
    rest = data
    while rest:  # a gzip file may have several members
        offset = len(data) - len(rest)
        member = zlib.decompressobj(_GZIP_WBITS)
        try:
            parts.append(member.decompress(rest, room + 1))
        except zlib.error as error:
            raise InvalidArgument.at("trace", f"offset {offset}: damaged gzip: {error}") from None
        room -= len(parts[-1])
        if room < 0:
            limit = f"{UNPACKED_BYTES_MAX:,} bytes"
            raise InvalidArgument.at("trace", f"offset {offset}: unpacks to more than {limit}")
        if not member.eof:
            raise InvalidArgument.at("trace", f"offset {len(data)}: the gzip file is cut short")
        rest = member.unused_data
    return b"".join(parts)
