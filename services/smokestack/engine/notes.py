"""Notes: how a kernel tells of the rare things that it alone sees happen.

A kernel numbers events at the very instant at which they happen, so that a record that leaves it
can say what caused it; Python gives them names after the window.  What Python tells at borders
takes its numbers from the same count.  The C twin stands in ``include/smokestack/notes.h``.
"""

from __future__ import annotations

from typing import NamedTuple

from .event_kinds import EventKind
from .events import NO_DETAIL, Detail, Event, EventLog
from .tables import Tables


class Note(NamedTuple):
    """One row of a kernel's table ``note``; what its numbers mean depends on the kind."""

    time_ns: int
    number: int  # of the event, in the log of the kernel's service
    cause: int  # number of the event that caused it; 0: none known
    detail: int
    more: int
    kind: int
    subject: int  # a row


class KernelLog(EventLog):
    """The log of a service whose kernel numbers events too."""

    def __init__(self, service: str, tables: Tables) -> None:
        super().__init__(service)
        self._tables = tables

    def add(
        self,
        time_ns: int,
        kind: EventKind,
        subject: str,
        cause: str = "",
        detail: Detail = NO_DETAIL,
    ) -> Event:
        """Appends an event and moves the kernel's count along."""
        event = super().add(time_ns, kind, subject, cause, detail)
        self._tables["state"]["event_count"][0] = event.number
        return event

    def take_notes(self) -> list[Note]:
        """Returns what the kernel has noted since the last call, each to be added in turn."""
        row = self._tables["state"][0]
        notes = [Note(*values) for values in self._tables["note"][: row["note_count"]].tolist()]
        row["note_count"] = 0
        if notes and notes[0].number != self.last + 1:
            raise RuntimeError(
                f"{self.service} numbers an event {notes[0].number} after {self.last}"
            )
        return notes
