"""Samples every path's latency, then sends where latency times I/Os in flight is least."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .base import Candidate, Choice, Policy


@dataclass
class _Samples:
    sent: int = 0
    answered: int = 0
    sum_ns: int = 0
    mean_ns: int = 0


class Latency(Policy):
    """VMware's round robin with latency, as far as it is documented."""

    def __init__(self, paths: Sequence[Candidate]) -> None:
        super().__init__(paths)
        self._samples = {id(path): _Samples() for path in paths}
        self._since: int | None = None

    def select(self, choice: Choice) -> Candidate | None:
        """Returns the path to use."""
        wanted = choice.settings.latency_sample_ios
        if self._since is None or choice.now >= self._since + choice.settings.latency_evaluation_ns:
            self._since = choice.now
            for path in self.paths:
                self.failed(path)
        usable = self.usable()
        if not usable:
            return None
        lacking = [path for path in usable if self._of(path).sent < wanted]
        if lacking:
            found = lacking[0]
        elif any(self._of(path).answered < wanted for path in usable):
            found = usable[0]
        else:
            found = min(usable, key=lambda path: self._of(path).mean_ns * (1 + path.in_flight))
        self._of(found).sent += 1
        return self.used(found)

    def failed(self, path: Candidate) -> None:
        """Forgets the running samples of a path."""
        self._samples[id(path)] = _Samples(mean_ns=self._of(path).mean_ns)

    def answered(self, path: Candidate, choice: Choice, start_ns: int) -> None:
        """Takes a sample, if it is one."""
        found, wanted = self._of(path), choice.settings.latency_sample_ios
        if self._is_sample(start_ns) and found.answered < wanted:
            found.answered += 1
            found.sum_ns += choice.now - start_ns
            if found.answered == wanted:
                found.mean_ns = found.sum_ns // wanted

    def unanswered(self, path: Candidate, start_ns: int) -> None:
        """Lets another I/O be sent in the place of one."""
        found = self._of(path)
        if self._is_sample(start_ns) and found.sent > found.answered:
            found.sent -= 1

    def _is_sample(self, start_ns: int) -> bool:
        return self._since is not None and start_ns >= self._since

    def _of(self, path: Candidate) -> _Samples:
        return self._samples[id(path)]
