"""Random streams: whose draws are whose.

A draw is Philox4x64-10 with the key (seed, stream) and a counter that names what is drawn for, so
it never depends on the order in which events happened to be simulated.
"""

from __future__ import annotations

from enum import IntEnum
from hashlib import blake2b


class Stream(IntEnum):
    """What is drawn; the second word of the key."""

    WORKLOAD = 1
    THINK = 2
    ARRIVAL = 3
    MEDIA = 4
    FAULT = 5


def job_uid(full_name: str) -> int:
    """Returns the 64 bits that name a job in counters: the same wherever the job stands."""
    return uid_of(full_name)


def uid_of(full_name: str) -> int:
    """Returns the 64 bits that name anything in counters."""
    return int.from_bytes(blake2b(full_name.encode(), digest_size=8).digest(), "little")
