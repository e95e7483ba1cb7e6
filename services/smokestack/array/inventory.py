"""What an array holds, by identifier, and the events that tell of it.

Rows of the kernel's tables are appended and never reused, so an index that a submitter holds keeps
its meaning; deleted things stay behind as invalid rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from smokestack.engine.blockdevice import Nexus
from smokestack.engine.checks import identifier, unused
from smokestack.engine.errors import AlreadyExists, NotFound
from smokestack.engine.event_kinds import EventKind
from smokestack.engine.events import Detail, Event, event_name
from smokestack.engine.notes import KernelLog, Note
from smokestack.engine.records import Attention

from . import attentions
from .access import Ownership
from .advertised import Advertised
from .family import Family
from .faults import ArrayFaults
from .links import Links
from .luns import Luns
from .quotas import Quotas
from .reservations import FREE, READ_ONLY, ReservationBook
from .specs import (
    ArrayHostSpec,
    ControllerSpec,
    DriveGroupSpec,
    ExportSpec,
    HostSetSpec,
    PoolSpec,
    PortSetSpec,
    PortSpec,
    ProductSpec,
    Provisioning,
    SetExportSpec,
    VolumeSnapshotSpec,
    VolumeSpec,
)
from .state import ATTENTION_ROWS, ArrayState
from .usage import ControllerUsage, PoolUsage, PortUsage, UnitUsage, VolumeUsage

_POOL_EXHAUSTED: Final = 1  # what the kernel notes; tables.h has the same numbers
_FAULT_EXHAUSTED: Final = 2
_NOTES: Final = {  # the others: kind of event, whose it is, and what pages it counts
    3: (EventKind.POOL_SPACE_AVAILABLE, "pools", "free_bytes"),
    4: (EventKind.POOL_GREW, "pools", "added_bytes"),
    5: (EventKind.POOL_WARNING, "pools", "used_bytes"),
    6: (EventKind.POOL_CONSERVING, "pools", "free_bytes"),
    7: (EventKind.POOL_EASED, "pools", "free_bytes"),
    8: (EventKind.VOLUME_OFFLINE, "volumes", ""),
    9: (EventKind.VOLUME_ONLINE, "volumes", ""),
    10: (EventKind.VOLUME_SNAPSHOT_STALE, "snapshots", "freed_bytes"),
}
_TRESPASS: Final = 20
_PORT_HUNG: Final = 23
_RESETS: Final = {
    21: (EventKind.LOGICAL_UNIT_RESET, "volumes"),
    22: (EventKind.PORT_TARGET_RESET, "ports"),
}


class ArrayInventory:
    """The resources of one array; what changes them is the model's."""

    def __init__(self, array_id: str) -> None:
        identifier("array.array_id", array_id)
        self.array_id = array_id
        self.name = f"arrays/{array_id}"
        self.state = ArrayState()
        self.events = KernelLog(self.name, self.state)
        self.driver: str | None = None
        self.product = ProductSpec()
        self.controllers: dict[str, ControllerSpec] = {}
        self.ports: dict[str, PortSpec] = {}
        self.drive_groups: dict[str, DriveGroupSpec] = {}
        self.pools: dict[str, PoolSpec] = {}
        self.volumes: dict[str, VolumeSpec] = {}
        self.snapshots: dict[str, VolumeSnapshotSpec] = {}
        self.hosts: dict[str, ArrayHostSpec] = {}
        self.exports: dict[tuple[str, str], ExportSpec] = {}
        self.host_sets: dict[str, HostSetSpec] = {}
        self.port_sets: dict[str, PortSetSpec] = {}
        self.set_exports: dict[tuple[str, str], SetExportSpec] = {}
        self.luns = Luns()
        # By ITL index: (volume, host, initiator, port); what labels an ITL's row.
        self.itls: list[tuple[str, str, str, str]] = []
        self.itls_by_volume: dict[str, list[int]] = {}
        self.lun_of: list[int] = []  # by ITL index
        self.itls_of_host: dict[str, list[int]] = {}  # ITL indices
        self.known: dict[str, bool] = {}  # initiators that have ever asked what they reach
        self._rows: dict[tuple[str, str], int] = {}
        self.advertised = Advertised(self)
        self.faults = ArrayFaults(self)
        self.links = Links(self)
        self.ownership = Ownership(self)
        self.reservations = ReservationBook(self)
        self.family = Family(self)
        self.quotas = Quotas(self)

    @property
    def now_ns(self) -> int:
        """Virtual time that windows have run to."""
        return int(self.state.number("state", "until_ns"))

    @property
    def acts_ns(self) -> int:
        """When a change of now acts: a driven array has run one forward latency ahead."""
        ahead_ns = self.state.number("state", "forward_ns") if self.driver else 0
        return self.now_ns + int(ahead_ns)

    # --- nexuses ---------------------------------------------------------------------------

    def report_luns(self, initiators: Sequence[str], volume: str = "") -> tuple[Nexus, ...]:
        """Returns the ITLs of these initiators, or those of one volume, in index order."""
        wanted = set(initiators)
        valid = self.state["itl"]["valid"]
        usable = {port_id: self.links.usable(port_id) for port_id in self.ports}
        found = []
        for index, (volume_id, host_id, initiator, port_id) in enumerate(self.itls):
            if initiator not in wanted or not valid[index]:
                continue
            if volume and volume != f"{self.array_id}.{volume_id}":
                continue
            access, preferred = self.ownership.seen(volume_id, port_id)
            found.append(
                Nexus(
                    index=index,
                    initiator=initiator,
                    target=port_id,
                    volume=f"{self.array_id}.{volume_id}",
                    lun=self.lun_of[index],
                    capacity_bytes=self.advertised.host_capacity(volume_id),
                    usable=usable[port_id],
                    access=access,
                    preferred=preferred,
                    group=self.ownership.group(port_id),
                    identifier=self.advertised.host_identifier(volume_id, host_id),
                    fabric=self.ports[port_id].fabric,
                    vendor=self.product.vendor,
                    model=self.product.model,
                )
            )
        attentions.rescanned(self, [nexus.index for nexus in found], initiators)
        return tuple(found)

    def index_itls(self) -> None:
        """Finds each host's ITLs, in their order."""
        self.itls_of_host = {}
        for index, (_, host_id, _, _) in enumerate(self.itls):
            self.itls_of_host.setdefault(host_id, []).append(index)

    def _add_itls(self, export: ExportSpec, ports: Sequence[str]) -> None:
        self.state.make_unit(self._rows["volumes", export.volume_id])
        initiators = sorted(self.hosts[export.host_id].initiators, key=lambda i: i.name)
        for initiator in initiators:
            for port_id in ports:
                if self.ports[port_id].fabric != initiator.fabric or not export.serves(port_id):
                    continue
                index = self.state.append("itl")
                self.state.append("histogram")
                self.state.append("attention", ATTENTION_ROWS)
                self.state.append("task")
                row = self.state["itl"][index]
                row["volume"] = self._rows["volumes", export.volume_id]
                row["port"], row["valid"] = self._rows["ports", port_id], 1
                row["excluded"] = READ_ONLY if export.read_only else FREE
                self.quotas.add_itl(export.host_id, port_id)
                self.state.row["itl_count"] = index + 1
                self.itls.append((export.volume_id, export.host_id, initiator.name, port_id))
                self.itls_by_volume.setdefault(export.volume_id, []).append(index)
                self.lun_of.append(export.lun)
                self.itls_of_host.setdefault(export.host_id, []).append(index)
                attentions.joined(self, index, export.volume_id)
        if export.volume_id in self.reservations.held:
            self.reservations.fit(export.volume_id)

    def establish_attention(
        self,
        attention: Attention,
        cause: int = 0,
        *,
        volume_id: str = "",
        port_id: str = "",
        host_id: str = "",
        initiator: str = "",
    ) -> int:
        """Makes nexuses tell an attention to their next command; see ``attentions.establish``."""
        if volume_id:
            self._present("volumes", self.volumes, volume_id)
        if port_id:
            self._present("ports", self.ports, port_id)
        if host_id:
            self._present("hosts", self.hosts, host_id)
        return attentions.establish(
            self,
            attention,
            cause,
            volume_id=volume_id,
            port_id=port_id,
            host_id=host_id,
            initiator=initiator,
        )

    # --- usage ------------------------------------------------------------------------------

    def pool_usage(self, pool_id: str) -> PoolUsage:
        """Returns a pool's space as it stands."""
        self._present("pools", self.pools, pool_id)
        row = self.state["pool"][self._rows["pools", pool_id]]
        mine = [v for v in self.volumes.values() if v.pool_id == pool_id]
        subscribed = sum(v.capacity_bytes for v in mine)
        full = [v.volume_id for v in mine if v.provisioning is Provisioning.FULL]
        said = self.advertised.pool_capacity(pool_id)
        return PoolUsage.of(row, self.pools[pool_id], subscribed, said, self._room(full))

    def volume_usage(self, volume_id: str) -> VolumeUsage:
        """Returns what a volume has taken from its pool."""
        self._present("volumes", self.volumes, volume_id)
        rows, index = self.state["volume"], self._rows["volumes", volume_id]
        page_bytes = self.pools[self.volumes[volume_id].pool_id].page_bytes
        allocated = rows["allocated_pages"].item(index) * page_bytes
        room = rows["room_pages"].item(index) * page_bytes
        if self.volumes[volume_id].provisioning is Provisioning.FULL:
            return VolumeUsage(allocated + room, 0, room)
        return VolumeUsage(allocated, room)

    def _room(self, volume_ids: Sequence[str]) -> int:
        """Returns how many pages volumes have and have not written to."""
        rows = [self._rows["volumes", volume_id] for volume_id in volume_ids]
        return int(self.state["volume"]["room_pages"][rows].sum()) if rows else 0

    def unit_usage(self, volume_id: str) -> UnitUsage:
        """Returns what hosts have done to a volume as a logical unit."""
        self._present("volumes", self.volumes, volume_id)
        unit = self.state.number("volume", "unit", self._rows["volumes", volume_id])
        if not unit:
            return UnitUsage()
        page_bytes = self.pools[self.volumes[volume_id].pool_id].page_bytes
        return UnitUsage.of(self.state["unit"][unit], page_bytes)

    def snapshot_usage(self, snapshot_id: str) -> VolumeUsage:
        """Returns what a snapshot has of its pool, shared pages included."""
        self._present("snapshots", self.snapshots, snapshot_id)
        row = self.state["volume"][self._rows["snapshots", snapshot_id]]
        page_bytes = self.pools[self.snapshots[snapshot_id].pool_id].page_bytes
        return VolumeUsage(int(row["allocated_pages"]) * page_bytes)

    def controller_usage(self, controller_id: str) -> ControllerUsage:
        """Returns a controller's state and its write cache as they stand."""
        self._present("controllers", self.controllers, controller_id)
        row = self._rows["controllers", controller_id]
        tables = ("controller", "read_cache", "destage")
        return ControllerUsage.of(*(self.state[name][row] for name in tables))

    def port_usage(self, port_id: str) -> PortUsage:
        """Returns a port's queue and counters as they stand."""
        self._present("ports", self.ports, port_id)
        row, itl = self._rows["ports", port_id], self.state.used("itl")
        aborted = self.state.used("task")["aborted"][(itl["port"] == row) & (itl["valid"] != 0)]
        return PortUsage.of(self.state["port"][row], int(aborted.sum()))

    def carrier(self, port_id: str) -> str:
        """Returns the port that carries a port's identity: itself, or its partner."""
        row = self.state["port"][self._rows["ports", port_id]]
        return (
            port_id if row["wire"] == self._rows["ports", port_id] else self.ports[port_id].partner
        )

    # --- events -----------------------------------------------------------------------------

    def _tell(
        self, kind: EventKind, resource: str = "", cause: str = "", **detail: str | int
    ) -> Event:
        """Adds an event of now; ``resource`` is named below the array, e.g. "ports/p0"."""
        subject = f"{self.name}/{resource}" if resource else self.name
        return self.events.add(self.acts_ns, kind, subject, cause, detail)

    def tell_notes(self) -> None:
        """Makes events of what the kernel has noted."""
        for note in self.events.take_notes():
            if note.kind == _FAULT_EXHAUSTED:
                self.faults.exhaust(self.faults.chains.linked[note.subject], note.time_ns)
            elif note.kind == _POOL_EXHAUSTED:
                self._tell_exhausted(note)
            elif note.kind in _NOTES:
                self._tell_note(note, *_NOTES[note.kind])
            elif note.kind == _PORT_HUNG:
                port = f"{self.name}/ports/{self.id_of('ports', note.subject)}"
                refusals: Detail = {"refusals": note.detail}
                self.events.add(note.time_ns, EventKind.PORT_HUNG, port, "", refusals)
            elif note.kind in _RESETS:
                self._tell_reset(note)
            elif note.kind == _TRESPASS:
                self.ownership.tell(note)
            else:
                raise RuntimeError(f"{self.name} notes a kind {note.kind} that has no name")

    def _tell_reset(self, note: Note) -> None:
        """Tells who has reset a volume or a port; a driver's event is the cause."""
        kind, collection = _RESETS[note.kind]
        _, host_id, initiator, port_id = self.itls[note.detail]
        cause = event_name(self.driver, note.cause) if self.driver and note.cause else ""
        self.events.add(
            note.time_ns,
            kind,
            f"{self.name}/{collection}/{self.id_of(collection, note.subject)}",
            cause,
            {"host": host_id, "initiator": initiator, "port": port_id},
        )

    def _tell_note(self, note: Note, kind: EventKind, collection: str, counted: str) -> None:
        """Tells of a note whose ``detail`` counts pages, which are called ``counted``."""
        subject = f"{self.name}/{collection}/{self.id_of(collection, note.subject)}"
        detail: dict[str, str | int] = {}
        if counted:
            pool = note.subject
            if collection != "pools":
                pool = int(self.state["volume"][note.subject]["pool"])
            pages = note.more if kind is EventKind.POOL_GREW else note.detail
            detail[counted] = pages * int(self.state["pool"][pool]["page_bytes"])
        if kind is EventKind.VOLUME_OFFLINE:
            self.state.reserve_notes()
        cause = event_name(self.name, note.cause) if note.cause else ""
        self.events.add(note.time_ns, kind, subject, cause, detail)

    def _tell_exhausted(self, note: Note) -> None:
        pool_id = self.id_of("pools", note.subject)
        page_bytes = self.pools[pool_id].page_bytes
        said, has = self.advertised.pool_capacity(pool_id), self.pools[pool_id].capacity_bytes
        detail: dict[str, str | int] = {
            "volume": f"{self.name}/volumes/{self.id_of('volumes', note.detail)}",
            "missing_bytes": (note.more >> 32) * page_bytes,
            "free_bytes": (note.more & 0xFFFFFFFF) * page_bytes + said - has,
            "capacity_bytes": said,
        }
        self.events.add(
            note.time_ns,
            EventKind.POOL_EXHAUSTED,
            f"{self.name}/pools/{pool_id}",
            detail=detail,
        )

    def _space_gained(self, pool_id: str, cause: Event) -> None:
        """Takes back what was said of a pool's want of space."""
        self.state.kernel.ease(self._rows["pools", pool_id], self.acts_ns, cause.number)
        self.tell_notes()

    # --- rows and names ---------------------------------------------------------------------

    def resources(self, collection: str) -> Mapping[str, Any]:
        """Returns what the array has of controllers, ports, pools, volumes or exports."""
        found: dict[str, Mapping[str, Any]] = {
            "controllers": self.controllers,
            "ports": self.ports,
            "pools": self.pools,
            "volumes": self.volumes,
            "exports": {f"{volume}.{host}": e for (volume, host), e in self.exports.items()},
        }
        return found[collection]

    def itls_of(self, port_id: str, hidden: bool) -> list[int]:
        """Returns the ITLs of a port in order; with those of exports that are gone, or without."""
        itl = self.state.used("itl")
        mine = itl["port"] == self._rows["ports", port_id]
        return [int(index) for index in np.flatnonzero(mine & (hidden | (itl["valid"] != 0)))]

    def row_of(self, collection: str, resource_id: str) -> int:
        """Returns the table row of a resource, e.g. ``row_of("ports", "p0")``."""
        return self._rows[collection, resource_id]

    def id_of(self, collection: str, row: int) -> str:
        """Returns what stands in a table row."""
        return next(i for (c, i), at in self._rows.items() if (c, at) == (collection, row))

    def _valid(self, itl: int) -> bool:
        return bool(self.state["itl"][itl]["valid"])

    def _absent(self, collection: str, have: Mapping[str, Any], resource_id: str) -> None:
        if resource_id in have:
            raise AlreadyExists.of(f"{self.name}/{collection}/{resource_id}")

    def _present(self, collection: str, have: Mapping[str, Any], resource_id: str) -> None:
        if resource_id not in have:
            raise NotFound.of(f"{self.name}/{collection}/{resource_id}")

    def _unused(self, collection: str, resource_id: str, what: str, users: Sequence[str]) -> None:
        unused(f"{self.name}/{collection}/{resource_id}", users, f"is in use by {what}")
