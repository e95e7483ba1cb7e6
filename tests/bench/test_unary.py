"""The benchmark of unary calls: each kind beside the empty handler, the lower of both above."""

from __future__ import annotations

from smokestack.server.bench import api


def test_the_lowest_of_the_reads_and_writes_is_the_figure() -> None:
    result = api.run(rounds=1, calls=3)
    ratio = {row["call"]: row["ratio_to_empty_handler"] for row in result["rows"]}
    assert ratio.pop("empty") == 1
    assert result["read_ratio_to_empty_handler"] == min(ratio["GetVolume"], ratio["GetVm"])
    assert result["write_ratio_to_empty_handler"] == min(ratio["CreateVolume"], ratio["CreateVm"])
    assert result["ratio_to_empty_handler"] == min(ratio.values()) > 0
