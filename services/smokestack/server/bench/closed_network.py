"""Compares the event core with SimPy on one bare closed network: the price of an event.

64 VMs x depth 32 customers, 2,048 FIFO servers of mean 200 us, 50 us return.  SimPy runs it as
people write it, a process per customer and a Resource per server.  Both draw the same words, so
both simulate the same I/Os to the nanosecond; drawing is some 5 % of SimPy's time.  The two sides
take turns, and each one's best turn counts, since other programs can only slow a turn down.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from smokestack.engine import _core
from smokestack.engine.clock import Stopwatch
from smokestack.engine.closed_network import ClosedNetwork, Network
from smokestack.engine.streams import Stream

VM_COUNT = 64
DEPTH = 32


def run(
    *, ios: int = 4_000_000, simpy_ios: int = 30_000, turns: int = 3, network: Network | None = None
) -> dict[str, Any]:
    """Returns both rates, their ratio and the sizes; without SimPy its rate and the ratio are None.

    A benchmark without its peer still measures, and ``note`` says how to get the peer.
    """
    network = network or Network(customer_count=VM_COUNT * DEPTH)
    simpy = import_simpy()
    ours = theirs = 0.0
    for _ in range(turns):
        ours = max(ours, _rate(ClosedNetwork(network), ios))
        if simpy is not None:
            theirs = max(theirs, _rate(SimPyNetwork(simpy, network), simpy_ios))
    figures: dict[str, Any] = {
        "outstanding": network.customer_count,
        "servers": network.server_count,
        "service_mean_ns": network.mean_ns,
        "return_ns": network.return_ns,
        "ios": ios,
        "ios_per_wall_second": round(ours),
        "simpy_ios_per_wall_second": round(theirs) if simpy else None,
        "ratio": round(ours / theirs, 1) if simpy else None,
    }
    if simpy is None:
        figures["note"] = "to compare with SimPy: pip install 'smokestack-emulator[bench]'"
    else:
        figures["simpy_ios"] = simpy_ios
        figures["simpy_version"] = str(simpy.__version__)
    return figures


def import_simpy() -> Any | None:
    """Returns SimPy, or None where the extra is not installed."""
    try:
        import simpy
    except ImportError:
        return None
    return simpy


def _rate(network: ClosedNetwork | SimPyNetwork, ios: int) -> float:
    network.run(ios // 10)  # until the queues have filled
    with Stopwatch() as watch:
        network.run(ios)
    return ios / watch.elapsed_seconds


class SimPyNetwork:
    """The same network in SimPy; ``now_ns`` agrees with ClosedNetwork's after as many I/Os."""

    def __init__(self, simpy: Any, network: Network) -> None:
        self._network = network
        self._environment = simpy.Environment()
        self._servers = [
            simpy.Resource(self._environment, capacity=1) for _ in range(network.server_count)
        ]
        self._left = 0
        self._done = self._environment.event()
        for customer in range(network.customer_count):
            self._environment.process(self._customer(customer))

    def run(self, ios: int) -> None:
        """Runs a number of completions."""
        if ios > 0:
            self._left = ios
            self._done = self._environment.event()
            self._environment.run(until=self._done)

    @property
    def now_ns(self) -> int:
        """The time reached."""
        return int(self._environment.now)

    def _customer(self, customer: int) -> Generator[Any, Any, None]:
        network, environment = self._network, self._environment
        visit = 0
        while True:
            yield environment.timeout(network.return_ns)
            choice, service, _, _ = _core.philox(
                network.seed, Stream.WORKLOAD, visit, customer, 0, 0
            )
            visit += 1
            with self._servers[_core.mulhi(choice, network.server_count)].request() as turn:
                yield turn
                yield environment.timeout(_core.exponential_ns(network.mean_ns, service))
            self._left -= 1
            if self._left == 0:
                self._done.succeed()
