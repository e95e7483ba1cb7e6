"""An array's drives: raw space that pools draw from, each by its own level of RAID.

Drives are alike, and pools lie on all of them (FACTS 4.6: an InServ's CPGs do).  A pool that grows
draws increments as it hands out space, so limits and warnings of several pools may add up to more
than there is; another pool draws its capacity when it is created.  An array without drives does
not count: its pools have what they say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smokestack.engine.checks import in_range
from smokestack.engine.errors import FailedPrecondition, InvalidArgument, ResourceExhausted
from smokestack.engine.event_kinds import EventKind

from .specs import DrivesSpec, PoolSpec
from .state import RAW_NOT_COUNTED

if TYPE_CHECKING:
    from .space import ArraySpace

DRIVE_COUNT_MAX = 65536
DRIVE_BYTES_MAX = 1 << 46


class Drives:
    """The drives of one array; they change between windows only."""

    def __init__(self, array: ArraySpace) -> None:
        self._array = array

    @property
    def spec(self) -> DrivesSpec:
        """How many there are, and how large."""
        row = self._array.state.row
        return DrivesSpec(int(row["drive_count"]), int(row["drive_bytes"]))

    @property
    def counted(self) -> bool:
        """Whether the array has any."""
        return self.spec.raw_bytes > 0

    @property
    def free_bytes(self) -> int:
        """Raw bytes that no pool has drawn; 0 without drives."""
        return int(self._array.state.row["raw_free_bytes"]) if self.counted else 0

    def check(self, spec: DrivesSpec) -> None:
        """Refuses drives that cannot be, or too few for what pools have drawn."""
        in_range("array.drive_count", spec.drive_count, 0, DRIVE_COUNT_MAX)
        in_range("array.drive_bytes", spec.drive_bytes, 0, DRIVE_BYTES_MAX)
        if bool(spec.drive_count) != bool(spec.drive_bytes):
            raise InvalidArgument.at(
                "array.drive_bytes", "drives have a count and a size: set both, or neither"
            )
        drawn = self._drawn_bytes()
        if spec.raw_bytes < drawn and (spec.raw_bytes or self.counted):
            raise FailedPrecondition(
                f"pools of {self._array.name} have drawn {drawn} raw bytes: {spec.raw_bytes} would "
                "not hold them; delete or shrink pools first",
                reason="CAPACITY_IN_USE",
                resource=self._array.name,
            )

    def configure(self, spec: DrivesSpec) -> None:
        """Gives the array more drives, or fewer, or others."""
        self.check(spec)
        array, row = self._array, self._array.state.row
        row["drive_count"], row["drive_bytes"] = spec.drive_count, spec.drive_bytes
        told = array._tell(
            EventKind.DRIVES_SET, drive_count=spec.drive_count, drive_bytes=spec.drive_bytes
        )
        self.fit(told)

    def check_pool(self, spec: PoolSpec, had: PoolSpec | None = None) -> None:
        """Refuses a pool that draws its capacity at once, where the drives lack it."""
        if not self.counted or spec.growth_bytes:
            return
        pages = (spec.capacity_bytes - (had.capacity_bytes if had else 0)) // spec.page_bytes
        wanted = pages * spec.raw_page_bytes
        if wanted > self.free_bytes:
            raise ResourceExhausted(
                f"the drives of {self._array.name} have {self.free_bytes} raw bytes left, the pool "
                f"would draw {wanted}: add drives, or let the pool grow (growth_bytes)",
                reason="NO_RAW_SPACE",
                resource=self._array.name,
            )

    def fit(self, cause: Any) -> None:
        """Counts anew what is left; pools that could grow no more may go on."""
        array, row = self._array, self._array.state.row
        before = int(row["raw_free_bytes"])
        left = self.spec.raw_bytes - self._drawn_bytes() if self.counted else RAW_NOT_COUNTED
        row["raw_free_bytes"] = left
        if left <= before:
            return
        for pool_id, spec in array.pools.items():
            if spec.growth_bytes:
                array._space_gained(pool_id, cause)

    def redundancy_bytes(self, pool_id: str) -> int:
        """Returns what a pool has drawn for parity or copies; 0 without drives."""
        if not self.counted:
            return 0
        spec = self._array.pools[pool_id]
        return self._drawn_pages(pool_id) * (spec.raw_page_bytes - spec.page_bytes)

    def _drawn_pages(self, pool_id: str) -> int:
        row = self._array.state["pool"][self._array.row_of("pools", pool_id)]
        return int(row["grown_pages"] if row["growth_pages"] else row["capacity_pages"])

    def _drawn_bytes(self) -> int:
        pools = self._array.pools.items()
        return sum(self._drawn_pages(name) * spec.raw_page_bytes for name, spec in pools)
