"""What a snapshot holds of a service's events: all that are kept.

A restored log is as it was, number by number, for the kernel's rows name events by their numbers.
What happened after the snapshot is gone from it, and whoever watches is told so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from .errors import InvalidArgument
from .event_kinds import EventKind
from .events import Event, EventLog

CLASSES: Final = (Event, EventKind)


class EventsPart:
    """A service's log as a part of it."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    def save(self) -> Any:
        """Returns the events that are kept, and where the count and the clock stand."""
        return self._log.state()

    def load(self, saved: Any) -> Callable[[], None]:
        """Checks events, and returns what makes them the log's."""
        kept, last, time_ns = saved
        numbers = [event.number for event in kept]
        if numbers != list(range(last - len(kept) + 1, last + 1)) or len(kept) > self._log.kept:
            raise InvalidArgument(
                f"the snapshot holds events of {self._log.service} that do not follow one another",
                reason="SNAPSHOT_DAMAGED",
            )
        return lambda: self._log.go_back((kept, last, time_ns))
