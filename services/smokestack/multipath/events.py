"""What multipath tells: paths and devices that come and go, each with what caused it.

What happens within a window the kernel notes; what changes at a border is told here at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from smokestack.engine.event_kinds import EventKind
from smokestack.engine.events import Detail, Event, event_name
from smokestack.engine.notes import KernelLog, Note
from smokestack.engine.records import HostStatus, Sense, sense_text

from . import checking
from .inventory import Device, Path, copied
from .specs import CheckerState, DeviceState, PathState
from .state import STIRRED, MultipathState


class NoteKind(IntEnum):
    """What the kernel notes; ``tables.h`` has the same numbers."""

    PATH_DOWN = 1  # because of an array's event
    PATH_UP = 2  # because of an array's event
    PATH_LOST = 3  # because of an event of ours
    CUT_OFF = 4
    RESTORED = 5
    ATTENTION = 6
    UNIT_GONE = 7  # because of an array's event
    PDL = 8
    APD_TIMEOUT = 9
    TIMED_OUT = 10
    LUN_RESET = 11
    TARGET_RESET = 12
    RESET_DONE = 13
    GIVEN_UP = 14  # because of an event of ours
    THROTTLED = 20
    RECOVERED = 21
    HUNG = 22
    ACCESS = 30  # because of an array's event
    PATH_FOUND = 31  # because of an event of ours
    CHECKED_DOWN = 40  # a check says so
    CHECKED_UP = 41
    IO_FAILED = 42  # a command did, on the way
    BLOCKED = 50
    UNBLOCKED = 51
    REMOVED = 52
    ADDED = 53
    MARGINAL = 54


_OF_PATHS = {
    NoteKind.PATH_DOWN: EventKind.PATH_DOWN,
    NoteKind.PATH_UP: EventKind.PATH_UP,
    NoteKind.PATH_LOST: EventKind.PATH_DOWN,
    NoteKind.PATH_FOUND: EventKind.PATH_UP,
    NoteKind.GIVEN_UP: EventKind.PATH_DOWN,
    NoteKind.UNIT_GONE: EventKind.PATH_DOWN,
    NoteKind.CHECKED_DOWN: EventKind.PATH_DOWN,
    NoteKind.CHECKED_UP: EventKind.PATH_UP,
    NoteKind.IO_FAILED: EventKind.PATH_DOWN,
    NoteKind.BLOCKED: EventKind.PATH_BLOCKED,
    NoteKind.UNBLOCKED: EventKind.PATH_UNBLOCKED,
    NoteKind.REMOVED: EventKind.PATH_REMOVED,
    NoteKind.ADDED: EventKind.PATH_ADDED,
    NoteKind.MARGINAL: EventKind.PATH_MARGINAL,
}
_OURS = (NoteKind.PATH_LOST, NoteKind.PATH_FOUND, NoteKind.GIVEN_UP)
# Their detail says as what the event counts that caused them.
_OF_TRANSPORTS = (NoteKind.BLOCKED, NoteKind.UNBLOCKED, NoteKind.REMOVED, NoteKind.ADDED)
_OF_DEVICES = {
    NoteKind.CUT_OFF: EventKind.DEVICE_ALL_PATHS_DOWN,
    NoteKind.RESTORED: EventKind.DEVICE_PATHS_RESTORED,
    NoteKind.PDL: EventKind.DEVICE_PERMANENTLY_LOST,
    NoteKind.APD_TIMEOUT: EventKind.DEVICE_APD_TIMEOUT,
    NoteKind.TIMED_OUT: EventKind.COMMANDS_TIMED_OUT,
    NoteKind.RESET_DONE: EventKind.DEVICE_RESET_DONE,
}
_OF_RESETS = {
    NoteKind.LUN_RESET: EventKind.DEVICE_RESET,
    NoteKind.TARGET_RESET: EventKind.TARGET_RESET,
}
_OF_DEPTHS = {
    NoteKind.THROTTLED: EventKind.DEVICE_THROTTLED,
    NoteKind.RECOVERED: EventKind.DEVICE_RECOVERED,
    NoteKind.HUNG: EventKind.DEVICE_COMMANDS_HUNG,
}
_OF_ATTENTIONS: Final[Mapping[int, EventKind]] = {
    Sense.LUNS_CHANGED: EventKind.RESCAN_WANTED,
    Sense.INQUIRY_CHANGED: EventKind.RESCAN_WANTED,
    Sense.IDENTIFIER_CHANGED: EventKind.RESCAN_WANTED,
    Sense.CAPACITY_CHANGED: EventKind.RESCAN_WANTED,
    Sense.SOFT_THRESHOLD: EventKind.SOFT_THRESHOLD_HEARD,
}


Named = tuple[dict[int, Device], dict[int, Path]]  # by row
# By path name: the path's row and its state.
PathStates = Mapping[str, tuple[int, int]]


class MultipathEvents(KernelLog):
    """The log of one multipath layer."""

    def __init__(self, service: str, state: MultipathState) -> None:
        super().__init__(service, state)
        self._state = state
        # By row; what is removed keeps its name.
        self._devices: dict[int, Device] = {}
        self._paths: dict[int, Path] = {}

    def tell(
        self, kind: EventKind, subject: str = "", cause: str = "", **detail: str | int
    ) -> Event:
        """Adds an event of now; the subject is named below the service, e.g. "hosts/h1"."""
        full = f"{self.service}/{subject}" if subject else self.service
        return self.add(self._now_ns, kind, full, cause, detail)

    def tell_notes(self, arrays: Mapping[str, str]) -> None:
        """Adds what the kernel has noted; ``arrays`` gives each array's full name."""
        for note in self.take_notes():
            kind = NoteKind(note.kind)
            if kind is NoteKind.ATTENTION:
                self._tell_attention(note, arrays)
            elif kind in _OF_DEPTHS:
                self._tell_depth(kind, note)
            elif kind in _OF_RESETS:
                name = self._name(self._devices[note.subject])
                cause = event_name(self.service, note.cause)
                ends = _ends(self._paths[note.detail])
                self.add(note.time_ns, _OF_RESETS[kind], name, cause, ends)
            elif kind is NoteKind.ACCESS:
                device = self._devices[note.subject]
                cause = event_name(arrays[device.array_id], note.cause)
                changed: Detail = {"paths": note.detail}
                name = self._name(device)
                self.add(note.time_ns, EventKind.DEVICE_ACCESS_CHANGED, name, cause, changed)
            elif kind in _OF_DEVICES:
                name = self._name(self._devices[note.subject])
                cause = event_name(self.service, note.cause)
                self.add(note.time_ns, _OF_DEVICES[kind], name, cause)
            else:
                path = self._paths[note.subject]
                device = self._devices[int(self._state["path"]["device"][path.row])]
                because = NoteKind(note.detail) if kind in _OF_TRANSPORTS and note.detail else kind
                source = self.service if because in _OURS else arrays[path.array_id]
                cause = event_name(source, note.cause)
                name = self._name(device, path)
                detail = _ends(path)
                if kind is NoteKind.MARGINAL:
                    detail = {"failures": note.detail, **detail}
                if kind is NoteKind.UNIT_GONE:
                    detail = {"sense": sense_text(note.detail), **detail}
                elif kind is NoteKind.IO_FAILED:
                    detail = {"host_status": HostStatus(note.detail).name, **detail}
                elif kind in (NoteKind.CHECKED_DOWN, NoteKind.CHECKED_UP):
                    detail = {**_found(note.detail), **detail}
                self.add(note.time_ns, _OF_PATHS[kind], name, cause, detail)

    def _tell_depth(self, kind: NoteKind, note: Note) -> None:
        """Tells what a device's rule has done to its depth, or the want of a rule to commands."""
        detail: Detail = {"depth_before": note.detail, "depth": note.more}
        if kind is NoteKind.HUNG:
            detail = {"commands": note.detail, "depth": note.more}
        self.add(
            note.time_ns, _OF_DEPTHS[kind], self._name(self._devices[note.subject]), "", detail
        )

    def _tell_attention(self, note: Note, arrays: Mapping[str, str]) -> None:
        """Tells what an array wanted known, and by which path it was heard first."""
        path = self._paths[note.subject]
        device = self._devices[int(self._state["path"]["device"][path.row])]
        kind = _OF_ATTENTIONS.get(note.detail, EventKind.UNIT_ATTENTION)
        detail: Detail = {"sense": sense_text(note.detail), **_ends(path)}
        cause = event_name(arrays[path.array_id], note.cause)
        self.add(note.time_ns, kind, self._name(device), cause, detail)

    def named(self) -> Named:
        """Returns what rows stand for, for a snapshot: all devices, and paths that are gone."""
        devices = {row: copied(device) for row, device in self._devices.items()}
        live = {path.row for device in devices.values() for path in device.paths.values()}
        return devices, {row: path for row, path in self._paths.items() if row not in live}

    def name(self, devices: dict[int, Device], gone: Mapping[int, Path]) -> None:
        """Says anew what rows stand for."""
        paths = (path for device in devices.values() for path in device.paths.values())
        self._devices, self._paths = devices, {path.row: path for path in paths} | {**gone}

    # --- changes at borders -----------------------------------------------------------------

    def states(self, device: Device) -> PathStates:
        """Returns a device's paths as they stand, to be compared after a rescan."""
        rows = self._state["path"]["state"]
        return {name: (path.row, int(rows[path.row])) for name, path in device.paths.items()}

    def tell_rescanned(self, device: Device, before: PathStates | None, cause: Event) -> None:
        """Tells what a rescan has changed of a device; ``before`` is None for a new one."""
        self._devices[device.row] = device
        for path in device.paths.values():
            self._paths[path.row] = path
        now = self.states(device)
        kind = _kind_of(before, now)
        if kind is not None:
            told = self.add(
                self._now_ns,
                kind,
                self._name(device),
                cause.name,
                {"paths": len(now), "lun": device.lun, "capacity_bytes": device.capacity_bytes},
            )
            if kind is EventKind.DEVICE_REMOVED:
                row = self._state["device"][device.row]
                row["cut_off"], row["state"] = told.number, DeviceState.ON
                return
        for name, (row, state) in now.items():
            old_row, old = (before or {}).get(name, (row, state))
            if old_row == row and (old == PathState.DEAD) != (state == PathState.DEAD):
                path = device.paths[name]
                kind = EventKind.PATH_DOWN if state == PathState.DEAD else EventKind.PATH_UP
                self.add(self._now_ns, kind, self._name(device, path), cause.name, _ends(path))
        self.judge(device, cause)

    def judge(self, device: Device, cause: Event) -> None:
        """Tells when a change has taken a device's last usable path, or given it one."""
        usable = any(state == PathState.ACTIVE for _, state in self.states(device).values())
        state, row = self._state.row, self._state["device"][device.row]
        if usable and row["cut_off"]:
            row["cut_off"], row["state"] = 0, DeviceState.ON
            row["stirred"] = 1  # for what waits
            state["stirred"] = state["stirred"] or STIRRED
            kind = EventKind.DEVICE_PATHS_RESTORED
            self.add(self._now_ns, kind, self._name(device), cause.name)
        elif not usable and not row["cut_off"]:
            kind = EventKind.DEVICE_ALL_PATHS_DOWN
            told = self.add(self._now_ns, kind, self._name(device), cause.name)
            row["cut_off"], row["state"] = told.number, DeviceState.APD
            row["apd_count"] += 1
            row["apd_ends_ns"] = self._now_ns + checking.apd_lasts_ns(self._state, device.row)
            state["timer_ns"] = min(state["timer_ns"], row["apd_ends_ns"])

    @property
    def _now_ns(self) -> int:
        return int(self._state.row["until_ns"])

    def _name(self, device: Device, path: Path | None = None) -> str:
        name = f"{self.service}/hosts/{device.host_id}/devices/{device.name}"
        return f"{name}/paths/{path.name}" if path else name


def _kind_of(before: PathStates | None, now: PathStates) -> EventKind | None:
    if before is None:
        return EventKind.DEVICE_ADDED
    if not now:
        return EventKind.DEVICE_REMOVED
    rows = {row for row, _ in before.values()}, {row for row, _ in now.values()}
    return EventKind.DEVICE_PATHS_CHANGED if rows[0] != rows[1] else None


def _found(detail: int) -> Detail:
    """Tells what a check has found: its verdict, and the sense if that came with one."""
    told: Detail = {"checker": CheckerState(detail >> 32).name}
    sense = detail & 0xFFFFFFFF
    return {**told, "sense": sense_text(sense)} if sense else told


def _ends(path: Path) -> Detail:
    return {"array": path.array_id, "initiator": path.initiator, "port": path.port}
