"""Snapshots on the border between processes: pieces as messages of bounded size, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from smokestack.engine.blockdevice import BlockDevice
from smokestack.engine.border import BorderLock
from smokestack.engine.errors import (
    FailedPrecondition,
    InvalidArgument,
    Refused,
    ResourceExhausted,
)
from smokestack.engine.snapshot import Piece
from smokestack.v1 import blockdevice_pb2 as pb

PART_BYTES: Final = 1 << 20
PIECES_BYTES_MAX: Final = 4 << 30
_PIECES_MAX: Final = 1_024
_SNAPSHOT_ID_MAX: Final = 128


def parts_of(pieces: Iterable[Piece]) -> Iterator[pb.SnapshotPart]:
    """Yields the messages of some pieces; at least one message for at least one piece."""
    left = list(pieces)
    while left:
        piece = left.pop(0)
        data = piece.sealed()
        for start in range(0, len(data), PART_BYTES):
            end = min(start + PART_BYTES, len(data))
            yield pb.SnapshotPart(
                snapshot=piece.snapshot,
                service=piece.service,
                now_ns=piece.now_ns,
                data=data[start:end],
                continues=end < len(data),
                more=end < len(data) or bool(left),
            )


class Gathering:
    """Puts pieces together again as their parts come in."""

    def __init__(self) -> None:
        self._pieces: dict[str, Piece] = {}
        self._data = bytearray()
        self._begun: tuple[str, str, int] | None = None
        self._bytes = 0

    def add(self, part: pb.SnapshotPart) -> dict[str, Piece] | None:
        """Takes a part; returns all pieces by service once they are whole."""
        key = (part.snapshot, part.service, part.now_ns)
        if self._begun is not None and key != self._begun:
            raise _refused(f"{part.service!r} comes before {self._begun[1]!r} is whole")
        self._bytes += len(part.data)
        if self._bytes > PIECES_BYTES_MAX or len(self._pieces) >= _PIECES_MAX:
            raise ResourceExhausted(
                f"a snapshot has more than {PIECES_BYTES_MAX} bytes or {_PIECES_MAX} pieces"
            )
        self._data += part.data
        self._begun = key if part.continues else None
        if not part.continues:
            self._close(part)
        elif not part.more:
            raise _refused(f"{part.service!r} is cut short")
        return None if part.more else self._pieces

    def _close(self, part: pb.SnapshotPart) -> None:
        if part.service in self._pieces:
            raise _refused(f"{part.service!r} comes twice")
        snapshots = {piece.snapshot for piece in self._pieces.values()} | {part.snapshot}
        borders = {piece.now_ns for piece in self._pieces.values()} | {part.now_ns}
        if len(snapshots) > 1 or len(borders) > 1:
            raise _refused(f"{part.service!r} is of another snapshot than the piece before it")
        data, self._data = bytes(self._data), bytearray()
        self._pieces[part.service] = Piece(part.snapshot, part.service, part.now_ns, data=data)


class SnapshotSession:
    """What a driver's stream asks a device of snapshots; whether it may ask is checked before."""

    KINDS: Final = ("take_snapshot", "stage", "settle")

    def __init__(self, device: BlockDevice, border: BorderLock) -> None:
        self._device = device
        self._border = border
        self._gathering: Gathering | None = None
        self._wrong: Refused | None = None  # of a part that is not the last one
        self._staged_ns: int | None = None  # the border of the pieces that are ready
        self.restored_ns: int | None = None  # the border that the device has just gone to

    def answer(self, request: pb.ExchangeRequest) -> list[pb.ExchangeResponse]:
        """Returns the answer to one message, in parts; nothing while pieces continue."""
        kind = request.WhichOneof("request")
        if kind == "stage":
            return self._stage(request.stage)
        self._gathering = self._wrong = None
        if kind == "take_snapshot":
            return self._take(request.take_snapshot)
        return [self._settle(request.settle)]

    def _take(self, request: pb.TakeSnapshot) -> list[pb.ExchangeResponse]:
        if not 0 < len(request.snapshot) <= _SNAPSHOT_ID_MAX:
            raise InvalidArgument.at(
                "take_snapshot.snapshot", f"does not have 1 to {_SNAPSHOT_ID_MAX} characters"
            )
        with self._border.window():
            pieces = self._device.snapshot(request.snapshot, tuple(request.only))
        return [pb.ExchangeResponse(piece=part) for part in parts_of(pieces)]

    def _stage(self, part: pb.SnapshotPart) -> list[pb.ExchangeResponse]:
        """Adds a part; what is wrong with it is told when the last one is here."""
        pieces = None
        try:
            self._gathering = self._gathering or Gathering()
            if self._wrong is None:
                pieces = self._gathering.add(part)
        except Refused as refused:
            self._wrong = refused
        if part.more:
            return []
        wrong, self._gathering, self._wrong = self._wrong, None, None
        if wrong is not None or pieces is None:
            raise wrong or _refused("is cut short")
        with self._border.window():
            self._device.stage(pieces)
        self._staged_ns = part.now_ns
        return [pb.ExchangeResponse(staged=pb.Staged())]

    def _settle(self, settle: pb.Settle) -> pb.ExchangeResponse:
        staged_ns, self._staged_ns = self._staged_ns, None
        with self._border.window():
            if settle.forget:
                self._device.unstage()
            elif staged_ns is None:
                raise FailedPrecondition(
                    f"{self._device.name} has nothing staged: send `stage` first",
                    reason="NOT_STAGED",
                )
            else:
                self._device.restore()
                self.restored_ns = staged_ns
        return pb.ExchangeResponse(settled=pb.Settled())


def _refused(description: str) -> InvalidArgument:
    return InvalidArgument.at("piece", description)
