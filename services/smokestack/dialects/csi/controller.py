"""Volumes for the whole cluster: created, exported to nodes, listed, grown."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any, Final

from google.protobuf import wrappers_pb2

from smokestack.csi.v1 import controller_pb2 as pb
from smokestack.csi.v1 import controller_pb2_grpc
from smokestack.engine.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    OutOfRange,
    ResourceExhausted,
)
from smokestack.v1 import array_pb2

from . import capabilities, capacity, health, parameters
from .hosts import Hosts
from .names import check_volume_id, last, required
from .provision import Provisioner
from .settings import DEFAULT, Settings
from .snapshots import Snapshots
from .storage import Storage, once

_RPC: Final = pb.ControllerServiceCapability.RPC
_CAN: Final = (
    _RPC.CREATE_DELETE_VOLUME,
    _RPC.PUBLISH_UNPUBLISH_VOLUME,
    _RPC.LIST_VOLUMES,
    _RPC.GET_CAPACITY,
    _RPC.CREATE_DELETE_SNAPSHOT,
    _RPC.LIST_SNAPSHOTS,
    _RPC.CLONE_VOLUME,
    _RPC.PUBLISH_READONLY,
    _RPC.EXPAND_VOLUME,
    _RPC.LIST_VOLUMES_PUBLISHED_NODES,
    _RPC.GET_VOLUME,
    _RPC.SINGLE_NODE_MULTI_WRITER,
    _RPC.MODIFY_VOLUME,
    _RPC.GET_SNAPSHOT,
)
_HEALTH: Final = (_RPC.GET_VOLUME_HEALTH, _RPC.LIST_VOLUME_HEALTH)


class Controller(controller_pb2_grpc.ControllerServicer):
    """Serves one array's volumes."""

    def __init__(
        self, storage: Storage, hosts: Hosts | None = None, settings: Settings = DEFAULT
    ) -> None:
        """Takes the array, and the multipath layer if it is known."""
        self._storage = storage
        self._hosts = hosts
        self._settings = settings
        self._provisioner = Provisioner(storage)
        self._snapshots = Snapshots(storage)
        self._turn = threading.Lock()  # of changes: each looks first, and then does something

    def ControllerGetCapabilities(
        self, request: pb.ControllerGetCapabilitiesRequest, context: Any = None
    ) -> pb.ControllerGetCapabilitiesResponse:
        kinds = _CAN + (_HEALTH if self._settings.announce_health else ())
        return pb.ControllerGetCapabilitiesResponse(
            capabilities=[pb.ControllerServiceCapability(rpc=_RPC(type=kind)) for kind in kinds]
        )

    # --- volumes ----------------------------------------------------------------------------

    def CreateVolume(
        self, request: pb.CreateVolumeRequest, context: Any = None
    ) -> pb.CreateVolumeResponse:
        with self._turn:
            return pb.CreateVolumeResponse(volume=self._provisioner.create(request))

    def DeleteVolume(
        self, request: pb.DeleteVolumeRequest, context: Any = None
    ) -> pb.DeleteVolumeResponse:
        check_volume_id(request.volume_id)
        with self._turn:
            if self._storage.find_volume(request.volume_id):
                delete = array_pb2.DeleteVolumeRequest(name=request.volume_id)
                self._storage.api.DeleteVolume(delete)
        return pb.DeleteVolumeResponse()

    def ValidateVolumeCapabilities(
        self, request: pb.ValidateVolumeCapabilitiesRequest, context: Any = None
    ) -> pb.ValidateVolumeCapabilitiesResponse:
        check_volume_id(request.volume_id)
        capabilities.check_given(request.volume_capabilities, "volume_capabilities")
        self._storage.volume(request.volume_id)
        for capability in request.volume_capabilities:
            why = capabilities.unsupported(capability)
            if why:
                return pb.ValidateVolumeCapabilitiesResponse(message=why)
        try:
            parameters.check_parameters(request.parameters, parameters.KNOWN)
            parameters.provisioning(request.parameters)
            parameters.mutable_labels(request.mutable_parameters)
        except InvalidArgument as refused:
            return pb.ValidateVolumeCapabilitiesResponse(message=refused.message)
        return pb.ValidateVolumeCapabilitiesResponse(
            confirmed=pb.ValidateVolumeCapabilitiesResponse.Confirmed(
                volume_context=request.volume_context,
                volume_capabilities=request.volume_capabilities,
                parameters=request.parameters,
                mutable_parameters=request.mutable_parameters,
            )
        )

    def ListVolumes(
        self, request: pb.ListVolumesRequest, context: Any = None
    ) -> pb.ListVolumesResponse:
        volumes, token = self._storage.volume_page(request.max_entries, request.starting_token)
        nodes, topology = self._storage.hosts_by_volume(), self._storage.topology()
        return pb.ListVolumesResponse(
            entries=[
                pb.ListVolumesResponse.Entry(
                    volume=self._provisioner.message(volume, topology),
                    status=pb.ListVolumesResponse.VolumeStatus(
                        published_node_ids=nodes.get(volume.name, ())
                    ),
                )
                for volume in volumes
            ],
            next_token=token,
        )

    def ControllerGetVolume(
        self, request: pb.ControllerGetVolumeRequest, context: Any = None
    ) -> pb.ControllerGetVolumeResponse:
        check_volume_id(request.volume_id)
        volume = self._storage.volume(request.volume_id)
        status = pb.ControllerGetVolumeResponse.VolumeStatus(
            published_node_ids=self._storage.hosts_of(volume)
        )
        return pb.ControllerGetVolumeResponse(
            volume=self._provisioner.message(volume, self._storage.topology()), status=status
        )

    def ControllerExpandVolume(
        self, request: pb.ControllerExpandVolumeRequest, context: Any = None
    ) -> pb.ControllerExpandVolumeResponse:
        check_volume_id(request.volume_id)
        wanted = request.capacity_range
        if not (wanted.required_bytes or wanted.limit_bytes):
            raise InvalidArgument.at("capacity_range", "is missing: give required_bytes")
        if request.HasField("volume_capability"):
            capabilities.check_supported([request.volume_capability], "volume_capability")
        capacity.check_range(wanted)
        with self._turn:
            volume = self._storage.volume(request.volume_id)
            if 0 < wanted.limit_bytes < volume.capacity_bytes:
                raise OutOfRange(
                    f"{volume.name} has {volume.capacity_bytes} bytes, more than the limit of "
                    f"{wanted.limit_bytes}: a volume only grows"
                )
            if volume.capacity_bytes < wanted.required_bytes:
                size = capacity.new_size(wanted)
                change = array_pb2.Volume(name=volume.name, capacity_bytes=size)
                volume = self._storage.api.UpdateVolume(
                    array_pb2.UpdateVolumeRequest(volume=change)
                )
        return pb.ControllerExpandVolumeResponse(
            capacity_bytes=volume.capacity_bytes, node_expansion_required=True
        )

    def ControllerModifyVolume(
        self, request: pb.ControllerModifyVolumeRequest, context: Any = None
    ) -> pb.ControllerModifyVolumeResponse:
        check_volume_id(request.volume_id)
        with self._turn:
            volume = self._storage.volume(request.volume_id)
            changed = parameters.mutable_labels(request.mutable_parameters)
            if changed:
                labels = {**volume.labels, **changed}
                update = array_pb2.UpdateVolumeRequest(
                    volume=array_pb2.Volume(name=volume.name, labels=labels)
                )
                self._apply(self._storage.api.UpdateVolume(update))
        return pb.ControllerModifyVolumeResponse()

    def _apply(self, volume: array_pb2.Volume) -> None:
        """Gives a volume's settings to the devices that it is on hosts by now."""
        if self._hosts is None:
            return
        fields = parameters.device_settings(volume.labels)
        for name in self._hosts.all():
            device = self._hosts.find_device(last(name), self._storage.device_id(volume))
            if device:
                self._hosts.update(device, **fields)

    # --- nodes ------------------------------------------------------------------------------

    def ControllerPublishVolume(
        self, request: pb.ControllerPublishVolumeRequest, context: Any = None
    ) -> pb.ControllerPublishVolumeResponse:
        check_volume_id(request.volume_id)
        required("node_id", request.node_id, "h1")
        if not request.HasField("volume_capability"):
            raise InvalidArgument.at("volume_capability", "is missing: say how it will be used")
        capabilities.check_complete(request.volume_capability, "volume_capability")
        capabilities.check_supported([request.volume_capability], "volume_capability")
        with self._turn:
            volume = self._storage.volume(request.volume_id)
            self._storage.host(request.node_id)
            export = self._storage.export(volume, request.node_id) or self._exported(
                volume, request
            )
            self._check_same(export, request)
        return pb.ControllerPublishVolumeResponse(publish_context=self._context(volume, export))

    def _check_same(
        self, export: array_pb2.Export, request: pb.ControllerPublishVolumeRequest
    ) -> None:
        """Refuses a repeat that wants another way of writing than the volume was published with."""
        if export.read_only != request.readonly:
            has, asks = ("only reads", "write") if export.read_only else ("writes", "only read")
            raise AlreadyExists(
                f"node {request.node_id} {has} {export.volume} by now, and is to {asks}: unpublish "
                "it first",
                reason="PUBLISHED_OTHERWISE",
                resource=export.volume,
            )

    def _exported(
        self, volume: array_pb2.Volume, request: pb.ControllerPublishVolumeRequest
    ) -> array_pb2.Export:
        """Exports a volume to one more node, if its mode and the node allow that.

        Another plugin may do the same meanwhile: what it has exported to the node is no obstacle.
        """
        others = [host for host in self._storage.hosts_of(volume) if host != request.node_id]
        if others and capabilities.for_one_node(request.volume_capability):
            raise FailedPrecondition(
                f"{volume.name} is published to node {', '.join(others)}: unpublish it there, or "
                "ask for a mode for several nodes",
                reason="PUBLISHED_ELSEWHERE",
                resource=volume.name,
            )
        self._check_room(request.node_id, volume.name)
        host = f"{self._storage.name}/hosts/{request.node_id}"
        wanted = array_pb2.Export(volume=volume.name, host=host, read_only=request.readonly)
        create = array_pb2.CreateExportRequest(parent=self._storage.name, export=wanted)
        export: array_pb2.Export = once(
            lambda: self._storage.api.CreateExport(create),
            lambda: self._storage.export(volume, request.node_id),
        )
        return export

    def _check_room(self, node_id: str, volume: str) -> None:
        if not self._settings.volumes_per_node:
            return
        count = sum(
            last(export.host) == node_id and export.volume != volume
            for export in self._storage.exports()
        )
        if count >= self._settings.volumes_per_node:
            raise ResourceExhausted(
                f"node {node_id} has {count} volumes, as many as it may: unpublish some",
                reason="NODE_FULL",
            )

    def _context(self, volume: array_pb2.Volume, export: array_pb2.Export) -> dict[str, str]:
        host = self._storage.host(last(export.host))
        fabrics = {initiator.fabric for initiator in host.initiators}
        reached = (port.name for port in self._storage.ports() if port.fabric in fabrics)
        return {
            "lun": str(export.lun),
            "ports": ",".join(last(name) for name in export.ports or reached),
            "device": self._storage.device_id(volume),
        }

    def ControllerUnpublishVolume(
        self, request: pb.ControllerUnpublishVolumeRequest, context: Any = None
    ) -> pb.ControllerUnpublishVolumeResponse:
        check_volume_id(request.volume_id)
        with self._turn:
            volume = self._storage.find_volume(request.volume_id)
            if volume is not None:
                nodes = [request.node_id] if request.node_id else self._storage.hosts_of(volume)
                for node_id in nodes:
                    self._hide(volume, node_id)
        return pb.ControllerUnpublishVolumeResponse()

    def _hide(self, volume: array_pb2.Volume, node_id: str) -> None:
        """Deletes an export and what a host has of it; either may be gone already."""
        export = self._storage.export(volume, node_id)
        if export is not None:
            with suppress(NotFound):
                delete = array_pb2.DeleteExportRequest(name=export.name)
                self._storage.api.DeleteExport(delete)
        if self._hosts and self._hosts.find_device(node_id, self._storage.device_id(volume)):
            self._hosts.rescan(node_id)

    # --- snapshots --------------------------------------------------------------------------

    def CreateSnapshot(
        self, request: pb.CreateSnapshotRequest, context: Any = None
    ) -> pb.CreateSnapshotResponse:
        with self._turn:
            return pb.CreateSnapshotResponse(snapshot=self._snapshots.create(request))

    def DeleteSnapshot(
        self, request: pb.DeleteSnapshotRequest, context: Any = None
    ) -> pb.DeleteSnapshotResponse:
        with self._turn:
            self._snapshots.delete(request.snapshot_id)
        return pb.DeleteSnapshotResponse()

    def ListSnapshots(
        self, request: pb.ListSnapshotsRequest, context: Any = None
    ) -> pb.ListSnapshotsResponse:
        found, token = self._snapshots.list(request)
        entries = [pb.ListSnapshotsResponse.Entry(snapshot=snapshot) for snapshot in found]
        return pb.ListSnapshotsResponse(entries=entries, next_token=token)

    def GetSnapshot(
        self, request: pb.GetSnapshotRequest, context: Any = None
    ) -> pb.GetSnapshotResponse:
        return pb.GetSnapshotResponse(snapshot=self._snapshots.get(request.snapshot_id))

    # --- space and health -------------------------------------------------------------------

    def GetCapacity(
        self, request: pb.GetCapacityRequest, context: Any = None
    ) -> pb.GetCapacityResponse:
        parameters.check_parameters(request.parameters, parameters.KNOWN)
        pools = self._provisioner.pools(request.parameters)
        free = sum(pool.capacity_bytes - pool.allocated_bytes for pool in pools)
        if request.HasField("accessible_topology"):
            reached = request.accessible_topology in self._storage.topology()
            free = free if reached else 0
        return pb.GetCapacityResponse(
            available_capacity=free,
            maximum_volume_size=wrappers_pb2.Int64Value(value=capacity.VOLUME_BYTES_MAX),
            minimum_volume_size=wrappers_pb2.Int64Value(value=capacity.VOLUME_BYTES_MIN),
        )

    def ControllerGetVolumeHealth(
        self, request: pb.ControllerGetVolumeHealthRequest, context: Any = None
    ) -> pb.ControllerGetVolumeHealthResponse:
        check_volume_id(request.volume_id)
        [found] = health.of_volumes(self._storage, [self._storage.volume(request.volume_id)])
        return pb.ControllerGetVolumeHealthResponse(volume_health=found)

    def ControllerListVolumeHealth(
        self, request: pb.ControllerListVolumeHealthRequest, context: Any = None
    ) -> pb.ControllerListVolumeHealthResponse:
        volumes, token = self._storage.volume_page(request.max_entries, request.starting_token)
        found = health.of_volumes(self._storage, volumes)
        return pb.ControllerListVolumeHealthResponse(entries=found, next_token=token)
