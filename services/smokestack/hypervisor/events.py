"""What the hypervisor tells: its inventory's changes, the ends of jobs, and disks whose I/O fails.

What happens within a window the kernel notes; what changes at a border is told here at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from smokestack.engine.event_kinds import EventKind
from smokestack.engine.events import Detail, Event, event_name
from smokestack.engine.notes import KernelLog, Note
from smokestack.engine.records import HostStatus, Kind, Status

from .inventory import Disk, Job
from .state import HypervisorState

Key = tuple[str, str, str]


class NoteKind(IntEnum):
    """What the kernel notes; ``tables.h`` has the same numbers."""

    ERRORS_BEGAN = 1
    JOB_FINISHED = 2


class HypervisorEvents(KernelLog):
    """The log of one hypervisor."""

    def __init__(self, service: str, state: HypervisorState) -> None:
        super().__init__(service, state)
        self._state = state

    def tell(self, kind: EventKind, subject: str, **detail: str | int) -> Event:
        """Adds an event of now."""
        return self.add(self._state.number("state", "until_ns"), kind, subject, "", detail)

    def tell_notes(
        self, disks: Mapping[Key, Disk], jobs: Mapping[Key, Job], multipath: str
    ) -> None:
        """Adds what the kernel has noted; ``multipath`` is the full name of the service below."""
        for note in self.take_notes():
            if note.kind == NoteKind.ERRORS_BEGAN:
                disk = next(disk for disk in disks.values() if disk.row == note.subject)
                self._tell_errors(note, disk, multipath)
            else:
                plan = next(job.plan for job in jobs.values() if job.index == note.subject)
                detail: Detail = {"io_count": note.detail, "error_count": note.more}
                self.add(note.time_ns, EventKind.JOB_FINISHED, plan.name, "", detail)

    def _tell_errors(self, note: Note, disk: Disk, multipath: str) -> None:
        """A host's verdict has a cause in multipath, an array's answer has one in the array."""
        kind, status = note.detail >> 8, note.detail & 0xFF
        spec = disk.spec
        detail = {"device": f"{multipath}/hosts/{spec.host_id}/devices/{spec.device}"}
        if kind == Kind.RESPONSE:
            source = f"arrays/{spec.device.partition('.')[0]}"
            detail["status"] = Status(status).name
        else:
            source = multipath
            detail["status"] = HostStatus(status).name
        if note.more:
            key, asc, ascq = note.more.to_bytes(3, "big")
            detail["sense"] = f"{key:x}/{asc:02x}/{ascq:02x}"
        cause = event_name(source, note.cause)
        self.add(note.time_ns, EventKind.DISK_IO_ERRORS_BEGAN, disk.name, cause, detail)
