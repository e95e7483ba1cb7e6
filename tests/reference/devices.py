"""What a host has of its arrays, in plain Python: adapters, paths, devices, and commands."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from smokestack.engine.records import COPY_FROM, AccessState, Task
from smokestack.multipath.specs import (
    DeviceState,
    PathFailureHandling,
    QueueControl,
    SelectorSettings,
)
from tests.reference import selectors
from tests.reference.array import Array
from tests.reference.mclock import MClock
from tests.reference.stations import Itl
from tests.reference.throttle import Throttle, Window

# By AccessState: optimized, non-optimized, standby, unavailable, transitioning, passive.
RANKS = (0, 1, 3, 5, 7, 4, 6)


@dataclass(eq=False)
class Adapter:
    """An initiator: so many commands are out at most, others wait in turn."""

    depth: int
    active: int = 0
    queue: deque[HostIo] = field(default_factory=deque)


@dataclass(eq=False)
class Check:
    """A check of a path that is under way."""

    path: Path
    begun: int
    ident: int
    attempt: int = 0
    tries: int = 5
    waits_until: int | None = None  # refused: to be sent again then


@dataclass
class Times:
    """Where the time of answered I/Os went, each part measured for itself."""

    ios: int = 0
    guest_ns: int = 0
    device_ns: int = 0
    kernel_ns: int = 0
    queue_ns: int = 0


@dataclass(eq=False)
class Path:
    """One way of a host to a volume: an initiator and a port."""

    name: str
    array: Array
    adapter: Adapter
    itl: Itl
    up: bool
    enabled: bool = True
    in_flight: int = 0
    in_flight_bytes: int = 0
    held: Callable[[], bool] = lambda: False  # by a fault
    was_usable: bool = False  # when the policy last heard of it
    relative_throughput: int = 1
    mapped: frozenset[int] = frozenset()  # CPUs that it was given by hand
    cpus: frozenset[int] = frozenset()
    access: int = 0  # an AccessState
    preferred_group: bool = False
    group: int = 0
    peers: list[Path] = field(default_factory=list)  # the device's
    gone: bool = False  # the array says that there is no such unit
    links_down: int = 0
    born: int = -1
    row: int = 0
    checked: bool = False  # its host finds out by commands and checks what has become of it
    failed: bool = False  # ... and has
    check: Check | None = None  # under way
    due: int | None = None  # when the next one begins
    interval: int = 0
    sequence: int = 0  # of checks
    given_up: bool = False  # no reset helped
    blocked: bool = False  # its transport is down, and commands wait for it
    parked: list[HostIo] = field(default_factory=list)  # ... in this order
    fails_at: int | None = None  # ... until then
    lost_at: int | None = None  # when it is removed
    removed: bool = False
    failures: int = 0  # times that it has come back, as far as not forgotten
    forget: int = 0  # good checks until one is
    goes_back: bool = False  # its device's volume is to be moved back to where it should be
    recovers_at: int | None = None  # it is marginal, and set aside until then
    unchecked_at: int | None = None  # its host let go of it: no check is heard of from then on

    @property
    def rank(self) -> int:
        """Which target port group is used before others."""
        if self.brings_back:
            return 0
        if self.access == AccessState.NON_OPTIMIZED and self.preferred_group:
            return 2
        return RANKS[self.access]

    @property
    def brings_back(self) -> bool:
        """Whether it is used before others, to have the volume moved."""
        return self.preferred_group and any(path.goes_back for path in self.peers)

    @property
    def asks(self) -> bool:
        """Whether SET TARGET PORT GROUPS goes before a command."""
        if self.access == AccessState.NON_OPTIMIZED:
            return self.brings_back
        return self.access in (AccessState.STANDBY, AccessState.UNAVAILABLE)

    @property
    def pulls(self) -> bool:
        """Whether it is on the passive side, and a command would pull the volume over."""
        return self.alive and self.access == AccessState.PASSIVE

    @property
    def usable(self) -> bool:
        """Whether I/O may be sent on it: it is of the best group that is left."""
        best = min((path.rank for path in self.peers if path.alive), default=0)
        return self.alive and self.rank == best

    @property
    def dead(self) -> bool:
        """Whether nothing comes by it."""
        lost = self.failed if self.checked else self.silent or self.given_up
        return (lost and not self.blocked) or self.gone

    @property
    def alive(self) -> bool:
        """Whether nothing holds it down."""
        return not self.dead and self.enabled and not self.held()

    @property
    def silent(self) -> bool:
        """Whether nothing gets through."""
        return not self.up or self.links_down > 0


@dataclass(frozen=True)
class Recovery:
    """A device's reset, or its target's: sent, or about to be."""

    path: Path
    task: Task
    ident: int  # 0: it is about to be sent
    ends: int


@dataclass(eq=False)
class Device:
    """A volume as a host sees it."""

    index: int
    capacity_bytes: int
    paths: list[Path]
    policy: selectors.Policy
    throttle: Throttle
    ios_per_path: int
    preferred: Path
    settings: SelectorSettings
    dsnro: int
    queue: deque[HostIo] = field(default_factory=deque)
    active: int = 0
    worlds: Counter[int] = field(default_factory=Counter)  # VM → commands not yet answered
    times: dict[int, Times] = field(default_factory=dict)  # by VM
    state: DeviceState = DeviceState.ON
    apd_ends: int = 0  # in APD: when it times out
    mclock: MClock | None = None
    handling: PathFailureHandling = field(default_factory=PathFailureHandling)
    recovery: Recovery | None = None
    aborts: int = 0  # sent
    resets: int = 0
    target_resets: int = 0  # of them
    unanswered: int = 0  # aborts and resets
    given_up: int = 0  # paths, after a target reset
    back_seen: int = 0  # what its host knew last of the group that should serve it
    back_owed: bool = False
    back_due: int | None = None
    timed_out: int = 0
    window_ios: int = 0  # answered since the last evaluation of latency
    window_ns: int = 0

    def __post_init__(self) -> None:
        self.control(self.throttle.settings)

    @property
    def limit(self) -> int:
        """How many I/Os may be in flight: competing worlds share less (FACTS 2.2)."""
        if self.recovery is not None:
            return 0
        competing = sum(count > 0 for count in self.worlds.values()) >= 2
        limits = [self.throttle.depth]
        if self.controls_latency:
            limits.append(self.window_now)
        if competing:
            limits.append(self.dsnro)
        return min(limits)

    @property
    def controls_latency(self) -> bool:
        """Whether latency moves its window."""
        return self.throttle.settings.congestion_threshold_ns > 0

    @property
    def window_now(self) -> int:
        """The window in commands."""
        if self.window.size is not None:
            return self.window.size // 1024
        return self.widest

    def control(self, settings: QueueControl) -> None:
        """Takes other settings; what moved begins anew."""
        self.throttle = Throttle(settings, self.throttle.configured)
        self.window = Window(settings)
        self.widest = min(settings.window_max, self.throttle.configured)
        self.window_ios = self.window_ns = 0

    def forget(self) -> None:
        """An evaluation is over."""
        self.window_ios = self.window_ns = 0


@dataclass(eq=False, slots=True)
class HostIo:
    """An I/O between guest and array; in flight while it has a path."""

    ident: int
    lba: int
    length: int
    op: int
    nexus: int
    vm: int
    flags: int = 0
    attempt: int = 0
    path: Path | None = None
    start_ns: int = 0  # when it left on the path, or was held on it
    hint: int = 0  # what its array has told with the answer
    submitted_ns: int = 0
    queued_ns: int = 0  # when it last joined a queue
    waited_ns: int = 0  # in queues, all in all
    sent_ns: int | None = None  # when its last attempt left; None while an adapter holds it
    timeout_ns: int = 0  # that its last attempt left with; 0: none
    aborting: int | None = None  # word of its abort; -1: it waits for a reset
    abort_ends: int = 0  # when that comes too late

    def waits_for(self, attempt: int) -> bool:
        """Whether it waits for the answer to an attempt."""
        return self.path is not None and self.attempt == attempt and self.aborting is None


def origin_of(io: HostIo, path: Path, devices: list[Device]) -> Itl | None:
    """By which nexus of its path's array a copy reads: its own, or the first of another device."""
    if not io.vm & COPY_FROM:
        return path.itl
    source = devices[io.vm - COPY_FROM].paths
    return next((each.itl for each in source if each.array is path.array), None)
