"""Snapshots of one array's volumes: taken once for each name, alone or in a group."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf import timestamp_pb2

from smokestack.csi.v1 import controller_pb2 as pb
from smokestack.csi.v1 import types_pb2 as types
from smokestack.engine.errors import (
    Aborted,
    AlreadyExists,
    InvalidArgument,
)
from smokestack.engine.paging import page
from smokestack.v1 import array_pb2

from . import parameters
from .names import GROUP_LABEL, NAME_LABEL, check_name, check_volume_id, identifier_of
from .storage import PAGE_MAX, Storage, once

EXAMPLE = "arrays/a1/snapshots/s1"


class Snapshots:
    """What the array keeps of its volumes, in CSI's terms."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def create(self, request: pb.CreateSnapshotRequest) -> types.Snapshot:
        """Takes a snapshot, or finds the one that an equal request has taken."""
        check_name("name", request.name)
        check_volume_id(request.source_volume_id, "source_volume_id")
        parameters.check_parameters(request.parameters)
        name = self._storage.snapshot_name(request.name)
        found = self._storage.find_snapshot(name)
        if found is None:
            found = once(lambda: self._taken(request), lambda: self._storage.find_snapshot(name))
        same = found.labels.get(NAME_LABEL) == request.name
        if not same or found.volume != request.source_volume_id:
            raise AlreadyExists(
                f"{found.name} exists already, of {found.volume}: use another name",
                reason="SNAPSHOT_DIFFERS",
                resource=found.name,
            )
        return message(found)

    def _taken(self, request: pb.CreateSnapshotRequest) -> array_pb2.VolumeSnapshot:
        volume = self._storage.volume(request.source_volume_id)
        taken: array_pb2.VolumeSnapshot = self._storage.api.CreateVolumeSnapshot(
            array_pb2.CreateVolumeSnapshotRequest(
                parent=self._storage.name,
                volume_snapshot_id=identifier_of(request.name),
                volume_snapshot=array_pb2.VolumeSnapshot(
                    volume=volume.name, labels={NAME_LABEL: request.name}
                ),
            )
        )
        return taken

    def delete(self, snapshot_id: str) -> None:
        """Deletes a snapshot that is in no group, if it is there."""
        _check_id(snapshot_id)
        found = self._storage.find_snapshot(snapshot_id)
        if found is None:
            return
        group = found.labels.get(GROUP_LABEL)
        if group:
            raise InvalidArgument.at(
                "snapshot_id", f"{snapshot_id} is in the group {group}: delete that"
            )
        self._storage.delete_snapshot(found.name)

    def get(self, snapshot_id: str) -> types.Snapshot:
        """Returns a snapshot; NotFound says that there is none."""
        _check_id(snapshot_id)
        return message(self._storage.snapshot(snapshot_id))

    def list(self, request: pb.ListSnapshotsRequest) -> tuple[list[types.Snapshot], str]:
        """Returns a page of the snapshots that are asked for, and the next one's token."""
        if request.max_entries < 0:
            raise InvalidArgument.at("max_entries", f"{request.max_entries} is negative")
        every = {snapshot.name: snapshot for snapshot in self._wanted(request)}
        listing = f"csi snapshots {request.source_volume_id} {request.snapshot_id}"
        try:
            names, token = page(
                every, request.max_entries or PAGE_MAX, request.starting_token, listing
            )
        except InvalidArgument as refused:
            raise Aborted(
                f"starting_token {request.starting_token!r:.80} is not one of this list's: begin "
                "without one",
                reason="TOKEN_INVALID",
            ) from refused
        return [message(every[name]) for name in names], token

    def _wanted(self, request: pb.ListSnapshotsRequest) -> Iterable[array_pb2.VolumeSnapshot]:
        if request.snapshot_id:
            one = self._storage.find_snapshot(request.snapshot_id)
            found: Iterable[array_pb2.VolumeSnapshot] = [one] if one else []
        else:
            found = self._storage.snapshots()
        volume = request.source_volume_id
        return (snapshot for snapshot in found if volume in ("", snapshot.volume))


def message(snapshot: array_pb2.VolumeSnapshot) -> types.Snapshot:
    """Returns a snapshot in CSI's terms."""
    return types.Snapshot(
        size_bytes=snapshot.capacity_bytes,
        snapshot_id=snapshot.name,
        source_volume_id=snapshot.volume,
        creation_time=moment(snapshot.create_ns),
        ready_to_use=True,
        group_snapshot_id=snapshot.labels.get(GROUP_LABEL, ""),
    )


def moment(time_ns: int) -> timestamp_pb2.Timestamp:
    """Returns a virtual time as the wire has times: counted from 1970."""
    return timestamp_pb2.Timestamp(seconds=time_ns // 10**9, nanos=time_ns % 10**9)


def _check_id(snapshot_id: str) -> None:
    if not snapshot_id:
        raise InvalidArgument.at("snapshot_id", f"is missing: give one, e.g. {EXAMPLE}")
