"""`smokestack reservation`, against one stack that is served in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import get_args

import pytest
import yaml

from smokestack.cli.reservation import KINDS
from smokestack.client.words import ReservationType
from smokestack.server.stack import Stack
from tests.cli.invoking import Invoke, invoking, refusal, said
from tests.server.scenarios import small_scenario

TYPE = "WRITE_EXCLUSIVE_REGISTRANTS_ONLY"


@pytest.fixture
def stack() -> Iterator[Stack]:
    with Stack(small_scenario(1, io_limit=0)) as stack:
        stack.serve(metrics_ports=None)
        yield stack


@pytest.fixture
def invoke(stack: Stack) -> Invoke:
    return invoking(stack, "reservation")


def test_the_types_are_those_of_the_sdk() -> None:
    assert get_args(ReservationType) == KINDS


def test_a_host_registers_reserves_and_lets_go(invoke: Invoke) -> None:
    assert said(invoke("list")) == "reservations: none\n\n"
    assert "h1=0x4d2" in said(invoke("register", "v1.h1", "0x4d2", "--aptpl"))
    made = json.loads(said(invoke("reserve", "a1/v1.h1", TYPE, "--key", "1234", "-o", "json")))
    assert (made["type"], made["holder"], made["aptpl"]) == (TYPE, "arrays/a1/hosts/h1", True)
    row = said(invoke("list")).splitlines()[-2].split()
    assert row == ["arrays/a1/volumes/v1", TYPE, "h1", "h1=0x4d2", "1", "yes"]
    assert TYPE not in said(invoke("release", "v1.h1", TYPE, "--key", "0x4d2"))
    assert "0x5" in said(invoke("register", "v1.h1", "5", "--ignore"))
    [left] = yaml.safe_load(said(invoke("list", "v1", "-o", "yaml")))
    assert left["registrations"] == [{"host": "arrays/a1/hosts/h1", "reservation_key": 5}]
    assert "0x5" not in said(invoke("clear", "v1.h1", "--key", "5"))
    assert said(invoke("list")) == "reservations: none\n\n"
    assert "volumes/v1" in said(invoke("list", "v1"))  # who asks for one sees it


def test_a_host_preempts_its_own_reservation(invoke: Invoke) -> None:
    said(invoke("register", "v1.h1", "5"))
    said(invoke("reserve", "v1.h1", "write_exclusive", "--key", "5"))
    taken = said(invoke("preempt", "v1.h1", "5", "EXCLUSIVE_ACCESS", "--key", "5"))
    assert "EXCLUSIVE_ACCESS" in taken
    words = ("preempt", "v1.h1", "9", "EXCLUSIVE_ACCESS", "--key", "5", "--abort")
    assert "nobody else is registered with key 9" in refusal(invoke(*words))


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("register", "v1.h1", "five"), "'five' is no key: write a number"),
        (("register", "v9.h1", "5"), "no export v9.h1 exists"),
        (("reserve", "v1.h1", "SHARED", "--key", "5"), "'SHARED' is not one of"),
        (("reserve", "v1.h1", TYPE, "--key", "7"), "RESERVATION CONFLICT"),
        (("register", "v1.h1", "-1"), "No such option"),
        (("clear", "v1.h1"), "is not registered"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    invoke: Invoke, words: tuple[str, ...], complaint: str
) -> None:
    assert complaint in refusal(invoke(*words))
    assert said(invoke("list")) == "reservations: none\n\n"
