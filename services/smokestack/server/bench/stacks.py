"""Stacks for benchmarks: many VMs in closed loops, and an array that bears as much as is wanted.

Its ports and cores are fast, so that its disks alone set the pace and the ports' queue limit alone
refuses.  Rates are of the simulator, per second of wall time; the stack's own are beside the point.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from smokestack.engine.clock import Stopwatch
from smokestack.v1 import array_pb2, scenario_pb2, simulation_pb2

from ..build import Api

PORTS: Final = 8  # half on each fabric; L is their default, 100 us
UNLIMITED: Final = 1 << 20
_GIB: Final = 1 << 30


@dataclass(frozen=True)
class Load:
    """What VMs ask, and what the array bears."""

    vms: int
    depth: int  # I/Os that each VM keeps outstanding
    disks: int  # stations behind the cache, 200 us on average
    queue_limit: int = UNLIMITED  # of each port
    retry_delay_ns: int = 1_000_000
    volumes: int = 32
    selector: Any = 0  # path selection policy, by its number; 0: the default

    @property
    def outstanding(self) -> int:
        """I/Os outstanding in all."""
        return self.vms * self.depth


def scenario(load: Load) -> scenario_pb2.Scenario:
    """Returns two hosts, one array, and VMs that read (70 %) and write 4 KiB at random."""
    found = scenario_pb2.Scenario(seed=1, fabrics=["a", "b"])
    found.multipath.qfull_retry_delay_ns = load.retry_delay_ns
    array = add_array(
        found,
        ports=PORTS,
        disks=load.disks,
        capacity_bytes=1 << 40,
        queue_limit=load.queue_limit,
    )
    for number in range(load.volumes):
        array.volumes.add(name=f"v{number}", pool="p1", capacity_bytes=4 * _GIB)
        array.exports.add(volume=f"v{number}", host=f"h{number % 2}")
    for number in range(2):
        host = found.hosts.add(
            name=f"h{number}",
            lun_queue_depth=4096,
            sched_num_req_outstanding=4096,
            adapter_queue_depth=65_536,
            selector=load.selector,
        )
        for fabric in found.fabrics:
            host.initiators.add(name=f"h{number}-{fabric}", fabric=fabric)
    share = 4 * _GIB // -(-load.vms // load.volumes)
    for number in range(load.vms):
        place, volume = divmod(number, load.volumes)
        vm = found.hosts[volume % 2].vms.add(name=f"v{number}")
        vm.disks.add(
            name="d0",
            device=f"a1.v{volume}",
            capacity_bytes=share,
            device_offset_bytes=place * share,
        )
        vm.jobs.add(name="j0", disk="d0", iodepth=load.depth, read_ratio=0.7)
    return found


def add_array(
    found: scenario_pb2.Scenario,
    *,
    ports: int,
    disks: int,
    capacity_bytes: int,
    queue_limit: int = UNLIMITED,
) -> scenario_pb2.ScenarioArray:
    """Adds an array of two controllers and one pool, with half of its ports on each fabric."""
    array = found.arrays.add(name="a1")
    for number in range(2):
        array.controllers.add(name=f"c{number}", core_count=8, read_ns=50, write_ns=50)
    for number in range(ports):
        array.ports.add(
            name=f"p{number}",
            controller=f"c{number % 2}",
            fabric=found.fabrics[number // 2 % 2],
            queue_limit=queue_limit,
            command_ns=20,
            refusal_ns=20,
            bandwidth_bytes_per_second=10**12,
        )
    array.pools.add(
        name="p1",
        capacity_bytes=capacity_bytes,
        page_bytes=1 << 20,
        disk_count=disks,
        media_ns=200_000,
    )
    return array


@dataclass(frozen=True)
class Turn:
    """What a stretch of simulation did, and took."""

    ios: int
    windows: int
    refusals: int
    seconds: float


def warm(api: Api, duration_ns: int) -> None:
    """Runs until queues have filled and pages are there."""
    api.simulation.Advance(simulation_pb2.AdvanceRequest(duration_ns=duration_ns))


def turn(api: Api, ios: int, step_ns: int) -> Turn:
    """Runs in steps until so many I/Os have completed."""
    before, done, windows = refusals(api), 0, 0
    step = simulation_pb2.AdvanceRequest(duration_ns=step_ns)
    with Stopwatch() as watch:
        while done < ios:
            answer = api.simulation.Advance(step)
            done += answer.io_count
            windows += answer.window_count
    return Turn(done, windows, refusals(api) - before, watch.elapsed_seconds)


def best(turns: int, run: Callable[[], Turn]) -> Turn:
    """Returns the turn with the highest rate: other programs can only slow one down."""
    return max((run() for _ in range(turns)), key=lambda turn: turn.ios / turn.seconds)


def refusals(api: Api) -> int:
    """Returns how many commands the ports have refused so far."""
    found: Any = api.arrays["a1"].ListPorts(array_pb2.ListPortsRequest(parent="arrays/a1"))
    return sum(port.task_set_full_count + port.busy_count for port in found.ports)
