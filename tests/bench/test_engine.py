"""The engine's benchmarks compare like with like, and say what they need."""

from __future__ import annotations

import sys

import pytest

from smokestack.engine.closed_network import ClosedNetwork, Network
from smokestack.server.bench import closed_network, growth

SMALL = Network(customer_count=60, server_count=40, seed=3)


@pytest.mark.parametrize("ios", [1, 59, 3_000])
def test_simpy_simulates_the_same_network_to_the_nanosecond(ios: int) -> None:
    simpy = closed_network.import_simpy()
    theirs, ours = closed_network.SimPyNetwork(simpy, SMALL), ClosedNetwork(SMALL)
    theirs.run(ios)
    ours.run(ios)
    assert theirs.now_ns == ours.now_ns


def test_the_comparison_returns_both_rates_and_their_ratio() -> None:
    result = closed_network.run(ios=20_000, simpy_ios=500, turns=1, network=SMALL)
    assert result["ios_per_wall_second"] > 0
    assert result["ratio"] == pytest.approx(
        result["ios_per_wall_second"] / result["simpy_ios_per_wall_second"], rel=0.01, abs=0.1
    )


def test_without_simpy_ours_is_measured_and_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "simpy", None)
    figures = closed_network.run(ios=20_000, turns=1, network=SMALL)
    assert figures["ios_per_wall_second"] > 0
    assert figures["simpy_ios_per_wall_second"] is figures["ratio"] is None
    assert "pip install 'smokestack-emulator[bench]'" in figures["note"]


def test_growth_returns_a_row_per_size_and_the_change() -> None:
    result = growth.run(ios=2_000, turns=1, outstanding=(64, 256))
    first, last = result["rows"]
    assert (first["outstanding"], last["outstanding"]) == (64, 256)
    assert result["change_ratio"] == pytest.approx(
        last["ios_per_wall_second"] / first["ios_per_wall_second"] - 1, abs=0.01
    )
