"""How a volume comes to be: from which pool, how large, and whether an earlier one is the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from smokestack.csi.v1 import controller_pb2 as pb
from smokestack.csi.v1 import types_pb2 as types
from smokestack.engine.errors import AlreadyExists, InvalidArgument, ResourceExhausted
from smokestack.v1 import array_pb2

from . import capabilities, capacity, parameters
from .names import NAME_LABEL, check_name, identifier_of, last
from .storage import Storage, is_reachable, once


@dataclass(frozen=True)
class Source:
    """What a volume begins as a copy of: full name of a volume, or of a snapshot, or nothing."""

    volume: str = ""
    snapshot: str = ""
    pool: str = ""
    capacity_bytes: int = 0

    def message(self) -> types.VolumeContentSource | None:
        """Returns it in CSI's terms."""
        if self.volume:
            volume = types.VolumeContentSource.VolumeSource(volume_id=self.volume)
            return types.VolumeContentSource(volume=volume)
        if self.snapshot:
            snapshot = types.VolumeContentSource.SnapshotSource(snapshot_id=self.snapshot)
            return types.VolumeContentSource(snapshot=snapshot)
        return None


class Provisioner:
    """Makes volumes of one array, each once for each name."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def create(self, request: pb.CreateVolumeRequest) -> types.Volume:
        """Creates a volume, or finds the one that an equal request has created."""
        check_name("name", request.name)
        capabilities.check_given(request.volume_capabilities, "volume_capabilities")
        capabilities.check_supported(request.volume_capabilities, "volume_capabilities")
        capacity.check_range(request.capacity_range)
        parameters.check_parameters(request.parameters, parameters.KNOWN)
        parameters.provisioning(request.parameters)
        settings = parameters.mutable_labels(request.mutable_parameters)
        topology = self._storage.topology()
        name = self._storage.volume_name(request.name)
        volume = self._storage.find_volume(name)
        if volume is None:
            self._check_reachable(request, topology)
            volume = once(
                lambda: self._made(request, settings), lambda: self._storage.find_volume(name)
            )
        self._check_same(volume, request, topology)
        return self.message(volume, topology)

    def _made(
        self, request: pb.CreateVolumeRequest, settings: Mapping[str, str]
    ) -> array_pb2.Volume:
        source = self._source(request.volume_content_source)
        size = capacity.new_size(request.capacity_range, source.capacity_bytes)
        labels = {
            NAME_LABEL: request.name,
            **parameters.told_labels(request.parameters),
            **settings,
        }
        wanted = array_pb2.Volume(
            pool=self._pool(request, source).name,
            capacity_bytes=size,
            labels=labels,
            source_volume=source.volume,
            source_snapshot=source.snapshot,
            provisioning=self._provisioning(request, source),
        )
        volume: array_pb2.Volume = self._storage.api.CreateVolume(
            array_pb2.CreateVolumeRequest(
                parent=self._storage.name, volume_id=identifier_of(request.name), volume=wanted
            )
        )
        return volume

    def _provisioning(
        self, request: pb.CreateVolumeRequest, source: Source
    ) -> array_pb2.Provisioning:
        """Returns when a new volume takes its pages; a copy shares those of its source."""
        wanted = parameters.provisioning(request.parameters)
        if wanted != array_pb2.PROVISIONING_THIN and source.pool:
            raise InvalidArgument.at(
                "parameters['provisioning']",
                "a copy shares its source's pages and is thin: leave it out, or the source",
            )
        return wanted

    def message(self, volume: array_pb2.Volume, topology: Sequence[types.Topology]) -> types.Volume:
        """Returns a volume in CSI's terms."""
        return types.Volume(
            capacity_bytes=volume.capacity_bytes,
            volume_id=volume.name,
            volume_context={"pool": volume.pool, "device": self._storage.device_id(volume)},
            content_source=Source(volume.source_volume, volume.source_snapshot).message(),
            accessible_topology=topology,
        )

    def pools(self, settings: Mapping[str, str]) -> list[array_pb2.Pool]:
        """Returns the pool that settings name, or all; InvalidArgument says that there is none."""
        pools = list(self._storage.pools())
        wanted = settings.get(parameters.POOL)
        if wanted is None:
            return pools
        named = [pool for pool in pools if wanted in (pool.name, last(pool.name))]
        if not named:
            choice = ", ".join(last(pool.name) for pool in pools) or "none: create one"
            raise InvalidArgument.at("parameters['pool']", f"{wanted!r} is none of {choice}")
        return named

    def _pool(self, request: pb.CreateVolumeRequest, source: Source) -> array_pb2.Pool:
        """Returns the pool for a new volume: the one named, or the one with the most free space.

        A copy shares its source's pages, so it is in the same pool.
        """
        pools = self.pools(request.parameters)
        if source.pool:
            pools = [pool for pool in pools if pool.name == source.pool]
            if not pools:
                raise InvalidArgument.at(
                    "volume_content_source",
                    f"is in {source.pool}: a copy cannot be in another pool",
                )
        if not pools:
            raise ResourceExhausted(f"{self._storage.name} has no pool: create one")
        pool = max(pools, key=_free_bytes)  # the first of those with equally much
        if _free_bytes(pool) < pool.page_bytes:
            raise ResourceExhausted(
                f"{pool.name} is full: {pool.allocated_bytes} of {pool.capacity_bytes} bytes are "
                "allocated; free space or add capacity",
                reason="POOL_FULL",
                resource=pool.name,
            )
        return pool

    def _source(self, content: types.VolumeContentSource) -> Source:
        """Returns what a volume is to begin as; NotFound says that it is not there."""
        kind = content.WhichOneof("type")
        if kind is None:
            return Source()
        if kind == "volume":
            volume = self._storage.volume(content.volume.volume_id)
            return Source(volume.name, "", volume.pool, volume.capacity_bytes)
        snapshot = self._storage.snapshot(content.snapshot.snapshot_id)
        return Source("", snapshot.name, snapshot.pool, snapshot.capacity_bytes)

    def _check_reachable(
        self, request: pb.CreateVolumeRequest, topology: Sequence[types.Topology]
    ) -> None:
        if not is_reachable(request.accessibility_requirements, topology):
            hosts = ", ".join(next(iter(place.segments.values())) for place in topology)
            raise ResourceExhausted(
                f"no place of accessibility_requirements reaches {self._storage.name}; these hosts "
                f"do: {hosts or 'none'}",
                reason="TOPOLOGY_UNREACHABLE",
            )

    def _check_same(
        self,
        volume: array_pb2.Volume,
        request: pb.CreateVolumeRequest,
        topology: Sequence[types.Topology],
    ) -> None:
        """Refuses a name whose volume is not what is asked for."""
        why = ""
        pools = self.pools(request.parameters)
        if volume.labels.get(NAME_LABEL) != request.name:
            why = "was not created for this name"
        elif not capacity.fits(volume.capacity_bytes, request.capacity_range):
            why = f"has {volume.capacity_bytes} bytes, which is not within capacity_range"
        elif volume.provisioning != parameters.provisioning(request.parameters):
            why = "takes its pages in another way"
        elif volume.pool not in [pool.name for pool in pools]:
            why = f"is in {volume.pool}"
        elif (volume.source_volume, volume.source_snapshot) != (
            request.volume_content_source.volume.volume_id,
            request.volume_content_source.snapshot.snapshot_id,
        ):
            why = "began as a copy of something else, or of nothing"
        elif not is_reachable(request.accessibility_requirements, topology):
            why = "cannot be reached from accessibility_requirements"
        if why:
            raise AlreadyExists(
                f"{volume.name} exists already and {why}: use another name",
                reason="VOLUME_DIFFERS",
                resource=volume.name,
            )


def _free_bytes(pool: array_pb2.Pool) -> int:
    return pool.capacity_bytes - pool.allocated_bytes
