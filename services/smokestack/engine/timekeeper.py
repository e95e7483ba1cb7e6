"""Who moves virtual time, and how: by hand, in step with the wall clock, or flat out.

One timekeeper per tree.  Whatever moves time takes its turn: an Advance, the thread of a clock that
runs by itself, or a request that waits and lets a clock that stands still jump to its end.  All who
wait for virtual time do so in ``wait_until``, so none of them ever hangs on a clock that stands
still: it jumps where that is allowed, and refuses where it is not.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from math import isfinite
from typing import Any, Final, Protocol, TypeVar

from .clock import Stopwatch, sleep_ns
from .errors import Aborted, FailedPrecondition, InvalidArgument, Refused
from .pace import FACTOR_MAX, Pace
from .records import TIME_NS_MAX
from .requests import Border

_TICK_SECONDS: Final = 0.02  # how often a paced clock moves, in wall time
_SLICE_NS: Final = 50_000_000  # of wall time, after which a running clock looks up
_RETRY_SECONDS: Final = 1.0  # after the tree could not be moved
_POLL_NS: Final = 1_000_000  # how often who waits looks, in wall time

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")


class ClockMode(IntEnum):
    """How virtual time relates to the wall clock; the numbers are the wire's."""

    MANUAL = 1  # time moves when told
    FLAT_OUT = 2  # as fast as the machine allows, while there is anything to do
    PACED = 3  # so many times as fast as the wall clock


@dataclass(frozen=True)
class ClockSettings:
    """How a tree's time moves."""

    mode: ClockMode = ClockMode.MANUAL
    factor: float = 1.0  # of a paced clock: virtual seconds per wall second
    autojump: bool = False  # whether who waits makes a manual clock jump

    def check(self) -> None:
        """Refuses what no clock can do."""
        if not (isfinite(self.factor) and 0 < self.factor <= FACTOR_MAX):
            raise InvalidArgument.at(
                "clock.factor", f"{self.factor:g} is not above 0 and at most {FACTOR_MAX}"
            )


class Tree(Protocol):
    """What has a time to move: the driver of a tree of services."""

    @property
    def name(self) -> str:
        """Full name of the driver."""

    @property
    def now_ns(self) -> int:
        """Virtual time that windows have run to."""

    @property
    def advancing(self) -> bool:
        """Whether windows are being run."""

    @property
    def idle(self) -> bool:
        """Whether nothing will happen any more."""

    def advance(self, until_ns: int, stop: Callable[[], bool]) -> Any:
        """Runs to a time, or until ``stop()`` after a window."""

    def advance_until_idle(self, limit_ns: int, stop: Callable[[], bool]) -> Any:
        """Runs until nothing will happen any more, to a limit, or until ``stop()``."""


class Timekeeper:
    """Moves the time of one tree."""

    def __init__(self, tree: Tree, border: Border) -> None:
        self._tree = tree
        self._border = border
        self._settings = ClockSettings()
        self._mutex = threading.Lock()  # guards the two below
        self._explicit = False  # an Advance runs
        self._runner: _Runner | None = None
        self._turn = threading.Lock()  # held by whoever moves time
        self._closed = ""

    # --- settings ---------------------------------------------------------------------------

    @property
    def settings(self) -> ClockSettings:
        """How time moves."""
        return self._settings

    def change(self, settings: ClockSettings) -> None:
        """Changes how time moves; a clock that runs by itself stops at its next border first."""
        settings.check()
        with self._mutex:
            before = self._settings
            same = (settings.mode, settings.factor) == (before.mode, before.factor)
            if self._explicit and not same:
                raise self._advancing()
            self._settings = settings
            if same or self._closed:
                return
            if self._runner:
                self._runner.stop()
            self._runner = None
            if settings.mode is not ClockMode.MANUAL:
                self._runner = _Runner(self._tree, self._turn, settings)

    def close(self, why: str = "has been closed") -> None:
        """Stops time at the next border, for good; who waits for it is told why."""
        self._closed = f"{self._tree.name} {why}"
        with self._mutex:
            if self._runner:
                self._runner.stop()
            self._runner = None
        with self._turn:
            pass  # whoever moves time has seen it

    # --- moving time ------------------------------------------------------------------------

    def advance(self, target: Callable[[int], int], stop: Callable[[], bool]) -> None:
        """Moves a manual clock to ``target(now_ns)``, asked once it is this call's turn."""
        with self._explicitly():
            until_ns = target(self._tree.now_ns)
            self._tree.advance(until_ns, lambda: bool(self._closed) or stop())

    def advance_until_idle(self, limit_ns: int, stop: Callable[[], bool]) -> None:
        """Moves a manual clock until nothing will happen any more, or to a limit."""
        with self._explicitly():
            self._tree.advance_until_idle(limit_ns, lambda: bool(self._closed) or stop())

    def advance_until(
        self, reached: Callable[[], bool], limit_ns: int, stop: Callable[[], bool]
    ) -> None:
        """Moves a manual clock to the first border at which something holds, or to a limit."""
        over = False

        def look() -> bool:
            nonlocal over
            over = reached() or bool(self._closed) or stop()
            return over

        with self._explicitly():
            if look():
                return
            self._tree.advance_until_idle(limit_ns, look)
            if not (over or look()) and self._tree.now_ns < limit_ns:
                raise FailedPrecondition(
                    f"nothing is left to do in {self._tree.name} at {self._tree.now_ns} ns, and "
                    "the goal is not reached: start a job that works towards it",
                    reason="GOAL_OUT_OF_REACH",
                    resource=self._tree.name,
                )

    @contextmanager
    def _explicitly(self) -> Iterator[None]:
        """An Advance's turn: it waits for a jump, and is refused beside another Advance."""
        with self._mutex:
            if self._explicit:
                raise self._advancing()
            self._check_manual()
            self._explicit = True
        try:
            with self._turn:
                self._check_open()
                yield
                self._check_open()
        finally:
            self._explicit = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Holds time still, however it moves, for somebody who sets it; a pace begins anew then."""
        with self._mutex:
            if self._explicit:
                raise self._advancing()
            with self._turn:
                self._check_open()
                yield
                if self._runner:
                    self._runner.begin_anew()

    # --- waiting for time -------------------------------------------------------------------

    def check_wait(self, therefore: str) -> None:
        """Refuses, before anything is begun, to wait for a clock that will not move."""
        if self._rests() and not self._may_jump():
            raise self._stands_still(therefore)

    def wait_until(
        self,
        outcome: Callable[[], _T | None],
        until_ns: int | None = None,
        active: Callable[[], bool] = lambda: True,
    ) -> _T:
        """Returns what ``outcome()``, asked at borders, returns first that is not None.

        A manual clock jumps to the border at which there is one, with autojump; ``until_ns`` is
        where that is at the latest, if it is known.  Without autojump a clock that stands still
        is refused.  ``active()`` false says that nobody waits any more.
        """
        while True:
            with self._border.change():
                found = outcome()
            if found is not None:
                return found
            self._check_open()
            if not active():
                raise Aborted("the caller has gone")
            if self._rests():
                found = self._jump(outcome, until_ns, active)
                if found is not None:
                    return found
            else:
                self._check_runner()
                sleep_ns(_POLL_NS)

    def _jump(
        self, outcome: Callable[[], _T | None], until_ns: int | None, active: Callable[[], bool]
    ) -> _T | None:
        """Moves a clock that stands still to an outcome; None when somebody else moved it."""
        if not self._may_jump():
            raise self._stands_still("it has not come to its end; the next Advance brings it")
        found: _T | None = None

        def there() -> bool:
            nonlocal found
            if found is None:
                with self._border.change():
                    found = outcome()
            return found is not None or bool(self._closed) or not active()

        if not self._turn.acquire(timeout=_POLL_NS / 1e9):
            return None
        try:
            if self._explicit or not self._rests():
                return None
            if until_ns is None:
                self._tree.advance_until_idle(TIME_NS_MAX, there)
            else:
                self._tree.advance(max(until_ns, self._tree.now_ns), there)
            if not there() and (until_ns is None or self._tree.now_ns >= until_ns):
                raise FailedPrecondition(
                    f"nothing is left to do in {self._tree.name} at {self._tree.now_ns} ns, and "
                    "what is waited for has not come",
                    reason="NEVER_COMES",
                    resource=self._tree.name,
                )
        finally:
            self._turn.release()
        return found

    def _rests(self) -> bool:
        """Whether time stands still until somebody moves it."""
        mode = self._settings.mode
        if self._explicit or self._tree.advancing or mode is ClockMode.PACED:
            return False
        return mode is ClockMode.MANUAL or self._tree.idle

    def _may_jump(self) -> bool:
        return self._settings.autojump or self._settings.mode is ClockMode.FLAT_OUT

    # --- refusals ---------------------------------------------------------------------------

    def _check_open(self) -> None:
        if self._closed:
            raise Aborted(self._closed, reason="CLOCK_CLOSED", resource=self._tree.name)

    def _check_runner(self) -> None:
        runner = self._runner
        if runner and runner.stuck:
            raise runner.stuck

    def _check_manual(self) -> None:
        settings = self._settings
        if settings.mode is ClockMode.MANUAL:
            return
        how = "flat out"
        if settings.mode is ClockMode.PACED:
            how = f"paced at {settings.factor:g} × real time"
        raise FailedPrecondition(
            f"time of {self._tree.name} moves by itself, {how}: wait for it, or make its clock "
            "manual with UpdateClock before you advance it",
            reason="CLOCK_RUNS",
            resource=self._tree.name,
        )

    def _advancing(self) -> FailedPrecondition:
        return FailedPrecondition(
            f"{self._tree.name} is advancing already: wait for that call to end",
            reason="ADVANCING",
            resource=self._tree.name,
        )

    def _stands_still(self, therefore: str) -> FailedPrecondition:
        return FailedPrecondition(
            f"time of {self._tree.name} stands still at {self._tree.now_ns} ns: {therefore}",
            reason="CLOCK_STOPPED",
            resource=self._tree.name,
        )


class _Runner:
    """The thread of a clock that runs by itself, in slices of bounded wall time."""

    def __init__(self, tree: Tree, turn: threading.Lock, settings: ClockSettings) -> None:
        self._tree = tree
        self._turn = turn
        self._over = threading.Event()
        self.stuck: Refused | None = None  # why time cannot move
        self._settings = settings
        self._pace: Pace | None = None
        self.begin_anew()
        self._thread = threading.Thread(target=self._run, name="clock", daemon=True)
        self._thread.start()

    def begin_anew(self) -> None:
        """Keeps pace from the time that there is now."""
        if self._settings.mode is ClockMode.PACED:
            self._pace = Pace(self._settings.factor, self._tree.now_ns)

    def stop(self) -> None:
        """Ends the thread at the next border."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        rest = 0.0
        while not self._over.wait(rest):
            try:
                rest = self._slice()
                self.stuck = None
            except Refused as refused:
                if self.stuck is None:
                    _LOG.warning("time of %s does not move: %s", self._tree.name, refused.message)
                self.stuck, rest = refused, _RETRY_SECONDS

    def _slice(self) -> float:
        """Moves time once; returns for how many wall seconds to rest."""
        tree, watch = self._tree, Stopwatch()

        def stop() -> bool:
            return self._over.is_set() or watch.elapsed_ns > _SLICE_NS

        with self._turn:
            if self._pace is None:
                tree.advance_until_idle(TIME_NS_MAX, stop)
                return _TICK_SECONDS if tree.idle else 0.0
            due_ns = self._pace.due_ns(tree.now_ns)
            tree.advance(due_ns, stop)
            return _TICK_SECONDS if tree.now_ns >= due_ns else 0.0
