"""What Prometheus is told is true, complete and well-formed, and no stranger is told."""

from __future__ import annotations

import csv
import http.client
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from smokestack.array.collector import ArrayCollector
from smokestack.array.model import ArrayModel
from smokestack.array.specs import ControllerSpec, PortSpec
from smokestack.engine.border import BorderLock
from smokestack.engine.exposition import Family, Samples
from smokestack.server.exporter import Exporter
from tests.server.small_stack import MIB, MS, SmallStack

GOLDEN = Path(__file__).parents[1] / "golden"
# Not of the model: what a scrape says about itself and its process, and the clock.
OWN = {
    "smokestack_adapter_active_commands": "gauge",
    "smokestack_adapter_queued_commands": "gauge",
    "smokestack_compare_and_write_commands_total": "counter",
    "smokestack_scrape_collector_duration_seconds": "gauge",
    "smokestack_scrape_collector_success": "gauge",
    "smokestack_virtual_time_seconds_total": "counter",
}
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def stack() -> SmallStack:
    return SmallStack()


@pytest.fixture
def exporter(stack: SmallStack) -> Iterator[Exporter]:
    exporter = Exporter(stack.collectors())
    yield exporter
    exporter.close()


def series(text: str) -> Series:
    found: Series = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, f"{key} stands twice"
            found[key] = sample.value
    return found


def value(found: Series, name: str, **labels: str) -> float:
    """The sum over every series that has the labels, as PromQL's sum(name{…})."""
    return sum(v for (n, have), v in found.items() if n == name and labels.items() <= set(have))


def repeatable(text: str) -> str:
    """Without what differs from run to run."""
    lines = text.splitlines(keepends=True)
    volatile = "smokestack_scrape_collector_duration_seconds{"
    return "".join(
        line
        for line in lines
        if not line.startswith(volatile) and not line.removeprefix("# HELP ").startswith("process_")
        if not line.startswith("# TYPE process_")
    )


def test_the_exposition_is_the_golden_one(
    stack: SmallStack, exporter: Exporter, pytestconfig: pytest.Config
) -> None:
    stack.live()
    text = repeatable(exporter.scrape().decode())
    path = GOLDEN / "exposition.txt"
    if pytestconfig.getoption("--write-golden"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_names_and_types_are_those_of_the_table(stack: SmallStack, exporter: Exporter) -> None:
    stack.live()
    with (GOLDEN / "metrics.csv").open(encoding="utf-8") as file:
        table = {row["name"]: row["type"] for row in csv.DictReader(file)}
    found = {}
    for family in text_string_to_metric_families(exporter.scrape().decode()):
        name = family.name + ("_total" if family.type == "counter" else "")
        if not name.startswith("process_"):
            found[name] = family.type
            assert family.documentation.endswith(".") and family.samples, name
    assert {name: kind for name, kind in found.items() if name not in OWN}.items() <= table.items()
    assert len(found.keys() & table.keys()) >= 30
    assert OWN.items() <= found.items()


def test_every_room_is_told_of(stack: SmallStack, exporter: Exporter) -> None:
    stack.live()
    found = series(exporter.scrape().decode())
    for service in ("hypervisors/hv1", "multipaths/m1", "arrays/a1"):
        assert value(found, "smokestack_scrape_collector_success", collector=service) == 1
        assert value(found, "smokestack_virtual_time_seconds_total", service=service) == 0.06


def test_figures_are_those_of_the_models(stack: SmallStack, exporter: Exporter) -> None:
    stack.live()
    found = series(exporter.scrape().decode())
    pool = stack.array.pool_usage("p1")
    at = {"array": "a1", "pool": "p1"}
    assert value(found, "smokestack_thin_pool_capacity_bytes", **at) == pool.capacity_bytes
    assert value(found, "smokestack_thin_pool_allocated_bytes", **at) == pool.allocated_bytes
    assert value(found, "smokestack_thin_pool_subscribed_bytes", **at) == pool.subscribed_bytes
    failures = pool.allocation_failure_count
    assert value(found, "smokestack_thin_pool_allocation_failures_total", **at) == failures > 0
    # The pool counts when it refuses, the nexus when the answer leaves: some are under way.
    assert 0 < value(found, "smokestack_scsi_sense_total", kcq="7/27/07") <= failures
    for port in ("p0", "p1"):
        usage = stack.array.port_usage(port)
        of_port, of_target = {"port": port}, {"target": port}
        assert value(found, "smokestack_port_rx_bytes_total", **of_port) == usage.rx_bytes
        assert value(found, "smokestack_port_tx_bytes_total", **of_port) == usage.tx_bytes
        pending = value(found, "smokestack_target_port_pending_exchanges", **of_port)
        assert pending == usage.outstanding_count
        assert value(found, "smokestack_exchanges_pending", **of_target) == pending
        full = value(found, "smokestack_scsi_task_set_full_total", **of_target)
        assert full == usage.task_set_full_count > 0
        assert value(found, "smokestack_scsi_busy_total", **of_target) == usage.busy_count > 0
    for device in (*stack.multipath.devices("h1"), *stack.multipath.devices("h2")):
        of = {"host": device.host_id, "lun": device.name}
        assert value(found, "smokestack_device_active_commands", **of) == device.active_count
        assert value(found, "smokestack_device_queue_depth", **of) == device.lun_queue_depth
        for path in device.paths:
            on = {**of, "path": path.name}
            assert value(found, "smokestack_path_ios_total", **on) == path.io_count
            assert value(found, "smokestack_path_bytes_total", **on) == path.io_bytes
            state = path.state.name.lower()
            assert value(found, "smokestack_path_state", **on, state=state) == 1
            assert value(found, "smokestack_path_state", **on) == 1
    disk = stack.hypervisor.disk_statistics("h1", "web", "d0")
    seen = value(found, "smokestack_guest_latency_seconds_count", vm="web")
    assert seen == disk.latency.count > 0


def test_a_unit_that_is_gone_is_seen_at_the_host_and_at_the_array(
    stack: SmallStack, exporter: Exporter
) -> None:
    stack.live()
    found = series(exporter.scrape().decode())
    assert value(found, "smokestack_scsi_sense_total", lun="a1.v2", kcq="5/25/00") > 0
    assert value(found, "smokestack_initiators_per_target_port", port="p0") == 2  # h1-a, h2-a
    stack.array.delete_volume("v2")
    found = series(exporter.scrape().decode())
    assert not [key for key in found if ("lun", "a1.v2") in key[1] and "scsi" in key[0]]


def test_states_say_which_devices_have_no_path_left(stack: SmallStack, exporter: Exporter) -> None:
    stack.live()
    found = series(exporter.scrape().decode())
    assert value(found, "smokestack_device_state", lun="a1.v3", state="apd") == 1
    assert value(found, "smokestack_device_state", lun="a1.v2", state="apd") == 1
    assert value(found, "smokestack_device_state", state="apd") == 2
    assert value(found, "smokestack_port_oper_state", state="down") == 1


def test_counters_and_buckets_never_go_down(stack: SmallStack, exporter: Exporter) -> None:
    kinds: dict[str, str] = {}
    before: Series = {}
    for step in range(1, 9):
        stack.hypervisor.advance(step * 5 * MS)
        if step == 4:  # an export in a new row keeps what the old one has counted
            export = stack.array.exports["v2", "h2"]
            stack.array.delete_export("v2", "h2")
            stack.array.create_export(export)
        text = exporter.scrape().decode()
        kinds |= {f.name: f.type for f in text_string_to_metric_families(text)}
        now = series(text)
        for key, count in before.items():
            name = key[0].removesuffix("_total").removesuffix("_bucket")
            name = name.removesuffix("_sum").removesuffix("_count")
            if kinds[name] in ("counter", "histogram") and not name.startswith("process_"):
                assert now[key] >= count, key
        before = now


def test_histograms_are_cumulative_and_complete(stack: SmallStack, exporter: Exporter) -> None:
    stack.live()
    for family in text_string_to_metric_families(exporter.scrape().decode()):
        if family.type != "histogram":
            continue
        buckets: dict[frozenset[tuple[str, str]], list[tuple[float, float]]] = {}
        counts = {}
        for sample in family.samples:
            labels = dict(sample.labels)
            bound = labels.pop("le", "")
            if sample.name.endswith("_bucket"):
                pair = (float(bound), sample.value)
                buckets.setdefault(frozenset(labels.items()), []).append(pair)
            elif sample.name.endswith("_count"):
                counts[frozenset(labels.items())] = sample.value
        assert buckets.keys() == counts.keys()
        for key, pairs in buckets.items():
            assert pairs == sorted(pairs) and pairs[-1] == (float("inf"), counts[key])
            assert len({bound for bound, _ in pairs}) == len(pairs)


def test_a_scrape_is_of_one_border(stack: SmallStack, exporter: Exporter) -> None:
    """While the clock runs, what one scrape says of one room still adds up."""
    runs = threading.Thread(target=stack.hypervisor.advance, args=(300 * MS,))
    runs.start()
    scrapes = 0
    while runs.is_alive() or scrapes == 0:
        found = series(exporter.scrape().decode())
        for lun in ("a1.v1", "a1.v2"):
            ios = value(found, "smokestack_path_ios_total", lun=lun)
            assert value(found, "smokestack_kernel_latency_seconds_count", lun=lun) == ios
            assert value(found, "smokestack_device_latency_seconds_count", lun=lun) == ios
        scrapes += 1
    runs.join()


def test_new_inventory_shows_at_the_next_scrape(stack: SmallStack, exporter: Exporter) -> None:
    assert value(series(exporter.scrape().decode()), "smokestack_vm_placement_info") == 4
    stack.add_vm("h1", "late", "a1.v1", iodepth=1, read_ratio=1)
    stack.array.create_port(PortSpec("p2", "c0", "fabric-a"))
    found = series(exporter.scrape().decode())
    assert value(found, "smokestack_vm_placement_info") == 5
    assert value(found, "smokestack_target_port_queue_limit", port="p2") == 1638
    assert value(found, "smokestack_array_latency_seconds_count", target="p2") == 0


class Broken:
    name = "arrays/broken"

    def __init__(self) -> None:
        self.fails = True

    def collect(self) -> list[Samples]:
        if self.fails:
            raise RuntimeError("a table is not what it was")
        return [Samples(Family("smokestack_zone_conflicts", "gauge", "None."), [b"z 1\n"])]


def test_a_broken_collector_neither_breaks_nor_hides(
    stack: SmallStack, caplog: pytest.LogCaptureFixture
) -> None:
    broken = Broken()
    exporter = Exporter([broken, *stack.collectors()])
    found = series(exporter.scrape().decode())
    assert value(found, "smokestack_scrape_collector_success", collector="arrays/broken") == 0
    assert value(found, "smokestack_scrape_collector_success") == 3
    assert value(found, "smokestack_vm_state", state="running") == 4
    assert "arrays/broken" in caplog.text and "a table is not what it was" in caplog.text
    broken.fails = False
    assert b"# TYPE smokestack_zone_conflicts gauge\nz 1\n" in exporter.scrape()
    exporter.close()


def test_several_arrays_share_their_families() -> None:
    arrays = [ArrayModel(name) for name in ("a1", "a2")]
    for array in arrays:
        array.create_controller(ControllerSpec("c0"))
        array.create_port(PortSpec("p0", "c0", "fabric-a", queue_limit=64))
    exporter = Exporter([ArrayCollector(array, BorderLock()) for array in arrays])
    text = exporter.scrape().decode()
    assert text.count("# TYPE smokestack_target_port_queue_limit gauge\n") == 1
    assert value(series(text), "smokestack_target_port_queue_limit", port="p0") == 128
    assert value(series(text), "smokestack_target_port_queue_limit", array="a2") == 64
    exporter.close()


def test_an_array_without_anything_can_be_scraped() -> None:
    exporter = Exporter([ArrayCollector(ArrayModel("a1"), BorderLock())])
    assert value(series(exporter.scrape().decode()), "smokestack_scrape_collector_success") == 1
    exporter.close()


# --- HTTP -----------------------------------------------------------------------------------


@pytest.fixture
def served(exporter: Exporter) -> Exporter:
    exporter.start()
    return exporter


def ask(
    exporter: Exporter, path: str, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", exporter.port, timeout=60)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.headers), answer.read()
    finally:
        connection.close()


def test_metrics_are_served_as_prometheus_text(stack: SmallStack, served: Exporter) -> None:
    stack.hypervisor.advance(MS)
    status, headers, body = ask(served, "/metrics")
    assert status == 200
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert value(series(body.decode()), "smokestack_thin_pool_capacity_bytes") == 24 * MIB
    assert b"process_resident_memory_bytes" in body
    assert served.url == f"http://127.0.0.1:{served.port}/metrics"


def test_health_asks_no_collector(served: Exporter, stack: SmallStack) -> None:
    with stack.border.change():  # a scrape would wait
        assert ask(served, "/healthz")[::2] == (200, b"ok\n")


@pytest.mark.parametrize("path", ["/", "/metrics/", "/metric", "//evil/metrics", "/../metrics"])
def test_nothing_else_is_served(served: Exporter, path: str) -> None:
    assert ask(served, path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_only_get_is_served(served: Exporter, method: str) -> None:
    status, headers, _ = ask(served, "/metrics", method)
    assert (status, headers["Allow"]) == (405, "GET")


@pytest.mark.parametrize("host", ["localhost", "localhost:9100", "127.0.0.1:1", "[::1]:9100"])
def test_loopback_goes_by_its_names(served: Exporter, host: str) -> None:
    assert ask(served, "/healthz", Host=host)[0] == 200


@pytest.mark.parametrize(
    "host", ["rebound.example:9100", "array:9100", "192.0.2.1", "", "[::1", "@"]
)
def test_a_foreign_host_is_refused(served: Exporter, host: str) -> None:
    assert ask(served, "/metrics", Host=host)[0] == 403


@pytest.mark.parametrize("origin", ["https://rebound.example", "null", "file://"])
def test_a_foreign_origin_is_refused(served: Exporter, origin: str) -> None:
    assert ask(served, "/metrics", Origin=origin)[0] == 403


def test_our_own_origin_is_served(served: Exporter) -> None:
    assert ask(served, "/healthz", Origin=f"http://127.0.0.1:{served.port}")[0] == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("array:9100", 200),  # a container's name
        ("192.0.2.7:9100", 200),
        ("metrics.example", 200),  # allowed by name
        ("rebound.example", 403),
    ],
)
def test_an_open_server_goes_by_addresses_and_short_names(
    stack: SmallStack, host: str, status: int
) -> None:
    exporter = Exporter(stack.collectors(), "0.0.0.0", allowed_hosts=["metrics.example"])
    exporter.start()
    try:
        assert ask(exporter, "/healthz", Host=host)[0] == status
    finally:
        exporter.close()


def test_a_port_in_use_is_said_at_once(served: Exporter) -> None:
    with pytest.raises(OSError, match="in use"):
        Exporter([], port=served.port)


def test_a_closed_exporter_frees_its_port(stack: SmallStack) -> None:
    exporter = Exporter(stack.collectors())
    exporter.start()
    port = exporter.port
    exporter.close()
    again = Exporter(stack.collectors(), port=port)
    assert again.port == port
    again.close()


def test_many_scrapes_at_once_all_get_an_answer(served: Exporter) -> None:
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(ask(served, "/metrics")[0]))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 8
