"""`smokestack fault`, against one stack that is served in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from smokestack.server.stack import Stack
from tests.cli.invoking import Invoke, invoking, refusal, said
from tests.server.scenarios import small_scenario


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(small_scenario(2, io_limit=0)) as stack:
        stack.serve(metrics_ports=None)
        yield stack


@pytest.fixture
def invoke(stack: Stack) -> Invoke:
    return invoking(stack, "fault")


def test_what_is_broken_is_shown_and_mended(stack: Stack, invoke: Invoke) -> None:
    words = ("inject", "COMMAND_FAILED", "arrays/a1/volumes/*", "--id", "bad", "--count", "5")
    assert said(invoke(*words)) == "arrays/a1/faults/bad active\n"
    words = ("inject", "vm-paused", "hosts/h1/vms/*", "--start", "1h", "--duration", "300ms")
    assert said(invoke(*words)) == "hypervisors/hv1/faults/vm-paused-1 pending\n"
    stack.hypervisor.model.advance(2_000_000)
    rows = json.loads(said(invoke("list", "-o", "json")))
    assert [(row["name"], row["state"], row["hit_count"]) for row in rows] == [
        ("arrays/a1/faults/bad", "EXHAUSTED", 5),
        ("hypervisors/hv1/faults/vm-paused-1", "PENDING", 0),
    ]
    assert "EXHAUSTED" in said(invoke("list"))
    assert "cleared after 5 hits" in said(invoke("clear", "arrays/a1/faults/bad"))
    assert said(invoke("clear", "--all")).count("cleared") == 1
    assert said(invoke("list")) == "faults: none\n\n"


def test_a_rule_for_every_array_goes_to_every_array(invoke: Invoke) -> None:
    made = said(invoke("inject", "CONTROLLER_SLOW", "arrays/*/controllers/c0", "--factor", "1.5"))
    assert made.split() == [
        *("arrays/a1/faults/controller-slow-1", "active"),
        *("arrays/a2/faults/controller-slow-1", "active"),
    ]
    assert said(invoke("clear", "--all")).count("cleared") == 2


def test_a_port_flaps_as_often_as_it_shall(invoke: Invoke) -> None:
    times = ("--down", "2ms", "--up", "3ms", "--count", "4")
    said(invoke("inject", "PORT_DOWN", "arrays/a1/ports/p0", "--id", "flap", *times))
    assert said(invoke("clear", "arrays/a1/faults/flap")).endswith("cleared after 1 hits\n")


def test_kinds_of_all_services_are_listed_with_what_they_take(invoke: Invoke) -> None:
    lines = said(invoke("kinds")).splitlines()
    assert "MEDIA_SLOW arrays/a1/pools/p1  --probability --count --factor" in lines
    assert "VM_PAUSED hosts/h1/vms/v1" in lines
    assert "PORT_DOWN arrays/a1/ports/p0  --down --up" in lines
    shown = {kind["name"] for kind in json.loads(said(invoke("kinds", "-o", "json")))}
    assert {"VM_PAUSED", "PATH_DISABLED", "PORT_DOWN", "WRONG_VOLUME"} <= shown


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("inject", "PORT_DOWN", "arrays/a1/ports/p9"), "matches nothing of arrays/a1"),
        (("inject", "PORT_UP", "arrays/a1/ports/p0"), "PORT_DOWN, CONTROLLER_DOWN"),
        (("inject", "MEDIA_SLOW", "arrays/a1/pools/p1"), "1000, as fast as ever"),
        (("inject", "PORT_DOWN", "arrays/a7/ports/p0"), "no arrays/a7 is known here"),
        (("clear", "arrays/a1/faults/none"), "does not exist"),
        (("clear",), "or give --all"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    invoke: Invoke, words: tuple[str, ...], complaint: str
) -> None:
    assert complaint in refusal(invoke(*words))
