"""One node: its host rescans, and device and paths appear or are gone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

from smokestack.csi.v1 import node_pb2 as pb
from smokestack.csi.v1 import node_pb2_grpc
from smokestack.csi.v1 import types_pb2 as types
from smokestack.engine.errors import FailedPrecondition, InvalidArgument, NotFound, OutOfRange
from smokestack.v1 import array_pb2, multipath_pb2

from . import capabilities, capacity, health, parameters, targets
from .hosts import Hosts
from .mounts import Mount, Mounts
from .names import HOST_KEY, check_volume_id, required
from .settings import DEFAULT, Settings
from .storage import Storage

_RPC: Final = pb.NodeServiceCapability.RPC
_CAN: Final = (
    _RPC.STAGE_UNSTAGE_VOLUME,
    _RPC.GET_VOLUME_STATS,
    _RPC.EXPAND_VOLUME,
    _RPC.SINGLE_NODE_MULTI_WRITER,
)
_HEALTH: Final = (_RPC.GET_VOLUME_HEALTH, _RPC.GET_STORAGE_HEALTH)
_STORAGE_STATUS: Final = {
    types.DEGRADED: pb.STORAGE_DEGRADED,
    types.INACCESSIBLE: pb.STORAGE_UNREACHABLE,
}


class Node(node_pb2_grpc.NodeServicer):
    """Serves one host of a multipath layer."""

    def __init__(self, storage: Storage, hosts: Hosts, settings: Settings = DEFAULT) -> None:
        self._storage = storage
        self._hosts = hosts
        self._settings = settings
        self._turn = threading.Lock()

    @property
    def node_id(self) -> str:
        """The host's identifier."""
        return self._settings.node_id or self._hosts.first()

    def NodeGetInfo(
        self, request: pb.NodeGetInfoRequest, context: Any = None
    ) -> pb.NodeGetInfoResponse:
        node_id = self.node_id
        return pb.NodeGetInfoResponse(
            node_id=node_id,
            max_volumes_per_node=self._settings.volumes_per_node,
            accessible_topology=types.Topology(segments={HOST_KEY: node_id}),
        )

    def NodeGetCapabilities(
        self, request: pb.NodeGetCapabilitiesRequest, context: Any = None
    ) -> pb.NodeGetCapabilitiesResponse:
        kinds = _CAN + (_HEALTH if self._settings.announce_health else ())
        return pb.NodeGetCapabilitiesResponse(
            capabilities=[pb.NodeServiceCapability(rpc=_RPC(type=kind)) for kind in kinds]
        )

    # --- staging and publishing -------------------------------------------------------------

    def NodeStageVolume(
        self, request: pb.NodeStageVolumeRequest, context: Any = None
    ) -> pb.NodeStageVolumeResponse:
        check_volume_id(request.volume_id)
        targets.check_path("staging_target_path", request.staging_target_path)
        _check_capability(request)
        mount = Mount.of(request.staging_target_path, request.volume_capability, staged=True)
        with self._turn:
            self._check(request.volume_id, lambda mounts: mounts.add(mount))
            device, volume = self._appeared(request.volume_id)
            mounts = Mounts(device.name, device.labels)
            mounts.add(mount)
            self._keep(device, mounts, volume)
        return pb.NodeStageVolumeResponse()

    def NodeUnstageVolume(
        self, request: pb.NodeUnstageVolumeRequest, context: Any = None
    ) -> pb.NodeUnstageVolumeResponse:
        check_volume_id(request.volume_id)
        targets.check_path("staging_target_path", request.staging_target_path)
        with self._turn:
            self._forget(request.volume_id, request.staging_target_path, staged=True)
        return pb.NodeUnstageVolumeResponse()

    def NodePublishVolume(
        self, request: pb.NodePublishVolumeRequest, context: Any = None
    ) -> pb.NodePublishVolumeResponse:
        check_volume_id(request.volume_id)
        targets.check_path("target_path", request.target_path)
        _check_capability(request)
        if not request.staging_target_path:
            raise FailedPrecondition(
                "staging_target_path is missing: stage the volume, and say where",
                reason="NOT_STAGED",
            )
        capability = request.volume_capability
        mount = Mount.of(request.target_path, capability, readonly=request.readonly)

        def publish(mounts: Mounts) -> None:
            mounts.check_publish(mount, request.staging_target_path, capability)
            mounts.add(mount)

        with self._turn:
            known = self._check(request.volume_id, publish)
            if known is None:
                raise FailedPrecondition(
                    f"volume {request.volume_id} is not staged on node {self.node_id}: call "
                    "NodeStageVolume first",
                    reason="NOT_STAGED",
                )
            local = targets.is_local(context)
            made = local and targets.make(mount.path, mount.access, known.name)
            try:
                device, volume = self._appeared(request.volume_id)
                mounts = Mounts(device.name, device.labels)
                publish(mounts)
                self._keep(device, mounts, volume)
            except BaseException:
                if made:
                    targets.remove(mount.path)
                raise
        return pb.NodePublishVolumeResponse()

    def NodeUnpublishVolume(
        self, request: pb.NodeUnpublishVolumeRequest, context: Any = None
    ) -> pb.NodeUnpublishVolumeResponse:
        check_volume_id(request.volume_id)
        targets.check_path("target_path", request.target_path)
        with self._turn:
            if targets.is_local(context):
                targets.remove(request.target_path)
            self._forget(request.volume_id, request.target_path, staged=False)
        return pb.NodeUnpublishVolumeResponse()

    def _check(self, volume_id: str, use: Callable[[Mounts], None]) -> multipath_pb2.Device | None:
        """Refuses what goes against what the host knows of a volume, before it rescans for it."""
        self._storage.volume(volume_id)
        device = self._device(volume_id)
        if device is not None:
            use(Mounts(device.name, device.labels))
        return device

    def _appeared(self, volume_id: str) -> tuple[multipath_pb2.Device, array_pb2.Volume]:
        """Rescans the host, and returns the device that a volume is there."""
        volume = self._storage.volume(volume_id)
        node_id = self.node_id
        self._hosts.rescan(node_id)
        device = self._hosts.find_device(node_id, self._storage.device_id(volume))
        if device is None:
            raise FailedPrecondition(
                f"node {node_id} does not see {volume.name}: call ControllerPublishVolume first",
                reason="NOT_PUBLISHED",
                resource=volume.name,
            )
        return device, volume

    def _keep(self, device: multipath_pb2.Device, mounts: Mounts, volume: array_pb2.Volume) -> None:
        """Writes a device's paths down, and gives it the volume's settings."""
        settings = parameters.device_settings(volume.labels)
        self._hosts.update(device, labels=mounts.labels(), **settings)

    def _forget(self, volume_id: str, path: str, *, staged: bool) -> None:
        device = self._device(volume_id)
        if device is not None:
            mounts = Mounts(device.name, device.labels)
            mounts.remove(path, staged=staged)
            self._hosts.update(device, labels=mounts.labels())

    def _device(self, volume_id: str) -> multipath_pb2.Device | None:
        volume = self._storage.find_volume(volume_id)
        if volume is None:
            return None
        return self._hosts.find_device(self.node_id, self._storage.device_id(volume))

    # --- what is there ----------------------------------------------------------------------

    def NodeGetVolumeStats(
        self, request: pb.NodeGetVolumeStatsRequest, context: Any = None
    ) -> pb.NodeGetVolumeStatsResponse:
        device = self._used(request)
        used = self._storage.volume(request.volume_id).allocated_bytes
        usage = pb.VolumeUsage(
            unit=pb.VolumeUsage.BYTES,
            total=device.capacity_bytes,
            used=used,
            available=max(device.capacity_bytes - used, 0),
        )
        return pb.NodeGetVolumeStatsResponse(usage=[usage])

    def NodeExpandVolume(
        self, request: pb.NodeExpandVolumeRequest, context: Any = None
    ) -> pb.NodeExpandVolumeResponse:
        wanted = request.capacity_range
        with self._turn:
            device = self._used(request)
            capacity.check_range(wanted)
            if not capacity.fits(device.capacity_bytes, wanted):
                device, _ = self._appeared(request.volume_id)
        if not capacity.fits(device.capacity_bytes, wanted):
            raise OutOfRange(
                f"{device.name} has {device.capacity_bytes} bytes, which is not within "
                "capacity_range: call ControllerExpandVolume first"
            )
        return pb.NodeExpandVolumeResponse(capacity_bytes=device.capacity_bytes)

    def NodeGetVolumeHealth(
        self, request: pb.NodeGetVolumeHealthRequest, context: Any = None
    ) -> pb.NodeGetVolumeHealthResponse:
        check_volume_id(request.volume_id)
        device = self._device(request.volume_id)
        if device is None:
            raise self._unknown(request.volume_id)
        entries = health.of_device(device, self._hosts.paths(device))
        found = types.VolumeHealth(volume_id=request.volume_id, health_statuses=entries)
        return pb.NodeGetVolumeHealthResponse(volume_health=found)

    def NodeGetStorageHealth(
        self, request: pb.NodeGetStorageHealthRequest, context: Any = None
    ) -> pb.NodeGetStorageHealthResponse:
        node_id = self.node_id
        devices = self._hosts.devices(node_id, self._storage.array_id)
        paths = [path for device in devices for path in self._hosts.paths(device)]
        entries = health.of_paths(self._storage.name, paths) if paths else []
        return pb.NodeGetStorageHealthResponse(
            backend_health=[
                pb.NodeGetStorageHealthResponse.StorageBackendHealth(
                    status=_STORAGE_STATUS[entry.status],
                    reason=entry.reason,
                    message=entry.message,
                )
                for entry in entries
            ]
        )

    def _used(self, request: Any) -> multipath_pb2.Device:
        """Returns the device of a volume that is in use at a path; NotFound says that it is not."""
        check_volume_id(request.volume_id)
        required("volume_path", request.volume_path, "/var/lib/…/mount")
        device = self._device(request.volume_id)
        if device is None:
            raise self._unknown(request.volume_id)
        if Mounts(device.name, device.labels).at(request.volume_path) is None:
            raise NotFound(
                f"{device.name} is not used at {request.volume_path}", resource=device.name
            )
        return device

    def _unknown(self, volume_id: str) -> NotFound:
        return NotFound(f"node {self.node_id} has no volume {volume_id!r}", resource=volume_id)


def _check_capability(request: Any) -> None:
    if not request.HasField("volume_capability"):
        raise InvalidArgument.at("volume_capability", "is missing: say how it will be used")
    capabilities.check_complete(request.volume_capability, "volume_capability")
    wrong = capabilities.unsupported(request.volume_capability)
    if wrong:
        raise FailedPrecondition(f"volume_capability: {wrong}", reason="CAPABILITY_UNSUPPORTED")
