"""The benchmarks of whole stacks measure the loads that they say, in one process and in three."""

from __future__ import annotations

from smokestack.multipath.specs import Selector
from smokestack.server.bench import pipeline, processes, selectors
from smokestack.server.bench.stacks import Load

SMALL = Load(vms=4, depth=8, disks=32, volumes=2)


def test_the_pipeline_has_a_row_for_each_load() -> None:
    tight = Load(vms=4, depth=8, disks=32, volumes=2, queue_limit=1, retry_delay_ns=100_000)
    result = pipeline.run(ios=2_000, turns=1, steady=SMALL, storm=tight, growth=(SMALL, SMALL))
    assert [row["load"] for row in result["rows"]] == ["steady", "storm", "growth", "growth"]
    assert result["ios_per_wall_second"] > 0
    assert result["refused_ratio"] == 0
    assert result["rows"][1]["refused_ratio"] > 0.05
    assert result["storm_attempts_per_wall_second"] > result["storm_ios_per_wall_second"]


def test_every_policy_has_its_rate() -> None:
    result = selectors.run(ios=1_000, turns=1, load=SMALL)
    assert [row["selector"] for row in result["rows"]] == [policy.name for policy in Selector]
    assert 0 < result["slowest_to_fastest_ratio"] <= 1
    assert min(row["ios_per_wall_second"] for row in result["rows"]) > 0


def test_processes_are_compared_with_one_process() -> None:
    result = processes.run(ios=2_000, turns=1, exchanges=50, load=SMALL)
    assert result["three_processes_ios_per_wall_second"] > 0
    assert result["ratio"] > 0
    assert result["ios_per_window"] > 0
    assert result["two_hop_exchange_ms"] > 0
