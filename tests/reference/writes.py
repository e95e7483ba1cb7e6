"""What an array in plain Python does with commands that are no reads: pages, the write cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from smokestack.array.reservations import ReservationAction, ReserveOut
from smokestack.array.specs import OutOfSpace, ZeroDetect
from smokestack.engine.records import (
    BLOCK_BYTES,
    COPY_PLACES,
    COPY_UNIT_BYTES,
    VALUE_MAX,
    Attention,
    Flag,
    Op,
    Sense,
    Status,
)
from tests.reference.agenda import ARRAY
from tests.reference.config import (
    ReservedOut,
    SnapshotCreated,
    SnapshotDeleted,
    VolumeCreated,
    VolumeDeleted,
    VolumeZeroDetect,
)
from tests.reference.reservations import Heard, Refused
from tests.reference.space import CHANGED, DEPART, IDLE, Space
from tests.reference.stations import Command, Controller, Itl, Volume

SpaceChange = (
    VolumeCreated
    | VolumeDeleted
    | SnapshotCreated
    | SnapshotDeleted
    | VolumeZeroDetect
    | ReservedOut
)
DESTAGE = 0xFF  # the op of dirty data on their way to the media


class Writes(Space):
    """The part of an array that takes data, and zeros, and gives pages back."""

    _go_to_media: Callable[[Command, int, int], None]
    _hit: Callable[[str, str, Command], bool]
    _abort_nexuses: Callable[[Volume, str], None]
    _media: Callable[[Command], None]
    _words: Callable[[Command], tuple[int, int, int, int]]

    def _change_space(self, change: SpaceChange, then: int) -> None:
        """Takes a change that acts on volumes or snapshots at a time."""
        if isinstance(change, VolumeZeroDetect):
            key = (then, ARRAY, CHANGED, 0, 0)
            volume = self.volumes[change.volume_id]
            self._agenda.add(key, setattr, volume, "zero_detect", change.zero_detect, of=self)
        elif isinstance(change, ReservedOut):
            volume, host = self.volumes[change.volume_id], change.out.host_id
            if any(self._reaches(itl, volume, host) for itl in self.itls if itl.shown):
                key = (then, ARRAY, CHANGED, 0, 0)
                self._agenda.add(key, self._reserve, volume, change.out, of=self)
        else:
            self._copy(change, then)

    @staticmethod
    def _reaches(itl: Itl, volume: Volume, host_id: str) -> bool:
        return itl.own is volume and itl.export.host_id == host_id

    def _reserve(self, volume: Volume, out: ReserveOut) -> None:
        with suppress(Refused):
            told = volume.reservation.out(out)
            self._hear(volume, told)
            if out.action is ReservationAction.PREEMPT_AND_ABORT:
                for host_id, attention in told.items():
                    if attention is Attention.REGISTRATIONS_PREEMPTED:
                        self._abort_nexuses(volume, host_id)

    def _leave(self, volume: Volume, host_id: str) -> None:
        self._hear(volume, volume.reservation.leave(host_id))

    def _hear(self, volume: Volume, told: Heard) -> None:
        for host_id, attention in told.items():
            for itl in self.itls:
                if itl.valid and self._reaches(itl, volume, host_id):
                    itl.establish(attention)

    def _write(self, command: Command, volume: Volume, pages: range, done: int) -> None:
        volume.counts[Op(command.op)] += 1
        if command.op == Op.COMPARE_AND_WRITE:
            expected = command.flags & VALUE_MAX
            if volume.values.get(command.lba, 0) != expected:
                volume.counts["miscompares"] += 1
                self._fail(command, Sense.MISCOMPARE, done)
                return
        page, done = self._take_space(command, volume, pages, done)
        if page is not None:
            self._land(command, page, done)

    def _hits(self, command: Command, volume: Volume, page: int) -> bool:
        """Whether the controller has what a reader of a page wants."""
        controller = command.itl.port.controller
        if not controller.reads.room:
            return self._words(command)[0] < controller.hit_threshold
        command.block = self._block(command, volume, page)
        return controller.reads.hit(command.block)

    @staticmethod
    def _open_copy(command: Command) -> None:
        """Reads from where and to where a copy goes."""
        source, place = divmod(command.lba, COPY_PLACES)
        unit = COPY_UNIT_BYTES // BLOCK_BYTES
        command.source, command.lba = source * unit, place * unit

    def _copy_range(self, command: Command, volume: Volume, pages: range, done: int) -> None:
        """Takes the space of a copy, then reads it, then writes it, if anything of it is mapped."""
        if self._cannot_read(command, volume, done):
            return
        assert command.source is not None
        assert command.origin is not None
        there, goes_to = command.origin.volume, None
        source = self._touched(there, command.source, command.length)
        mapped = [page for page in source if page in there.pages or there.full]
        command.read_pool = there.pool
        if mapped:
            goes, command.lba = command.lba, command.source
            if not self._hits(command, there, mapped[0]):
                goes_to = there.place_of(mapped[0])
            command.lba, command.block = goes, None
        met = there is volume and not set(source).isdisjoint(pages)
        command.holes = self._holes(command, there, pages)
        if met and mapped:
            command.holes = frozenset()
        shift = command.lba - command.source
        command.brought = {
            block + shift: value
            for block, value in there.values.items()
            if command.source <= block < command.source + command.length // BLOCK_BYTES
        }
        page, done = self._take_space(command, volume, pages, done)
        if not command.status:
            volume.counts[Op.COPY] += 1
            volume.counts["copied"] += command.length
        if page is None:
            return
        if goes_to is None:
            command.source = None
            self._land(command, page, done)
        else:
            command.target = page
            self._go_to_media(command, goes_to, done)

    def _cannot_read(self, command: Command, volume: Volume, done: int) -> bool:
        """Ends a copy whose source does not give what it is of."""
        origin = command.origin
        if origin is None or not origin.valid or origin.volume.gone:
            self._fail(command, Sense.COPY_UNREACHABLE, done)
            return True
        there, source = origin.volume, command.source
        assert source is not None
        host_id = origin.export.host_id
        if source * BLOCK_BYTES + command.length > there.capacity_bytes:
            self._fail(command, Sense.LBA_OUT_OF_RANGE, done)
        elif origin.own.reservation.conflicts(host_id, writes=False):
            command.status = Status.RESERVATION_CONFLICT
            self._at(done, DEPART, command)
        elif there is not volume and self._fails_copies(command, there):
            self._fail(command, Sense.COPY_FAILED, done)
        else:
            return False
        return True

    def _fails_copies(self, command: Command, source: Volume) -> bool:
        """Whether another volume does not serve a copy from it."""
        where = f"volumes/{source.volume_id}"
        return source.offline or any(
            self._hit(kind, where, command) for kind in ("COMMAND_FAILED", "NOT_READY")
        )

    @staticmethod
    def _holes(command: Command, source: Volume, pages: range) -> frozenset[int]:
        """The pages to which a copy brings nothing that is mapped."""
        assert command.source is not None
        page_bytes = command.itl.volume.pool.spec.page_bytes
        begin = command.source * BLOCK_BYTES
        shift, end = begin - command.lba * BLOCK_BYTES, begin + command.length
        size = source.pool.spec.page_bytes
        holes = set()
        for page in pages:
            first = max(page * page_bytes + shift, begin)
            last = min((page + 1) * page_bytes + shift, end) - 1
            comes = range(first // size, last // size + 1)
            if not source.full and not any(each in source.pages for each in comes):
                holes.add(page)
        return frozenset(holes)

    def _copied(self, command: Command) -> None:
        """What a copy is of has been read, and is written, unless its controller is lost."""
        command.source = None
        if command.port_epoch == command.itl.port.epoch:
            self._land(command, command.target, self._agenda.now)
        else:
            self._at(self._agenda.now, DEPART, command)

    def _take_space(
        self, command: Command, volume: Volume, pages: range, done: int
    ) -> tuple[int | None, int]:
        """Takes pages, all or none; returns the pool's first and when, or None: it has ended."""
        pool = volume.pool
        written, freed = self._spread(command, volume, pages)
        if not written:
            self._give_back(command, volume, pages, freed)
            self._set_values(command, volume)
            self._at(done, DEPART, command)
            return None, done
        if pool.emergency:
            self._refuse(command, volume, done)
            return None, done
        new = [page for page in written if not volume.is_own(page)]
        needed = volume.needed(new)
        if needed and pool.conserving:
            done += pool.spec.conservation_ns
        granted = self._grant(volume, needed)
        if not granted and pool.spec.out_of_space is OutOfSpace.STALE_SNAPSHOTS:
            self._make_stale(volume, written)
            new = [page for page in written if not volume.is_own(page)]
            granted = self._grant(volume, volume.needed(new))
        if not granted:
            self._refuse(command, volume, done)
            return None, done
        for page in new:
            volume.take(page)
        self._give_back(command, volume, [p for p in pages if p not in written], freed)
        self._set_values(command, volume)
        return volume.pages[written[0]], done

    def _land(self, command: Command, page: int, done: int) -> None:
        """Brings data to the cache, or to the media."""
        controller = command.itl.port.controller
        if self._takes(controller, command, page, done):
            if command.op == Op.WRITE and not command.flags:
                volume = command.itl.volume
                first = command.lba * BLOCK_BYTES // volume.pool.spec.page_bytes
                controller.reads.keep(self._block(command, volume, first))
            mirror_ns = controller.spec.mirror_ns if controller.partner else 0
            self._at(done + mirror_ns, DEPART, command)
        else:
            self._go_to_media(command, page, done)

    @staticmethod
    def _set_values(command: Command, volume: Volume) -> None:
        """What a command that went through leaves in the blocks of its range."""
        volume.clear(range(command.lba, command.lba + command.length // BLOCK_BYTES))
        volume.values.update(command.brought)
        if command.op == Op.COMPARE_AND_WRITE and command.flags >> 3 & VALUE_MAX:
            volume.values[command.lba] = command.flags >> 3 & VALUE_MAX

    def _takes(self, controller: Controller, command: Command, page: int, done: int) -> bool:
        """Whether a write ends in the cache, from where it is destaged."""
        spec = controller.spec
        if not controller.write_back:
            return False
        if not spec.cache_bytes:
            return True
        if controller.dirty + command.length > spec.cache_bytes:
            return False
        controller.dirty += command.length
        data = Command(command.ident, command.attempt, 0, command.length, DESTAGE, command.itl)
        data.cached_by = controller
        if spec.cache_high_water_ratio:
            data.page = page
            self._look_at(done, data)
        else:
            self._go_to_media(data, page, done)
        return True

    def _look_at(self, time: int, data: Command) -> None:
        key = (time, ARRAY, IDLE, data.ident, data.attempt)
        self._agenda.add(key, self._idle, data, of=self)

    def _idle(self, data: Command) -> None:
        """Dirty data enter a cache that has marks, or look whether their disk is idle."""
        controller = data.cached_by
        assert controller is not None
        if data.entered:
            if data in controller.waiting:
                self._look(data)
            return
        data.entered = True
        if controller.drains:
            self._media(data)
            return
        line = self._line(data)
        line.append(data)
        controller.waiting.append(data)
        if line[0] is data:
            self._look(data)
        if controller.dirty > controller.high and not controller.flushing:
            controller.flushing = True
            controller.flushes += 1
        if controller.flushing:
            self._flush(controller, controller.low)

    @staticmethod
    def _line(data: Command) -> list[Command]:
        """What waits for the disk of some data to have nothing to do."""
        pool = data.itl.volume.pool
        return pool.disks.waiting.setdefault(data.page % pool.spec.disk_count, [])

    def _look(self, data: Command) -> None:
        pool = data.itl.volume.pool
        free = pool.disks.free.get(data.page % pool.spec.disk_count, 0)
        if free > self._agenda.now:
            self._look_at(free, data)
        else:
            self._set_off(data)

    def _set_off(self, data: Command) -> None:
        """Data leave their cache for their disk, and who is first there now looks at it."""
        assert data.cached_by is not None
        line = self._line(data)
        was_first = line[0] is data
        line.remove(data)
        data.cached_by.waiting.remove(data)
        self._media(data)
        if was_first and line:
            pool = data.itl.volume.pool
            self._look_at(pool.disks.free[data.page % pool.spec.disk_count], line[0])

    def _drain(self, controller: Controller) -> None:
        """Has a write cache that keeps nothing send off what waits in it."""
        if controller.drains:
            self._flush(controller, 0)

    def _flush(self, controller: Controller, down_to: int) -> None:
        """Sends the oldest off until no more than so much waits."""
        while sum(data.length for data in controller.waiting) > down_to:
            self._set_off(controller.waiting[0])

    @staticmethod
    def _block(command: Command, volume: Volume, page: int) -> tuple[str, int, int]:
        """What a read cache has of a page of a volume, where a command enters it."""
        spec = volume.pool.spec
        offset = max(command.lba * BLOCK_BYTES - page * spec.page_bytes, 0)
        place = volume.place_of(page)
        block_bytes = command.itl.port.controller.spec.read_cache_block_bytes
        return spec.pool_id, place, offset // block_bytes

    def _destaged(self, data: Command) -> None:
        assert data.cached_by is not None
        controller = data.cached_by
        controller.dirty -= data.length
        if controller.dirty <= controller.low:
            controller.flushing = False

    @staticmethod
    def _whole(command: Command, volume: Volume) -> range:
        """The pages that lie whole in a command's range; the volume's last one may be cut short."""
        page_bytes = volume.pool.spec.page_bytes
        first_byte = command.lba * BLOCK_BYTES
        end = first_byte + command.length
        if end == volume.capacity_bytes:
            end = -(-end // page_bytes) * page_bytes
        return range(-(-first_byte // page_bytes), end // page_bytes)

    def _spread(
        self, command: Command, volume: Volume, pages: range
    ) -> tuple[Sequence[int], Sequence[int]]:
        """The pages that a command writes, and those that it takes from the volume."""
        unmaps, same = command.op == Op.UNMAP, command.op == Op.WRITE_SAME
        if volume.thick:
            return ([] if unmaps else pages), []
        whole: Sequence[int] = self._whole(command, volume)
        detect = ZeroDetect.OFF
        if same or (command.op != Op.UNMAP and command.flags & Flag.ZEROS):
            detect = volume.zero_detect
        if command.op == Op.COPY:
            detect = volume.zero_detect
            whole = [page for page in whole if page in command.holes]
        rest = [page for page in pages if page not in whole]
        if unmaps:
            return [], whole
        if detect is ZeroDetect.RECLAIM or (same and command.flags & Flag.UNMAP):
            return rest, whole
        if detect is ZeroDetect.SKIP:
            return [page for page in pages if page in rest or page in volume.pages], []
        return pages, []

    @staticmethod
    def _give_back(
        command: Command, volume: Volume, skipped: Sequence[int], freed: Sequence[int]
    ) -> None:
        """Takes pages from a volume, and lets its pool know what that frees."""
        lost = sum(page in volume.pages for page in freed)
        if command.op == Op.UNMAP or command.flags & Flag.UNMAP:
            volume.counts["unmapped"] += lost
        elif skipped:
            volume.counts["zero writes"] += 1
            volume.counts["zero pages"] += len(skipped)
        if sum(volume.unmap(page) for page in freed):
            volume.pool.ease()
