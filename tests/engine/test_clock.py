"""The wall clock: it only goes on, and a stopwatch stops."""

from __future__ import annotations

import pytest

from smokestack.engine import clock


def test_the_clock_never_goes_back() -> None:
    readings = [clock.monotonic_ns() for _ in range(100)]
    assert readings == sorted(readings)


def test_a_stopwatch_stops_at_the_end_of_its_block() -> None:
    with clock.Stopwatch() as watch:
        clock.sleep_ns(1_000)
        inside_ns = watch.elapsed_ns
    first_ns = watch.elapsed_ns
    assert first_ns >= inside_ns >= 1_000
    assert watch.elapsed_ns == first_ns
    assert watch.elapsed_seconds == first_ns / clock.NS_PER_SECOND


def test_a_negative_rest_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    monkeypatch.setattr(clock.time, "sleep", asked.append)
    clock.sleep_ns(-5)
    clock.sleep_ns(2_500_000)
    assert asked == [0, 0.0025]


def test_the_calendars_time_is_of_this_century() -> None:
    assert clock.unix_ns() > 1_700_000_000 * clock.NS_PER_SECOND
