"""What people read and write: figures with units, durations, errors."""

from __future__ import annotations

import click
import pytest

from smokestack.cli.failures import explain
from smokestack.cli.output import bytes_text, latency_text, seconds_text, sparkline
from smokestack.cli.parameters import address, duration, named_address


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 ns"),
        (999, "999 ns"),
        (1_000, "1.00 µs"),
        (9_999, "10.0 µs"),
        (412_345, "412 µs"),
        (1_240_000, "1.24 ms"),
        (3_000_000_000, "3.00 s"),
    ],
)
def test_latencies_have_three_digits(ns: int, text: str) -> None:
    assert latency_text(ns) == text


def test_sizes_and_times_have_units() -> None:
    assert [bytes_text(n) for n in (0, 512, 4096, 33_600_000_000)] == [
        "0 B",
        "512 B",
        "4 KiB",
        "31.3 GiB",
    ]
    assert [seconds_text(s) for s in (0, 0.5, 28, 61.2, 7200.09)] == [
        "0 s",
        "0.50 s",
        "28 s",
        "1 min 1 s",
        "2 h 0 min 0 s",
    ]


def test_a_sparkline_is_as_tall_as_its_greatest_value() -> None:
    assert sparkline([0, 1, 7]) == "▁▂█"
    assert sparkline([0, 0]) == "▁▁"
    assert sparkline([]) == ""


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1ns", 1),
        ("250ms", 250_000_000),
        ("1.5s", 1_500_000_000),
        ("0.1us", 100),
        ("2h", 7200 * 10**9),
    ],
)
def test_durations_are_exact(text: str, ns: int) -> None:
    assert duration(text) == ns


@pytest.mark.parametrize("text", ["", "5", "s", "-1s", "1 parsec", "0.1ns", "1e3s", "99999999d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not"):
        duration(text)


@pytest.mark.parametrize("text", ["127.0.0.1:1", "[::1]:50051", "array.example:65535"])
def test_addresses_pass(text: str) -> None:
    assert address(text) == text
    assert named_address(f"a1={text}") == ("a1", text)


@pytest.mark.parametrize("text", ["", "host", "host:", ":1", "host:0", "host:65536", "::1:50051"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not host:port"):
        address(text)


def test_our_own_mistakes_keep_their_traceback() -> None:
    assert explain(KeyError("index")) is None


def test_an_error_of_several_lines_becomes_one() -> None:
    failure = explain(OSError(5, "one\n  two", "file"))
    assert failure is not None
    assert failure.line == "file: one two"
