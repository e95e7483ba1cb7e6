"""The closed network agrees with its reference completion by completion, however it is cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smokestack.engine import _core
from smokestack.engine.closed_network import ClosedNetwork, Network
from smokestack.engine.tables import dtypes, zeros
from tests.reference import closed_network as reference

NETWORKS = st.builds(
    Network,
    customer_count=st.integers(1, 150),
    server_count=st.integers(1, 100),
    mean_ns=st.sampled_from([0, 7, 200_000]),
    return_ns=st.sampled_from([1, 50_000, 10**9]),
    seed=st.integers(0, 2**64 - 1),
)


def outcome(network: ClosedNetwork) -> reference.Outcome:
    return reference.Outcome(network.now_ns, network.completions, network.checksum)


def expected(network: Network, events: int) -> reference.Outcome:
    return reference.run(
        customers=network.customer_count,
        servers=network.server_count,
        events=events,
        seed=network.seed,
        mean_ns=network.mean_ns,
        return_ns=network.return_ns,
    )


@settings(max_examples=60)
@given(NETWORKS, st.integers(0, 700))
def test_every_completion_is_the_references(network: Network, events: int) -> None:
    ours = ClosedNetwork(network)
    ours.run(events)
    assert outcome(ours) == expected(network, events)


@settings(max_examples=30)
@given(NETWORKS, st.lists(st.integers(0, 300), max_size=6))
def test_where_a_run_is_cut_changes_nothing(network: Network, pieces: list[int]) -> None:
    whole, cut = ClosedNetwork(network), ClosedNetwork(network)
    whole.run(sum(pieces))
    for piece in pieces:
        cut.run(piece)
    assert outcome(whole) == outcome(cut)


def test_the_benchmarks_network_agrees_past_several_tunings() -> None:
    network = Network()
    ours = ClosedNetwork(network)
    ours.run(20_000)
    assert outcome(ours) == expected(network, 20_000)


def tables(customers: int, servers: int) -> list[Any]:
    """Zeroed memory for a network."""
    types = dtypes(_core.layout())
    return [
        zeros(1, types["network_t"]),
        zeros(customers, types["customer_t"]),
        zeros(servers, np.dtype("i8")),
        zeros(1, np.dtype("V64")),
        zeros(64, np.dtype("V8")),
    ]


def test_a_copy_of_the_tables_is_a_copy_of_the_network() -> None:
    memory = tables(customers=50, servers=9)
    memory[0]["mean_ns"], memory[0]["return_ns"] = 1_000, 10
    _core.closed_network_start(*memory)
    _core.closed_network_run(*memory, 500)
    fork = [table.copy() for table in memory]
    _core.closed_network_run(*memory, 500)
    _core.closed_network_run(*fork, 500)
    assert memory[0] == fork[0]


def test_memory_that_makes_no_network_is_refused() -> None:
    memory = tables(customers=5, servers=5)
    with pytest.raises(ValueError, match="return_ns"):
        _core.closed_network_start(*memory)
    memory[0]["return_ns"] = 1
    with pytest.raises(ValueError, match="closed_network_start comes first"):
        _core.closed_network_run(*memory, 1)
    with pytest.raises(ValueError, match="customers: want items of 16 bytes"):
        _core.closed_network_start(memory[0], zeros(5, np.dtype("V24")), *memory[2:])
    with pytest.raises(TypeError, match="want 6 arguments"):
        _core.closed_network_run(*memory)
