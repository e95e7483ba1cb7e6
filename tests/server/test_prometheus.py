"""A real Prometheus scrapes the three services, and its answers are the API's figures."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import ProxyHandler, build_opener

import grpc
import pytest
import yaml

from smokestack.server.scenario import parse_scenario
from smokestack.server.stack import Stack
from smokestack.v1 import (
    array_pb2,
    array_pb2_grpc,
    hypervisor_pb2,
    hypervisor_pb2_grpc,
    multipath_pb2,
    multipath_pb2_grpc,
    simulation_pb2,
    simulation_pb2_grpc,
)
from tests.server.test_dashboard import queries

pytestmark = pytest.mark.full

MS = 1_000_000
PATIENCE_SECONDS = 60
OPENER = build_opener(ProxyHandler({}))
SCENARIO = """
fabrics: [fabric-a, fabric-b]
arrays:
  - name: a1
    controllers: [{name: c0}]
    ports:
      - {name: p0, controller: c0, fabric: fabric-a, queue_limit: 4}
      - {name: p1, controller: c0, fabric: fabric-b, queue_limit: 4}
    pools: [{name: p1, capacity_bytes: 64 MiB}]
    volumes:
      - {name: v1, pool: p1, capacity_bytes: 1 GiB}
      - {name: v2, pool: p1, capacity_bytes: 1 GiB}
    exports:
      - {volume: v1, host: h1, lun: 0}
      - {volume: v2, host: h1, lun: 1}
hosts:
  - name: h1
    initiators: [{name: h1-a, fabric: fabric-a}, {name: h1-b, fabric: fabric-b}]
    ios_per_path: 1
    vms:
      - name: web
        disks: [{name: d0, device: a1.v1}]
        jobs: [{name: j0, disk: d0, iodepth: 16, read_ratio: 0.5}]
      - name: db
        disks: [{name: d0, device: a1.v2}]
        jobs: [{name: j0, disk: d0, iodepth: 8, read_ratio: 0.0}]
"""


def tool(name: str) -> str:
    found = shutil.which(name)
    assert found, f"the full tier needs {name}, from Debian's package prometheus"
    return found


def fetched(url: str) -> bytes:
    with OPENER.open(url, timeout=10) as answer:
        return bytes(answer.read())


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE_SECONDS} s for {what}"
        time.sleep(0.1)


class Prometheus:
    """A server of its own, asked by PromQL: of now, or of the instant at which it was settled.

    A scrape that a busy machine makes late takes its target's series away until the next one.
    """

    def __init__(self, folder: Path, targets: dict[str, str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            address = f"127.0.0.1:{probe.getsockname()[1]}"
        jobs = [
            {"job_name": name, "static_configs": [{"targets": [target]}]}
            for name, target in targets.items()
        ]
        every = {"scrape_interval": "250ms", "scrape_timeout": "250ms"}
        config = folder / "prometheus.yml"
        config.write_text(yaml.safe_dump({"global": every, "scrape_configs": jobs}))
        self._at: float | None = None
        self._log = (folder / "log").open("wb")
        self._url = f"http://{address}"
        self.process = subprocess.Popen(
            [
                tool("prometheus"),
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}",
            ],
            stdout=self._log,
            stderr=self._log,
        )

    def ask(self, expr: str) -> list[dict[str, Any]]:
        query = urlencode({"query": expr} | ({"time": self._at} if self._at else {}))
        answer = json.loads(fetched(f"{self._url}/api/v1/query?{query}"))
        assert answer["status"] == "success", answer
        return list(answer["data"]["result"])

    def number(self, expr: str) -> float:
        [found] = self.ask(expr)
        return float(found["value"][1])

    def settled(self, expr: str, count: int) -> bool:
        """Whether so many series are found now; if so, all that is asked from now on is of now."""
        self._at = time.time()
        if len(self.ask(expr)) == count:
            return True
        self._at = None
        return False

    def ready(self) -> bool:
        assert self.process.poll() is None, "Prometheus ended"
        try:
            return bool(fetched(f"{self._url}/-/ready"))
        except OSError:
            return False

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE_SECONDS)
        self._log.close()


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(parse_scenario(SCENARIO)) as stack:
        stack.serve()
        yield stack


@pytest.fixture(scope="module")
def channels(stack: Stack) -> Iterator[dict[str, grpc.Channel]]:
    found = {e.name.split("/")[0]: grpc.insecure_channel(e.address) for e in stack.endpoints}
    yield found
    for channel in found.values():
        channel.close()


@pytest.fixture(scope="module")
def prometheus(
    stack: Stack, channels: dict[str, grpc.Channel], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """Has scraped a running stack for a while, and its end state last."""
    targets = {e.name.split("/")[0]: e.metrics_url.split("/")[2] for e in stack.endpoints}
    server = Prometheus(tmp_path_factory.mktemp("prometheus"), targets)
    try:
        until(server.ready, "Prometheus to be ready")
        until(lambda: len(server.ask("up == 1")) == 3, "the first scrapes")
        clock = simulation_pb2_grpc.SimulationServiceStub(channels["hypervisors"])
        for _ in range(20):
            now_ns = clock.Advance(simulation_pb2.AdvanceRequest(duration_ns=20 * MS)).now_ns
            time.sleep(0.1)
        at_end = f"smokestack_virtual_time_seconds_total == {now_ns / 1e9}"
        until(lambda: server.settled(at_end, 3), "the end state's scrapes")
        yield server
    finally:
        server.close()


def test_every_target_is_up_and_every_collector_succeeds(prometheus: Prometheus) -> None:
    assert prometheus.number("min(up)") == 1
    assert prometheus.number("count(smokestack_scrape_collector_success == 1)") == 3
    assert prometheus.number("max(smokestack_scrape_collector_duration_seconds)") < 1


def test_the_array_is_as_its_api_says(
    prometheus: Prometheus, channels: dict[str, grpc.Channel]
) -> None:
    api = array_pb2_grpc.ArrayServiceStub(channels["arrays"])
    pool = api.GetPool(array_pb2.GetPoolRequest(name="arrays/a1/pools/p1"))
    ask = prometheus.number
    assert ask('smokestack_thin_pool_capacity_bytes{pool="p1"}') == pool.capacity_bytes
    assert ask("sum(smokestack_thin_volume_written_bytes)") == pool.allocated_bytes > 0
    ratio = pool.subscribed_bytes / pool.capacity_bytes
    assert ask("smokestack_thin_pool_oversubscription_ratio") == ratio
    failures = ask("smokestack_thin_pool_allocation_failures_total")
    assert failures == pool.allocation_failure_count > 0
    for name in ("p0", "p1"):
        port = api.GetPort(array_pb2.GetPortRequest(name=f"arrays/a1/ports/{name}"))
        full = ask(f'sum(smokestack_scsi_task_set_full_total{{target="{name}"}})')
        assert full == port.task_set_full_count > 0
        pending = ask(f'smokestack_target_port_pending_exchanges{{port="{name}"}}')
        assert pending == port.outstanding_count
        assert ask(f'smokestack_target_port_queue_limit{{port="{name}"}}') == port.queue_limit


def test_multipath_is_as_its_api_says(
    prometheus: Prometheus, channels: dict[str, grpc.Channel]
) -> None:
    api = multipath_pb2_grpc.MultipathServiceStub(channels["multipaths"])
    host = "multipaths/m1/hosts/h1"
    for device in api.ListDevices(multipath_pb2.ListDevicesRequest(parent=host)).devices:
        lun = device.name.split("/")[-1]
        active = prometheus.number(f'smokestack_device_active_commands{{lun="{lun}"}}')
        assert active == device.active_count
        for path in api.ListPaths(multipath_pb2.ListPathsRequest(parent=device.name)).paths:
            labels = f'{{path="{path.name.split("/")[-1]}", lun="{lun}"}}'
            ios = prometheus.number(f"smokestack_path_ios_total{labels}")
            assert ios == path.io_count > 0
            assert prometheus.number(f"smokestack_path_bytes_total{labels}") == path.io_bytes


def test_guests_are_as_the_api_says(
    prometheus: Prometheus, channels: dict[str, grpc.Channel]
) -> None:
    api = hypervisor_pb2_grpc.HypervisorServiceStub(channels["hypervisors"])
    statistics = api.GetStatistics(hypervisor_pb2.GetStatisticsRequest())
    ios = prometheus.number("sum(smokestack_guest_latency_seconds_count)")
    assert ios == statistics.io_count > 0
    seconds = prometheus.number("sum(smokestack_guest_latency_seconds_sum)")
    assert seconds / ios == pytest.approx(statistics.latency.mean_ns / 1e9, abs=1e-9)
    # Buckets are powers of two here and 32 times finer in the API.
    buckets = "sum by (le) (smokestack_guest_latency_seconds_bucket)"
    p50 = prometheus.number(f"histogram_quantile(0.5, {buckets})")
    assert 0.5 <= p50 / (statistics.latency.p50_ns / 1e9) <= 2


def test_metrics_of_the_rooms_join_on_the_logical_unit(prometheus: Prometheus) -> None:
    behind = prometheus.ask(
        "smokestack_vm_placement_info * on (lun) group_left () "
        "sum by (lun) (smokestack_scsi_task_set_full_total) > 0"
    )
    assert {sample["metric"]["vm"] for sample in behind} == {"web", "db"}


@pytest.mark.parametrize(("title", "expr"), list(queries()))
def test_every_panel_has_something_to_show(prometheus: Prometheus, title: str, expr: str) -> None:
    expr = re.sub(r"\$(host|array|fabric)", ".+", expr.replace("$__rate_interval", "1m"))
    assert prometheus.ask(expr), title


def test_prometheus_has_nothing_to_criticise(stack: Stack) -> None:
    for endpoint in stack.endpoints:
        done = subprocess.run(
            [tool("promtool"), "check", "metrics"],
            input=fetched(endpoint.metrics_url),
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stdout + done.stderr) == (0, b""), endpoint.name
