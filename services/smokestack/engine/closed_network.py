"""The bare closed network on the event core alone: customers going round FIFO servers for ever.

It measures what events cost without a model around them, and shows that the core agrees with its
reference.  ``closed_network.h`` says how it works; all state is NumPy memory, here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from . import _core
from .tables import dtypes, zeros

CALENDAR_BYTES: Final = 64
BUCKET_BYTES: Final = 8
_BUCKETS_MIN: Final = 64


@dataclass(frozen=True)
class Network:
    """Sizes and times of a closed network."""

    customer_count: int = 64 * 32
    server_count: int = 2_048
    mean_ns: int = 200_000  # of the exponential service
    return_ns: int = 50_000  # from a departure to the next arrival
    seed: int = 1


class ClosedNetwork:
    """A network under way; ``run`` takes it on by a number of completions."""

    def __init__(self, network: Network) -> None:
        types = dtypes(_core.layout())
        self._state = zeros(1, types["network_t"])
        for field in ("seed", "mean_ns", "return_ns"):
            self._state[field] = getattr(network, field)
        buckets = max(_BUCKETS_MIN, 1 << (network.customer_count - 1).bit_length())
        self._tables = (
            self._state,
            zeros(network.customer_count, types["customer_t"]),
            zeros(network.server_count, np.dtype("<i8")),
            zeros(1, np.dtype(f"V{CALENDAR_BYTES}")),
            zeros(buckets, np.dtype(f"V{BUCKET_BYTES}")),
        )
        _core.closed_network_start(*self._tables)

    def run(self, events: int) -> None:
        """Runs a number of completions; the GIL is free meanwhile."""
        _core.closed_network_run(*self._tables, events)

    @property
    def now_ns(self) -> int:
        """The time of the last completion."""
        return int(self._state["now_ns"][0])

    @property
    def completions(self) -> int:
        """How many there have been since the start."""
        return int(self._state["completions"][0])

    @property
    def checksum(self) -> int:
        """A number over (time, customer) of all completions, in their order."""
        return int(self._state["checksum"][0])
