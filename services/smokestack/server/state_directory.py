"""A state directory: whose it is, who holds it, and what is in it, checked before it is touched.

    lock                     held by the process that serves from the directory, which it names
    journal.db (-wal, -shm)  SQLite: the calls since the checkpoint; see journal_store
    checkpoint-N             the whole service after call N, as a snapshot's piece

What is damaged, of another service, or written by a newer version is refused in one line, and
nothing in it is changed.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any, Final

from smokestack.engine.errors import FailedPrecondition, Refused, Unavailable

from . import journal_store as store
from .journal_store import JournalStore, StateDamaged

_LOCK: Final = "lock"
_JOURNAL: Final = "journal.db"
_NEW: Final = "journal.new"
_OURS: Final = (_LOCK, _NEW, f"{_NEW}-wal", f"{_NEW}-shm", f"{_NEW}-journal")
_CHECKPOINT: Final = "checkpoint-"


class StateDirectory:
    """One directory, held by this process until it is closed."""

    def __init__(self, path: str | Path, service: str) -> None:
        """Holds it, and makes it if need be; FailedPrecondition says why it cannot be used."""
        self.path = Path(path)
        self.service = service
        self._lock: Any = None
        try:
            self._hold()
        except OSError as error:
            self.close()
            raise self.refusal(
                f"cannot be used: {(error.strerror or str(error)).lower()}"
            ) from None
        except Refused:
            self.close()
            raise

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever kept in it."""
        return not (self.path / _JOURNAL).exists()

    def create(self, checkpoint: bytes, time_ns: int) -> None:
        """Begins to keep a service, as it is now: either all of it is there afterwards or none."""
        for name in _OURS[1:]:
            (self.path / name).unlink(missing_ok=True)
        self.write_checkpoint(0, checkpoint)
        store.create(self.path / _NEW, self.service, checkpoint_name(0), time_ns)
        os.rename(self.path / _NEW, self.path / _JOURNAL)
        _sync(self.path)

    def read(self) -> store.Content:
        """Returns what is kept, checked; FailedPrecondition says what is wrong with it."""
        try:
            store.check_header(self.path / _JOURNAL)
            content = store.read(self.path / _JOURNAL)
        except StateDamaged as error:
            raise self.refusal(str(error)) from None
        if content.service != self.service:
            raise self.refusal(
                f"is of {content.service}, not of {self.service}: give each service its own"
            )
        return content

    def open(self) -> JournalStore:
        """Returns the journal, to be written to; what was begun and not finished is cleared."""
        journal = JournalStore(self.path / _JOURNAL)
        for found in self.path.glob(f"{_CHECKPOINT}*"):
            if found.name != journal.checkpoint:
                found.unlink()
        return journal

    def checkpoint(self, name: str) -> bytes:
        """Returns a checkpoint's bytes."""
        if not name.startswith(_CHECKPOINT) or "/" in name:
            raise self.refusal(f"is damaged: it names a checkpoint {name!r:.40}")
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            raise self.refusal(f"is damaged: {name} is missing") from None

    def write_checkpoint(self, number: int, data: bytes) -> str:
        """Writes a checkpoint, safe before it is named anywhere; returns its name."""
        name = checkpoint_name(number)
        temporary = self.path / f"{name}.new"
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, self.path / name)
        _sync(self.path)
        return name

    def clear(self, current: str) -> None:
        """Removes the checkpoints before one; a later one may be under way to be named."""
        for found in self.path.glob(f"{_CHECKPOINT}*"):
            number = found.name.removeprefix(_CHECKPOINT)
            if number.isdigit() and int(number) < int(current.removeprefix(_CHECKPOINT)):
                found.unlink(missing_ok=True)

    def unreadable(self, where: str, error: Exception) -> FailedPrecondition:
        """Returns the line for what this version does not make sense of, and where that is."""
        why = " ".join(str(error).split())[:300]
        reason = getattr(error, "reason", "")
        if reason == "SNAPSHOT_OF_ANOTHER":
            return self.refusal(f"is of another stack: {why}")
        if reason == "SNAPSHOT_VERSION":  # whose own advice is about snapshots
            what = why.partition(": ")[0].replace("the snapshot", where, 1)
            return self.refusal(
                f"is of another version of smokestack: {what}: serve it with the version that "
                "wrote it, or give an empty directory"
            )
        return self.refusal(
            f"is damaged, or of another version of smokestack: {where}: {why}: give a copy that is "
            "whole, or an empty directory"
        )

    def refusal(self, why: str) -> FailedPrecondition:
        """Returns the one line that refuses the directory."""
        return FailedPrecondition(
            f"state directory {self.path} {why}", reason="STATE_DIRECTORY", resource=str(self.path)
        )

    def close(self) -> None:
        """Lets others hold it."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _hold(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        self._check_ours()
        self._lock = (self.path / _LOCK).open("a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.seek(0)
            holder = self._lock.read(40).strip() or "another process"
            raise self.refusal(f"is held by {holder}: end it, or use another directory") from None
        self._check_ours()
        self._lock.truncate(0)
        self._lock.write(f"process {os.getpid()}\n")
        self._lock.flush()

    def _check_ours(self) -> None:
        names = set(os.listdir(self.path))
        if _JOURNAL in names:
            return
        others = [n for n in sorted(names) if n not in _OURS and n != checkpoint_name(0)]
        others = [n for n in others if n != f"{checkpoint_name(0)}.new"]
        if others:
            raise self.refusal(
                f"holds {others[0]!r:.60} and no {_JOURNAL}: it is none of smokestack's; give an "
                "empty one"
            )


def unavailable(service: str, why: str) -> Unavailable:
    """Returns the refusal of what could not be kept."""
    return Unavailable(why, reason="STATE_NOT_SAFE", resource=service)


def checkpoint_name(number: int) -> str:
    """Returns the name of the checkpoint after so many rows of the journal."""
    return f"{_CHECKPOINT}{number}"


def _sync(folder: Path) -> None:
    """Makes the names in a folder safe."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
