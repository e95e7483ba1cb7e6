"""A CSI client as an orchestrator has one: stubs on a channel, and requests that are right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc

from smokestack.csi.v1 import (
    controller_pb2,
    controller_pb2_grpc,
    identity_pb2_grpc,
    node_pb2,
    node_pb2_grpc,
    types_pb2,
)

GIB = 1 << 30
MODES = types_pb2.VolumeCapability.AccessMode


def capability(
    mode: str = "SINGLE_NODE_WRITER", access: str = "mount", **fields: Any
) -> types_pb2.VolumeCapability:
    return types_pb2.VolumeCapability(
        access_mode=MODES(mode=mode),
        **{access: fields},  # type: ignore[arg-type]
    )


class Client:
    """One orchestrator, and the paths of its node below a folder."""

    def __init__(self, address: str, folder: Path) -> None:
        self.channel = grpc.insecure_channel(
            address.replace("unix://", "unix:"), [("grpc.enable_http_proxy", 0)]
        )
        self.identity = identity_pb2_grpc.IdentityStub(self.channel)
        self.controller = controller_pb2_grpc.ControllerStub(self.channel)
        self.node = node_pb2_grpc.NodeStub(self.channel)
        self.staging = folder / "staging"
        self.staging.mkdir()
        self.target = folder / "target"

    def create(self, name: str, size: int = GIB, **fields: Any) -> types_pb2.Volume:
        request = controller_pb2.CreateVolumeRequest(
            name=name,
            capacity_range=types_pb2.CapacityRange(required_bytes=size),
            volume_capabilities=[capability()],
            **fields,
        )
        made: types_pb2.Volume = self.controller.CreateVolume(request).volume
        return made

    def publish(
        self,
        volume_id: str,
        node: str = "h1",
        used: types_pb2.VolumeCapability | None = None,
        **fields: Any,
    ) -> dict[str, str]:
        request = controller_pb2.ControllerPublishVolumeRequest(
            volume_id=volume_id, node_id=node, volume_capability=used or capability(), **fields
        )
        return dict(self.controller.ControllerPublishVolume(request).publish_context)

    def unpublish(self, volume_id: str, node: str = "") -> None:
        self.controller.ControllerUnpublishVolume(
            controller_pb2.ControllerUnpublishVolumeRequest(volume_id=volume_id, node_id=node)
        )

    def delete(self, volume_id: str) -> None:
        self.controller.DeleteVolume(controller_pb2.DeleteVolumeRequest(volume_id=volume_id))

    def node_stage(self, volume_id: str, used: types_pb2.VolumeCapability | None = None) -> None:
        self.node.NodeStageVolume(
            node_pb2.NodeStageVolumeRequest(
                volume_id=volume_id,
                staging_target_path=str(self.staging),
                volume_capability=used or capability(),
            )
        )

    def node_publish(
        self,
        volume_id: str,
        used: types_pb2.VolumeCapability | None = None,
        target: Path | None = None,
        **fields: Any,
    ) -> None:
        self.node.NodePublishVolume(
            node_pb2.NodePublishVolumeRequest(
                volume_id=volume_id,
                staging_target_path=str(self.staging),
                target_path=str(target or self.target),
                volume_capability=used or capability(),
                **fields,
            )
        )

    def node_unpublish(self, volume_id: str, target: Path | None = None) -> None:
        self.node.NodeUnpublishVolume(
            node_pb2.NodeUnpublishVolumeRequest(
                volume_id=volume_id, target_path=str(target or self.target)
            )
        )

    def node_unstage(self, volume_id: str) -> None:
        self.node.NodeUnstageVolume(
            node_pb2.NodeUnstageVolumeRequest(
                volume_id=volume_id, staging_target_path=str(self.staging)
            )
        )

    def use(self, name: str, used: types_pb2.VolumeCapability | None = None) -> str:
        """Goes all the way: a new volume, published, staged, published on the node."""
        volume_id = self.create(name).volume_id
        self.publish(volume_id, used=used)
        self.node_stage(volume_id, used)
        self.node_publish(volume_id, used)
        return volume_id
