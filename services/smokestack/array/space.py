"""What an array holds of space: pools, the volumes in them, and snapshots and clones of those.

A snapshot or a clone has the pages of its source from the start and shares them: a page is freed
when nobody has it any more, and a write to a page that others have, too, takes a new one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from smokestack.engine.checks import multiple_of
from smokestack.engine.errors import FailedPrecondition, InvalidArgument, ResourceExhausted
from smokestack.engine.event_kinds import EventKind
from smokestack.engine.labels import Labels
from smokestack.engine.records import BLOCK_BYTES, Attention

from . import checks
from .drives import Drives, group_of
from .inventory import ArrayInventory
from .rows import append_pool, set_space
from .specs import PoolSpec, Provisioning, VolumeSnapshotSpec, VolumeSpec, ZeroDetect
from .usage import free_pages


class ArraySpace(ArrayInventory):
    """Pools, volumes and snapshots; they change between windows only."""

    def __init__(self, array_id: str) -> None:
        super().__init__(array_id)
        self.drives = Drives(self)

    # --- pools ------------------------------------------------------------------------------

    def create_pool(self, spec: PoolSpec) -> None:
        """Adds a thin pool."""
        checks.check_pool(spec)
        self._absent("pools", self.pools, spec.pool_id)
        self.drives.check_pool(spec)
        self._rows["pools", spec.pool_id] = append_pool(
            self.state, spec, self.drives.row(group_of(spec))
        )
        self.pools[spec.pool_id] = spec
        self.drives.seat(spec.pool_id)
        self.faults.link("pools", spec.pool_id)
        told = self._tell(
            EventKind.POOL_CREATED, f"pools/{spec.pool_id}", capacity_bytes=spec.capacity_bytes
        )
        self.drives.fit(told)

    def delete_pool(self, pool_id: str) -> None:
        """Removes a pool that holds no volume."""
        self._present("pools", self.pools, pool_id)
        users = [v.volume_id for v in self.volumes.values() if v.pool_id == pool_id]
        self._unused("pools", pool_id, "volumes", users)
        del self.pools[pool_id], self._rows["pools", pool_id]
        self.drives.fit(self._tell(EventKind.POOL_DELETED, f"pools/{pool_id}"))

    def update_pool(self, pool_id: str, **fields: Any) -> None:
        """Gives a pool more capacity or less, another limit, another warning; never less than is
        in use."""
        self._present("pools", self.pools, pool_id)
        had = self.pools[pool_id]
        spec = replace(had, **fields)
        checks.check_pool(spec)
        usage = self.pool_usage(pool_id)
        used = usage.allocated_bytes + usage.reserved_bytes
        if spec.capacity_bytes < used:
            raise FailedPrecondition(
                f"{self.name}/pools/{pool_id} has {used} bytes allocated: "
                f"{spec.capacity_bytes} would not hold them; delete volumes first",
                reason="CAPACITY_IN_USE",
            )
        self.drives.check_pool(spec, had)
        row = self.state["pool"][self._rows["pools", pool_id]]
        set_space(row, spec)
        row["grown_pages"] = min(
            row["grown_pages"], max(row["limit_pages"], used // spec.page_bytes)
        )
        self.pools[pool_id] = spec
        told = self._tell(
            EventKind.POOL_RESIZED, f"pools/{pool_id}", capacity_bytes=spec.capacity_bytes
        )
        self.drives.fit(told)
        raised = had.limit_bytes and (not spec.limit_bytes or spec.limit_bytes > had.limit_bytes)
        if spec.capacity_bytes > had.capacity_bytes or raised:
            self._space_gained(pool_id, told)
        else:
            self.state.kernel.watch(self._rows["pools", pool_id], self.acts_ns)
            self.tell_notes()

    # --- volumes ----------------------------------------------------------------------------

    def check_volume(self, spec: VolumeSpec) -> None:
        """Refuses a volume that cannot be added."""
        checks.check_volume(spec)
        self._absent("volumes", self.volumes, spec.volume_id)
        self._present("pools", self.pools, spec.pool_id)
        if spec.controller_id and spec.controller_id not in self.controllers:
            raise InvalidArgument.at(
                "volume.controller", f"{spec.controller_id!r} is no controller of the array"
            )
        if spec.source_volume or spec.source_snapshot:
            self._check_source(spec)
        if spec.reserves:
            self.check_room([spec])

    def check_room(self, specs: Sequence[VolumeSpec]) -> None:
        """Refuses new volumes whose pools lack what the thick ones of them reserve."""
        wanted: Counter[str] = Counter()
        for spec in specs:
            if spec.reserves:
                wanted[spec.pool_id] += self._pages(spec)
        for pool_id, pages in wanted.items():
            self._check_free(pool_id, pages)

    def _pages(self, spec: VolumeSpec) -> int:
        """Returns how many pages a volume has when all are written."""
        return -(-spec.capacity_bytes // self.pools[spec.pool_id].page_bytes)

    def _check_free(self, pool_id: str, pages: int) -> None:
        row = self.state["pool"][self._rows["pools", pool_id]]
        free = free_pages(row, self.drives.left(pool_id))
        if pages > free:
            page_bytes = self.pools[pool_id].page_bytes
            raise ResourceExhausted(
                f"{self.name}/pools/{pool_id} has {free * page_bytes} bytes left to hand out, "
                f"{pages * page_bytes} are to be reserved: add capacity, or make it THIN",
                reason="POOL_FULL",
                resource=f"{self.name}/pools/{pool_id}",
            )

    def _reserve(self, volume_id: str, pages: int) -> None:
        """Gives a volume that reserves room for more pages, which its pool has."""
        self.state.kernel.reserve(self._rows["volumes", volume_id], pages, self.acts_ns)
        self.tell_notes()
        if self.volumes[volume_id].provisioning is Provisioning.FULL:
            self._place(volume_id, pages)

    def _place(self, volume_id: str, pages: int) -> None:
        """Gives a full volume's last pages their places in the pool, one behind the other."""
        spec, index = self.volumes[volume_id], self.state.append("extent")
        extent = self.state["extent"][index]
        volume = self.state["volume"][self._rows["volumes", volume_id]]
        pool = self.state["pool"][self._rows["pools", spec.pool_id]]
        extent["page"], extent["physical"] = self._pages(spec) - pages, pool["next_page"]
        pool["next_page"] += pages
        extent["next"], volume["first_extent"] = volume["first_extent"], index + 1

    def create_volume(self, spec: VolumeSpec) -> None:
        """Adds a volume: empty, or with the pages of its source, which it then shares."""
        self.check_volume(spec)
        self.add_volume(spec)

    def add_volume(self, spec: VolumeSpec) -> None:
        """Adds a volume that has been checked."""
        index = self.state.append("volume")
        self._rows["volumes", spec.volume_id] = index
        rows = self.state["volume"]
        rows["capacity_bytes"][index] = spec.capacity_bytes
        rows["pool"][index] = self._rows["pools", spec.pool_id]
        rows["valid"][index] = 1
        self.volumes[spec.volume_id] = spec
        rows["zero_detect"][index] = spec.zero_detect
        if spec.queue_limit:
            self.set_volume_queue_limit(spec.volume_id, spec.queue_limit)
        if spec.task_aborted_status:
            rows["task_aborted_status"][index] = 1
        self.ownership.begin(spec.volume_id)
        self.faults.link("volumes", spec.volume_id)
        source = self._source_of(spec)
        if source:
            self.state.share_pages(self._rows[source], index)
        self._tell(
            EventKind.VOLUME_CREATED,
            f"volumes/{spec.volume_id}",
            pool=f"{self.name}/pools/{spec.pool_id}",
            capacity_bytes=spec.capacity_bytes,
            **{"source": f"{self.name}/{'/'.join(source)}"} if source else {},
        )
        if spec.reserves:
            rows["thick"][index] = 1
            self._reserve(spec.volume_id, self._pages(spec))

    def _source_of(self, spec: VolumeSpec) -> tuple[str, str] | None:
        """Returns what a volume is made from, as collection and identifier."""
        if spec.source_snapshot:
            return "snapshots", spec.source_snapshot
        return ("volumes", spec.source_volume) if spec.source_volume else None

    def _check_source(self, spec: VolumeSpec) -> None:
        if spec.source_volume and spec.source_snapshot:
            raise InvalidArgument.at(
                "volume.source_snapshot", "a volume has one source: leave one of the two out"
            )
        if spec.source_snapshot:
            self._present("snapshots", self.snapshots, spec.source_snapshot)
            snapshot = self.snapshots[spec.source_snapshot]
            if self.is_stale(spec.source_snapshot):
                raise FailedPrecondition(
                    f"{self.name}/snapshots/{spec.source_snapshot} is stale: its pages went to "
                    "writes when the pool was full; take another source",
                    reason="SNAPSHOT_STALE",
                )
            pool_id, capacity_bytes = snapshot.pool_id, snapshot.capacity_bytes
        else:
            self._present("volumes", self.volumes, spec.source_volume)
            volume = self.volumes[spec.source_volume]
            pool_id, capacity_bytes = volume.pool_id, volume.capacity_bytes
        if spec.pool_id != pool_id:
            raise InvalidArgument.at(
                "volume.pool",
                f"{spec.pool_id!r} is not the source's, {pool_id!r}: pages of "
                "different pools cannot be shared",
            )
        if spec.capacity_bytes < capacity_bytes:
            raise InvalidArgument.at(
                "volume.capacity_bytes",
                f"{spec.capacity_bytes} is less than the {capacity_bytes} of its source",
            )

    def update_volume_capacity(self, volume_id: str, capacity_bytes: int) -> None:
        """Grows a volume, a thick one as far as its pool has space; shrinking would cut off data
        and is refused."""
        self._present("volumes", self.volumes, volume_id)
        spec = self.volumes[volume_id]
        multiple_of("volume.capacity_bytes", capacity_bytes, BLOCK_BYTES)
        if capacity_bytes < spec.capacity_bytes:
            raise InvalidArgument.at(
                "volume.capacity_bytes",
                f"{capacity_bytes} is less than the {spec.capacity_bytes} it has; "
                "a volume only grows",
            )
        had, pages = spec.capacity_bytes, self._pages(spec)
        spec = replace(spec, capacity_bytes=capacity_bytes)
        checks.check_volume(spec)
        more = self._pages(spec) - pages if spec.reserves else 0
        self._check_free(spec.pool_id, more)
        row = self.state["volume"][self._rows["volumes", volume_id]]
        row["capacity_bytes"] = capacity_bytes
        self.volumes[volume_id] = spec
        told = self._tell(
            EventKind.VOLUME_RESIZED, f"volumes/{volume_id}", capacity_bytes=capacity_bytes
        )
        if capacity_bytes > had:
            self.establish_attention(Attention.CAPACITY_CHANGED, told.number, volume_id=volume_id)
        if more:
            self._reserve(volume_id, more)

    def set_volume_labels(self, volume_id: str, labels: Labels) -> None:
        """Gives a volume other labels."""
        self._present("volumes", self.volumes, volume_id)
        self.volumes[volume_id] = replace(self.volumes[volume_id], labels=labels)

    def set_volume_queue_limit(self, volume_id: str, queue_limit: int) -> None:
        """Changes how many commands a volume takes, 0: any number; those outstanding stay."""
        self._present("volumes", self.volumes, volume_id)
        checks.check_queue_limit(queue_limit)
        self.volumes[volume_id] = replace(self.volumes[volume_id], queue_limit=queue_limit)
        row = self.state["volume"][self._rows["volumes", volume_id]]
        row["queue_limit"] = queue_limit
        if queue_limit and not self.state.row["lun_limits"]:
            self.state.row["lun_limits"] = 1
            self.state.count_commands()

    def check_zero_detect(self, volume_id: str, zero_detect: ZeroDetect) -> VolumeSpec:
        """Refuses what a volume cannot do with zeros; returns what it would be."""
        spec = replace(self.volumes[volume_id], zero_detect=zero_detect)
        checks.check_volume(spec)
        return spec

    def set_volume_zero_detect(self, volume_id: str, zero_detect: ZeroDetect) -> None:
        """Changes what a volume does with zeros; what is mapped stays until it is written to."""
        self._present("volumes", self.volumes, volume_id)
        self.volumes[volume_id] = self.check_zero_detect(volume_id, zero_detect)
        self.state["volume"][self._rows["volumes", volume_id]]["zero_detect"] = zero_detect

    def set_volume_task_aborted_status(self, volume_id: str, answered: bool) -> None:
        """Says whether commands that another nexus' reset ends are answered (TAS)."""
        self._present("volumes", self.volumes, volume_id)
        spec = replace(self.volumes[volume_id], task_aborted_status=answered)
        self.volumes[volume_id] = spec
        self.state["volume"]["task_aborted_status"][self._rows["volumes", volume_id]] = answered

    def set_volume_service_level(self, volume_id: str, service_level_ns: int) -> None:
        """Promises a mean response time, or with 0 none; nothing is served differently."""
        self._present("volumes", self.volumes, volume_id)
        checks.check_service_level(service_level_ns)
        self.volumes[volume_id] = replace(
            self.volumes[volume_id], service_level_ns=service_level_ns
        )

    def delete_volume(self, volume_id: str) -> None:
        """Removes a volume that is not exported and has no snapshots; its pages return to the
        pool, but for those that a clone has, too."""
        self._present("volumes", self.volumes, volume_id)
        users = [host for volume, host in self.exports if volume == volume_id]
        self._unused("volumes", volume_id, "exports to hosts", users)
        snapshots = [s.snapshot_id for s in self.snapshots.values() if s.volume_id == volume_id]
        self._unused("volumes", volume_id, "snapshots", snapshots)
        freed_bytes = self._drop("volumes", volume_id)
        pool_id = self.volumes[volume_id].pool_id
        del self.volumes[volume_id], self._rows["volumes", volume_id]
        self.itls_by_volume.pop(volume_id, None)
        self.reservations.forget(volume_id)
        told = self._tell(EventKind.VOLUME_DELETED, f"volumes/{volume_id}", freed_bytes=freed_bytes)
        if freed_bytes:
            self._space_gained(pool_id, told)

    # --- snapshots --------------------------------------------------------------------------

    def check_snapshot(self, snapshot_id: str, volume_id: str) -> None:
        """Refuses a snapshot that cannot be added."""
        checks.check_snapshot(snapshot_id)
        self._absent("snapshots", self.snapshots, snapshot_id)
        self._present("volumes", self.volumes, volume_id)

    def create_snapshot(self, snapshot_id: str, volume_id: str, labels: Labels = ()) -> None:
        """Keeps a volume as it is now: the pages that it has, shared until it writes to them."""
        self.check_snapshot(snapshot_id, volume_id)
        volume = self.volumes[volume_id]
        index = self.state.append("volume")
        row = self.state["volume"][index]
        row["capacity_bytes"] = volume.capacity_bytes
        row["pool"], row["valid"] = self._rows["pools", volume.pool_id], 1
        row["is_snapshot"] = 1
        source = self.state["volume"][self._rows["volumes", volume_id]]
        row["next_snapshot"], source["first_snapshot"] = source["first_snapshot"], index + 1
        self._rows["snapshots", snapshot_id] = index
        self.state.row["snapshot_count"] += 1
        self.state.reserve_notes()
        self.snapshots[snapshot_id] = VolumeSnapshotSpec(
            snapshot_id, volume_id, volume.pool_id, volume.capacity_bytes, self.acts_ns, labels
        )
        self.state.share_pages(self._rows["volumes", volume_id], index)
        self._tell(
            EventKind.VOLUME_SNAPSHOT_CREATED,
            f"snapshots/{snapshot_id}",
            volume=f"{self.name}/volumes/{volume_id}",
        )

    def delete_snapshot(self, snapshot_id: str) -> None:
        """Removes a snapshot; the pages that only it has return to the pool."""
        self._present("snapshots", self.snapshots, snapshot_id)
        freed_bytes = self._drop("snapshots", snapshot_id)
        self._unlink(snapshot_id)
        pool_id = self.snapshots.pop(snapshot_id).pool_id
        del self._rows["snapshots", snapshot_id]
        told = self._tell(
            EventKind.VOLUME_SNAPSHOT_DELETED, f"snapshots/{snapshot_id}", freed_bytes=freed_bytes
        )
        if freed_bytes:
            self._space_gained(pool_id, told)

    def is_offline(self, volume_id: str) -> bool:
        """Whether a volume serves nothing, for its pool had no space."""
        return bool(self.state.number("volume", "offline", self._rows["volumes", volume_id]))

    def is_stale(self, snapshot_id: str) -> bool:
        """Whether a snapshot has lost its pages to writes of its volume."""
        return bool(self.state.number("volume", "stale", self._rows["snapshots", snapshot_id]))

    def _unlink(self, snapshot_id: str) -> None:
        """Takes a snapshot out of its volume's list."""
        rows, index = self.state["volume"], self._rows["snapshots", snapshot_id]
        at = rows[self._rows["volumes", self.snapshots[snapshot_id].volume_id]]
        if at["first_snapshot"] == index + 1:
            at["first_snapshot"] = rows[index]["next_snapshot"]
        else:
            at = rows[at["first_snapshot"] - 1]
            while at["next_snapshot"] != index + 1:
                at = rows[at["next_snapshot"] - 1]
            at["next_snapshot"] = rows[index]["next_snapshot"]
        self.state.row["snapshot_count"] -= 1

    def _drop(self, collection: str, resource_id: str) -> int:
        """Takes all pages from a volume or snapshot; returns the bytes that this freed."""
        index = self._rows[collection, resource_id]
        row = self.state["volume"][index]
        holds = row["allocated_pages"] or row["room_pages"]
        freed = int(self.state.kernel.drop(index)) if holds else 0
        row["valid"] = 0
        return freed * int(self.state["pool"][row["pool"]]["page_bytes"])
