"""Snapshots: what each service holds at one border of windows, and putting it back.

A service is made of parts (its model, its wire, its events); each copies its state and takes a copy
back.  Taking back has two halves: everything is checked first, on every service, and then put in
place in steps that cannot fail.  So nothing is ever half restored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from . import container
from .errors import FailedPrecondition, InvalidArgument
from .plain import Reader, Writer, size_bytes


class Part(Protocol):
    """Something of a service that a snapshot holds."""

    def save(self) -> Any:
        """Returns a copy of its state, which nobody changes: values that ``plain`` knows."""

    def load(self, saved: Any) -> Callable[[], None]:
        """Checks a copy whole, and returns what puts it in place without fail."""


@dataclass(frozen=True, eq=False)
class Piece:
    """One service's share of a snapshot: its parts by name, or the same as bytes."""

    snapshot: str  # the snapshot's unique id; pieces of different snapshots never mix
    service: str
    now_ns: int  # the border
    parts: Mapping[str, Any] | None = None
    data: bytes | None = None

    @property
    def size_bytes(self) -> int:
        """About how much memory it takes."""
        return len(self.data) if self.data is not None else size_bytes(self.parts)

    def sealed(self) -> bytes:
        """Returns it as bytes, with a version and a checksum."""
        if self.data is not None:
            return self.data
        writer = Writer()
        manifest = {
            "snapshot": self.snapshot,
            "service": self.service,
            "now_ns": self.now_ns,
            "parts": writer.json(self.parts),
            "classes": writer.classes,
        }
        return container.dump(manifest, writer.blobs)

    def opened(self, classes: Mapping[str, type]) -> Mapping[str, Any]:
        """Returns its parts, read from its bytes if need be."""
        if self.parts is not None:
            return self.parts
        assert self.data is not None
        manifest, blobs = container.load(self.data)
        if [manifest.get(k) for k in ("snapshot", "service", "now_ns")] != [
            self.snapshot,
            self.service,
            self.now_ns,
        ]:
            raise InvalidArgument(
                f"a piece of {manifest.get('service')!r:.80} at {manifest.get('now_ns')!r:.20} ns "
                f"stands where one of {self.service} at {self.now_ns} ns belongs: pieces of "
                "different snapshots never mix",
                reason="SNAPSHOT_MIXED",
            )
        written = manifest.get("classes")
        if not isinstance(written, dict):
            raise InvalidArgument(f"the piece of {self.service} lists no classes")
        parts = Reader(blobs, classes, written).value(manifest.get("parts"))
        if not isinstance(parts, dict):
            raise InvalidArgument(f"the piece of {self.service} has no parts")
        return parts


Pieces = Mapping[str, Piece]  # by service


class Keeper:
    """Keeps the parts of one service: saves them all, and puts them all back."""

    def __init__(self, service: str, now_ns: Callable[[], int], classes: Iterable[type]) -> None:
        """Takes the classes whose objects the parts may hold."""
        self.service = service
        self.parts: dict[str, Part] = {}
        self._now_ns = now_ns
        self._classes = {kind.__name__: kind for kind in classes}
        self._staged: list[Callable[[], None]] = []
        self.restored: Callable[[], None] = lambda: None  # called when another state is in place

    @property
    def classes(self) -> Mapping[str, type]:
        """The classes whose objects the parts may hold, by name."""
        return self._classes

    def add(self, name: str, part: Part, *classes: type) -> None:
        """Adds a part, and the classes whose objects it may hold."""
        self.parts[name] = part
        self._classes.update({kind.__name__: kind for kind in classes})

    def save(self, snapshot: str, only: Iterable[str] = ()) -> Piece:
        """Returns copies of all parts, or of some, at the border of now."""
        names = list(only) or list(self.parts)
        parts = {name: self.parts[name].save() for name in names if name in self.parts}
        return Piece(snapshot, self.service, self._now_ns(), parts)

    def stage(self, piece: Piece, only: Iterable[str] = ()) -> Mapping[str, Any]:
        """Checks a piece and keeps it ready; returns its parts.  Nothing has changed yet.

        With ``only`` the piece holds those parts, and perhaps what is none of the service's.
        """
        self._staged = []
        if piece.service != self.service:
            raise FailedPrecondition(
                f"the snapshot is of {piece.service}: {self.service} cannot take its place",
                reason="SNAPSHOT_OF_ANOTHER",
                resource=self.service,
            )
        if piece.data is None:
            return self._stage(piece, list(only))
        try:
            return self._stage(piece, list(only))
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise InvalidArgument(
                f"the snapshot's piece of {self.service} is not one that this version has written "
                f"({error}): export it again",
                reason="SNAPSHOT_DAMAGED",
            ) from error

    def _stage(self, piece: Piece, only: Sequence[str]) -> Mapping[str, Any]:
        parts = piece.opened(self._classes)
        if not set(only) <= set(parts) or (not only and set(parts) != set(self.parts)):
            raise FailedPrecondition(
                f"the snapshot holds {', '.join(sorted(parts)) or 'nothing'} of {self.service}, "
                f"which is made of {', '.join(sorted(self.parts))} here: restore it with the "
                "version that wrote it, or take it anew",
                reason="SNAPSHOT_VERSION",
                resource=self.service,
            )
        self._staged = [self.parts[name].load(parts[name]) for name in only or self.parts]
        return parts

    def unstage(self) -> None:
        """Forgets what is ready."""
        self._staged = []

    def restore(self) -> None:
        """Puts what is ready in place."""
        staged, self._staged = self._staged, []
        for put in staged:
            put()
        self.restored()


class Kept:
    """A device with nothing below it, as far as snapshots go."""

    keeper: Keeper

    def snapshot(self, snapshot: str, only: Sequence[str] = ()) -> tuple[Piece, ...]:
        """Returns its piece of a new snapshot."""
        return (self.keeper.save(snapshot, only),)

    def stage(self, pieces: Pieces) -> None:
        """Checks its piece and keeps it ready; nothing changes yet."""
        self.keeper.stage(piece_of(pieces, self.keeper.service))
        refuse_others(pieces, {self.keeper.service})

    def unstage(self) -> None:
        """Forgets what is staged."""
        self.keeper.unstage()

    def restore(self) -> None:
        """Puts what is staged in place."""
        self.keeper.restore()


def refuse_others(pieces: Pieces, services: set[str]) -> None:
    """Refuses a snapshot with pieces that none of these services takes."""
    others = sorted(set(pieces) - services)
    if others:
        raise FailedPrecondition(
            f"the snapshot is also of {', '.join(others)}, which is not here: restore it into a "
            "stack of the same services",
            reason="SNAPSHOT_OF_ANOTHER",
            resource=others[0],
        )


def check_one(pieces: Pieces) -> None:
    """Refuses pieces that are not all of one snapshot, at one border."""
    found = {(piece.snapshot, piece.now_ns) for piece in pieces.values()}
    if len(found) > 1:
        raise InvalidArgument(
            "the pieces are of different snapshots, which never mix: "
            + ", ".join(f"{p.service} of {p.snapshot} at {p.now_ns} ns" for p in pieces.values()),
            reason="SNAPSHOT_MIXED",
        )


def piece_of(pieces: Pieces, service: str) -> Piece:
    """Returns a service's piece; FailedPrecondition says whose there are."""
    if service not in pieces:
        raise FailedPrecondition(
            f"the snapshot holds nothing of {service}, only of {', '.join(sorted(pieces))}: "
            "restore it into a stack of those services",
            reason="SNAPSHOT_OF_ANOTHER",
            resource=service,
        )
    return pieces[service]
