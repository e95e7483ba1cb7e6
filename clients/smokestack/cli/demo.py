"""`smokestack demo`: a VM replays a trace, a noisy neighbour comes and goes, the tables tell.

The two share neither host nor volume, only the array: what the trace's VM feels went through the
array's ports.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from .output import NS_PER_SECOND, print_json, seconds_text
from .parameters import SEED
from .tables import pool_rows

if TYPE_CHECKING:
    from smokestack.server.stack import Stack
    from smokestack.server.watch import Moment, Seen
    from smokestack.v1 import scenario_pb2

    from .demo_view import View

VICTIM = "hosts/h1/vms/v1"
NEIGHBOUR = "hosts/h2/vms/v3"
END_SECONDS = 90
SPEED_DEFAULT = 10.0


class Phase(NamedTuple):
    """A stretch of the demo, in virtual seconds."""

    name: str
    start: int
    end: int


BEFORE, DURING, AFTER = PHASES = (
    Phase("before", 0, 28),
    Phase("during", 28, 58),
    Phase("after", 58, END_SECONDS),
)
# The neighbour's last I/Os shall end within the phase that it makes noisy.
_LAST_IO_NS = 50_000_000
_NOISE_DEPTH = 64
_NOISE_READ_RATIO = 0.7
_NOISE_REGION_BYTES = 8 << 30
_NOISE_IO_BYTES = 256 << 10


@click.command()
@click.option("--seed", type=SEED, default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON, nothing else.")
@click.option(
    "--speed",
    type=click.FloatRange(0, 10_000),
    default=SPEED_DEFAULT,
    show_default=True,
    help="On a terminal: virtual seconds shown per second; 0 for as fast as it goes.",
)
def demo(seed: int, as_json: bool, speed: float) -> None:
    """Watch a noisy neighbour on a small stack, for ninety virtual seconds.

    A VM replays the bundled trace; from 28 s to 58 s another VM, on another host and another
    volume of the same array, reads and writes as fast as it can. Ends with what each VM saw before,
    during and after, and with what each path carried.
    """
    from .demo_view import view_for

    view = view_for(as_json)
    stack, phases = _run(seed, view, speed if view.is_paced else 0.0)
    result = _result(stack, seed, phases)
    if as_json:
        print_json(result)
    else:
        from .demo_view import print_result

        print_result(result)


def _run(seed: int, view: View, speed: float) -> tuple[Stack, dict[str, dict[str, Seen]]]:
    from smokestack.server.stack import Stack
    from smokestack.server.watch import look, seen_between

    stack = Stack(_scenario(seed))
    hypervisor = stack.hypervisor.model
    pause = threading.Event()  # never set: it only waits
    start: dict[int, Moment] = {0: look(hypervisor)}
    last = start[0]
    borders = {phase.end for phase in PHASES}
    with view:
        for second in sorted(borders | set(range(view.step, END_SECONDS, view.step))):
            hypervisor.advance(second * NS_PER_SECOND)
            now = look(hypervisor)
            if second in borders:
                start[second] = now
            view.show(last.now_ns // NS_PER_SECOND, second, seen_between(last, now))
            last = now
            if speed:
                pause.wait(view.step / speed)
    hypervisor.advance_until_idle()
    start[END_SECONDS] = look(hypervisor)
    return stack, {p.name: seen_between(start[p.start], start[p.end]) for p in PHASES}


def _scenario(seed: int) -> scenario_pb2.Scenario:
    """Returns the default stack with two jobs on it."""
    from smokestack.server.scenario import default_scenario
    from smokestack.v1 import hypervisor_pb2

    scenario = default_scenario()
    scenario.seed = seed
    scenario.traces.add(name="bundled")
    vms = {f"hosts/{host.name}/vms/{vm.name}": vm for host in scenario.hosts for vm in host.vms}
    vms[VICTIM].jobs.add(name="replay", disk="d0", trace="bundled")
    noise = hypervisor_pb2.Job(
        name="noise",
        disk="d0",
        start_ns=DURING.start * NS_PER_SECOND,
        stop_ns=DURING.end * NS_PER_SECOND - _LAST_IO_NS,
        iodepth=_NOISE_DEPTH,
        read_ratio=_NOISE_READ_RATIO,
        region_bytes=_NOISE_REGION_BYTES,
    )
    noise.block_sizes.add(length_bytes=_NOISE_IO_BYTES)
    vms[NEIGHBOUR].jobs.append(noise)
    return scenario


def _result(stack: Stack, seed: int, phases: dict[str, dict[str, Seen]]) -> dict[str, Any]:
    from smokestack.server.run import path_rows
    from smokestack.v1 import hypervisor_pb2

    total = stack.api.hypervisor.GetStatistics(hypervisor_pb2.GetStatisticsRequest())
    return {
        "seed": seed,
        "virtual_seconds": total.now_ns / NS_PER_SECOND,
        "ios": total.io_count,
        "errors": total.error_count,
        "digest": total.digest,
        "vms": [
            {"vm": vm, "does": does, "phases": [_phase_row(phases, p, vm) for p in PHASES]}
            for vm, does in ((VICTIM, "replays a trace"), (NEIGHBOUR, "noisy neighbour"))
        ],
        "paths": [row for row in path_rows(stack.api, stack.scenario) if row["ios"]],
        "pools": [
            {"array": array_id, **row}
            for array_id, array in stack.arrays.items()
            for row in pool_rows(array.api, array.name)
        ],
    }


def _phase_row(phases: dict[str, dict[str, Seen]], phase: Phase, vm: str) -> dict[str, Any]:
    seen = phases[phase.name][vm]
    return {
        "phase": phase.name,
        "from_seconds": phase.start,
        "until_seconds": phase.end,
        "ios": seen.io_count,
        "errors": seen.error_count,
        "iops": round(seen.io_count / (phase.end - phase.start), 1),
        "mean_ns": seen.latency.mean_ns,
        "p50_ns": seen.latency.p50_ns,
        "p90_ns": seen.latency.p90_ns,
        "p99_ns": seen.latency.p99_ns,
        "max_ns": seen.latency.max_ns,
    }


def short(vm: str) -> str:
    """Returns "v1 on h1" for "hosts/h1/vms/v1"."""
    _, host, _, name = vm.split("/")
    return f"{name} on {host}"


INTRODUCTION = (
    f"{short(VICTIM)} replays the bundled trace; {short(NEIGHBOUR)}, its noisy neighbour on the "
    f"same array, runs from {seconds_text(DURING.start)} to {seconds_text(DURING.end)}"
)
