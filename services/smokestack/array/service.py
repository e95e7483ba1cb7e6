"""The array's wire: requests become specs and model calls, what stands becomes messages.

Names, masks, pages and retries are handled here; what a value may be is the model's to say.  The
handlers ignore their context, so that a scenario is built by calling them as plain functions.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, TypeVar

from google.protobuf import empty_pb2

from smokestack.engine.batches import planned
from smokestack.engine.errors import InvalidArgument
from smokestack.engine.labels import Labels, checked_labels
from smokestack.engine.masks import masked
from smokestack.engine.messages import present, settings
from smokestack.engine.paging import page
from smokestack.engine.requests import UNRECORDED, Border, Recorder, Requests
from smokestack.v1 import array_pb2 as pb
from smokestack.v1 import array_pb2_grpc

from .checks import check_queue_limit, check_service_level
from .controller_service import ControllerHandlers
from .drive_service import DriveHandlers
from .drives import group_of
from .fill import fill_pool
from .host_service import HostHandlers
from .luns import Luns
from .measure import distinct_bytes
from .model import ArrayModel
from .names import (
    ARRAY,
    CONTROLLER,
    DRIVE_GROUP,
    EXPORT,
    HOST,
    HOST_SET,
    POOL,
    PORT,
    SNAPSHOT,
    VOLUME,
)
from .requests import (
    access_spec,
    drives_spec,
    family_spec,
    pool_spec,
    port_spec,
    provisioning_of,
    zero_detect_of,
)
from .reservation_service import ReservationHandlers
from .set_service import SetHandlers
from .specs import ExportSpec, ProductSpec, Provisioning, VolumeSpec, ZeroDetect
from .unmap import unmap_volume

# The model says "host" where the API, which has two more kinds of hosts, says "array_host".
_FIELDS = {"host.host_id": "array_host_id", "host.": "array_host."}
_PRODUCT_FIELDS = ("vendor", "model", "hints_enabled")
_DRIVE_FIELDS = ("drive_count", "drive_bytes")
_FAMILY_FIELDS = ("profile", "node_count", "initiator_limit")
_VOLUME_FIELDS = (  # that can be updated
    "capacity_bytes",
    "labels",
    "service_level_ns",
    "controller",
    "queue_limit",
    "task_aborted_status",
    "zero_detect",
)
_ACCESS_FIELDS = ("access", "non_optimized_ns", "transition_ns", "explicit_access")
_PROVISIONING = {each: pb.Provisioning.Name(each) for each in Provisioning}
_K = TypeVar("_K")
_T = TypeVar("_T")


class ArrayService(
    ControllerHandlers,
    DriveHandlers,
    HostHandlers,
    ReservationHandlers,
    SetHandlers,
    array_pb2_grpc.ArrayServiceServicer,
):
    """Serves one array."""

    def __init__(self, model: ArrayModel, border: Border, recorder: Recorder = UNRECORDED) -> None:
        self._model = model
        self._requests = Requests(border, _FIELDS, recorder)
        model.keeper.add("requests", self._requests)

    @property
    def requests(self) -> Requests:
        """What carries out its requests, and remembers the answers."""
        return self._requests

    # --- the array --------------------------------------------------------------------------

    def GetArray(self, request: pb.GetArrayRequest, context: Any = None) -> pb.Array:
        self._check_array(ARRAY, request.name)
        with self._requests.read():
            return self._array()

    def ListArrays(
        self, request: pb.ListArraysRequest, context: Any = None
    ) -> pb.ListArraysResponse:
        with self._requests.read():
            found, token = page(
                [self._model.array_id], request.page_size, request.page_token, "arrays"
            )
            return pb.ListArraysResponse(
                arrays=[self._array() for _ in found], next_page_token=token
            )

    def UpdateArray(self, request: pb.UpdateArrayRequest, context: Any = None) -> pb.Array:
        self._check_array(ARRAY, request.array.name, "array.name")

        def update() -> pb.Array:
            names = (*_PRODUCT_FIELDS, *_FAMILY_FIELDS, *_ACCESS_FIELDS, *_DRIVE_FIELDS)
            fields = masked(request.update_mask.paths, present(request.array), names)
            wanted = asdict(ProductSpec()) | present(request.array)
            family = family_spec(request.array, self._model.family.spec, fields)
            self._model.family.check(family)
            had = self._model.ownership.spec
            access = access_spec(request.array, self._model.family.access(family), family, fields)
            self._model.ownership.check_spec(access)
            drives = drives_spec(request.array, self._model.drives.spec, fields)
            self._model.drives.check(drives)
            product = sorted(set(fields) & set(_PRODUCT_FIELDS))
            if product:
                self._model.update_product(**{name: wanted[name] for name in product})
            if set(fields) & set(_FAMILY_FIELDS):
                self._model.family.configure(family)
            if set(fields) & set(_ACCESS_FIELDS) or access != had:
                self._model.ownership.configure(access)
            if set(fields) & set(_DRIVE_FIELDS):
                self._model.drives.configure(drives)
            return self._array()

        return self._requests.change(request, update)

    # --- ports ------------------------------------------------------------------------------

    def CreatePort(self, request: pb.CreatePortRequest, context: Any = None) -> pb.Port:
        def create() -> pb.Port:
            port = request.port
            controller_id = self._check_array(CONTROLLER, port.controller, "port.controller")
            partner = self._partner(PORT, port.partner, "port.partner")
            family = self._model.family
            spec = port_spec(request.port_id, controller_id, port, family, partner)
            self._model.create_port(spec)
            return self._port(request.port_id)

        return self._create(request.parent, request, create)

    def GetPort(self, request: pb.GetPortRequest, context: Any = None) -> pb.Port:
        return self._get(PORT, request.name, self._port)

    def ListPorts(self, request: pb.ListPortsRequest, context: Any = None) -> pb.ListPortsResponse:
        with self._requests.read():
            found, token = self._page(request, self._model.ports, "ports")
            return pb.ListPortsResponse(ports=map(self._port, found), next_page_token=token)

    def UpdatePort(self, request: pb.UpdatePortRequest, context: Any = None) -> pb.Port:
        port_id = self._check_array(PORT, request.port.name, "port.name")

        def update() -> pb.Port:
            fields = masked(
                request.update_mask.paths, present(request.port), ("enabled", "queue_limit")
            )
            port = request.port
            self._port(port_id)  # which refuses a port that does not exist
            if "queue_limit" in fields:  # first, for it may be refused
                default = self._model.family.port_limit(self._model.ports[port_id].kind)
                limit = port.queue_limit if port.HasField("queue_limit") else default
                self._model.set_port_queue_limit(port_id, limit)
            if "enabled" in fields:
                enabled = port.enabled or not port.HasField("enabled")
                self._model.set_port_enabled(port_id, enabled)
            return self._port(port_id)

        return self._requests.change(request, update)

    def DeletePort(self, request: pb.DeletePortRequest, context: Any = None) -> empty_pb2.Empty:
        return self._delete(PORT, request, self._model.delete_port)

    # --- pools ------------------------------------------------------------------------------

    def CreatePool(self, request: pb.CreatePoolRequest, context: Any = None) -> pb.Pool:
        def create() -> pb.Pool:
            family, asked = self._model.family.spec, request.pool.drive_group
            group_id = self._partner(DRIVE_GROUP, asked, "pool.drive_group")
            group = self._model.drives.find(group_id)
            self._model.create_pool(pool_spec(request.pool_id, request.pool, family, group))
            return self._pool(request.pool_id)

        return self._create(request.parent, request, create)

    def GetPool(self, request: pb.GetPoolRequest, context: Any = None) -> pb.Pool:
        return self._get(POOL, request.name, self._pool)

    def ListPools(self, request: pb.ListPoolsRequest, context: Any = None) -> pb.ListPoolsResponse:
        with self._requests.read():
            found, token = self._page(request, self._model.pools, "pools")
            return pb.ListPoolsResponse(pools=map(self._pool, found), next_page_token=token)

    def UpdatePool(self, request: pb.UpdatePoolRequest, context: Any = None) -> pb.Pool:
        pool_id = self._check_array(POOL, request.pool.name, "pool.name")

        def update() -> pb.Pool:
            may = ("capacity_bytes", "limit_bytes", "warning_ratio")
            fields = masked(request.update_mask.paths, present(request.pool), may)
            self._model.update_pool(
                pool_id, **{field: getattr(request.pool, field) for field in fields}
            )
            return self._pool(pool_id)

        return self._requests.change(request, update)

    def FillPool(self, request: pb.FillPoolRequest, context: Any = None) -> pb.Pool:
        pool_id = self._check_array(POOL, request.name)
        volume_id = request.volume and self._check_array(VOLUME, request.volume, "volume")

        def fill() -> pb.Pool:
            fill_pool(self._model, pool_id, request.ratio, volume_id)
            return self._pool(pool_id)

        return self._requests.change(request, fill)

    def DeletePool(self, request: pb.DeletePoolRequest, context: Any = None) -> empty_pb2.Empty:
        return self._delete(POOL, request, self._model.delete_pool)

    # --- volumes ----------------------------------------------------------------------------

    def CreateVolume(self, request: pb.CreateVolumeRequest, context: Any = None) -> pb.Volume:
        return self._requests.change(
            request, lambda: self._add_volume(self._plan_volume(request, request.parent)[1])
        )

    def BatchCreateVolumes(
        self, request: pb.BatchCreateVolumesRequest, context: Any = None
    ) -> pb.BatchCreateVolumesResponse:
        def create() -> pb.BatchCreateVolumesResponse:
            specs = planned(request, self._requests, self._plan_volume)
            self._model.check_room(specs)
            return pb.BatchCreateVolumesResponse(volumes=map(self._add_volume, specs))

        return self._requests.change(request, create)

    def _plan_volume(self, request: pb.CreateVolumeRequest, parent: str) -> tuple[str, VolumeSpec]:
        self._check_parent(parent)
        volume = request.volume
        pool_id = self._check_array(POOL, volume.pool, "volume.pool")
        spec = VolumeSpec(
            request.volume_id,
            pool_id,
            volume.capacity_bytes,
            self._partner(VOLUME, volume.source_volume, "volume.source_volume"),
            self._partner(SNAPSHOT, volume.source_snapshot, "volume.source_snapshot"),
            checked_labels("volume.labels", volume.labels),
            volume.service_level_ns,
            provisioning_of(volume),
            self._queue_limit(volume),
            self._partner(CONTROLLER, volume.controller, "volume.controller"),
            zero_detect_of(volume),
        )
        self._model.check_volume(spec)
        return f"{parent}/volumes/{spec.volume_id}", spec

    def _queue_limit(self, volume: pb.Volume) -> int:
        """Returns how many commands a volume is to take: by default as many as its array's do."""
        if volume.HasField("queue_limit"):
            return volume.queue_limit
        return self._model.family.volume_limit

    def _add_volume(self, spec: VolumeSpec) -> pb.Volume:
        self._model.add_volume(spec)
        return self._volume(spec.volume_id)

    def GetVolume(self, request: pb.GetVolumeRequest, context: Any = None) -> pb.Volume:
        return self._get(VOLUME, request.name, self._volume)

    def ListVolumes(
        self, request: pb.ListVolumesRequest, context: Any = None
    ) -> pb.ListVolumesResponse:
        with self._requests.read():
            found, token = self._page(request, self._model.volumes, "volumes")
            return pb.ListVolumesResponse(volumes=map(self._volume, found), next_page_token=token)

    def UpdateVolume(self, request: pb.UpdateVolumeRequest, context: Any = None) -> pb.Volume:
        volume_id = self._check_array(VOLUME, request.volume.name, "volume.name")

        def update() -> pb.Volume:
            volume = request.volume
            fields = masked(request.update_mask.paths, present(volume), _VOLUME_FIELDS)
            zero_detect = zero_detect_of(volume)
            labels = checked_labels("volume.labels", volume.labels)
            check_service_level(volume.service_level_ns)
            limit = self._queue_limit(volume)
            check_queue_limit(limit)
            self._volume(volume_id)  # which refuses a volume that does not exist
            owner = self._partner(CONTROLLER, volume.controller, "volume.controller")
            if "controller" in fields:
                self._model.ownership.check(volume_id, owner)
            if "zero_detect" in fields:  # these two first, for they may be refused
                self._model.check_zero_detect(volume_id, zero_detect)
            if "capacity_bytes" in fields:
                self._model.update_volume_capacity(volume_id, volume.capacity_bytes)
            if "labels" in fields:
                self._model.set_volume_labels(volume_id, labels)
            if "service_level_ns" in fields:
                self._model.set_volume_service_level(volume_id, volume.service_level_ns)
            if "zero_detect" in fields:
                self._model.set_volume_zero_detect(volume_id, zero_detect)
            if "queue_limit" in fields:
                self._model.set_volume_queue_limit(volume_id, limit)
            if "task_aborted_status" in fields:
                answered = volume.task_aborted_status
                self._model.set_volume_task_aborted_status(volume_id, answered)
            if "controller" in fields:
                self._model.ownership.assign(volume_id, owner)
            return self._volume(volume_id)

        return self._requests.change(request, update)

    def UnmapVolume(
        self, request: pb.UnmapVolumeRequest, context: Any = None
    ) -> pb.UnmapVolumeResponse:
        volume_id = self._check_array(VOLUME, request.name)
        ranges = [(each.offset_bytes, each.length_bytes) for each in request.ranges]

        def unmap() -> pb.UnmapVolumeResponse:
            found = unmap_volume(self._model, volume_id, ranges, request.validate_only)
            return pb.UnmapVolumeResponse(**vars(found))

        if request.validate_only:
            with self._requests.read():
                return unmap()
        return self._requests.change(request, unmap)

    def DeleteVolume(self, request: pb.DeleteVolumeRequest, context: Any = None) -> empty_pb2.Empty:
        return self._delete(VOLUME, request, self._model.delete_volume)

    # --- snapshots of volumes ----------------------------------------------------------------

    def CreateVolumeSnapshot(
        self, request: pb.CreateVolumeSnapshotRequest, context: Any = None
    ) -> pb.VolumeSnapshot:
        return self._requests.change(
            request, lambda: self._add_snapshot(self._plan_snapshot(request, request.parent)[1])
        )

    def BatchCreateVolumeSnapshots(
        self, request: pb.BatchCreateVolumeSnapshotsRequest, context: Any = None
    ) -> pb.BatchCreateVolumeSnapshotsResponse:
        def create() -> pb.BatchCreateVolumeSnapshotsResponse:
            plans = planned(request, self._requests, self._plan_snapshot)
            return pb.BatchCreateVolumeSnapshotsResponse(
                volume_snapshots=map(self._add_snapshot, plans)
            )

        return self._requests.change(request, create)

    def _plan_snapshot(
        self, request: pb.CreateVolumeSnapshotRequest, parent: str
    ) -> tuple[str, tuple[str, str, Labels]]:
        array_id = self._check_array(ARRAY, parent, "parent")
        snapshot_id, asked = request.volume_snapshot_id, request.volume_snapshot
        volume_id = self._check_array(VOLUME, asked.volume, "volume_snapshot.volume")
        labels = checked_labels("volume_snapshot.labels", asked.labels)
        self._model.check_snapshot(snapshot_id, volume_id)
        return SNAPSHOT.format(array_id, snapshot_id), (snapshot_id, volume_id, labels)

    def _add_snapshot(self, plan: tuple[str, str, Labels]) -> pb.VolumeSnapshot:
        self._model.create_snapshot(*plan)
        return self._snapshot(plan[0])

    def GetVolumeSnapshot(
        self, request: pb.GetVolumeSnapshotRequest, context: Any = None
    ) -> pb.VolumeSnapshot:
        return self._get(SNAPSHOT, request.name, self._snapshot)

    def ListVolumeSnapshots(
        self, request: pb.ListVolumeSnapshotsRequest, context: Any = None
    ) -> pb.ListVolumeSnapshotsResponse:
        with self._requests.read():
            found, token = self._page(request, self._model.snapshots, "snapshots")
            return pb.ListVolumeSnapshotsResponse(
                volume_snapshots=map(self._snapshot, found), next_page_token=token
            )

    def DeleteVolumeSnapshot(
        self, request: pb.DeleteVolumeSnapshotRequest, context: Any = None
    ) -> empty_pb2.Empty:
        return self._delete(SNAPSHOT, request, self._model.delete_snapshot)

    def MeasureVolumes(
        self, request: pb.MeasureVolumesRequest, context: Any = None
    ) -> pb.MeasureVolumesResponse:
        self._check_array(ARRAY, request.parent, "parent")
        ids = []
        for index, name in enumerate(request.volumes):
            place = f"volumes[{index}]"
            ids.append(self._check_array(VOLUME, name, place))
            if ids[-1] not in self._model.volumes:
                raise InvalidArgument.at(place, f"{name} does not exist")
        if len(set(ids)) < len(ids):
            raise InvalidArgument.at("volumes", "a volume stands there twice")
        with self._requests.read():
            return pb.MeasureVolumesResponse(
                distinct_bytes=distinct_bytes(self._model, ids, request.with_snapshots)
            )

    # --- exports ----------------------------------------------------------------------------

    def CreateExport(self, request: pb.CreateExportRequest, context: Any = None) -> pb.Export:
        def create() -> pb.Export:
            return self._add_export(self._plan_export(request, request.parent, self._model.luns)[1])

        return self._requests.change(request, create)

    def BatchCreateExports(
        self, request: pb.BatchCreateExportsRequest, context: Any = None
    ) -> pb.BatchCreateExportsResponse:
        def create() -> pb.BatchCreateExportsResponse:
            luns = self._model.luns.copy()

            def plan(one: pb.CreateExportRequest, parent: str) -> tuple[str, ExportSpec]:
                name, spec = self._plan_export(one, parent, luns)
                luns.take(spec)
                return name, spec

            specs = planned(request, self._requests, plan)
            return pb.BatchCreateExportsResponse(exports=map(self._add_export, specs))

        return self._requests.change(request, create)

    def _plan_export(
        self, request: pb.CreateExportRequest, parent: str, luns: Luns
    ) -> tuple[str, ExportSpec]:
        array_id = self._check_array(ARRAY, parent, "parent")
        export = request.export
        volume_id = self._check_array(VOLUME, export.volume, "export.volume")
        host_id = self._check_array(HOST, export.host, "export.host")
        lun = export.lun if export.HasField("lun") else luns.lowest_free(host_id)
        ports, port_set = self._limits(export, "export")
        ports = self._model.sets.limit(ports, port_set, "export")
        read_only = export.read_only
        spec = ExportSpec(volume_id, host_id, lun, ports, port_set, read_only=read_only)
        self._model.check_export(spec, luns)
        return EXPORT.format(array_id, f"{volume_id}.{host_id}"), spec

    def _add_export(self, spec: ExportSpec) -> pb.Export:
        self._model.create_export(spec)
        return self._export(f"{spec.volume_id}.{spec.host_id}")

    def GetExport(self, request: pb.GetExportRequest, context: Any = None) -> pb.Export:
        return self._get(EXPORT, request.name, self._export)

    def ListExports(
        self, request: pb.ListExportsRequest, context: Any = None
    ) -> pb.ListExportsResponse:
        with self._requests.read():
            names = [f"{volume}.{host}" for volume, host in self._model.exports]
            found, token = self._page(request, names, "exports")
            return pb.ListExportsResponse(exports=map(self._export, found), next_page_token=token)

    def DeleteExport(self, request: pb.DeleteExportRequest, context: Any = None) -> empty_pb2.Empty:
        def delete(export_id: str) -> None:
            self._export(export_id)  # which refuses one that does not exist
            volume_id, _, host_id = export_id.partition(".")
            self._model.delete_export(volume_id, host_id)

        return self._delete(EXPORT, request, delete)

    # --- messages of what stands ------------------------------------------------------------

    def _array(self) -> pb.Array:
        usages = [asdict(self._model.pool_usage(pool_id)) for pool_id in self._model.pools]
        sizes = ("capacity_bytes", "allocated_bytes", "subscribed_bytes")
        access = settings(self._model.ownership.spec)
        return pb.Array(
            name=self._model.name,
            **{size: sum(u[size] for u in usages) for size in sizes},
            **settings(self._model.product),
            **settings(self._model.family.spec)
            | {"initiator_limit": self._model.family.initiator_limit},
            **access | {"access": int(access["access"])},
            **settings(self._model.drives.spec),
            raw_bytes=self._model.drives.raw_bytes,
            raw_free_bytes=self._model.drives.free_bytes,
        )

    def _port(self, port_id: str) -> pb.Port:
        name, spec = self._found(PORT, port_id, self._model.ports, port_id)
        array_id = self._model.array_id
        return pb.Port(
            name=name,
            controller=CONTROLLER.format(array_id, spec.controller_id),
            partner=spec.partner and PORT.format(array_id, spec.partner),
            carrier=PORT.format(array_id, self._model.carrier(port_id)),
            **settings(spec, "port_id", "controller_id", "partner"),
            **asdict(self._model.port_usage(port_id)),
        )

    def _pool(self, pool_id: str) -> pb.Pool:
        name, spec = self._found(POOL, pool_id, self._model.pools, pool_id)
        usage = asdict(self._model.pool_usage(pool_id))
        drives = self._model.drives
        group = DRIVE_GROUP.format(self._model.array_id, group_of(spec))
        return pb.Pool(
            name=name,
            redundancy_bytes=drives.redundancy_bytes(pool_id),
            drive_group=group if drives.counts(spec) else "",
            **settings(spec, "pool_id", "drive_group") | usage,
        )

    def _volume(self, volume_id: str) -> pb.Volume:
        model, array_id = self._model, self._model.array_id
        name, spec = self._found(VOLUME, volume_id, model.volumes, volume_id)
        usage = model.volume_usage(volume_id)
        volume = pb.Volume(
            name=name,
            pool=f"{model.name}/pools/{spec.pool_id}",
            capacity_bytes=spec.capacity_bytes,
            allocated_bytes=usage.allocated_bytes,
            reserved_bytes=usage.reserved_bytes,
            unwritten_bytes=usage.unwritten_bytes,
            state=pb.VOLUME_STATE_OFFLINE
            if model.is_offline(volume_id)
            else pb.VOLUME_STATE_ONLINE,
            identifier=model.advertised.identifier(volume_id),
            provisioning=_PROVISIONING[spec.provisioning],
            service_level_ns=spec.service_level_ns,
            queue_limit=spec.queue_limit,
            zero_detect=pb.ZERO_DETECT_OFF
            if spec.zero_detect is ZeroDetect.OFF
            else f"ZERO_DETECT_{spec.zero_detect.name}",
            controller=spec.controller_id and CONTROLLER.format(array_id, spec.controller_id),
            source_volume=spec.source_volume and VOLUME.format(array_id, spec.source_volume),
            source_snapshot=spec.source_snapshot
            and SNAPSHOT.format(array_id, spec.source_snapshot),
        )
        if spec.labels:
            volume.labels.update(spec.labels)
        owner = model.ownership.owner(volume_id)
        if owner:
            volume.owner = CONTROLLER.format(array_id, owner)
            volume.in_transition = model.ownership.in_transition(volume_id)
        if model.advertised.diversions.commanded(volume_id):
            self._count(volume, volume_id)
        return volume

    def _count(self, volume: pb.Volume, volume_id: str) -> None:
        """Adds to a volume's message what hosts have done to it."""
        responses = self._model.advertised.responses(volume_id)
        volume.response_count = responses.response_count
        volume.mean_response_ns = responses.mean_response_ns
        for field, value in self._model.unit_usage(volume_id)._asdict().items():
            if value:
                setattr(volume, field, value)

    def _snapshot(self, snapshot_id: str) -> pb.VolumeSnapshot:
        name, spec = self._found(SNAPSHOT, snapshot_id, self._model.snapshots, snapshot_id)
        return pb.VolumeSnapshot(
            name=name,
            volume=VOLUME.format(self._model.array_id, spec.volume_id),
            pool=POOL.format(self._model.array_id, spec.pool_id),
            capacity_bytes=spec.capacity_bytes,
            create_ns=spec.create_ns,
            allocated_bytes=self._model.snapshot_usage(snapshot_id).allocated_bytes,
            labels=dict(spec.labels),
            state=pb.VOLUME_SNAPSHOT_STATE_STALE
            if self._model.is_stale(snapshot_id)
            else pb.VOLUME_SNAPSHOT_STATE_READY,
        )

    def _export(self, export_id: str) -> pb.Export:
        volume_id, _, host_id = export_id.partition(".")
        name, spec = self._found(EXPORT, export_id, self._model.exports, (volume_id, host_id))
        return pb.Export(
            name=name,
            volume=VOLUME.format(self._model.array_id, volume_id),
            host=HOST.format(self._model.array_id, host_id),
            lun=spec.lun,
            host_set=spec.host_set and HOST_SET.format(self._model.array_id, spec.host_set),
            read_only=spec.read_only,
            **self._limited(spec.ports, spec.port_set),
        )
