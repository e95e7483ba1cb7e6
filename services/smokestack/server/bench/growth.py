"""Shows what an I/O costs as ever more are outstanding: the bare queue from 2,048 to 65,536.

It is the closed network with as many servers as customers, so that load and waiting stay the same
and only the memory that events touch grows.  Sizes take turns, and each one's best turn counts.
"""

from __future__ import annotations

from typing import Any

from smokestack.engine.clock import Stopwatch
from smokestack.engine.closed_network import ClosedNetwork, Network

OUTSTANDING = (2_048, 4_096, 8_192, 16_384, 32_768, 65_536)


def run(
    *, ios: int = 1_000_000, turns: int = 6, outstanding: tuple[int, ...] = OUTSTANDING
) -> dict[str, Any]:
    """Returns a row per size and the change of the rate from the first size to the last."""
    networks = {size: _warm(size, ios) for size in outstanding}
    best = dict.fromkeys(outstanding, 0.0)
    for _ in range(turns):
        for size, network in networks.items():
            with Stopwatch() as watch:
                network.run(ios)
            best[size] = max(best[size], ios / watch.elapsed_seconds)
    return {
        "rows": [
            {"outstanding": size, "ios_per_wall_second": round(rate)} for size, rate in best.items()
        ],
        "ios": ios * turns,
        "change_ratio": round(best[outstanding[-1]] / best[outstanding[0]] - 1, 3),
    }


def _warm(size: int, ios: int) -> ClosedNetwork:
    network = ClosedNetwork(Network(customer_count=size, server_count=size))
    network.run(ios)
    return network
