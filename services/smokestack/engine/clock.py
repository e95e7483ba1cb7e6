"""The only wall clock: what a run took, and when it happened.

Virtual time never comes from here; a house test keeps every other module off ``time``.
"""

from __future__ import annotations

import time

NS_PER_SECOND = 1_000_000_000


def monotonic_ns() -> int:
    """Returns wall time since an arbitrary start; it never goes back."""
    return time.monotonic_ns()


def unix_ns() -> int:
    """Returns the calendar's time, for records that people read."""
    return time.time_ns()


def sleep_ns(duration_ns: int) -> None:
    """Lets this thread rest for a stretch of wall time."""
    time.sleep(max(0, duration_ns) / NS_PER_SECOND)


class Stopwatch:
    """Measures the wall time of a ``with`` block, and until then the time so far."""

    def __init__(self) -> None:
        self._start_ns = time.perf_counter_ns()
        self._stop_ns: int | None = None

    def __enter__(self) -> Stopwatch:
        self._start_ns = time.perf_counter_ns()
        self._stop_ns = None
        return self

    def __exit__(self, *error: object) -> None:
        self._stop_ns = time.perf_counter_ns()

    @property
    def elapsed_ns(self) -> int:
        """Wall time from the start to the end, or to now."""
        stop_ns = time.perf_counter_ns() if self._stop_ns is None else self._stop_ns
        return stop_ns - self._start_ns

    @property
    def elapsed_seconds(self) -> float:
        """The same in seconds, above 0 so that a rate can be taken."""
        return max(self.elapsed_ns, 1) / NS_PER_SECOND
