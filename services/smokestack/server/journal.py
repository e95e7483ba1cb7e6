"""The journal of a running service: a call is acknowledged when it is safe, and not before.

Calls are applied and noted at a border, in order; one thread writes what has been noted meanwhile
as one group, and whoever waits for a call of that group goes on.  What windows have changed is
noted before each call and, when there is none, twice a second.  A long journal is cut short by a
checkpoint: a copy of the service, written beside it.
"""

from __future__ import annotations

import gc
import logging
import sqlite3
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any, Final, NamedTuple, Protocol

from smokestack.engine.requests import Border
from smokestack.engine.snapshot import Piece

from .journal_store import JournalStore, Row, RowKind, is_full
from .recording import Call
from .state_directory import StateDirectory, unavailable

TICK_SECONDS: Final = 0.5
_RETRY_SECONDS: Final = 0.5
# A journal is cut short when it is longer than this, and than a part of what a checkpoint holds.
_WORK_MIN: Final = 4_096  # to be done again: a call, and each of these bytes of one
_WORK_BYTES: Final = 64
_LENGTH: Final = struct.Struct("<I")
_BYTES_MIN: Final = 16 << 20  # of what windows have changed
_LOG: Final = logging.getLogger(__name__)


class Durable(Protocol):
    """A service, as its journal sees it."""

    @property
    def now_ns(self) -> int:
        """Its virtual time."""

    @property
    def whole(self) -> bool:
        """Whether what it takes is all that has become of it, so that no call is made again."""

    @property
    def size(self) -> int:
        """How many things a copy of it lists, about."""

    @property
    def changed(self) -> bool:
        """Whether windows have changed anything."""

    @property
    def is_far(self) -> bool:
        """Whether it would take long to come here again from the last copy."""

    def begin(self) -> None:
        """Has it note what windows change from here on."""

    def take(self) -> Mapping[str, Any]:
        """Returns what windows have changed since the last call, as a copy."""

    def skip(self) -> None:
        """Forgets what a call has just changed."""

    def placed(self, parts: Mapping[str, Any]) -> None:
        """Is told what a checkpoint has put in place."""

    def repeat(self, taken: Mapping[str, Any]) -> None:
        """Puts in place what was taken."""

    def power_on(self, detail: Mapping[str, str | int]) -> None:
        """Begins anew from what is in place, and tells so."""


class Copied(Protocol):
    """A copy of a service, which nobody changes."""

    @property
    def now_ns(self) -> int:
        """Virtual time of its border."""

    def sealed(self) -> bytes:
        """Returns it as bytes, with a checksum."""


class _Checkpoint(NamedTuple):
    """A checkpoint whose file is safe, to be named in the journal."""

    number: int
    time_ns: int
    name: str


class Journal:
    """Keeps the calls of one service in a state directory."""

    def __init__(
        self,
        durable: Durable,
        border: Border,
        directory: StateDirectory,
        copied: Callable[[], Copied],
    ) -> None:
        """Takes what returns a copy of the service, at a border."""
        self._durable = durable
        self._border = border
        self._directory = directory
        self._copied = copied
        self._store: JournalStore = directory.open()
        self._number = self._store.number  # of the row noted last
        self._checkpointed = self._store.checkpointed
        self._work = self._bytes = 0  # of the rows since then
        self._checkpoint_bytes = 0
        self._changed = threading.Condition()
        self._waiting: list[Row | Piece | _Checkpoint] = []  # a piece becomes a row of its own
        self._safe = self._number
        self._failure = ""  # why what was noted last is not safe
        self._is_lost = False  # and never will be, in this process
        self._closing = self._ended = False
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=run, name=f"journal {name}", daemon=True)
            for name, run in (("writer", self._write), ("ticker", self._tick))
        ]
        for thread in self._threads:
            thread.start()

    # --- at a border ------------------------------------------------------------------------

    def begin(self) -> None:
        """Lets a change be made; Unavailable says that it could not be kept."""
        if self._failure:
            raise unavailable(
                self._directory.service,
                f"{self._directory.service} changes nothing while it cannot keep it: "
                f"{self._failure}",
            )
        if self._ended:
            raise unavailable(self._directory.service, f"{self._directory.service} has ended")
        if self._durable.changed and not self._durable.whole:
            self._take()

    def note(self, call: Call) -> int:
        """Takes a call that has just been applied; returns its number."""
        if self._durable.whole:
            self._work += 1
            self._take()
            return self._number
        self._durable.skip()
        self._number += 1
        body = packed(call.requests)
        self._work += 1 + len(body) // _WORK_BYTES
        method = f"{call.service} {call.method}"
        self._put(Row(self._number, RowKind.CALL, call.time_ns, method, body))
        return self._number

    def keep_time(self) -> int:
        """Takes what time has changed; returns its number."""
        if self._durable.changed:
            self._take()
        return self._number

    def replaced(self) -> None:
        """Keeps the whole service, which is another one now; what fails is told to who comes next.

        The caller holds the border meanwhile, for what comes next rests on it.
        """
        self._durable.begin()
        self._durable.skip()
        self._number += 1  # of no row: nobody could repeat it
        if not self._checkpoint(self._number, self._copied()):
            self._fail(f"{self._directory.path}: what was restored could not be written", True)
        with self._changed:
            self._changed.wait_for(lambda: self._safe >= self._number or self._failure)

    def serve(self, durable: Durable, border: Border, copied: Callable[[], Copied]) -> None:
        """Keeps another service from here on, in the place of the one that is gone."""
        with self._border.change():
            self._durable, self._border, self._copied = durable, border, copied
        with border.change():
            self.replaced()

    def _take(self) -> None:
        self._number += 1
        parts = {"number": self._number, "taken": self._durable.take()}
        service = self._directory.service
        self._put(Piece("journal", service, self._durable.now_ns, parts))

    def _put(self, item: Row | Piece | _Checkpoint) -> None:
        with self._changed:
            self._waiting.append(item)
            self._changed.notify_all()

    # --- elsewhere --------------------------------------------------------------------------

    def settle(self, number: int) -> None:
        """Returns once a row is safe; Unavailable says that it is not."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._safe >= number or self._failure or not self._threads
            )
            if self._safe >= number:
                return
            failure = self._failure or "it has ended"
        raise unavailable(
            self._directory.service,
            f"{self._directory.service} has carried out the call and cannot keep it: {failure}; "
            "it is lost if the service ends now. Ask again with the same request_id",
        )

    def close(self) -> None:
        """Keeps all that there is and cuts the journal short; nothing is changed any more."""
        if not self._threads:
            return
        self._stop.set()
        self._threads[1].join()
        if not self._failure:
            with self._border.change():
                self._checkpoint_if(self._durable.changed or self._number > self._checkpointed)
                self._ended = True  # what comes now would be lost
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._threads[0].join()
        with self._changed:
            self._threads = []
            self._changed.notify_all()
        if not self._failure:
            self._store.end()
        self._store.close()

    # --- the writer -------------------------------------------------------------------------

    def _write(self) -> None:
        """Writes what has been noted, group by group, until the end."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                group, self._waiting = self._waiting, []
            if not group:
                return
            if not self._written(group):
                with self._changed:
                    self._waiting = group + self._waiting
                    if self._is_lost or self._closing:
                        return
                self._stop.wait(_RETRY_SECONDS)

    def _written(self, group: list[Row | Piece | _Checkpoint]) -> bool:
        """Writes a group in order; one that could not be written is told of and stays."""
        try:
            for is_checkpoint, items in groupby(group, lambda i: isinstance(i, _Checkpoint)):
                if is_checkpoint:
                    self._move(items)
                else:
                    self._append(items)
        except (sqlite3.Error, OSError) as error:
            lost = not (isinstance(error, sqlite3.Error) and is_full(error))
            self._fail(f"{self._directory.path}: {error}", lost)
            return False
        with self._changed:
            self._safe = self._store.number
            if self._failure:
                _LOG.warning("%s can be written again", self._directory.path)
            self._failure = ""
            self._changed.notify_all()
        return True

    def _append(self, items: Iterator[Any]) -> None:
        rows = [row for row in map(_row, items) if row.number > self._store.number]
        if rows:  # else they were written before what failed
            self._store.append(rows)
            self._bytes += sum(len(row.body) for row in rows if row.kind is RowKind.WINDOWS)

    def _move(self, checkpoints: Iterator[Any]) -> None:
        for to in checkpoints:
            self._store.move(to.name, to.time_ns, to.number)
            self._directory.clear(to.name)

    def _fail(self, why: str, lost: bool) -> None:
        with self._changed:
            if not self._failure:
                _LOG.error("nothing more can be kept in %s", why)
            self._failure, self._is_lost = why, lost
            self._changed.notify_all()

    # --- the ticker -------------------------------------------------------------------------

    def _tick(self) -> None:
        """Takes what windows have changed, twice a second, and cuts a long journal short."""
        while not self._stop.wait(TICK_SECONDS):
            if self._failure:
                continue
            border = self._border
            with border.change():
                if border is not self._border:
                    continue
                if self._durable.changed:
                    self._take()
                is_long = self._is_long()
                number, copied = self._number, self._copied() if is_long else None
                if is_long:
                    self._work = self._bytes = 0
            if copied is not None:
                self._checkpoint(number, copied)

    def _is_long(self) -> bool:
        if self._durable.is_far:
            return True
        bytes_max = max(_BYTES_MIN, self._checkpoint_bytes // 2)
        return self._work > max(_WORK_MIN, self._durable.size // 4) or self._bytes > bytes_max

    def _checkpoint_if(self, is_due: bool) -> None:
        if is_due:
            self.keep_time()
            self._checkpoint(self._number, self._copied())

    def _checkpoint(self, number: int, copied: Copied) -> bool:
        """Writes a checkpoint that has all up to a number in it; the writer names it."""
        try:
            with uncollected():
                data = copied.sealed()
            name = self._directory.write_checkpoint(number, data)
        except OSError as error:  # the journal has it all, and goes on
            _LOG.warning("no checkpoint in %s: %s", self._directory.path, error)
            return False
        self._checkpointed, self._checkpoint_bytes = number, len(data)
        self._put(_Checkpoint(number, copied.now_ns, name))
        return True


def packed(requests: Sequence[bytes]) -> bytes:
    """Returns a call's messages as one row's body."""
    return b"".join(_LENGTH.pack(len(request)) + request for request in requests)


def unpacked(body: bytes) -> list[bytes]:
    """Returns the messages of a row's body; ValueError says that it is none."""
    requests, at = [], 0
    while at < len(body):
        (length,) = _LENGTH.unpack_from(body, at)
        at += _LENGTH.size + length
        requests.append(body[at - length : at])
    if at != len(body) or not requests:
        raise ValueError("its messages are cut short")
    return requests


@contextmanager
def uncollected() -> Iterator[None]:
    """Makes many objects without the collector looking through them over and over."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _row(item: Row | Piece) -> Row:
    if isinstance(item, Row):
        return item
    assert item.parts is not None
    return Row(item.parts["number"], RowKind.WINDOWS, item.now_ns, "", item.sealed())
