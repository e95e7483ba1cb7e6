"""The array behind the plugin, asked through its own API: volumes, exports, hosts, pools.

What is missing is None here and an error where it is needed: CSI has its own words for most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from smokestack.csi.v1 import types_pb2 as types
from smokestack.engine.errors import Aborted, AlreadyExists, InvalidArgument, NotFound
from smokestack.v1 import array_pb2 as pb

from .names import HOST_KEY, identifier_of, last

PAGE_MAX = 10_000
_T = TypeVar("_T")


class Storage:
    """One array: handlers of this process or stubs of another, which raise refusals alike."""

    def __init__(self, api: Any, name: str) -> None:
        self.api = api
        self.name = name  # e.g. "arrays/a1"

    @property
    def array_id(self) -> str:
        """The array's identifier."""
        return last(self.name)

    # --- volumes ----------------------------------------------------------------------------

    def volume_name(self, name: str) -> str:
        """Returns the full name of the volume that CSI calls so."""
        return f"{self.name}/volumes/{identifier_of(name)}"

    def device_id(self, volume: pb.Volume) -> str:
        """Returns what hosts call a volume."""
        return f"{self.array_id}.{last(volume.name)}"

    def find_volume(self, name: str) -> pb.Volume | None:
        """Returns a volume, or None for what names none of this array's."""
        return self._found(lambda: self.api.GetVolume(pb.GetVolumeRequest(name=name)))

    def volume(self, name: str) -> pb.Volume:
        """Returns a volume; NotFound says that there is none."""
        found = self.find_volume(name)
        if found is None:
            raise NotFound(f"{name!r} is no volume of {self.name}", resource=name)
        return found

    def volume_page(self, size: int, token: str) -> tuple[list[pb.Volume], str]:
        """Returns a page of the volumes, and the next one's token; Aborted: the token is wrong."""
        if size < 0:
            raise InvalidArgument.at("max_entries", f"{size} is negative")
        request = pb.ListVolumesRequest(
            parent=self.name, page_size=size or PAGE_MAX, page_token=token
        )
        answer = self.paged(self.api.ListVolumes, request)
        return list(answer.volumes), answer.next_page_token

    # --- snapshots --------------------------------------------------------------------------

    def snapshot_name(self, name: str) -> str:
        """Returns the full name of the snapshot that CSI calls so."""
        return f"{self.name}/snapshots/{identifier_of(name)}"

    def find_snapshot(self, name: str) -> pb.VolumeSnapshot | None:
        """Returns a snapshot, or None for what names none of this array's."""
        request = pb.GetVolumeSnapshotRequest(name=name)
        return self._found(lambda: self.api.GetVolumeSnapshot(request))

    def snapshot(self, name: str) -> pb.VolumeSnapshot:
        """Returns a snapshot; NotFound says that there is none."""
        found = self.find_snapshot(name)
        if found is None:
            raise NotFound(f"{name!r} is no snapshot of {self.name}", resource=name)
        return found

    def snapshots(self) -> Iterator[pb.VolumeSnapshot]:
        """Yields all snapshots, sorted by name."""
        method = self.api.ListVolumeSnapshots
        return self._all(method, pb.ListVolumeSnapshotsRequest, "volume_snapshots")

    def delete_snapshot(self, name: str) -> None:
        """Deletes a snapshot."""
        self.api.DeleteVolumeSnapshot(pb.DeleteVolumeSnapshotRequest(name=name))

    @staticmethod
    def paged(method: Callable[[Any], Any], request: Any) -> Any:
        """Calls a list method; a token that is not the list's is answered as CSI has it."""
        try:
            return method(request)
        except InvalidArgument as refused:
            if any(v.field == "page_token" for v in refused.violations):
                raise Aborted(
                    f"starting_token {request.page_token!r:.80} is not one of this list's: begin "
                    "without one",
                    reason="TOKEN_INVALID",
                ) from refused
            raise

    # --- hosts and exports ------------------------------------------------------------------

    def host(self, host_id: str) -> pb.ArrayHost:
        """Returns a host; NotFound says that the array does not know it."""
        name = f"{self.name}/hosts/{host_id}"
        request = pb.GetArrayHostRequest(name=name)
        found: pb.ArrayHost | None = self._found(lambda: self.api.GetArrayHost(request))
        if found is None:
            raise NotFound(f"node {host_id!r} is no host that {self.name} knows", resource=name)
        return found

    def export(self, volume: pb.Volume, host_id: str) -> pb.Export | None:
        """Returns a volume's export to a host, if there is one."""
        name = f"{self.name}/exports/{last(volume.name)}.{host_id}"
        return self._found(lambda: self.api.GetExport(pb.GetExportRequest(name=name)))

    def hosts_of(self, volume: pb.Volume) -> list[str]:
        """Returns the hosts that a volume is exported to, sorted."""
        hosts = (last(host.name) for host in self.hosts())
        return [host_id for host_id in hosts if self.export(volume, host_id)]

    def hosts_by_volume(self) -> dict[str, list[str]]:
        """Returns the hosts of every exported volume, sorted, by its full name."""
        found: dict[str, list[str]] = {}
        for export in self.exports():
            found.setdefault(export.volume, []).append(last(export.host))
        return {volume: sorted(hosts) for volume, hosts in found.items()}

    def exports(self) -> Iterator[pb.Export]:
        """Yields all exports."""
        return self._all(self.api.ListExports, pb.ListExportsRequest, "exports")

    def hosts(self) -> Iterator[pb.ArrayHost]:
        """Yields all hosts, sorted by name."""
        return self._all(self.api.ListArrayHosts, pb.ListArrayHostsRequest, "array_hosts")

    def ports(self) -> Iterator[pb.Port]:
        """Yields all ports, sorted by name."""
        return self._all(self.api.ListPorts, pb.ListPortsRequest, "ports")

    def pools(self) -> Iterator[pb.Pool]:
        """Yields all pools, sorted by name."""
        return self._all(self.api.ListPools, pb.ListPoolsRequest, "pools")

    def topology(self) -> list[types.Topology]:
        """Returns a place for each host that shares a fabric with the array."""
        fabrics = {port.fabric for port in self.ports()}
        return [
            types.Topology(segments={HOST_KEY: last(host.name)})
            for host in self.hosts()
            if any(initiator.fabric in fabrics for initiator in host.initiators)
        ]

    # --- asking -----------------------------------------------------------------------------

    def _all(self, method: Callable[[Any], Any], kind: Any, field: str) -> Iterator[Any]:
        token = ""
        while True:
            answer = method(kind(parent=self.name, page_size=PAGE_MAX, page_token=token))
            yield from getattr(answer, field)
            token = answer.next_page_token
            if not token:
                return

    def _found(self, ask: Callable[[], _T]) -> _T | None:
        """Returns an answer; None where a name leads nowhere, or is none."""
        try:
            return ask()
        except (NotFound, InvalidArgument):
            return None


def once(make: Callable[[], _T], find: Callable[[], _T | None]) -> _T:
    """Makes something, or finds what another plugin has made in the meantime."""
    try:
        return make()
    except AlreadyExists:
        found = find()
        if found is None:
            raise
        return found


def is_reachable(required: types.TopologyRequirement, reachable: Sequence[types.Topology]) -> bool:
    """Whether one of the places that are asked for reaches the array; no place is any."""
    places = list(required.requisite) or list(required.preferred)
    return not places or any(place in reachable for place in places)
