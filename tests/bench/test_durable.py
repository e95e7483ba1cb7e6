"""The benchmark of state directories measures what it says: all volumes come back."""

from __future__ import annotations

from smokestack.server.bench import durable


def test_creates_and_a_restart_are_measured() -> None:
    result = durable.run(volumes=60, clients=4, rounds=2, calls=20, starts=1)
    assert result["durable_ratio"] > 0
    assert result["restart_seconds"] > 0
    assert result["start_seconds_empty"] > 0
