"""What an array is made of in plain Python: ports, controllers, pools, volumes, ITLs, commands.

Every station is first come, first served, and commits a departure when a command comes: it starts
at the later of now and when the earliest server is free.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction

from smokestack.array.specs import (
    ControllerSpec,
    DriveGroupSpec,
    DrivesSpec,
    ExportSpec,
    OutOfSpace,
    PoolSpec,
    PortSpec,
    ZeroDetect,
)
from smokestack.engine.records import BLOCK_BYTES, Attention, Op, Sense, Status
from tests.reference.reservations import Reservation


class Port:
    """A front-end port: its queue and its two directions."""

    def __init__(self, spec: PortSpec, controller: Controller) -> None:
        self.spec = spec
        self.controller = controller
        self.queue_limit = spec.queue_limit
        self.ns_per_mib = (10**9 << 20) // spec.bandwidth_bytes_per_second
        self.enabled = spec.enabled  # as managed; ``allowed`` follows when the change gets here
        self.allowed = spec.enabled
        self.up = spec.enabled
        self.home = controller
        self.wire = self  # who carries its identity
        self.partner: Port | None = None
        self.epoch = 0
        self.drop_epoch = 0  # answers of an older one are lost
        self.lost_epoch = 0  # commands of an older one are lost before their controller
        self.outstanding = 0
        self.hung = False
        self.refused = 0  # in a row
        self.rx_free = 0
        self.tx_free = 0

    def carry(self, wire: Port) -> None:
        """Lets another port carry this one's identity, or itself."""
        self.wire, self.controller = wire, wire.home

    def transfer_ns(self, length: int) -> int:
        """Returns the time that data of this length take on the wire."""
        return (length * self.ns_per_mib) >> 20


class Controller:
    """A controller's cores and write cache."""

    def __init__(self, spec: ControllerSpec) -> None:
        self.spec = spec
        self.partner: Controller | None = None
        self.number = 0  # of its target port group
        self.enabled = self.allowed = spec.enabled  # as a port's
        self.online = spec.enabled
        self.ends: list[int] = []  # when hands let go of it
        self.write_back = spec.write_back
        self.dirty = 0
        self.low = int(Fraction(repr(spec.cache_low_water_ratio)) * spec.cache_bytes)
        self.high = int(Fraction(repr(spec.cache_high_water_ratio)) * spec.cache_bytes)
        self.waiting: list[Command] = []  # dirty data, the oldest first
        self.flushing = False
        self.flushes = 0
        self.free = [0] * spec.core_count
        self.hit_threshold = min((1 << 64) - 1, int(spec.read_hit_ratio * (1 << 64)))
        self.reads = Reads(spec.read_cache_bytes // spec.read_cache_block_bytes)

    @property
    def drains(self) -> bool:
        """Whether its write cache keeps nothing."""
        return not (self.online and self.write_back)

    def serve(self, now: int, service_ns: int) -> int:
        """Returns when the core that is free first, the lowest of equals, is done."""
        core = self.free.index(min(self.free))
        self.free[core] = max(now, self.free[core]) + service_ns
        return self.free[core]


class Reads:
    """A read cache by CLOCK: blocks in a ring, a mark on those that were hit, and a hand."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.ring: list[tuple[str, int, int]] = []  # pool, page of it, block of that
        self.marked: set[tuple[str, int, int]] = set()
        self.hand = 0

    def hit(self, block: tuple[str, int, int]) -> bool:
        """Whether a block is there; then it is marked."""
        if block in self.ring:
            self.marked.add(block)
        return block in self.ring

    def keep(self, block: tuple[str, int, int]) -> None:
        """Takes a block in, in place of the first one without a mark."""
        if not self.room or self.hit(block):
            return
        if len(self.ring) < self.room:
            self.ring.append(block)
            return
        while self.ring[self.hand] in self.marked:
            self.marked.remove(self.ring[self.hand])
            self.hand = (self.hand + 1) % self.room
        self.ring[self.hand] = block
        self.hand = (self.hand + 1) % self.room

    def forget(self) -> None:
        """Loses all."""
        self.ring, self.marked, self.hand = [], set(), 0


class Disks:
    """Disks that wait for one command after the other: when each is free, and where its head is."""

    def __init__(self) -> None:
        self.free: dict[int, int] = {}
        self.waiting: dict[int, list[Command]] = {}  # until it has nothing to do
        self.last: dict[int, tuple[str, int]] = {}  # pool and page of its last access


class Drives:
    """Raw space of a group of drives that pools draw from, and the disks that they are."""

    def __init__(self, spec: DrivesSpec | DriveGroupSpec) -> None:
        self.free = spec.raw_bytes if spec.raw_bytes else None  # None: not counted
        self.disks = Disks()

    def pages(self, spec: PoolSpec) -> int:
        """How many more pages a pool can draw."""
        return 1 << 62 if self.free is None else self.free // spec.raw_page_bytes

    def draw(self, spec: PoolSpec, pages: int) -> None:
        """Has a pool draw so many."""
        if self.free is not None:
            self.free -= pages * spec.raw_page_bytes


class Pool:
    """A thin pool's pages and disks, and how it grows, warns and runs out."""

    def __init__(self, spec: PoolSpec, drives: Drives | None = None) -> None:
        self.spec = spec
        self.drives = drives or Drives(DrivesSpec())
        self.drawn = 0  # where it does not grow
        self.holders: dict[int, int] = {}  # page of the pool → how many volumes and snapshots
        self.next_page = 0
        self.failures = 0
        self.disks = self.drives.disks if spec.drive_group else Disks()
        self.room = 0  # pages of steps that volumes have not written to
        self.grown = 0
        self.growths = 0
        self.warned = self.conserving = self.emergency = False
        self.warnings = 0
        self.offline: list[Volume] = []
        self.resize(spec.capacity_bytes)

    def access_ns(self, page: int, *, reads: bool) -> int:
        """How long an access to a page takes its disk on the mean, which is then at that page."""
        spec, disk = self.spec, page % self.spec.disk_count
        pool_id, last = self.disks.last.get(disk, ("", 0))
        self.disks.last[disk] = spec.pool_id, page
        follows = pool_id == spec.pool_id and page in (last, last + spec.disk_count)
        if follows and spec.media_sequential_ns is not None:
            return spec.media_sequential_ns
        if reads or spec.media_write_ns is None:
            return spec.media_ns
        return spec.media_write_ns

    def resize(self, capacity_bytes: int) -> bool:
        """Gives the pool another capacity, and what follows from it; False: drives lack it."""
        spec, page = self.spec, self.spec.page_bytes
        if not spec.growth_bytes:
            more = capacity_bytes // page - self.drawn
            if more > self.drives.pages(spec):
                return False
            self.drives.draw(spec, more)
            self.drawn += more
        limit = capacity_bytes
        if spec.limit_bytes:
            limit = min(limit, spec.limit_bytes + spec.limit_overdraft_bytes)
        self.limit_pages = limit // page
        warned_of = spec.limit_bytes or capacity_bytes
        ratio = Fraction(repr(spec.warning_ratio))
        self.warning_pages = max(int(ratio * warned_of) // page, 1) if ratio else None
        return True

    @property
    def allocated(self) -> int:
        """Pages that anybody has."""
        return len(self.holders)

    @property
    def free(self) -> int:
        """Pages that it can still hand out."""
        used = self.allocated + self.room
        free = max(self.limit_pages - used, 0)
        if not self.spec.growth_bytes:
            return free
        return min(free, max(self.grown - used, 0) + self.drives.pages(self.spec))

    def take(self) -> int:
        """Hands out a page that was never handed out before."""
        page = self.next_page
        self.next_page += 1
        self.holders[page] = 1
        return page

    def release(self, page: int) -> int:
        """Takes one holder's share in a page back; returns 1 if that frees it."""
        self.holders[page] -= 1
        if self.holders[page]:
            return 0
        del self.holders[page]
        return 1

    def grow(self) -> None:
        """Draws increments until the pool has what it handed out."""
        step = self.spec.growth_bytes // self.spec.page_bytes
        missing = self.allocated + self.room - self.grown
        if step and missing > 0:
            more = -(-missing // step) * step
            more = min(more, self.limit_pages - self.grown, self.drives.pages(self.spec))
            self.drives.draw(self.spec, more)
            self.grown += more
            self.growths += 1

    def watch(self) -> bool:
        """Looks at the thresholds; returns whether the pool has just begun to warn."""
        spec, warns = self.spec, False
        if self.warning_pages is not None and not self.warned:
            warns = self.warned = self.allocated + self.room >= self.warning_pages
            self.warnings += warns
        if spec.out_of_space is OutOfSpace.CONSERVE:
            if self.free <= spec.conservation_bytes // spec.page_bytes:
                self.conserving = True
            self.emergency = self.free <= spec.emergency_bytes // spec.page_bytes
        return warns

    def ease(self) -> None:
        """After it has gained space, takes back what it said of its want."""
        spec = self.spec
        for volume in self.offline if self.free else ():
            volume.offline = False
        self.offline = [volume for volume in self.offline if volume.offline]
        if self.warning_pages is not None and self.allocated + self.room < self.warning_pages:
            self.warned = False
        if self.free > spec.conservation_bytes // spec.page_bytes:
            self.conserving = False
        if self.free > spec.emergency_bytes // spec.page_bytes:
            self.emergency = False


@dataclass(eq=False)
class Volume:
    """A thin volume, or a snapshot of one, and its page map: its page → page of the pool."""

    volume_id: str
    pool: Pool
    capacity_bytes: int
    pages: dict[int, int] = field(default_factory=dict)
    values: dict[int, int] = field(default_factory=dict)  # of blocks, unless it is 0
    room: int = 0  # pages of its step that it has not written to
    step: int = 0  # size of its last step
    step_at: int = 0
    offline: bool = False
    stale: bool = False
    gone: bool = False
    snapshots: list[Volume] = field(default_factory=list)  # the newest comes last
    queue_limit: int = 0  # commands that it takes; 0: no limit
    promised: int = field(init=False)  # as managed
    wanted: Controller | None = None  # that should own it, where access is asymmetric
    owner: Controller | None = None
    moving_until: int = 0
    planned: tuple[Controller, int] | None = None  # owner and end of a move that is to begin
    planned_wanted: Controller | None = None
    zero_detect: ZeroDetect = ZeroDetect.OFF
    reservation: Reservation = field(default_factory=Reservation)
    counts: Counter[Op | str] = field(default_factory=Counter)
    tas: bool = False  # aborted commands of other nexuses are answered
    thick: bool = False  # has room for all that it has not written
    full: bool = False  # ... each page at its place
    extents: list[tuple[int, int]] = field(default_factory=list)  # from its page on, the pool's

    def __post_init__(self) -> None:
        self.promised = self.capacity_bytes

    def size(self, capacity_bytes: int) -> int:
        """How many pages it would have with such a capacity, all written."""
        return -(-capacity_bytes // self.pool.spec.page_bytes)

    def copy(self, source: Volume) -> None:
        """Takes a share in all that another one has."""
        self.pages, self.values = dict(source.pages), dict(source.values)
        for page in self.pages.values():
            self.pool.holders[page] += 1

    def drop(self) -> int:
        """Gives all pages up, and its room; returns how many that frees."""
        freed = self.room + sum(self.pool.release(page) for page in self.pages.values())
        self.pool.room -= self.room
        self.pages, self.values, self.room = {}, {}, 0
        return freed

    def unmap(self, page: int) -> int:
        """Gives one page up, if it is mapped; returns 1 if that frees it."""
        blocks = self.pool.spec.page_bytes // BLOCK_BYTES
        self.clear(range(page * blocks, (page + 1) * blocks))
        return self.pool.release(self.pages.pop(page)) if page in self.pages else 0

    def clear(self, blocks: range) -> None:
        """Blocks lose their values."""
        self.values = {b: value for b, value in self.values.items() if b not in blocks}

    def is_own(self, page: int) -> bool:
        """Whether a page is mapped, and nobody else has it."""
        return page in self.pages and self.pool.holders[self.pages[page]] == 1

    def needed(self, new: list[int]) -> int:
        """How many pages of the pool it needs for new ones; a thick one has room for the first."""
        return len([page for page in new if page in self.pages]) if self.thick else len(new)

    def grant(self, pages: int, now: int) -> bool:
        """Gets room for new pages, by steps where the pool has them; False: it has no space."""
        pool, spec = self.pool, self.pool.spec
        spare = 0 if self.thick else self.room
        if spare >= pages:
            return True
        extra = pages - spare
        if extra > pool.free:
            return False
        if spec.step_bytes and not self.thick:
            first, most = (
                size // spec.page_bytes for size in (spec.step_bytes, spec.step_bytes_max)
            )
            if not self.step:
                self.step = first
            elif now - self.step_at < spec.step_window_ns:
                self.step = min(self.step + first, most)
            self.step_at = now
            most = self.size(self.capacity_bytes) + spec.limit_overdraft_bytes // spec.page_bytes
            left = max(most - len(self.pages) - self.room, 0)
            extra = max(extra, min(self.step, left, pool.free))
        self.room += extra
        pool.room += extra
        pool.grow()
        return True

    def take(self, page: int) -> None:
        """Gives a page space of its own; others keep what it had."""
        if self.room:
            self.room -= 1
            self.pool.room -= 1
        if page in self.pages or not self.full:
            new = self.pool.take()
        else:
            new = self.ready(page)
            self.pool.holders[new] = 1
        if page in self.pages:
            self.pool.release(self.pages[page])
        self.pages[page] = new

    def place_of(self, page: int) -> int:
        """The pool's page behind one that is mapped, or has its place."""
        return self.pages[page] if page in self.pages else self.ready(page)

    def ready(self, page: int) -> int:
        """Where a full volume's page lies that was never written."""
        first, place = next(e for e in reversed(self.extents) if e[0] <= page)
        return place + page - first

    def place(self, pages: int) -> None:
        """Gives a full volume's last pages their places."""
        if self.full and pages:
            first = self.size(self.capacity_bytes) - pages
            self.extents.append((first, self.pool.next_page))
            self.pool.next_page += pages


@dataclass(eq=False)
class Itl:
    """An initiator, a port and a logical unit."""

    index: int
    export: ExportSpec
    volume: Volume
    initiator: str
    port: Port
    own: Volume = field(init=False)  # ``volume`` is the one that commands reach
    shown: bool = True  # as managed; ``valid`` follows when the change gets here
    valid: bool = True
    since: int = -1  # when it came to be
    outstanding: int = 0
    attentions: set[Attention] = field(default_factory=set)  # those that it has to tell

    def hide(self) -> None:
        """Reaches its volume no more, and has nothing to tell."""
        self.valid = False
        self.attentions.clear()

    def establish(self, attention: Attention) -> None:
        """Has something to tell; after a power on nothing older matters."""
        if attention is Attention.POWER_ON:
            self.attentions.clear()
        self.attentions.add(attention)

    def __post_init__(self) -> None:
        self.own = self.volume


@dataclass(eq=False, slots=True)
class Command:
    """A command in the array."""

    ident: int
    attempt: int
    lba: int
    length: int
    op: int
    itl: Itl
    flags: int = 0
    arrived: int = 0
    port_epoch: int = 0
    first_data_ns: int = 0
    status: int = Status.GOOD
    sense: int = Sense.NONE
    read_pool: Pool = field(init=False)  # of a copy that reads from the media
    origin: Itl | None = None  # of a copy: by which it reads, if the array has any
    source: int | None = None  # ... and the block from where, until it is read
    holes: frozenset[int] = frozenset()  # ... and the pages to which nothing comes that is mapped
    brought: dict[int, int] = field(default_factory=dict)  # ... and values, by block
    target: int = 0  # ... and the page of the pool to which it goes then
    page: int = 0  # of the pool, when it goes to the media
    block: tuple[str, int, int] | None = None  # that a read cache takes in, when they have it
    cached_by: Controller | None = None  # of what is destaged
    entered: bool = False  # the controller has it
    word: int = 0  # of task management: comes back with its answer
    aborted: bool = False
