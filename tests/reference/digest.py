"""What guests see: completion records, and one hash over all of them in order."""

from __future__ import annotations

import struct
from hashlib import sha256
from typing import Final, NamedTuple

_RECORD: Final = struct.Struct("<qQQQIIHBBI")  # 48 bytes, as on the wire


class Completion(NamedTuple):
    """One completion record, but for its last four bytes: the number of an event, for logs only."""

    time: int
    ident: int
    array_ns: int
    first_data_ns: int
    nexus: int
    sense: int
    attempt: int
    status: int
    kind: int

    def pack(self) -> bytes:
        """Returns the record as it travels."""
        return _RECORD.pack(*self, 0)

    @classmethod
    def unpack_all(cls, data: bytes) -> list[Completion]:
        """Returns the records of a batch."""
        return [cls(*fields[:-1]) for fields in _RECORD.iter_unpack(data)]


def digest_of(completions: list[Completion]) -> str:
    """Returns the SHA-256 over records in the order given, in hexadecimal."""
    hashed = sha256()
    for completion in completions:
        hashed.update(completion.pack())
    return hashed.hexdigest()
