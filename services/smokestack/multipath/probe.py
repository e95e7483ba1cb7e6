"""What the probe has seen of each path: sparse histograms, peaks and counts (``probe.h``)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from numpy.typing import NDArray

from smokestack.engine.sparse_histogram import dense

from .state import PROBE_HISTOGRAMS, MultipathState

_SECOND_NS = 10**9


class Seen(IntEnum):
    """A path's histograms; ``probe.h`` has the same order.  Times in ns, sizes in bytes."""

    READ = 0  # exchange completion time, from command to status
    WRITE = 1
    OTHER = 2
    FIRST_DATA = 3  # of reads: from command to first data
    WRITE_ACK = 4  # of writes: from command to transfer ready
    ARRAY = 5  # what the array takes of an exchange
    WIRE = 6  # what the fabric takes of it, there and back
    GAP = 7  # from one command to the next
    READ_BYTES = 8
    WRITE_BYTES = 9


@dataclass(frozen=True)
class Peaks:
    """The worst of this second of virtual time and of the one before, and what has been sent."""

    longest_ns: int
    pending_count: int
    sent_count: int
    sequential_count: int


def histograms(state: MultipathState, path_row: int) -> NDArray[Any]:
    """Returns a path's histograms by ``Seen``, dtype HISTOGRAM; all empty before it was probed."""
    first = path_row * PROBE_HISTOGRAMS
    state.fit_probe()
    return dense(state["probe"][first : first + PROBE_HISTOGRAMS], state["chunk"])


def peaks(state: MultipathState, path_row: int) -> Peaks:
    """Returns a path's peaks as they stand now."""
    state.fit_probe()
    tap = state["tap"][path_row]
    age = int(state.row["until_ns"]) // _SECOND_NS - int(tap["second"])
    seconds = [("longest_ns", "pending"), ("longest_before_ns", "pending_before")][
        : max(0, 2 - age)
    ]
    return Peaks(
        longest_ns=max((int(tap[longest]) for longest, _ in seconds), default=0),
        pending_count=max((int(tap[pending]) for _, pending in seconds), default=0),
        sent_count=int(tap["sent"]),
        sequential_count=int(tap["sequential"]),
    )
