"""The traces that have been uploaded: what jobs replay, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from numpy.typing import NDArray

from smokestack.engine.checks import unused
from smokestack.engine.errors import AlreadyExists, NotFound


class Traces:
    """Traces by identifier; a trace's description has its full name."""

    def __init__(self) -> None:
        self._traces: dict[str, tuple[NDArray[Any], Any]] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._traces)

    def add(self, trace_id: str, records: NDArray[Any], description: Any) -> None:
        """Adds a trace."""
        if trace_id in self._traces:
            raise AlreadyExists.of(description.name)
        self._traces[trace_id] = records, description

    def records(self, trace_id: str) -> NDArray[Any]:
        """Returns a trace's commands."""
        return self._found(trace_id)[0]

    def description(self, trace_id: str) -> Any:
        """Returns what a trace is in all."""
        return self._found(trace_id)[1]

    def delete(self, trace_id: str, jobs: Iterable[Any]) -> None:
        """Removes a trace that none of these jobs replays."""
        name = self.description(trace_id).name
        unused(name, [job.name for job in jobs if job.trace == name], "is replayed by")
        del self._traces[trace_id]

    def copy(self) -> dict[str, tuple[NDArray[Any], Any]]:
        """Returns all of them, for a snapshot."""
        return self._traces.copy()

    def go_back(self, traces: dict[str, tuple[NDArray[Any], Any]]) -> None:
        """Takes what a snapshot holds."""
        self._traces = traces

    def _found(self, trace_id: str) -> tuple[NDArray[Any], Any]:
        if trace_id not in self._traces:
            raise NotFound.of(f"traces/{trace_id}")
        return self._traces[trace_id]
