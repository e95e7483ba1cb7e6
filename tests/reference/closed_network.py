"""The bare closed network with a binary heap, one event per visit, no batches."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from tests.reference.draws import WORKLOAD, exponential_ns, mulhi, words

MASK = (1 << 64) - 1
FACTOR = 0x9E3779B97F4A7C15


@dataclass(frozen=True)
class Outcome:
    """What a run must agree on."""

    now_ns: int
    completions: int
    checksum: int


def run(
    *, customers: int, servers: int, events: int, seed: int, mean_ns: int, return_ns: int
) -> Outcome:
    """Runs a number of completions from the start, where all customers set out at time 0."""
    free = [0] * servers
    visits = [0] * customers
    heap: list[tuple[int, int]] = []

    def set_out(customer: int, now: int) -> None:
        choice, service, _, _ = words(seed, WORKLOAD, visits[customer], customer)
        visits[customer] += 1
        server = mulhi(choice, servers)
        start = max(now + return_ns, free[server])
        free[server] = start + exponential_ns(mean_ns, service)
        heapq.heappush(heap, (free[server], customer))

    for customer in range(customers):
        set_out(customer, 0)
    now, checksum = 0, 0
    for _ in range(events):
        now, customer = heapq.heappop(heap)
        checksum = ((checksum ^ now) * FACTOR + customer) & MASK
        set_out(customer, now)
    return Outcome(now, events, checksum)
