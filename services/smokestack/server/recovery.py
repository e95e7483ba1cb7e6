"""How a service comes back from its state directory: checkpoint, then row by row, then power-on.

Each call is made again through the handler that made it first, on the state that it was made on;
so a retry that comes after the crash gets the first answer.
"""

from __future__ import annotations

import gc
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from smokestack.engine.errors import Refused
from smokestack.engine.requests import Requests
from smokestack.engine.snapshot import Piece

from .answers import answers_of, remember
from .journal import Durable, Journal, uncollected, unpacked
from .journal_store import Content, Row, RowKind
from .recording import REQUESTS
from .rooms import Room
from .state_directory import StateDirectory

_CHECKPOINT: Final = "checkpoint"
UNREADABLE: Final = (
    Refused,
    sqlite3.Error,
    OSError,
    AttributeError,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True)
class _Kept:
    """What of a room is kept: its parts by name, and those who remember answers."""

    room: Room[Any]
    durable: Durable
    parts: tuple[str, ...]
    requests: Sequence[Requests]

    def copied(self) -> Piece:
        """Returns a checkpoint of the room, at a border."""
        saved = self.room.model.keeper.save(_CHECKPOINT, self.parts)
        answers = answers_of(self.requests)
        return Piece(_CHECKPOINT, self.room.name, saved.now_ns, {**saved.parts, "answers": answers})

    def put(self, data: bytes, now_ns: int) -> None:
        """Puts a checkpoint in place."""
        keeper = self.room.model.keeper
        parts = keeper.stage(Piece(_CHECKPOINT, self.room.name, now_ns, data=data), self.parts)
        keeper.restore()
        self.durable.placed(parts)
        remember(self.requests, parts["answers"])

    def repeat(self, row: Row) -> None:
        """Makes again what a row holds."""
        if row.kind is RowKind.WINDOWS:
            piece = Piece("journal", self.room.name, row.time_ns, data=row.body)
            parts = piece.opened(self.room.model.keeper.classes)
            self.durable.repeat(parts["taken"])
            return
        if row.time_ns != self.room.model.now_ns:
            raise ValueError(f"is of {row.time_ns} ns, and it is {self.room.model.now_ns} ns")
        repeat_call(row, {self.room.name: self.room})


def repeat_call(row: Row, rooms: Mapping[str, Room[Any]]) -> None:
    """Makes a call again, through the handler that made it first."""
    name, _, full = row.method.partition(" ")
    service, _, method = full.partition(".")
    room = rooms[name]
    requests = [REQUESTS[full].FromString(request) for request in unpacked(row.body)]
    if method == "SubmitIo":
        room.api.submit_unseen(requests[0])
    elif method == "UploadTrace":
        room.api.UploadTrace(iter(requests))
    else:
        api = room.simulation if service == "SimulationService" else room.api
        getattr(api, method)(requests[0])


@contextmanager
def kept_in(room: Room[Any], path: str | Path) -> Iterator[None]:
    """Keeps a room in a state directory while the context lasts; first it comes back from there.

    FailedPrecondition says why the directory cannot be used; nothing in it has changed then.
    """
    assert room.durable is not None
    kept = _Kept(room, room.durable, room.durable.parts, requests_of(room))
    directory = StateDirectory(path, room.name)
    try:
        if directory.is_new:
            directory.create(kept.copied().sealed(), room.model.now_ns)
        else:
            with uncollected():
                _come_back(kept, directory)
            gc.freeze()  # for most of it stays as long as the process does
        room.durable.begin()
        journal = Journal(room.durable, room.border, directory, kept.copied)
        room.simulation.recording.journal = journal
        room.model.keeper.restored = journal.replaced
        try:
            yield
        finally:
            journal.close()
    finally:
        directory.close()


def _come_back(kept: _Kept, directory: StateDirectory) -> None:
    content = directory.read()
    where = content.checkpoint
    kept.room.simulation.recording.break_off()  # before calls are repeated: nobody replays them
    try:
        kept.put(directory.checkpoint(content.checkpoint), content.checkpoint_ns)
        for row in content.rows:
            where = f"row {row.number} of the journal"
            kept.repeat(row)
    except UNREADABLE as error:
        raise directory.unreadable(where, error) from error
    kept.durable.skip()
    kept.durable.power_on(_detail(content))
    kept.room.simulation.recording.break_off()  # at the time that has been reached


def _detail(content: Content) -> Mapping[str, str | int]:
    calls = sum(row.kind is RowKind.CALL for row in content.rows)
    return {
        "after": "a stop" if content.ended else "a crash",
        "checkpoint_ns": content.checkpoint_ns,
        "calls_repeated": calls,
    }


def requests_of(room: Room[Any]) -> list[Requests]:
    """Returns those who remember answers."""
    return [room.api.requests, room.simulation.faults.requests]
