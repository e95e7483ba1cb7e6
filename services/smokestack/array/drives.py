"""An array's drives, in groups: raw space that pools draw from, each by its own level of RAID.

Drives of a group are alike, and pools lie on all of them (FACTS 4.6: an InServ's CPGs do), so those
that name one group wait for the same disks.  A pool that names none has disks of its own.  A pool
that grows draws increments as it hands out space, so limits and warnings of several pools may add
up to more than there is; another pool draws its capacity when it is created.  A pool that names no
group draws from the default one.  While that has no drives its pools have what they say, and raw
space is not counted for them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from smokestack.engine.checks import identifier, in_range
from smokestack.engine.errors import FailedPrecondition, InvalidArgument, ResourceExhausted
from smokestack.engine.event_kinds import EventKind

from .rows import seat_pool
from .specs import DriveGroupSpec, DrivesSpec, PoolSpec
from .state import DRIVES_DEFAULT_ROW, RAW_NOT_COUNTED

if TYPE_CHECKING:
    from .space import ArraySpace

DEFAULT: Final = "default"  # the group that Array.drive_count speaks of
DRIVE_COUNT_MAX: Final = 65536
DRIVE_BYTES_MAX: Final = 1 << 46


def group_of(spec: PoolSpec) -> str:
    """Returns the group that a pool draws from, if that has drives."""
    return spec.drive_group or DEFAULT


class Drives:
    """The drives of one array; they change between windows only."""

    def __init__(self, array: ArraySpace) -> None:
        self._array = array

    @property
    def spec(self) -> DrivesSpec:
        """How many the default group has, and how large."""
        group = self._array.drive_groups.get(DEFAULT)
        return DrivesSpec(group.drive_count, group.drive_bytes) if group else DrivesSpec()

    @property
    def raw_bytes(self) -> int:
        """Raw bytes of all drives."""
        return sum(group.raw_bytes for group in self._array.drive_groups.values())

    @property
    def free_bytes(self) -> int:
        """Raw bytes that no pool has drawn; 0 without drives."""
        return sum(map(self.free_of, self._array.drive_groups))

    def free_of(self, group_id: str) -> int:
        """Returns what no pool has drawn of a group that has drives."""
        return int(self._array.state["raw_free"][self.row(group_id)])

    def left(self, pool_id: str) -> int:
        """Returns the raw bytes that a pool can still draw; very many where it is not counted."""
        pool = self._array.state["pool"][self._array.row_of("pools", pool_id)]
        return int(self._array.state["raw_free"][pool["drive_group"]])

    def find(self, group_id: str) -> DriveGroupSpec | None:
        """Returns the group that a pool of this name of one draws from; None: it has no drives."""
        if not group_id:
            return None
        self._array._present("driveGroups", self._array.drive_groups, group_id)
        return self._array.drive_groups[group_id]

    def counts(self, spec: PoolSpec) -> bool:
        """Whether raw space is counted for a pool."""
        return group_of(spec) in self._array.drive_groups

    def row(self, group_id: str) -> int:
        """Returns the kernel's row of a group; the default one has it without drives, too."""
        if group_id == DEFAULT:
            return DRIVES_DEFAULT_ROW
        return self._array.row_of("driveGroups", group_id)

    def seat(self, pool_id: str) -> None:
        """Gives a new pool its disks; pools that name one group lie on the same ones."""
        array = self._array
        group_id = array.pools[pool_id].drive_group
        others = (
            array.row_of("pools", other.pool_id)
            for other in array.pools.values()
            if group_id and other.drive_group == group_id and other.pool_id != pool_id
        )
        seat_pool(array.state, array.row_of("pools", pool_id), next(others, None))

    # --- groups -----------------------------------------------------------------------------

    def check(self, spec: DrivesSpec) -> None:
        """Refuses drives of the default group that cannot be, or that hold too little."""
        in_range("array.drive_count", spec.drive_count, 0, DRIVE_COUNT_MAX)
        in_range("array.drive_bytes", spec.drive_bytes, 0, DRIVE_BYTES_MAX)
        if bool(spec.drive_count) != bool(spec.drive_bytes):
            raise InvalidArgument.at(
                "array.drive_bytes", "drives have a count and a size: set both, or neither"
            )
        self._check_drawn(DEFAULT, spec.raw_bytes)

    def configure(self, spec: DrivesSpec) -> None:
        """Gives the default group more drives, or fewer, or others, or none."""
        self.check(spec)
        groups = self._array.drive_groups
        if spec.raw_bytes:
            had = groups.get(DEFAULT, DriveGroupSpec(DEFAULT, 0, 0))
            groups[DEFAULT] = replace(
                had, drive_count=spec.drive_count, drive_bytes=spec.drive_bytes
            )
        else:
            groups.pop(DEFAULT, None)
        told = self._array._tell(
            EventKind.DRIVES_SET, drive_count=spec.drive_count, drive_bytes=spec.drive_bytes
        )
        self.fit(told)

    def create(self, spec: DriveGroupSpec) -> None:
        """Adds a group; pools that name none begin to draw from the default one."""
        array = self._array
        identifier("drive_group.drive_group_id", spec.group_id)
        array._absent("driveGroups", array.drive_groups, spec.group_id)
        self._check_size(spec)
        if spec.group_id == DEFAULT:
            self._check_drawn(DEFAULT, spec.raw_bytes)
        else:
            array._rows["driveGroups", spec.group_id] = array.state.append("raw_free")
        array.drive_groups[spec.group_id] = spec
        self.fit(self._told(EventKind.DRIVE_GROUP_CREATED, spec))

    def resize(self, group_id: str, drive_count: int) -> None:
        """Adds drives to a group, or takes some that pools have not drawn from."""
        array = self._array
        array._present("driveGroups", array.drive_groups, group_id)
        spec = replace(array.drive_groups[group_id], drive_count=drive_count)
        self._check_size(spec)
        self._check_drawn(group_id, spec.raw_bytes)
        array.drive_groups[group_id] = spec
        self.fit(self._told(EventKind.DRIVE_GROUP_RESIZED, spec))

    def delete(self, group_id: str) -> None:
        """Removes a group that no pool draws from."""
        array = self._array
        array._present("driveGroups", array.drive_groups, group_id)
        users = [pool.pool_id for pool in array.pools.values() if group_of(pool) == group_id]
        array._unused("driveGroups", group_id, "pools", users)
        del array.drive_groups[group_id]
        array._rows.pop(("driveGroups", group_id), None)
        self.fit(array._tell(EventKind.DRIVE_GROUP_DELETED, f"driveGroups/{group_id}"))

    def _check_size(self, spec: DriveGroupSpec) -> None:
        in_range("drive_group.drive_count", spec.drive_count, 1, DRIVE_COUNT_MAX)
        in_range("drive_group.drive_bytes", spec.drive_bytes, 1, DRIVE_BYTES_MAX)

    def _check_drawn(self, group_id: str, raw_bytes: int) -> None:
        """Refuses too few drives for what pools have drawn."""
        array, drawn = self._array, self._drawn_bytes(group_id)
        if raw_bytes < drawn and (raw_bytes or group_id in array.drive_groups):
            whose = array.name if group_id == DEFAULT else f"{array.name}/driveGroups/{group_id}"
            raise FailedPrecondition(
                f"pools of {whose} have drawn {drawn} raw bytes: {raw_bytes} would "
                "not hold them; delete or shrink pools first",
                reason="CAPACITY_IN_USE",
                resource=whose,
            )

    def _told(self, kind: EventKind, spec: DriveGroupSpec) -> Any:
        return self._array._tell(
            kind,
            f"driveGroups/{spec.group_id}",
            drive_count=spec.drive_count,
            drive_bytes=spec.drive_bytes,
        )

    # --- what pools draw --------------------------------------------------------------------

    def check_pool(self, spec: PoolSpec, had: PoolSpec | None = None) -> None:
        """Refuses a pool of no group there is, or that draws at once what its group lacks."""
        array, group_id = self._array, group_of(spec)
        if spec.drive_group and group_id not in array.drive_groups:
            known = ", ".join(sorted(array.drive_groups)) or "none yet"
            raise InvalidArgument.at(
                "pool.drive_group", f"{group_id!r} is no group of drives of the array: {known}"
            )
        if not self.counts(spec) or spec.growth_bytes:
            return
        pages = (spec.capacity_bytes - (had.capacity_bytes if had else 0)) // spec.page_bytes
        wanted, free = pages * spec.raw_page_bytes, self.free_of(group_id)
        if wanted > free:
            whose = array.name if group_id == DEFAULT else f"{array.name}/driveGroups/{group_id}"
            raise ResourceExhausted(
                f"the drives of {whose} have {free} raw bytes left, the pool "
                f"would draw {wanted}: add drives, or let the pool grow (growth_bytes)",
                reason="NO_RAW_SPACE",
                resource=whose,
            )

    def fit(self, cause: Any) -> None:
        """Counts anew what is left; pools that could grow no more may go on."""
        for group_id in sorted({DEFAULT, *self._array.drive_groups}):
            self._fit(group_id, cause)

    def _fit(self, group_id: str, cause: Any) -> None:
        array, row = self._array, self.row(group_id)
        group, before = array.drive_groups.get(group_id), int(array.state["raw_free"][row])
        left = group.raw_bytes - self._drawn_bytes(group_id) if group else RAW_NOT_COUNTED
        array.state["raw_free"][row] = left
        if left <= before:
            return
        for pool_id, spec in array.pools.items():
            if spec.growth_bytes and group_of(spec) == group_id:
                array._space_gained(pool_id, cause)

    def redundancy_bytes(self, pool_id: str) -> int:
        """Returns what a pool has drawn for parity or copies; 0 where it is not counted."""
        spec = self._array.pools[pool_id]
        if not self.counts(spec):
            return 0
        return self._drawn_pages(pool_id) * (spec.raw_page_bytes - spec.page_bytes)

    def _drawn_pages(self, pool_id: str) -> int:
        row = self._array.state["pool"][self._array.row_of("pools", pool_id)]
        return int(row["grown_pages"] if row["growth_pages"] else row["capacity_pages"])

    def _drawn_bytes(self, group_id: str) -> int:
        pools = self._array.pools.items()
        return sum(
            self._drawn_pages(name) * spec.raw_page_bytes
            for name, spec in pools
            if group_of(spec) == group_id
        )
