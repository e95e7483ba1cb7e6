"""What an array in plain Python does with space: copies share it, snapshots go stale, it warns."""

from __future__ import annotations

from smokestack.engine.records import Attention
from tests.reference.agenda import ARRAY, Agenda
from tests.reference.config import SnapshotCreated, SnapshotDeleted, VolumeCreated, VolumeDeleted
from tests.reference.stations import Itl, Pool, Volume

CHANGED = 0  # what happens first at one time in an array


class Space:
    """The part of an array that holds pools, volumes and snapshots."""

    _agenda: Agenda
    pools: dict[str, Pool]
    volumes: dict[str, Volume]
    snapshots: dict[str, Volume]
    itls: list[Itl]
    _known: list[Volume]

    def _adopt(self, volume: Volume, controller_id: str, then: int) -> None:
        """Gives a new volume its owner."""
        raise NotImplementedError

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
            self._adopt(volume, spec.controller_id, then)
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
        else:
            volume = self.volumes.pop(change.volume_id)
            self._agenda.add(key, self._known.remove, volume, of=self)
            self._agenda.add(key, setattr, volume, "gone", True, of=self)
            self._agenda.add(key, self._drop, volume, of=self)

    def _drop(self, volume: Volume) -> None:
        if volume.drop():
            self._gain(volume.pool)

    def _resize(self, pool: Pool, capacity_bytes: int) -> None:
        pool.resize(capacity_bytes)
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

    def _grant(self, volume: Volume, pages: int) -> bool:
        """Gets a volume room for new pages, and looks whether that is something to warn of."""
        had = volume.room
        granted = volume.grant(pages, self._agenda.now)
        if granted and had < pages:
            self._watch(volume.pool)
        return granted

    @staticmethod
    def _let_go(volume: Volume, pages: range) -> None:
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
