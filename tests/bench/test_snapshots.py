"""The benchmark of snapshots measures what it says: a fork that is the same stack."""

from __future__ import annotations

from smokestack.server.bench import snapshots


def test_a_snapshot_and_a_fork_are_measured() -> None:
    result = snapshots.run(vms=4, warm_ns=1_000_000, turns=1)
    assert result["same_digest"]
    assert result["snapshot_ms"] > 0
    assert result["fork_ms"] > 0
    assert result["file_bytes"] > 10_000
