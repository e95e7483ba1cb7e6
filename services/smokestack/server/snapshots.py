"""Snapshots on the wire: a driver takes them of its whole stack, keeps them, and restores them.

Every piece of a snapshot carries the snapshot's unique id and border; the manifest, which is what
is kept here, is complete or does not exist.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from google.protobuf import empty_pb2

from smokestack.engine import container
from smokestack.engine.checks import identifier
from smokestack.engine.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
)
from smokestack.engine.names import NameForm
from smokestack.engine.paging import page
from smokestack.engine.requests import Border, Requests
from smokestack.engine.snapshot import Piece, Pieces
from smokestack.v1 import snapshots_pb2 as pb

SNAPSHOTS_MAX: Final = 64
BYTES_MAX: Final = 4 << 30
PART_BYTES: Final = 1 << 20
_NAME: Final = NameForm("snapshots/s1")


class Driver(Protocol):
    """The top of a tree of services."""

    @property
    def name(self) -> str:
        """Its full name."""

    @property
    def now_ns(self) -> int:
        """Virtual time of its border."""

    def digest(self) -> str:
        """Returns the digest over all completions so far."""

    def snapshot(self, snapshot: str, only: Sequence[str] = ()) -> tuple[Piece, ...]:
        """Returns the pieces of a new snapshot, its own first."""

    def check(self, pieces: Pieces) -> None:
        """Refuses pieces that could not be restored here."""

    def restore(self, pieces: Pieces) -> None:
        """Goes to where a snapshot was taken."""


@dataclass(frozen=True)
class Kept:
    """A snapshot that is complete: its manifest, and all pieces."""

    uid: str
    digest: str
    pieces: Pieces

    @property
    def now_ns(self) -> int:
        """Virtual time at which it was taken."""
        return next(iter(self.pieces.values())).now_ns

    @property
    def size_bytes(self) -> int:
        """About how much memory it takes."""
        return sum(piece.size_bytes for piece in self.pieces.values())

    def file(self) -> bytes:
        """Returns it as the bytes of a file."""
        manifest = {
            "uid": self.uid,
            "digest": self.digest,
            "now_ns": self.now_ns,
            "services": list(self.pieces),
        }
        return container.dump(manifest, [piece.sealed() for piece in self.pieces.values()])

    @classmethod
    def of_file(cls, data: bytes) -> Kept:
        """Reads a file; InvalidArgument says what is wrong with it, and what would be right."""
        manifest, blobs = container.load(data)
        try:
            uid, now_ns = str(manifest["uid"]), int(manifest["now_ns"])
            services = [str(service) for service in manifest["services"]]
            pieces = {
                service: Piece(uid, service, now_ns, data=bytes(blob))
                for service, blob in zip(services, blobs, strict=True)
            }
            return cls(uid, str(manifest["digest"]), pieces)
        except (KeyError, TypeError, ValueError):
            raise InvalidArgument(
                "the file is one service's piece of a snapshot, not a snapshot: give a file that "
                "ExportSnapshot wrote",
                reason="SNAPSHOT_DAMAGED",
            ) from None


def taken(driver: Driver) -> Kept:
    """Takes a snapshot; the caller holds the border."""
    uid = uuid.uuid4().hex
    pieces = driver.snapshot(uid)
    return Kept(uid, driver.digest(), {piece.service: piece for piece in pieces})


class SnapshotDesk:
    """Serves the snapshots of one service: all of its stack's if it drives one, or none."""

    def __init__(
        self,
        name: str,
        border: Border,
        driver: Driver | None,
        held: Callable[[], AbstractContextManager[Any]] | None = None,
    ) -> None:
        """Takes the driver of a stack, and what holds its clock while time is set."""
        self._name = name
        self._requests = Requests(border)
        self._driver = driver
        self._held = held
        self._kept: dict[str, Kept] = {}

    def create(self, request: pb.CreateSnapshotRequest) -> pb.Snapshot:
        """Takes a snapshot at a border."""
        driver = self.driver()

        def create() -> pb.Snapshot:
            self._check_new(request.snapshot_id)
            return self._keep(request.snapshot_id, taken(driver))

        return self._requests.change(request, create)

    def get(self, request: pb.GetSnapshotRequest) -> pb.Snapshot:
        """Returns one snapshot."""
        with self._requests.read():
            return self._message(self._id(request.name))

    def list(self, request: pb.ListSnapshotsRequest) -> pb.ListSnapshotsResponse:
        """Returns a page of the snapshots."""
        with self._requests.read():
            found, token = page(self._kept, request.page_size, request.page_token, "snapshots")
            return pb.ListSnapshotsResponse(
                snapshots=map(self._message, found), next_page_token=token
            )

    def delete(self, request: pb.DeleteSnapshotRequest) -> empty_pb2.Empty:
        """Forgets a snapshot."""

        def delete() -> empty_pb2.Empty:
            del self._kept[self._id(request.name)]
            return empty_pb2.Empty()

        return self._requests.change(request, delete)

    def restore(self, request: pb.RestoreSnapshotRequest) -> pb.Snapshot:
        """Goes back to a snapshot."""
        driver = self.driver()
        assert self._held is not None
        with self._held(), self._requests.read():
            snapshot_id = self._id(request.name)
            driver.restore(self._kept[snapshot_id].pieces)
            return self._message(snapshot_id)

    def export(self, request: pb.ExportSnapshotRequest) -> Iterator[pb.ExportSnapshotResponse]:
        """Yields the parts of a snapshot's file."""
        with self._requests.read():
            kept = self._kept[self._id(request.name)]
        data = kept.file()
        for start in range(0, len(data), PART_BYTES):
            yield pb.ExportSnapshotResponse(data=data[start : start + PART_BYTES])

    def import_(self, requests: Iterable[pb.ImportSnapshotRequest]) -> pb.Snapshot:
        """Takes a snapshot's file in, checked as if it were to be restored."""
        driver = self.driver()
        parts = iter(requests)
        first = next(parts, pb.ImportSnapshotRequest())
        if first.WhichOneof("part") != "snapshot_id":
            raise InvalidArgument.at("snapshot_id", "is missing: send it in the first message")
        self._check_new(first.snapshot_id)
        kept = Kept.of_file(_joined(parts))
        with self._requests.read():
            self._check_new(first.snapshot_id)
            driver.check(kept.pieces)
            return self._keep(first.snapshot_id, kept)

    def driver(self) -> Driver:
        """Returns what drives the stack; FailedPrecondition says that this service does not."""
        if self._driver is None:
            raise FailedPrecondition(
                f"{self._name} is no hypervisor: this is of whole stacks, so call it at the "
                "hypervisor that drives this one",
                reason="NO_DRIVER",
                resource=self._name,
            )
        return self._driver

    def _check_new(self, snapshot_id: str) -> None:
        identifier("snapshot_id", snapshot_id)
        if snapshot_id in self._kept:
            raise AlreadyExists.of(_NAME.format(snapshot_id))

    def _keep(self, snapshot_id: str, kept: Kept) -> pb.Snapshot:
        sizes = [kept.size_bytes, *(one.size_bytes for one in self._kept.values())]
        if len(sizes) > SNAPSHOTS_MAX or sum(sizes) > BYTES_MAX:
            raise ResourceExhausted(
                f"{self._name} keeps up to {SNAPSHOTS_MAX} snapshots of {BYTES_MAX} bytes in all; "
                f"with this one they would be {len(sizes)} of {sum(sizes)}: delete some",
                resource=self._name,
            )
        self._kept[snapshot_id] = kept
        return self._message(snapshot_id)

    def _id(self, name: str) -> str:
        (snapshot_id,) = _NAME.parse(name)
        if snapshot_id not in self._kept:
            raise NotFound.of(name)
        return snapshot_id

    def _message(self, snapshot_id: str) -> pb.Snapshot:
        kept = self._kept[snapshot_id]
        return pb.Snapshot(
            name=_NAME.format(snapshot_id),
            now_ns=kept.now_ns,
            digest=kept.digest,
            services=list(kept.pieces),
            size_bytes=kept.size_bytes,
            uid=kept.uid,
        )


def _joined(parts: Iterable[pb.ImportSnapshotRequest]) -> bytes:
    data = bytearray()
    for part in parts:
        if part.WhichOneof("part") != "data":
            raise InvalidArgument.at("data", "is missing: all messages but the first carry it")
        data += part.data
        if len(data) > BYTES_MAX:
            raise ResourceExhausted(f"the file has more than {BYTES_MAX} bytes")
    return bytes(data)
