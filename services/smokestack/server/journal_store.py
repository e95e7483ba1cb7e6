"""The journal's rows in SQLite: written in groups that are safe when they return, read checked.

Every row's sum is the CRC-32 over it and the sum before it, so that a row that was changed or is
missing is seen.  SQLite's own sums cover only what still stands in its write-ahead log; there it
takes damage for the end of the log, so what follows the end is looked at, too.
"""

from __future__ import annotations

import sqlite3
import struct
import zlib
from collections.abc import Iterable, Sequence
from contextlib import closing
from enum import IntEnum
from pathlib import Path
from typing import Any, Final, NamedTuple

FORMAT: Final = 1
_APPLICATION: Final = 0x736D6F6B  # "smok"
_MAGIC: Final = b"SQLite format 3\0"
_SCHEMA: Final = """
CREATE TABLE about (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE row (
    number INTEGER PRIMARY KEY, kind INTEGER NOT NULL, time_ns INTEGER NOT NULL,
    method TEXT NOT NULL, body BLOB NOT NULL, sum INTEGER NOT NULL
);
"""
_WAL_HEAD: Final = 32
_FRAME_HEAD: Final = 24
_MX_FRAME: Final = slice(16, 20)  # in the -shm file's header, in the machine's byte order


class StateDamaged(Exception):
    """What is kept cannot be read; the message goes on after "state directory DIR"."""


class RowKind(IntEnum):
    """What a row holds."""

    WINDOWS = 1  # what windows have changed: a snapshot's piece
    CALL = 2  # a call, as its request


class Row(NamedTuple):
    """One row; numbers follow one another."""

    number: int
    kind: RowKind
    time_ns: int
    method: str
    body: bytes


class Content(NamedTuple):
    """All that a journal holds."""

    service: str
    checkpoint: str
    checkpoint_ns: int
    number: int  # of the last row that the checkpoint has in it
    ended: bool  # whether the service had ended in order
    rows: list[Row]


def create(path: Path, service: str, checkpoint: str, time_ns: int) -> None:
    """Makes an empty journal, whose file is whole and safe on return."""
    with closing(_connected(path)) as db:
        db.executescript(_SCHEMA)
        db.execute(f"PRAGMA application_id = {_APPLICATION}")
        db.execute(f"PRAGMA user_version = {FORMAT}")
        about = {
            "service": service,
            "checkpoint": checkpoint,
            "checkpoint_ns": time_ns,
            "number": 0,
            "sum": 0,
            "ended": 1,
        }
        db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT INTO about VALUES (?, ?)", about.items())
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def check_header(path: Path) -> None:
    """Refuses what is no journal of this version, from the file's first bytes alone."""
    with path.open("rb") as file:
        head = file.read(100)
    if len(head) < 100 or not head.startswith(_MAGIC):
        raise StateDamaged(f"is damaged: {path.name} is no database")
    version, application = (int.from_bytes(head[at : at + 4], "big") for at in (60, 68))
    if application != _APPLICATION:
        raise StateDamaged(f"holds a {path.name} of another program: give an empty directory")
    if version != FORMAT:
        raise StateDamaged(
            f"has format {version}, this version reads {FORMAT}: use the version that wrote it"
        )


def read(path: Path) -> Content:
    """Returns all of it, checked; changes nothing.  StateDamaged says what is wrong."""
    uri = f"file:{path.absolute().as_posix()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as db:
            db.execute("BEGIN")
            about = dict(db.execute("SELECT name, value FROM about"))
            _check_log(path)
            return _content(about, db.execute("SELECT * FROM row ORDER BY number"))
    except (sqlite3.Error, KeyError, TypeError, ValueError, OverflowError) as error:
        raise StateDamaged(f"is damaged: {_line(error)}") from None


def _content(about: dict[str, Any], found: Iterable[tuple[Any, ...]]) -> Content:
    number, total = int(about["number"]), int(about["sum"])
    rows: list[Row] = []
    for values in found:
        row = Row(values[0], RowKind(values[1]), *values[2:5])
        total = _sum(row, total)
        if row.number != number + len(rows) + 1 or total != values[5]:
            raise StateDamaged(f"is damaged: row {row.number} of the journal is not as written")
        rows.append(row)
    checkpoint, time_ns = about["checkpoint"], int(about["checkpoint_ns"])
    return Content(about["service"], checkpoint, time_ns, number, bool(about["ended"]), rows)


def _check_log(path: Path) -> None:
    """Refuses a write-ahead log that goes on behind what SQLite takes for its end.

    A crash leaves at most one group there that was not safe yet.  The end of a second one shows
    that what stands before it was damaged after it had been safe.
    """
    log, index = Path(f"{path}-wal"), Path(f"{path}-shm")
    if not log.exists() or log.stat().st_size <= _WAL_HEAD or not index.exists():
        return
    data = log.read_bytes()
    page_bytes = int.from_bytes(data[8:12], "big") or 65_536
    salts, size = data[16:24], page_bytes + _FRAME_HEAD
    (valid,) = struct.unpack("=I", index.read_bytes()[_MX_FRAME])
    ends = 0
    for start in range(_WAL_HEAD + valid * size, len(data) - _FRAME_HEAD, size):
        head = data[start : start + _FRAME_HEAD]
        ends += head[8:16] == salts and any(head[4:8])
    if ends > 1:
        raise StateDamaged(f"is damaged: {log.name} is not as written")


class JournalStore:
    """The journal of the service that runs; one thread writes."""

    def __init__(self, path: Path) -> None:
        """Opens it to write, and notes that it has not ended in order until ``end``."""
        self._db = _connected(path)
        about = dict(self._db.execute("SELECT name, value FROM about"))
        self.checkpoint: str = about["checkpoint"]
        self.checkpointed = self._number = int(about["number"])
        self._sum = int(about["sum"])
        for number, total in self._db.execute(
            "SELECT number, sum FROM row ORDER BY number DESC LIMIT 1"
        ):
            self._number, self._sum = number, total
        self._set(ended=0)

    @property
    def number(self) -> int:
        """All is safe up to here."""
        return self._number

    def append(self, rows: Sequence[Row]) -> None:
        """Adds rows in one group: all of them are safe on return, or none is there."""
        total, values = self._sum, []
        for row in rows:
            total = _sum(row, total)
            values.append((*row, total))
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany("INSERT INTO row VALUES (?, ?, ?, ?, ?, ?)", values)
            self._db.execute("COMMIT")
        except sqlite3.Error:
            self._roll_back()
            raise
        self._number, self._sum = rows[-1].number, total

    def move(self, checkpoint: str, time_ns: int, number: int) -> None:
        """Begins at another checkpoint, after a number, and drops the rows up to there."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            last = "SELECT sum FROM row WHERE number <= ? ORDER BY number DESC LIMIT 1"
            for (total,) in self._db.execute(last, (number,)):
                self._set(sum=total)
            self._set(checkpoint=checkpoint, checkpoint_ns=time_ns, number=number)
            self._db.execute("DELETE FROM row WHERE number <= ?", (number,))
            self._db.execute("COMMIT")
        except sqlite3.Error:
            self._roll_back()
            raise
        self.checkpoint, self._number = checkpoint, max(number, self._number)

    def end(self) -> None:
        """Notes that the service has ended in order."""
        self._set(ended=1)

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            self._db.execute("UPDATE about SET value = ? WHERE name = ?", (value, name))

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")


def _connected(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    return db


def _sum(row: Row, before: int) -> int:
    head = f"{row.number} {int(row.kind)} {row.time_ns} {row.method} ".encode()
    return zlib.crc32(row.body, zlib.crc32(head, before))


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def is_full(error: sqlite3.Error) -> bool:
    """Whether an error means only that there is no space, which may come back."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
