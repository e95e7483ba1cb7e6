"""A file of blobs behind a JSON manifest, with its version in the first line and a checksum.

    smokestack snapshot 1\\n
    length of the manifest, 8 bytes little-endian
    manifest: JSON, which lists the blobs' lengths under "blobs"
    the blobs, one after another
    SHA-256 over all of it, 32 bytes

Every bit is covered by the checksum, so what is read is what was written, or is refused whole.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Sequence
from typing import Any, Final

from .errors import InvalidArgument

FORMAT: Final = 1
_WORDS: Final = b"smokestack snapshot "
_LENGTH: Final = struct.Struct("<Q")
_SUM_BYTES: Final = 32
_HEAD_BYTES_MAX: Final = 64


def dump(manifest: dict[str, Any], blobs: Sequence[Any]) -> bytes:
    """Returns a file's bytes; a blob is anything with a contiguous buffer."""
    views = [memoryview(blob).cast("B") if len(blob) else memoryview(b"") for blob in blobs]
    listed = {**manifest, "blobs": [len(view) for view in views]}
    text = json.dumps(listed, separators=(",", ":")).encode()
    data = bytearray().join([b"%s%d\n" % (_WORDS, FORMAT), _LENGTH.pack(len(text)), text, *views])
    data += hashlib.sha256(data).digest()
    return bytes(data)


def load(data: bytes) -> tuple[dict[str, Any], list[memoryview]]:
    """Returns manifest and blobs; InvalidArgument says what is wrong and what would be right."""
    head, newline, _ = data[:_HEAD_BYTES_MAX].partition(b"\n")
    if not newline or not head.startswith(_WORDS):
        raise _refused("is no snapshot of smokestack: give a file that ExportSnapshot wrote")
    version = head.removeprefix(_WORDS)
    if version != b"%d" % FORMAT:
        raise InvalidArgument(
            f"the snapshot has format {version.decode(errors='replace')}; this version reads "
            f"format {FORMAT}: restore it with the version that wrote it, or take it anew",
            reason="SNAPSHOT_VERSION",
        )
    start = len(head) + 1 + _LENGTH.size
    end = len(data) - _SUM_BYTES
    if start > end or hashlib.sha256(memoryview(data)[:end]).digest() != data[end:]:
        raise _refused("is damaged or cut short: its checksum differs; copy or export it again")
    (length,) = _LENGTH.unpack_from(data, start - _LENGTH.size)
    try:
        manifest = json.loads(data[start : start + length])
        sizes = [int(size) for size in manifest.pop("blobs")]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _refused("has no manifest that can be read: export it again") from None
    at, blobs = start + length, []
    for size in sizes:
        blobs.append(memoryview(data)[at : at + size])
        at += size
    if at != end or min(sizes, default=0) < 0:
        raise _refused("does not hold what its manifest lists: export it again")
    return manifest, blobs


def _refused(what: str) -> InvalidArgument:
    return InvalidArgument(f"the snapshot {what}", reason="SNAPSHOT_DAMAGED")
