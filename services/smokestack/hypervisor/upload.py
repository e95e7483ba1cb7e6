"""An upload: the messages of a stream put together into one request like any other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, Final

from smokestack.engine.errors import InvalidArgument, ResourceExhausted

TRACE_BYTES_MAX: Final = 1 << 30


class Upload:
    """A trace's description, then the file."""

    def __init__(self, parts: Iterable[Any]) -> None:
        """Takes the messages, each with either of the two parts."""
        parts = iter(parts)
        first = next(parts, None)
        if first is None or first.WhichOneof("part") != "description":
            raise InvalidArgument.at("description", "is missing: send it in the first message")
        self.description = first.description
        self.trace_id: str = first.description.trace_id
        self.request_id: str = first.description.request_id
        data = bytearray()
        for part in parts:
            if part.WhichOneof("part") != "data":
                raise InvalidArgument.at("data", "is missing: all messages but the first carry it")
            data += part.data
            if len(data) > TRACE_BYTES_MAX:
                raise ResourceExhausted(
                    f"the trace has more than {TRACE_BYTES_MAX} bytes: cut it",
                    reason="TRACE_TOO_LARGE",
                )
        self.data = bytes(data)

    def SerializeToString(self, *, deterministic: bool = True) -> bytes:
        """Returns what tells this upload from another."""
        description: bytes = self.description.SerializeToString(deterministic=deterministic)
        return description + hashlib.sha256(self.data).digest()
