"""What becomes of paths without transport in plain Python: blocked, failed, removed, found anew."""

from __future__ import annotations

from collections.abc import Callable

from tests.reference.agenda import MULTIPATH, Agenda
from tests.reference.devices import Adapter, Device, HostIo, Path

FIRST = 0xFFFFFE << 40  # of the ids of their timers: before those of checks
TIMER = -2


class Transport:
    """The part of multipath that hears of ports and links."""

    _agenda: Agenda
    _ios: dict[int, HostIo]
    _turn: Callable[[Device], None]
    _pump: Callable[[Device], None]
    _serve: Callable[[Adapter], None]
    _take_back: Callable[[Device, Path], None]
    fails: Callable[[Device, Path], None]
    falls_silent: Callable[[Device, Path], None]
    check_is_void: Callable[[Device, Path], None]
    begin_checks: Callable[[Device, Path], None]

    def _at(
        self, time: int, path: Path, number: int, action: Callable[..., None], *of: object
    ) -> None:
        key = (time, MULTIPATH, TIMER, FIRST + 2 * path.row + number, 0)
        self._agenda.add(key, action, *of)

    def cut(self, device: Device, path: Path, was_dead: bool) -> None:
        """A path's port or a link on the way is down."""
        now, handling = self._agenda.now, device.handling
        if handling.fast_io_fail_ns and not path.blocked and not was_dead:
            self._block(device, path)
        elif not path.blocked:
            self._fail_commands(device, path)
        if handling.dev_loss_ns and path.lost_at is None and not path.removed:
            path.lost_at = now + handling.dev_loss_ns
            self._at(path.lost_at, path, 1, self._remove, device, path, path.lost_at)
        self._serve(path.adapter)

    def _fail_commands(self, device: Device, path: Path) -> None:
        if path.checked:
            self.falls_silent(device, path)
        else:
            self._turn(device)
        self._take_back(device, path)

    def _block(self, device: Device, path: Path) -> None:
        now = self._agenda.now
        path.blocked = True
        path.fails_at = now + device.handling.fast_io_fail_ns
        for io in sorted(self._ios.values(), key=lambda io: io.ident):
            if io.path is not path:
                continue
            if io.sent_ns is None:
                path.adapter.queue.remove(io)
            else:
                path.adapter.active -= 1
                io.attempt += 1
                io.queued_ns, io.sent_ns, io.aborting = now, None, None
            path.parked.append(io)
        self._at(path.fails_at, path, 0, self._times_out_path, device, path, path.fails_at)
        self.check_is_void(device, path)

    def mended(self, device: Device, path: Path) -> None:
        """A path's port and all of its links are up."""
        path.lost_at, path.given_up = None, False
        if path.blocked:
            self._unblock(device, path)
        elif path.removed:
            path.removed = False
            if not path.gone:
                path.failed = False
            self._turn(device)
            self.begin_checks(device, path)
        self._turn(device)

    def _unblock(self, device: Device, path: Path) -> None:
        path.blocked, path.fails_at = False, None
        parked, path.parked = path.parked, []
        for io in parked:
            path.adapter.queue.append(io)
            self._serve(path.adapter)

    def _times_out_path(self, device: Device, path: Path, then: int) -> None:
        if path.fails_at != then:
            return
        if path.silent:
            path.blocked, path.fails_at = False, None
            self._fail_commands(device, path)
            self._serve(path.adapter)
        else:
            self._unblock(device, path)
        self._pump(device)

    def _remove(self, device: Device, path: Path, then: int) -> None:
        if path.lost_at != then:
            return
        path.lost_at = None
        if not path.silent:
            return
        self.fails(device, path)
        path.failed = path.removed = True
        path.due = None
        self._pump(device)
