"""How long a stack that is served takes to be as if just started, over its API."""

from __future__ import annotations

from statistics import median
from typing import Any

import grpc

from smokestack.engine.clock import Stopwatch
from smokestack.v1 import simulation_pb2 as pb
from smokestack.v1 import simulation_pb2_grpc

from ..scenario import default_scenario
from ..stack import Stack


def run(turns: int = 30) -> dict[str, Any]:
    """Resets the default stack, which has run for a while each time."""
    took: list[float] = []
    with Stack(default_scenario()) as stack, grpc.insecure_channel(_served(stack)) as channel:
        simulation = simulation_pb2_grpc.SimulationServiceStub(channel)
        for _ in range(turns):
            simulation.Advance(pb.AdvanceRequest(duration_ns=10**9))
            with Stopwatch() as watch:
                simulation.Reset(pb.ResetRequest())
            took.append(watch.elapsed_ns / 1e6)
    return {
        "turns": turns,
        "reset_ms": round(median(took), 2),
        "reset_ms_max": round(max(took), 2),
    }


def _served(stack: Stack) -> str:
    return stack.serve()[0].address
