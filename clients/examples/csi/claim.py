"""A claim's life over CSI, as an orchestrator's sidecars live it: python claim.py [ENDPOINT]

With `smokestack up --csi-endpoint unix:///tmp/csi.sock` running in another terminal.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import grpc

from smokestack.csi.v1 import controller_pb2, controller_pb2_grpc, node_pb2, node_pb2_grpc
from smokestack.csi.v1.types_pb2 import CapacityRange, VolumeCapability

CAPABILITY = VolumeCapability(
    block=VolumeCapability.BlockVolume(),
    access_mode=VolumeCapability.AccessMode(mode="SINGLE_NODE_WRITER"),
)


def main(endpoint: str = "unix:///tmp/csi.sock") -> None:
    """Provisions, attaches and publishes a volume, and takes all of it back."""
    with grpc.insecure_channel(endpoint) as channel, tempfile.TemporaryDirectory() as folder:
        controller = controller_pb2_grpc.ControllerStub(channel)
        node = node_pb2_grpc.NodeStub(channel)
        node_id = node.NodeGetInfo(node_pb2.NodeGetInfoRequest()).node_id

        # external-provisioner
        volume = controller.CreateVolume(
            controller_pb2.CreateVolumeRequest(
                name="pvc-example",
                capacity_range=CapacityRange(required_bytes=10 << 30),
                volume_capabilities=[CAPABILITY],
                parameters={"pool": "p1", "csi.storage.k8s.io/pvc/name": "data"},
            )
        ).volume
        print(f"provisioned {volume.volume_id}, {volume.capacity_bytes >> 30} GiB")

        # external-attacher
        publish = controller_pb2.ControllerPublishVolumeRequest(
            volume_id=volume.volume_id, node_id=node_id, volume_capability=CAPABILITY
        )
        context = controller.ControllerPublishVolume(publish).publish_context
        print(f"attached to {node_id} as LUN {context['lun']}, through ports {context['ports']}")

        # kubelet
        named = {"volume_id": volume.volume_id, "staging_target_path": f"{folder}/staging"}
        target = Path(folder, "target")
        node.NodeStageVolume(node_pb2.NodeStageVolumeRequest(**named, volume_capability=CAPABILITY))
        node.NodePublishVolume(
            node_pb2.NodePublishVolumeRequest(
                **named, target_path=str(target), volume_capability=CAPABILITY
            )
        )
        print(f"published: {target.read_text().strip()}")
        health = node.NodeGetVolumeHealth(
            node_pb2.NodeGetVolumeHealthRequest(volume_id=volume.volume_id)
        ).volume_health
        print(f"healthy: {not health.health_statuses}")

        # And back.
        node.NodeUnpublishVolume(
            node_pb2.NodeUnpublishVolumeRequest(volume_id=volume.volume_id, target_path=str(target))
        )
        node.NodeUnstageVolume(node_pb2.NodeUnstageVolumeRequest(**named))
        controller.ControllerUnpublishVolume(
            controller_pb2.ControllerUnpublishVolumeRequest(
                volume_id=volume.volume_id, node_id=node_id
            )
        )
        controller.DeleteVolume(controller_pb2.DeleteVolumeRequest(volume_id=volume.volume_id))
        print("deleted")


if __name__ == "__main__":
    main(*sys.argv[1:])
