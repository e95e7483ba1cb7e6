"""Who the plugin is, and whether what it stands on answers."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from google.protobuf import wrappers_pb2

from smokestack.csi.v1 import identity_pb2 as pb
from smokestack.csi.v1 import identity_pb2_grpc
from smokestack.engine.errors import FailedPrecondition, Refused
from smokestack.v1 import array_pb2, multipath_pb2

from .hosts import Hosts
from .names import PLUGIN_NAME
from .storage import Storage

_DISTRIBUTION = "smokestack-emulator"
_SERVICE = pb.PluginCapability.Service
_EXPANSION = pb.PluginCapability.VolumeExpansion


class Identity(identity_pb2_grpc.IdentityServicer):
    """Serves the plugin's name and state."""

    def __init__(self, storage: Storage, hosts: Hosts | None) -> None:
        self._storage = storage
        self._hosts = hosts

    def GetPluginInfo(
        self, request: pb.GetPluginInfoRequest, context: Any = None
    ) -> pb.GetPluginInfoResponse:
        return pb.GetPluginInfoResponse(
            name=PLUGIN_NAME, vendor_version=_version(), manifest={"array": self._storage.name}
        )

    def GetPluginCapabilities(
        self, request: pb.GetPluginCapabilitiesRequest, context: Any = None
    ) -> pb.GetPluginCapabilitiesResponse:
        services = (
            _SERVICE.CONTROLLER_SERVICE,
            _SERVICE.VOLUME_ACCESSIBILITY_CONSTRAINTS,
            _SERVICE.GROUP_CONTROLLER_SERVICE,
        )
        return pb.GetPluginCapabilitiesResponse(
            capabilities=[
                *(pb.PluginCapability(service=_SERVICE(type=kind)) for kind in services),
                pb.PluginCapability(volume_expansion=_EXPANSION(type=_EXPANSION.ONLINE)),
            ]
        )

    def Probe(self, request: pb.ProbeRequest, context: Any = None) -> pb.ProbeResponse:
        try:
            self._storage.api.ListArrays(array_pb2.ListArraysRequest())
            if self._hosts is not None:
                self._hosts.api.ListMultipaths(multipath_pb2.ListMultipathsRequest())
        except Refused as refused:
            raise FailedPrecondition(
                f"what the plugin stands on does not answer: {refused.message}",
                reason="NOT_READY",
            ) from refused
        return pb.ProbeResponse(ready=wrappers_pb2.BoolValue(value=True))


def _version() -> str:
    try:
        return metadata.version(_DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "unknown"  # run from its source
