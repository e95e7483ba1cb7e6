"""`smokestack top`: esxtop's figures between two readings, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from smokestack.cli.main import main
from smokestack.cli.top_reading import Reading, Row
from smokestack.cli.top_view import figures, screen, texts, title
from smokestack.server.stack import Stack
from smokestack.v1 import multipath_pb2
from tests.server.scenarios import small_scenario

MS = 1_000_000
QUEUES = {"QLEN", "ACTV", "QUED", "%USD", "LOAD", "IOPS", "B/s", "DAVG", "KAVG", "QAVG", "GAVG"}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(small_scenario(io_limit=0)) as stack:
        stack.serve(metrics_ports=None)
        yield stack


def top(stack: Stack, *words: str) -> Result:
    return CliRunner().invoke(main, ["top", *words, "--address", stack.endpoints[0].address])


def told(stack: Stack, view: str, over: str = "5ms") -> dict[str, Any]:
    done = top(stack, "--view", view, "--json", "--over", over)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_devices_figures_add_up(stack: Stack) -> None:
    name = "multipaths/m1/hosts/h1/devices/a1.v1"
    request = multipath_pb2.GetDeviceStatisticsRequest(name=name)
    before = stack.api.multipath.GetDeviceStatistics(request).queue
    found = told(stack, "devices")
    after = stack.api.multipath.GetDeviceStatistics(request).queue
    assert found["elapsed_ns"] == 5 * MS
    row = {row["name"]: row for row in found["rows"]}["h1/a1.v1"]
    assert row.keys() == QUEUES | {"name", "REFUSED"}
    ios = after.ios_count - before.ios_count
    assert row["IOPS"] == ios * 200
    assert row["GAVG"] == (after.guest_total_ns - before.guest_total_ns) / ios
    assert row["GAVG"] == pytest.approx(row["DAVG"] + row["KAVG"])
    assert row["QAVG"] <= row["KAVG"]
    assert (row["ACTV"], row["QLEN"]) == (after.active_count, after.queue_depth)
    assert row["%USD"] == after.active_count / after.queue_depth


def test_every_view_counts_the_same_ios(stack: Stack) -> None:
    views = {view: told(stack, view, "4ms") for view in ("adapters", "worlds", "paths", "ports")}
    names = {view: [row["name"] for row in found["rows"]] for view, found in views.items()}
    assert names["adapters"] == ["h1/h1-a", "h1/h1-b", "h2/h2-a", "h2/h2-b"]
    assert names["worlds"] == ["h1/on-a1 a1.v1", "h2/on-a1 a1.v2"]
    assert names["paths"][0] == "h1/a1.v1/h1-a.p0"
    assert names["ports"] == ["a1/p0", "a1/p1"]
    for found in views.values():
        assert sum(row["IOPS"] for row in found["rows"]) > 0
    [path, *_] = views["paths"]["rows"]
    assert (path["STATE"], path.keys() & {"DAVG", "ERRORS"}) == ("ACTIVE", {"DAVG", "ERRORS"})
    assert views["ports"]["rows"][0]["LIMIT"] == 6


def test_people_get_a_table_since_the_start(stack: Stack) -> None:
    shown = top(stack, "--once")
    assert shown.exit_code == 0, shown.output
    for word in ("devices at", "GAVG", "%USD", "MiB/s", "h2/a1.v2"):
        assert word in shown.output


def test_what_cannot_be_is_refused(stack: Stack) -> None:
    assert "--once or --json" in top(stack).output  # no terminal here
    assert "--over goes with" in top(stack, "--over", "1ms").output
    assert top(stack, "--delay", "0").exit_code == 2


def row(ios: int, **counters: int) -> Row:
    return Row({"ios": ios, "bytes": 512 * ios, **counters}, {"ACTV": 1})


def test_time_that_stands_still_and_counters_that_begin_anew() -> None:
    still = figures(Reading(5, {"d": row(3)}), Reading(5, {"d": row(3, device_ns=0)}))
    assert (still[0]["IOPS"], still[0]["DAVG"]) == (0.0, None)
    assert texts(still[0])["DAVG"] == "–"
    before = Reading(0, {"d": row(9, device_ns=900)})
    [anew] = figures(before, Reading(1_000_000_000, {"d": row(4, device_ns=40)}))
    assert (anew["IOPS"], anew["DAVG"]) == (4.0, 10.0)
    assert "stands still" in title("devices", Reading(7), Reading(7))


def test_a_screen_has_the_busiest_first_and_no_more_than_fit() -> None:
    after = Reading(1_000_000_000, {f"d{n}": row(n) for n in range(9)})
    table: Any = screen("devices", Reading(), after, 3)
    assert list(table.columns[0].cells) == ["d8", "d7", "d6"]
    assert "9 rows" in table.caption
