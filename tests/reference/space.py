"""What an array in plain Python does with space: copies share it, snapshots go stale, it warns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from smokestack.array.specs import OutOfSpace, Provisioning, VolumeSpec
from smokestack.engine.records import BLOCK_BYTES, Attention, Op, Sense, Status
from tests.reference.agenda import ARRAY, Agenda
from tests.reference.config import SnapshotCreated, SnapshotDeleted, VolumeCreated, VolumeDeleted
from tests.reference.stations import Command, Itl, Pool, Volume

# What happens at one time in an array, in order; changes come first.
CHANGED, DESTAGED, DEPART, REFUSE, TX, MEDIA, CTRL, TASK, ARRIVE, IDLE = range(10)


class Space(ABC):
    """The part of an array that holds pools, volumes and snapshots."""

    _agenda: Agenda
    pools: dict[str, Pool]
    volumes: dict[str, Volume]
    snapshots: dict[str, Volume]
    itls: list[Itl]
    _known: list[Volume]
    _at: Callable[[int, int, Command], None]
    _fail: Callable[[Command, Sense, int], None]
    _read: Callable[[Command, Volume, range, int], None]
    _write: Callable[[Command, Volume, range, int], None]
    _copy_range: Callable[[Command, Volume, range, int], None]

    def _execute(self, command: Command, volume: Volume, done: int) -> None:
        """Has a command find the pages that it is about."""
        pages = self._touched(volume, command.lba, command.length)
        if command.op == Op.READ:
            self._read(command, volume, pages, done)
        elif command.source is not None:
            self._copy_range(command, volume, pages, done)
        else:
            self._write(command, volume, pages, done)

    @staticmethod
    def _touched(volume: Volume, lba: int, length: int) -> range:
        page_bytes, first_byte = volume.pool.spec.page_bytes, lba * BLOCK_BYTES
        return range(first_byte // page_bytes, (first_byte + length - 1) // page_bytes + 1)

    @abstractmethod
    def _adopt(self, volume: Volume, controller_id: str, then: int) -> None:
        """Gives a new volume its owner."""

    def _copy(
        self,
        change: VolumeCreated | VolumeDeleted | SnapshotCreated | SnapshotDeleted,
        then: int,
    ) -> None:
        """Names change now, and pages change hands when it meets the commands."""
        key = (then, ARRAY, CHANGED, 0, 0)
        if isinstance(change, VolumeCreated):
            spec = change.volume
            volume = Volume(spec.volume_id, self.pools[spec.pool_id], spec.capacity_bytes)
            self.volumes[spec.volume_id] = volume
            self._agenda.add(key, self._known.append, volume, of=self)
            volume.zero_detect = spec.zero_detect
            self._adopt(volume, spec.controller_id, then)
            if spec.reserves:
                self._agenda.add(key, self._make_thick, volume, spec, of=self)
            if spec.source_snapshot:
                source = self.snapshots[spec.source_snapshot]
                self._agenda.add(key, volume.copy, source, of=self)
            elif spec.source_volume:
                self._agenda.add(key, volume.copy, self.volumes[spec.source_volume], of=self)
        elif isinstance(change, SnapshotCreated):
            source = self.volumes[change.volume_id]
            snapshot = Volume(change.volume_id, source.pool, source.capacity_bytes)
            self.snapshots[change.snapshot_id] = snapshot
            self._agenda.add(key, snapshot.copy, source, of=self)
            self._agenda.add(key, source.snapshots.append, snapshot, of=self)
        elif isinstance(change, SnapshotDeleted):
            snapshot = self.snapshots.pop(change.snapshot_id)
            origin = self.volumes[snapshot.volume_id]
            self._agenda.add(key, origin.snapshots.remove, snapshot, of=self)
            self._agenda.add(key, self._drop, snapshot, of=self)
        elif volume := self.volumes.pop(change.volume_id, None):
            self._agenda.add(key, self._known.remove, volume, of=self)
            self._agenda.add(key, setattr, volume, "gone", True, of=self)
            self._agenda.add(key, self._drop, volume, of=self)

    def _drop(self, volume: Volume) -> None:
        if volume.drop():
            self._gain(volume.pool)

    def _resize(self, pool: Pool, capacity_bytes: int) -> None:
        if pool.resize(capacity_bytes):
            self._gain(pool)

    def _gain(self, pool: Pool) -> None:
        """A pool has more space than it had."""
        pool.ease()
        self._watch(pool)

    def _watch(self, pool: Pool) -> None:
        """Warns everybody who can be reached through a pool's volumes, if it is time."""
        if not pool.watch():
            return
        for itl in self.itls:
            if itl.valid and itl.volume.pool is pool and itl.since <= self._agenda.now:
                itl.establish(Attention.SOFT_THRESHOLD)

    def _make_thick(self, volume: Volume, spec: VolumeSpec) -> None:
        """Gives a new volume room for all its pages; without it there is no such volume."""
        volume.thick, volume.full = True, spec.provisioning is Provisioning.FULL
        pages = volume.size(volume.capacity_bytes)
        if self._grant(volume, pages):
            volume.place(pages)
        else:
            self.volumes.pop(volume.volume_id, None)

    def _grow_thick(self, volume: Volume, capacity_bytes: int, told: list[Itl]) -> None:
        """A thick volume grows and its nexuses hear of it, if the pool has the pages."""
        pages = volume.size(capacity_bytes) - volume.size(volume.capacity_bytes)
        if pages > volume.pool.free:
            return
        volume.capacity_bytes = capacity_bytes
        for itl in told:
            itl.establish(Attention.CAPACITY_CHANGED)
        self._grant(volume, pages)
        volume.place(pages)

    def _grant(self, volume: Volume, pages: int) -> bool:
        """Gets a volume room for new pages, and looks whether that is something to warn of."""
        had = 0 if volume.thick else volume.room
        granted = volume.grant(pages, self._agenda.now)
        if granted and had < pages:
            self._watch(volume.pool)
        return granted

    @staticmethod
    def _make_stale(volume: Volume, pages: Sequence[int]) -> None:
        """Takes their pages from the snapshots that stand in a write's way; they are stale then."""
        for snapshot in reversed(volume.snapshots):
            meets = any(
                page in volume.pages and volume.pages[page] == snapshot.pages.get(page)
                for page in pages
            )
            if meets:
                snapshot.stale = True
                if snapshot.drop():
                    volume.pool.ease()

    def _refuse(self, command: Command, volume: Volume, done: int) -> None:
        """Ends a write that finds no space in its pool's way."""
        pool = volume.pool
        pool.failures += 1
        what = pool.spec.out_of_space
        if what is OutOfSpace.ANSWER_BUSY:
            command.status = Status.BUSY
            self._at(done, DEPART, command)
            return
        if what is OutOfSpace.CONSERVE:
            pool.emergency = True
        elif what is OutOfSpace.TAKE_OFFLINE:
            volume.offline = True
            pool.offline.append(volume)
            self._fail(command, Sense.UNAVAILABLE, done)
            return
        self._fail(command, Sense.SPACE_ALLOCATION_FAILED, done)
