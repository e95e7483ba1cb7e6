"""A stack in one process, kept in a state directory: it goes on where it was, I/O included.

A checkpoint is a snapshot of the whole stack; the journal after it holds the calls, each with its
virtual time, and the time that was reached.  The same calls at the same times on the same state
give the same digest, so what came after the checkpoint is simulated again.  Checkpoints are made
often enough that this takes seconds.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from google.protobuf.json_format import Parse

from smokestack.array.links import Settling
from smokestack.engine import container
from smokestack.engine.clock import Stopwatch
from smokestack.engine.errors import InvalidArgument
from smokestack.engine.event_kinds import EventKind
from smokestack.engine.plain import Reader, Writer
from smokestack.engine.requests import Requests
from smokestack.engine.snapshot import Piece
from smokestack.engine.timekeeper import ClockSettings
from smokestack.v1 import scenario_pb2 as pb

from .answers import answers_of, remember
from .journal import Journal, uncollected
from .journal_store import Content, Row, RowKind
from .recording import basis_of
from .recovery import UNREADABLE, repeat_call, requests_of
from .snapshots import Kept, taken
from .stack import Stack
from .state_directory import StateDirectory

_SERVICE: Final = "stack"
_FAR_SECONDS: Final = 5.0  # that simulating again may take, at least
_FAR_FACTOR: Final = 20  # times what a copy takes: so copies take a twentieth of the time at most


@dataclass(frozen=True)
class _Copy:
    """A checkpoint: a snapshot, and what a snapshot does not hold."""

    kept: Kept
    scenario: str  # as it is, with the seed of the last reset
    begun: str  # the hash of the scenario that the directory was begun with
    answers: list[Any]

    @property
    def now_ns(self) -> int:
        """Virtual time of its border."""
        return self.kept.now_ns

    def sealed(self) -> bytes:
        """Returns it as bytes, with a checksum."""
        writer = Writer()
        answers = writer.json(self.answers)
        manifest = {"scenario": self.scenario, "begun": self.begun, "answers": answers}
        return container.dump(manifest, [self.kept.file(), *writer.blobs])

    @classmethod
    def opened(cls, data: bytes) -> _Copy:
        """Reads what ``sealed`` wrote."""
        manifest, blobs = container.load(data)
        answers = Reader(blobs[1:], {}, {}).value(manifest["answers"])
        kept = Kept.of_file(bytes(blobs[0]))
        return cls(kept, manifest["scenario"], manifest["begun"], answers)


class StackDurable:
    """A whole stack, as its journal sees it: of windows only the time that they have reached."""

    whole: Final = False
    size: Final = 0  # calls are simulated again with all that they led to: keep them few

    def __init__(self, stack: Stack, begun: str) -> None:
        self._stack = stack
        self._begun = begun
        self._now_ns = stack.hypervisor.model.now_ns
        self._waiting: list[Settling] = []  # calls that the next window's end carries out
        self._since_copy = Stopwatch()
        self._copy_seconds = 0.0
        self._moved = False  # since the last copy

    @property
    def now_ns(self) -> int:
        """Virtual time that windows have run to."""
        return self._stack.hypervisor.model.now_ns

    @property
    def changed(self) -> bool:
        """Whether time has moved, or a window without time has carried out what waited."""
        return self.now_ns != self._now_ns or any(s.at_ns is not None for s in self._waiting)

    @property
    def is_far(self) -> bool:
        """Whether it would take long to simulate from the last copy to here."""
        far = max(_FAR_SECONDS, _FAR_FACTOR * self._copy_seconds)
        return self._moved and self._since_copy.elapsed_seconds > far

    def begin(self) -> None:
        """Begins to look at the rooms that there are now."""
        self._waiting = []

    def take(self) -> Mapping[str, Any]:
        """Returns where time has been since the last call."""
        settled = sorted({s.at_ns for s in self._waiting if s.at_ns is not None})
        self._waiting = [s for s in self._waiting if s.at_ns is None]
        self._now_ns, self._moved = self.now_ns, True
        return {"settled": settled, "now_ns": self._now_ns}

    def skip(self) -> None:
        """Notes what the call that was just made leaves to the end of the next window."""
        for room in self._stack.arrays.values():
            links = room.model.links
            if links.waiting and all(s is not links.settling for s in self._waiting):
                self._waiting.append(links.settling)
        self._now_ns = self.now_ns

    def repeat(self, taken: Mapping[str, Any]) -> None:
        """Lets time go where it went, with windows cut where they have to be."""
        model = self._stack.hypervisor.model
        for at_ns in taken["settled"]:
            if at_ns > model.now_ns:
                model.go_on(at_ns)
            else:
                model.advance(model.now_ns)
        if taken["now_ns"] > model.now_ns:
            model.advance(taken["now_ns"])

    def placed(self, parts: Mapping[str, Any]) -> None:
        """Does nothing: a stack is built from its checkpoint."""

    def power_on(self, detail: Mapping[str, str | int]) -> None:
        """Tells that the stack goes on."""
        model = self._stack.hypervisor.model
        model.events.tell(EventKind.RECOVERED, model.name, **detail)

    # --- copies -----------------------------------------------------------------------------

    def copied(self) -> _Copy:
        """Returns a copy of all of it, at a border."""
        with Stopwatch() as watch:
            kept = taken(self._stack.hypervisor.model)
            copy = _Copy(
                kept,
                basis_of(self._stack.scenario).scenario,
                self._begun,
                answers_of(_requests(self._stack)),
            )
        self._copy_seconds, self._since_copy, self._moved = (
            watch.elapsed_seconds,
            Stopwatch(),
            False,
        )
        return copy


@contextmanager
def kept_stack(
    scenario: pb.Scenario | None,
    default: pb.Scenario,
    clock: ClockSettings | None,
    path: str | Path,
) -> Iterator[Stack]:
    """Yields the stack that a directory holds, or a new one; it is kept until the context ends.

    Without a ``scenario`` the directory says which, or if it is new ``default`` is taken.
    """
    clock = clock or ClockSettings()
    with ExitStack() as resources:
        directory = StateDirectory(path, _SERVICE)
        resources.callback(directory.close)
        if directory.is_new:
            stack = resources.enter_context(Stack(scenario or default))
            stack.attach()
            durable = StackDurable(stack, basis_of(stack.scenario).sha256)
            directory.create(durable.copied().sealed(), durable.now_ns)
        else:
            with uncollected():
                stack, durable = _come_back(directory, scenario)
            resources.enter_context(stack)
            gc.freeze()
        journal = Journal(durable, stack.border, directory, durable.copied)
        resources.callback(journal.close)
        kept = _KeptStack(stack, journal, durable)
        with stack.border.change():
            journal.replaced()  # so that nothing before this is ever simulated again
        stack.rebuilt = kept.rebuilt
        stack.set_clock(clock)
        yield stack


def _come_back(
    directory: StateDirectory, scenario: pb.Scenario | None
) -> tuple[Stack, StackDurable]:
    content = directory.read()
    data = directory.checkpoint(content.checkpoint)
    where, stack = content.checkpoint, None
    try:
        copy = _Copy.opened(data)
        if scenario is not None and basis_of(scenario).sha256 != copy.begun:
            raise directory.refusal(
                "holds a stack of another scenario: start it with that one or with none, or give "
                "an empty directory"
            )
        stack = Stack(Parse(copy.scenario, pb.Scenario()), pieces=copy.kept.pieces)
        remember(_requests(stack), copy.answers)
        durable = StackDurable(stack, copy.begun)
        for row in content.rows:
            where = f"row {row.number} of the journal"
            _repeat(stack, durable, row)
    except UNREADABLE as error:
        if stack is not None:
            stack.close()
        if getattr(error, "reason", "") == "STATE_DIRECTORY":
            raise
        raise directory.unreadable(where, error) from error
    durable.power_on(_detail(content))
    return stack, durable


def _repeat(stack: Stack, durable: StackDurable, row: Row) -> None:
    if row.kind is RowKind.WINDOWS:
        piece = Piece("journal", _SERVICE, row.time_ns, data=row.body)
        durable.repeat(piece.opened({})["taken"])
        return
    if row.time_ns > durable.now_ns:
        raise InvalidArgument(f"is of {row.time_ns} ns, and it is {durable.now_ns} ns")
    repeat_call(row, {room.name: room for room in stack.rooms})


class _KeptStack:
    """The rooms of a stack that tell a journal what changes them."""

    def __init__(self, stack: Stack, journal: Journal, durable: StackDurable) -> None:
        self._stack = stack
        self._journal = journal
        self._durable = durable
        self._connect()

    def rebuilt(self) -> None:
        """Keeps the rooms that a reset has made, from their first call on."""
        with self._border.change():  # of those that are gone, with all that is done to them yet
            for room in self._rooms:
                room.simulation.recording.journal = None
        self._connect()
        self._journal.serve(self._durable, self._border, self._durable.copied)

    def _connect(self) -> None:
        self._rooms, self._border = self._stack.rooms, self._stack.border
        for room in self._rooms:
            room.simulation.recording.journal = self._journal
        self._stack.hypervisor.model.keeper.restored = self._journal.replaced


def _requests(stack: Stack) -> list[Requests]:
    return [requests for room in stack.rooms for requests in requests_of(room)]


def _detail(content: Content) -> dict[str, str | int]:
    return {
        "after": "a stop" if content.ended else "a crash",
        "checkpoint_ns": content.checkpoint_ns,
        "calls_repeated": sum(row.kind is RowKind.CALL for row in content.rows),
    }
