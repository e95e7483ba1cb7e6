"""The multipath layer behind the plugin: hosts, and the devices that their rescans find."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from smokestack.engine.errors import FailedPrecondition, InvalidArgument, NotFound
from smokestack.v1 import multipath_pb2 as pb

from .names import last
from .storage import PAGE_MAX


class Hosts:
    """One multipath layer: handlers of this process or stubs of another."""

    def __init__(self, api: Any) -> None:
        self.api = api

    @cached_property
    def name(self) -> str:
        """The layer's full name; a service has one layer."""
        found: str = self.api.ListMultipaths(pb.ListMultipathsRequest()).multipaths[0].name
        return found

    def first(self) -> str:
        """Returns the first host's identifier; FailedPrecondition says that there is none."""
        request = pb.ListMultipathHostsRequest(parent=self.name, page_size=1)
        for host in self.api.ListMultipathHosts(request).multipath_hosts:
            return last(host.name)
        raise FailedPrecondition(
            f"{self.name} has no host: create one, or name one when the plugin is started",
            reason="NO_NODE",
        )

    def all(self) -> Iterator[str]:
        """Yields the hosts' full names, sorted."""
        token = ""
        parent = self.name
        while True:
            request = pb.ListMultipathHostsRequest(
                parent=parent, page_size=PAGE_MAX, page_token=token
            )
            answer = self.api.ListMultipathHosts(request)
            yield from (host.name for host in answer.multipath_hosts)
            token = answer.next_page_token
            if not token:
                return

    def rescan(self, host_id: str) -> None:
        """Rescans a host; NotFound says that there is no such host."""
        name = f"{self.name}/hosts/{host_id}"
        self.api.RescanMultipathHost(pb.RescanMultipathHostRequest(name=name))

    def find_device(self, host_id: str, device_id: str) -> pb.Device | None:
        """Returns a device as its host's last rescan left it; None: no such device, or host."""
        name = f"{self.name}/hosts/{host_id}/devices/{device_id}"
        try:
            found: pb.Device = self.api.GetDevice(pb.GetDeviceRequest(name=name))
        except (NotFound, InvalidArgument):
            return None
        return found

    def devices(self, host_id: str, array_id: str) -> Iterator[pb.Device]:
        """Yields a host's devices that are volumes of one array."""
        token = ""
        parent = f"{self.name}/hosts/{host_id}"
        while True:
            request = pb.ListDevicesRequest(parent=parent, page_size=PAGE_MAX, page_token=token)
            answer = self.api.ListDevices(request)
            yield from (d for d in answer.devices if d.volume.startswith(f"arrays/{array_id}/"))
            token = answer.next_page_token
            if not token:
                return

    def update(self, device: pb.Device, **fields: Any) -> pb.Device:
        """Changes a device."""
        request = pb.UpdateDeviceRequest(device=pb.Device(name=device.name, **fields))
        request.update_mask.paths.extend(fields)
        changed: pb.Device = self.api.UpdateDevice(request)
        return changed

    def paths(self, device: pb.Device) -> list[pb.Path]:
        """Returns the paths to a device."""
        request = pb.ListPathsRequest(parent=device.name, page_size=PAGE_MAX)
        return list(self.api.ListPaths(request).paths)
