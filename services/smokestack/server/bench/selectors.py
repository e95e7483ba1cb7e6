"""Measures what each path selection policy costs: one uncongested load under each of them.

Every device has eight paths, and nothing is refused, so that the policies alone differ.  Many
short turns go around all policies, and the best of each counts: other programs can only slow one
down, and for a while.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Final

from smokestack.v1 import multipath_pb2, scenario_pb2

from ..stack import Stack
from .stacks import Load, Turn, scenario, turn, warm

LOAD: Final = Load(vms=64, depth=32, disks=2_048)
_WARM_NS: Final = 20_000_000
_STEP_NS: Final = 5_000_000


def run(*, ios: int = 25_000, turns: int = 80, load: Load = LOAD) -> dict[str, Any]:
    """Returns a row for each policy, and the slowest one's rate over the fastest one's."""
    best: dict[str, Turn] = {}
    with ExitStack() as stacks:
        running = {}
        for name, number in sorted(multipath_pb2.Selector.items(), key=lambda item: item[1]):
            if not number:
                continue
            policy = name.removeprefix("SELECTOR_")
            running[policy] = stacks.enter_context(Stack(_scenario(load, policy, number)))
            warm(running[policy].api, _WARM_NS)
        for _ in range(turns):
            for policy, stack in running.items():
                found = turn(stack.api, ios, _STEP_NS)
                if policy not in best or _rate(found) > _rate(best[policy]):
                    best[policy] = found
    rates = {policy: _rate(found) for policy, found in best.items()}
    fastest = max(rates.values())
    return {
        "slowest_to_fastest_ratio": round(min(rates.values()) / fastest, 3),
        "slowest": min(rates, key=lambda policy: rates[policy]),
        "rows": [
            {
                "selector": policy,
                "ios_per_wall_second": round(rate),
                "to_fastest_ratio": round(rate / fastest, 3),
            }
            for policy, rate in rates.items()
        ],
    }


def _scenario(load: Load, policy: str, number: int) -> scenario_pb2.Scenario:
    """Returns the load under a policy; that of a vendor's plug-in comes by a claim rule."""
    if policy != "VENDOR":
        return scenario(replace(load, selector=number))
    found = scenario(load)
    for array in found.arrays:
        array.vendor, array.hints_enabled = "SMOKE", True
    for host in found.hosts:
        host.claim_rules.add(plugin=multipath_pb2.PLUGIN_VENDOR, plugin_vendor="SMOKE")
    return found


def _rate(found: Turn) -> float:
    return found.ios / found.seconds
