"""Groups of snapshots: taken at one border of virtual time, deleted together.

A group is nothing that the array knows: each of its snapshots has the group's identifier as label.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Final

from smokestack.csi.v1 import group_pb2 as pb
from smokestack.csi.v1 import group_pb2_grpc
from smokestack.engine.errors import AlreadyExists, InvalidArgument, NotFound
from smokestack.v1 import array_pb2

from . import parameters
from .names import GROUP_LABEL, NAME_LABEL, check_name, identifier_of, last
from .snapshots import message, moment
from .storage import Storage

_RPC: Final = pb.GroupControllerServiceCapability.RPC


class GroupController(group_pb2_grpc.GroupControllerServicer):
    """Serves groups of one array's snapshots."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._turn = threading.Lock()

    def GroupControllerGetCapabilities(
        self, request: pb.GroupControllerGetCapabilitiesRequest, context: Any = None
    ) -> pb.GroupControllerGetCapabilitiesResponse:
        every = _RPC(type=_RPC.CREATE_DELETE_GET_VOLUME_GROUP_SNAPSHOT)
        return pb.GroupControllerGetCapabilitiesResponse(
            capabilities=[pb.GroupControllerServiceCapability(rpc=every)]
        )

    def CreateVolumeGroupSnapshot(
        self, request: pb.CreateVolumeGroupSnapshotRequest, context: Any = None
    ) -> pb.CreateVolumeGroupSnapshotResponse:
        check_name("name", request.name)
        sources = sorted(set(request.source_volume_ids))
        if not sources or not all(sources):
            raise InvalidArgument.at("source_volume_ids", "is missing: give at least one volume")
        parameters.check_parameters(request.parameters)
        group_id = f"{self._storage.name}/groups/{identifier_of(request.name)}"
        with self._turn:
            found = self._members(group_id)
            if not found:
                found = self._taken(group_id, request.name, sources)
            elif sorted(snapshot.volume for snapshot in found) != sources:
                volumes = ", ".join(snapshot.volume for snapshot in found)
                raise AlreadyExists(
                    f"{group_id} exists already, of {volumes}: use another name",
                    reason="GROUP_DIFFERS",
                    resource=group_id,
                )
        return pb.CreateVolumeGroupSnapshotResponse(group_snapshot=self._message(group_id, found))

    def DeleteVolumeGroupSnapshot(
        self, request: pb.DeleteVolumeGroupSnapshotRequest, context: Any = None
    ) -> pb.DeleteVolumeGroupSnapshotResponse:
        _check_id(request.group_snapshot_id)
        with self._turn:
            found = self._members(request.group_snapshot_id)
            _check_members(found, request.snapshot_ids)
            for snapshot in found:
                self._storage.delete_snapshot(snapshot.name)
        return pb.DeleteVolumeGroupSnapshotResponse()

    def GetVolumeGroupSnapshot(
        self, request: pb.GetVolumeGroupSnapshotRequest, context: Any = None
    ) -> pb.GetVolumeGroupSnapshotResponse:
        _check_id(request.group_snapshot_id)
        found = self._members(request.group_snapshot_id)
        if not found:
            raise NotFound(
                f"{request.group_snapshot_id!r} is no group of {self._storage.name}",
                resource=request.group_snapshot_id,
            )
        _check_members(found, request.snapshot_ids)
        group = self._message(request.group_snapshot_id, found)
        return pb.GetVolumeGroupSnapshotResponse(group_snapshot=group)

    def _members(self, group_id: str) -> list[array_pb2.VolumeSnapshot]:
        every = self._storage.snapshots()
        return [snapshot for snapshot in every if snapshot.labels.get(GROUP_LABEL) == group_id]

    def _taken(
        self, group_id: str, name: str, sources: Sequence[str]
    ) -> list[array_pb2.VolumeSnapshot]:
        """Takes all of a group's snapshots, or none."""
        requests = []
        for source in sources:
            volume = self._storage.volume(source)
            own_name = f"{name}/{last(volume.name)}"
            labels = {NAME_LABEL: own_name, GROUP_LABEL: group_id}
            requests.append(
                array_pb2.CreateVolumeSnapshotRequest(
                    volume_snapshot_id=identifier_of(own_name),
                    volume_snapshot=array_pb2.VolumeSnapshot(volume=volume.name, labels=labels),
                )
            )
        answer = self._storage.api.BatchCreateVolumeSnapshots(
            array_pb2.BatchCreateVolumeSnapshotsRequest(
                parent=self._storage.name, requests=requests
            )
        )
        return list(answer.volume_snapshots)

    def _message(
        self, group_id: str, snapshots: Sequence[array_pb2.VolumeSnapshot]
    ) -> pb.VolumeGroupSnapshot:
        return pb.VolumeGroupSnapshot(
            group_snapshot_id=group_id,
            snapshots=[message(snapshot) for snapshot in snapshots],
            creation_time=moment(snapshots[0].create_ns),
            ready_to_use=True,
        )


def _check_id(group_id: str) -> None:
    if not group_id:
        raise InvalidArgument.at("group_snapshot_id", "is missing")


def _check_members(found: Sequence[array_pb2.VolumeSnapshot], snapshot_ids: Sequence[str]) -> None:
    """Refuses a list that is not the group's; no list is not compared."""
    members = [snapshot.name for snapshot in found]
    if found and snapshot_ids and sorted(snapshot_ids) != sorted(members):
        raise InvalidArgument.at("snapshot_ids", f"are not those of the group: {members}")
