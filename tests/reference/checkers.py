"""Path checkers in plain Python: a TEST UNIT READY now and then finds paths dead or alive.

While a device's paths are checked, its host hears of nothing at once.  A path fails when a command
on it does, or a check; and it is back when a check says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from smokestack.engine.records import HostStatus, Kind, Op, Sense, Status
from smokestack.multipath.specs import MultipathSpec, PathChecker, PathFailureHandling
from tests.reference.agenda import MULTIPATH, Agenda
from tests.reference.array import Array
from tests.reference.devices import Check, Device, Path
from tests.reference.digest import Completion
from tests.reference.stations import Command

FIRST = 0xFFFFFF << 40  # of the ids of checks
TIMER = -2  # of one time: before links, events, answers
UNIT_ATTENTION = 6


class Checkers:
    """The part of multipath that checks paths."""

    _agenda: Agenda
    _spec: MultipathSpec
    _lost: set[Array]
    _paths: dict[tuple[Array, int], tuple[Device, Path]]
    lookahead_ns: int
    _turn: Callable[[Device], None]
    _pump: Callable[[Device], None]
    _damaged: Callable[[Path, Completion], bool]
    _cross: Callable[[Path, int], int | None]
    _learn: Callable[[Device, Path, Completion], None]

    def check_paths(self, device: Device, settings: PathFailureHandling) -> None:
        """Takes settings: paths are checked from now on, or known at once."""
        device.handling = settings
        device.back_seen, device.back_owed, device.back_due = 0, False, None
        for path in device.paths:
            path.goes_back = False
        for path in device.paths:
            if not path.checked:
                path.failed = (path.silent or path.given_up) and not path.blocked
            path.given_up = False
            path.checked = settings.checker is PathChecker.TUR
            self.begin_checks(device, path)
        self._turn(device)

    def begin_checks(self, device: Device, path: Path) -> None:
        """Plans a path's first check; what is under way goes on."""
        path.interval = device.handling.polling_interval_ns
        if path.checked:
            self._check_at(device, path, self._agenda.now + path.interval)

    def _check_at(self, device: Device, path: Path, time: int) -> None:
        path.due = time
        self._timer(time, path, 0, self._check, device, path, time)

    def _timer(
        self, time: int, path: Path, number: int, action: Callable[..., None], *of: Any
    ) -> None:
        """At one time checks have their timers by path, after those of commands."""
        key = (time, MULTIPATH, TIMER, FIRST + (path.row << 16) + number, 0)
        self._agenda.add(key, action, *of)

    def _check(self, device: Device, path: Path, due: int) -> None:
        if path.due != due or path.check or path not in device.paths or not path.checked:
            return  # planned otherwise since
        number = (path.sequence + 1) & 0xFFFF
        check = Check(path, self._agenda.now, FIRST + (path.row << 16) + number)
        if path.array in self._lost or path.silent:
            self._ends(device, check, works=None if path.blocked else False)
            return
        path.sequence += 1
        path.check = check
        deadline = check.begun + max(device.handling.checker_timeout_ns, self.lookahead_ns)
        self._timer(deadline, path, number, self._check_times_out, device, check)
        self._send_check(check)

    def _send_check(self, check: Check) -> None:
        path = check.path
        command = Command(check.ident, check.attempt, 0, 0, Op.TEST_UNIT_READY, path.itl)
        path.array.submit(command)

    def _check_times_out(self, device: Device, check: Check) -> None:
        if check.path.check is check:
            self._ends(device, check, works=False)

    def _ends(self, device: Device, check: Check, *, works: bool | None) -> None:
        """Acts on what a check has found; None: nothing."""
        path, now = check.path, self._agenda.now
        path.check = None
        if not path.checked or path not in device.paths:
            return
        if works and path.failed and not path.gone:
            if self._reinstates(device, path):
                path.failed = False
                path.interval = device.handling.polling_interval_ns
        elif works and not path.gone:
            _forgive(device, path)
            path.interval = min(2 * path.interval, polling_max(device.handling))
        elif works is False:
            if path.recovers_at is not None:
                path.recovers_at = now + device.handling.path_error_recovery_ns
            self.fails(device, path)
        due = check.begun + path.interval
        self._check_at(device, path, due if due > now else now + path.interval)
        self._turn(device)
        self._pump(device)

    def _reinstates(self, device: Device, path: Path) -> bool:
        """Whether a path that is good again is used again."""
        now, handling = self._agenda.now, device.handling
        if not handling.path_error_threshold:
            return True
        if path.recovers_at is not None:
            if now < path.recovers_at and any(each.usable for each in device.paths):
                return False
            path.recovers_at, path.failures, path.forget = None, 0, 0
            return True
        if not path.failures:
            path.forget = handling.path_error_forget_checks
        path.failures += 1
        if path.failures > handling.path_error_threshold:
            path.recovers_at = now + handling.path_error_recovery_ns
        return path.recovers_at is None

    def fails(self, device: Device, path: Path) -> None:
        """A path that worked works no more."""
        if not path.failed and not path.gone:
            path.failed = True
            self._soon(device, path)
            self._turn(device)

    def goes(self, device: Device, path: Path) -> None:
        """A path has answered that there is no such unit."""
        if not path.failed and not path.gone:
            self._soon(device, path)
        path.gone = True

    def _soon(self, device: Device, path: Path) -> None:
        """Has a path that has failed checked after the shortest interval."""
        if not path.checked:
            return
        path.interval = device.handling.polling_interval_ns
        soon = self._agenda.now + path.interval
        if path.check is None and path.due is not None and path.due > soon:
            self._check_at(device, path, soon)

    def check_is_void(self, device: Device, path: Path) -> None:
        """What is under way will not be answered, and that says nothing."""
        if path.check:
            self._ends(device, path.check, works=None)

    def falls_silent(self, device: Device, path: Path) -> None:
        """A checked path's transport is down: what is on its way on it says so."""
        if path.in_flight:
            self.fails(device, path)
        if path.check:
            self._ends(device, path.check, works=False)

    def _hear_check(self, array: Array, record: Completion) -> None:
        """Takes the answer to a check on its way across the fabric."""
        device, path = self._paths[array, record.nexus]
        if not awaited(path, record):
            return
        through = self._cross(path, 1)
        if through is None:
            return
        if self._damaged(path, record):
            record = record._replace(kind=Kind.HOST, status=HostStatus.PARITY, sense=0)
        if through > self._agenda.now:
            key = (through, MULTIPATH, 2, record.ident, record.attempt)
            self._agenda.add(key, self._check_answered, device, path, record)
        else:
            self._check_answered(device, path, record)

    def _check_answered(self, device: Device, path: Path, record: Completion) -> None:
        check = path.check
        if check is None or not awaited(path, record) or path.array in self._lost:
            return
        if path.unchecked_at is not None:
            return
        damaged = record.kind == Kind.HOST
        refused = not damaged and record.status in (Status.TASK_SET_FULL, Status.BUSY)
        if refused and path.checked:
            check.attempt += 1
            check.waits_until = self._agenda.now + self._spec.qfull_retry_delay_ns
            of = check, check.waits_until
            self._timer(of[1], path, check.ident & 0xFFFF, self._refused_again, *of)
            return
        self._learn(device, path, record)
        self._turn(device)
        if not path.checked:
            self._ends(device, check, works=None)
        elif damaged or record.sense >> 16 == UNIT_ATTENTION:
            check.tries -= 1
            if check.tries:
                check.attempt += 1
                self._send_check(check)
            else:
                self._ends(device, check, works=False)
        else:
            if record.sense == Sense.LU_NOT_SUPPORTED:
                self.goes(device, path)
                self._turn(device)
            good = record.status == Status.GOOD or record.sense == Sense.STANDBY
            self._ends(device, check, works=None if record.sense == Sense.TRANSITION else good)

    def _refused_again(self, check: Check, then: int) -> None:
        kept = check.path.check is check and check.path.unchecked_at is None
        if kept and check.waits_until == then:
            check.waits_until = None
            self._send_check(check)


def polling_max(handling: PathFailureHandling) -> int:
    """The longest time from one check to the next."""
    return handling.max_polling_interval_ns or 4 * handling.polling_interval_ns


def _forgive(device: Device, path: Path) -> None:
    """A good check of a path in use makes up for failures, some day."""
    if not path.failures or path.recovers_at is not None:
        return
    if path.forget:
        path.forget -= 1
    else:
        path.failures -= 1
        path.forget = device.handling.path_error_forget_checks


def awaited(path: Path, record: Completion) -> bool:
    """Whether a path's host waits for this answer to a check."""
    check, ends = path.check, path.unchecked_at
    if check is None or (ends is not None and record.time >= ends):
        return False
    return (check.ident, check.attempt) == (record.ident, record.attempt)
