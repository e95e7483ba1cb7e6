"""Adaptive queue depth in plain Python: both rules, and none."""

from __future__ import annotations

from collections import deque

from smokestack.multipath.specs import DepthRule, QueueControl


class Throttle:
    """What a device's depth is, by the answers of its array."""

    def __init__(self, settings: QueueControl, configured: int) -> None:
        self.settings = settings
        self.configured = configured
        self._set(configured)

    def _set(self, depth: int) -> None:
        self.depth = depth
        self._bad = self._good = 0
        self._answers: deque[bool] = deque(maxlen=self.settings.qfull_sample_size or None)

    @property
    def hangs(self) -> bool:
        """Whether refusals are taken for acceptance."""
        return self.settings.rule is DepthRule.LEGACY_NO_THROTTLE

    @property
    def _on(self) -> bool:
        rules = (DepthRule.COUNTER, DepthRule.WINDOW)
        return self.settings.rule in rules and self.settings.qfull_sample_size > 0

    def configure(self, depth: int) -> None:
        """Takes another depth."""
        self.configured = depth
        self._set(depth)

    def refused(self) -> None:
        """A command was refused."""
        if not self._on:
            return
        self._good = 0
        self._bad += 1
        self._answers.append(True)
        if self.settings.rule is DepthRule.COUNTER:
            halves = self._bad >= self.settings.qfull_sample_size
        else:
            halves = sum(self._answers) >= self.settings.qfull_threshold
        if halves:
            self._set(max(1, self.depth // 2))

    def succeeded(self) -> None:
        """A command was answered with GOOD."""
        if not self._on:
            return
        self._answers.append(False)
        if self.depth < self.configured:
            self._good += 1
            if self._good == self.settings.qfull_threshold:
                self._set(self.depth + 1)


class Window:
    """PARDA's window, in 1/1024 of a command."""

    def __init__(self, settings: QueueControl) -> None:
        self.settings = settings
        self.latency_ns: int | None = None
        self.size: int | None = None  # as wide as the depth, so far

    def move(self, mean_ns: int, configured: int) -> None:
        """Takes what all hosts have seen."""
        past, gain = self.settings.congestion_smoothing, self.settings.congestion_gain
        if self.latency_ns is None:
            self.latency_ns = mean_ns
        else:
            self.latency_ns = ((1024 - past) * mean_ns + past * self.latency_ns) // 1024
        self.latency_ns = max(1, self.latency_ns)
        widest = 1024 * min(self.settings.window_max, configured)
        size = widest if self.size is None else self.size
        wanted = self.settings.congestion_threshold_ns * size // self.latency_ns
        wanted += 1024 * self.settings.shares // 250
        size = ((1024 - gain) * size + gain * wanted) // 1024
        self.size = min(max(size, min(1024 * self.settings.window_min, widest)), widest)
