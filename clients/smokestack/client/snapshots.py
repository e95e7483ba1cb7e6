"""Snapshots of a stack, to go back to; and the recording of what was done to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import Any

from smokestack.v1 import scenario_pb2
from smokestack.v1 import snapshots_pb2 as pb

from .kinds import Kind
from .operations import Bound, Call, Way, operation
from .resources import Collection, Deletable

_SERVICE = "SimulationService"
_PART_BYTES = 1 << 20


class Snapshot(Deletable[Way]):
    """What every service of a stack held at one border of virtual time."""

    of_kind = Kind(pb, _SERVICE, "Snapshot", "snapshots")
    now_ns: int
    digest: str
    services: tuple[str, ...]
    size_bytes: int
    uid: str

    @operation
    def restore(self) -> Call[Snapshot[Way]]:
        """Brings the whole stack back to it; what was loaded before needs a reload()."""
        request = self.of_kind.request("Restore", name=self.name)
        return Call(self.of_kind.rpc("Restore"), request, self._load, timeout_seconds=None)

    @operation
    def export(self) -> Call[bytes]:
        """Returns it as the bytes of a file, for `import_` into a stack of the same services."""
        request = self.of_kind.request("Export", name=self.name)
        rpc = self.of_kind.rpc("Export")
        return Call(rpc, request, _joined, timeout_seconds=None, streams=True)


class Snapshots(Collection[Way, Snapshot[Way]]):
    """The snapshots that a stack keeps."""

    resource = Snapshot
    has_parent = False

    @operation
    def create(self, snapshot_id: str) -> Call[Snapshot[Way]]:
        """Takes a snapshot of the whole stack, which runs on."""
        request = self._kind.request("Create", snapshot_id=snapshot_id)
        return Call(self._kind.rpc("Create"), request, self._made, timeout_seconds=None)

    @operation
    def import_(self, snapshot_id: str, file: bytes | str | PathLike[str]) -> Call[Snapshot[Way]]:
        """Takes in what `export` has returned, as bytes or as a file's path; changes nothing."""
        data = file if isinstance(file, bytes) else Path(file).read_bytes()
        return Call(
            self._kind.rpc("Import"),
            _parts(snapshot_id, data),
            self._made,
            repeatable=False,
            timeout_seconds=None,
        )


class History(Bound[Way]):
    """What a stack can go back to, and what has led to where it is."""

    @property
    def snapshots(self) -> Snapshots[Way]:
        """The snapshots that the stack keeps."""
        return Snapshots(self._session)

    @operation
    def recording(self) -> Call[bytes]:
        """Returns all calls that have changed the stack, for `smokestack replay`."""
        rpc = f"{_SERVICE}.GetRecording"
        return Call(rpc, pb.GetRecordingRequest(), _joined, timeout_seconds=None, streams=True)

    @operation
    def start_recording(self, scenario: scenario_pb2.Scenario | None = None) -> Call[None]:
        """Has the driver forget its own calls so far, at time 0: its scenario has made them."""
        request = pb.StartRecordingRequest(scenario=scenario)
        return Call(f"{_SERVICE}.StartRecording", request, lambda _: None)


def _parts(snapshot_id: str, data: bytes) -> Callable[[], Iterator[Any]]:
    def parts() -> Iterator[Any]:
        yield pb.ImportSnapshotRequest(snapshot_id=snapshot_id)
        for start in range(0, len(data), _PART_BYTES):
            yield pb.ImportSnapshotRequest(data=data[start : start + _PART_BYTES])

    return parts


def _joined(parts: Iterable[Any]) -> bytes:
    return b"".join(part.data for part in parts)
