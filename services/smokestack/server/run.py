"""Runs a scenario flat out, from first I/O to last, in one process or in several.

Either way the same calls of the API build the stack, move its clock and read what came of it; only
what carries them differs, and the digest says that nothing else does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc

from smokestack.engine.clock import Stopwatch
from smokestack.engine.errors import FailedPrecondition, Violation
from smokestack.v1 import hypervisor_pb2, multipath_pb2, scenario_pb2, simulation_pb2

from .build import Api, create_job, upload_trace
from .errors import refused_from
from .processes import Processes
from .scenario import ScenarioError, default_scenario
from .stack import Stack

TRACE_VM: Final = "hosts/h1/vms/v1"  # where `trace` is replayed: of the default stack
TRACE_DISK: Final = "d0"
TRACE_ID: Final = "replay"
_PROGRESS_SECONDS: Final = 0.2
_NS: Final = 1_000_000_000


@dataclass(frozen=True)
class Progress:
    """How far a run has come."""

    virtual_seconds: float
    ios: int
    errors: int
    wall_seconds: float


@dataclass(frozen=True)
class Trace:
    """A trace file to replay."""

    data: bytes
    format: str = ""
    volume: str = ""


def run_stack(
    scenario: scenario_pb2.Scenario | None = None,
    trace: Trace | bytes | Path | str | None = None,
    processes: bool = False,
    progress: Callable[[Progress], None] | None = None,
    *,
    seconds: float | None = None,
) -> dict[str, Any]:
    """Builds a scenario (the default one), runs it until it is idle, and returns its figures.

    ``seconds`` limits virtual time, which jobs without an end need.  ``trace`` is replayed at its
    recorded times on disk d0 of VM v1 on host h1.
    """
    scenario = scenario or default_scenario()
    limit_ns = _limit_ns(scenario, seconds)
    with opened(scenario, processes) as api:
        if trace is not None:
            replay(api, trace)
        return advance(api, scenario, limit_ns, progress)


@contextmanager
def opened(scenario: scenario_pb2.Scenario, processes: bool) -> Iterator[Api]:
    """Yields a built stack's services; at the end the stack is gone."""
    if processes:
        with Processes(scenario) as children:
            yield children.api
    else:
        with Stack(scenario) as stack:
            yield stack.api


def replay(api: Api, trace: Trace | bytes | Path | str) -> None:
    """Uploads a trace and starts the job that replays it in an open loop."""
    if isinstance(trace, (Path, str)):
        trace = Trace(_read(Path(trace)))
    elif isinstance(trace, bytes):
        trace = Trace(trace)
    upload_trace(
        api.hypervisor, TRACE_ID, trace.data, trace_format=trace.format, volume=trace.volume
    )
    job = hypervisor_pb2.Job(
        name=TRACE_ID,
        disk=TRACE_DISK,
        trace=TRACE_ID,
        trace_mode=hypervisor_pb2.TRACE_MODE_OPEN,
    )
    create_job(api.hypervisor, TRACE_VM, job)


def advance(
    api: Api,
    scenario: scenario_pb2.Scenario,
    limit_ns: int,
    progress: Callable[[Progress], None] | None = None,
) -> dict[str, Any]:
    """Runs a built stack until it is idle or a limit is reached; returns the run's figures."""
    request = simulation_pb2.AdvanceRequest(until_idle=True, limit_ns=limit_ns)
    with Stopwatch() as watch, _reporting(api, watch, progress):
        try:
            answer = api.simulation.Advance(request)
        except grpc.RpcError as error:
            raise refused_from(error) from error
    return _figures(api, scenario, answer, watch.elapsed_seconds)


@contextmanager
def _reporting(
    api: Api, watch: Stopwatch, progress: Callable[[Progress], None] | None
) -> Iterator[None]:
    """Calls ``progress`` now and then from another thread, between windows."""
    if progress is None:
        yield
        return
    done = threading.Event()

    def report() -> None:
        while not done.wait(_PROGRESS_SECONDS):
            try:
                now = api.hypervisor.GetStatistics(hypervisor_pb2.GetStatisticsRequest())
            except grpc.RpcError:
                return  # the run itself says what is wrong
            progress(
                Progress(now.now_ns / _NS, now.io_count, now.error_count, watch.elapsed_seconds)
            )

    thread = threading.Thread(target=report, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _figures(
    api: Api,
    scenario: scenario_pb2.Scenario,
    answer: simulation_pb2.AdvanceResponse,
    wall_seconds: float,
) -> dict[str, Any]:
    found = api.hypervisor.GetStatistics(hypervisor_pb2.GetStatisticsRequest())
    latency = {
        field: getattr(found.latency, field)
        for field in ("mean_ns", "p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns")
    }
    return {
        "ios": found.io_count,
        "errors": found.error_count,
        "outstanding": found.outstanding_count,
        "virtual_seconds": found.now_ns / _NS,
        "wall_seconds": wall_seconds,
        "ios_per_wall_second": answer.io_count / wall_seconds,
        "latency": latency,
        "windows": answer.window_count,
        "digest": found.digest,
        "disks": [_disk_row(disk) for disk in found.disks],
        "paths": path_rows(api, scenario),
    }


def _disk_row(disk: hypervisor_pb2.DiskStatistics) -> dict[str, Any]:
    return {
        "disk": disk.disk,
        "ios": disk.io_count,
        "errors": disk.error_count,
        "read_bytes": disk.read_bytes,
        "write_bytes": disk.write_bytes,
        "p50_ns": disk.latency.p50_ns,
        "p99_ns": disk.latency.p99_ns,
        "max_ns": disk.latency.max_ns,
    }


def path_rows(api: Api, scenario: scenario_pb2.Scenario) -> list[dict[str, Any]]:
    """Returns a row for each path of each host's devices, as they stand."""
    multipath = f"multipaths/{scenario.multipath.name or 'm1'}"
    rows = []
    for host in scenario.hosts:
        parent = f"{multipath}/hosts/{host.name}"
        request = multipath_pb2.ListDevicesRequest(parent=parent, page_size=10_000)
        for device in api.multipath.ListDevices(request).devices:
            paths = multipath_pb2.ListPathsRequest(parent=device.name, page_size=10_000)
            rows += [_path_row(host.name, path) for path in api.multipath.ListPaths(paths).paths]
    return rows


def _path_row(host: str, path: multipath_pb2.Path) -> dict[str, Any]:
    device, path_id = path.name.split("/")[-3::2]
    state = multipath_pb2.PathState.Name(path.state).removeprefix("PATH_STATE_")
    return {
        "host": host,
        "device": device,
        "path": path_id,
        "state": state,
        "ios": path.io_count,
        "bytes": path.io_bytes,
        "errors": path.error_count,
        "refusals": path.refusal_count,
    }


def _limit_ns(scenario: scenario_pb2.Scenario, seconds: float | None) -> int:
    if seconds is not None:
        if not 0 < seconds <= 10**9:
            raise FailedPrecondition(f"{seconds:g} virtual seconds are not within 0 to 10^9")
        return round(seconds * _NS)
    endless = [
        Violation(
            f"hosts[{h}].vms[{v}].jobs[{j}]",
            "never ends: give it stop_ns or io_limit, or limit the run to some seconds",
        )
        for h, host in enumerate(scenario.hosts)
        for v, vm in enumerate(host.vms)
        for j, job in enumerate(vm.jobs)
        if not (job.stop_ns or job.io_limit or job.trace)
    ]
    if endless:
        raise ScenarioError.of(endless)
    return 0


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ScenarioError(f"{path}: {error.strerror or error}") from None
