"""The benchmarks behind ``smokestack bench``: ratios taken in one run on one machine.

Each is a function without required arguments that returns what JSON can hold; a rate is I/Os of
virtual time per second of wall time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from . import (
    api,
    closed_network,
    durable,
    growth,
    paths,
    pipeline,
    processes,
    reset,
    scrape,
    selectors,
    snapshots,
)

BENCHMARKS: Final[dict[str, Callable[[], dict[str, Any]]]] = {
    "closed-network": closed_network.run,
    "pipeline": pipeline.run,
    "processes": processes.run,
    "growth": growth.run,
    "scrape": scrape.run,
    "paths": paths.run,
    "api": api.run,
    "reset": reset.run,
    "snapshots": snapshots.run,
    "selectors": selectors.run,
    "durable": durable.run,
}
