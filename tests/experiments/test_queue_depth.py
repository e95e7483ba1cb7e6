"""queue-depth: what must hold of its claims can fail."""

from __future__ import annotations

from typing import Any

import pytest

from smokestack.experiments.queue_depth import DELAYS_US, REMEDIES, QueueDepth
from tests.experiments.broken import broken

EXPERIMENT = QueueDepth()


def row(remedy: str, delay_us: int, greedy: bool = False, **changed: Any) -> dict[str, Any]:
    refused = {"fixed": 0.7, "counter": 0.4, "window": 0.09}.get(remedy, 0.0)
    return {
        "seed": 1,
        "remedy": remedy,
        "greedy_host": greedy,
        "retry_delay_us": delay_us,
        "iops": 28_000,
        "refused_ratio": refused,
        "p99_ns": 100_000_000,
        "kernel_mean_ns": 19_000_000,
        "fairness": 0.999,
        "spread": 0.03,
        "greedy_share": 2.0 if greedy else None,
        "depth_mean": 31.0,
    } | changed


def rows(*changed: dict[str, Any]) -> list[dict[str, Any]]:
    found = [row(remedy, delay) for delay in DELAYS_US for remedy in REMEDIES]
    found += [row(remedy, delay, True) for delay in DELAYS_US for remedy in ("counter", "window")]
    by_key = {(r["remedy"], r["retry_delay_us"], r["greedy_host"]): r for r in (*found, *changed)}
    return list(by_key.values())


def failed(*changed: dict[str, Any]) -> set[str]:
    return broken(EXPERIMENT.claims(EXPERIMENT.sizes["small"], rows(*changed)))


def test_plausible_rows_hold() -> None:
    assert failed() == set()


@pytest.mark.parametrize(
    ("changed", "claim"),
    [
        (row("window", 500, refused_ratio=0.13), "throttle-works-window-500us"),
        (row("counter", 5_000, refused_ratio=0.55), "throttle-works-counter-5000us"),
        (row("fixed", 500, refused_ratio=0.3), "throttle-works-fixed-500us"),
        (row("window", 500, True, greedy_share=1.2), "starved-by-greed-500us"),
        (row("window", 5_000, spread=0.06), "fair-when-all-throttle-5000us"),
    ],
)
def test_what_must_hold_can_fail(changed: dict[str, Any], claim: str) -> None:
    assert failed(changed) == {claim}
