"""What hosts do, in plain Python, about commands that are not answered in time.

A command is aborted; if that is not answered either, its device's logical unit is reset, then the
target, and at last the path is taken for dead.
"""

from __future__ import annotations

from collections.abc import Callable

from smokestack.engine.records import RESET_ATTEMPT, Kind, Task
from smokestack.multipath.specs import Escalation, MultipathSpec
from tests.reference.agenda import MULTIPATH, Agenda
from tests.reference.array import Array
from tests.reference.devices import Adapter, Check, Device, HostIo, Path, Recovery
from tests.reference.digest import Completion
from tests.reference.stations import Command

# Of one time: resets that are due, commands that time out, events (0), what is complete.
RESET, TIMER, COMPLETE = -3, -2, 1


Key = tuple[int, int, bool]  # of an answer: whose, to which attempt, and whether to its abort


def key_of(record: Completion) -> Key:
    """What tells an answer from others: those to a command and to its abort may both be out."""
    return record.ident, record.attempt, record.kind == Kind.TASK


class Recoveries:
    """The part of multipath that is about what is not answered."""

    _agenda: Agenda
    _spec: MultipathSpec
    _ios: dict[int, HostIo]
    _by_index: list[Device]
    _crossing: dict[Key, tuple[Path, Completion]]
    _lost: set[Array]
    adapters: dict[tuple[str, str], Adapter]
    lookahead_ns: int
    _land: Callable[..., None]
    _rejoin: Callable[[Device, HostIo], None]
    _serve: Callable[[Adapter], None]
    _pump: Callable[[Device], None]
    _turn: Callable[[Device], None]
    _cross: Callable[[Path, int], int | None]
    _send_check: Callable[[Check], None]
    fails: Callable[[Device, Path], None]

    # --- what is sent -------------------------------------------------------------------------

    def _send_task(self, path: Path, ident: int, attempt: int, task: Task, word: int) -> int:
        path.array.submit(Command(ident, attempt, 0, 0, task, path.itl, word=word))
        timeout = max(self._spec.task_management_timeout_ns, self.lookahead_ns)
        return self._agenda.now + timeout

    def _abort(self, device: Device, io: HostIo) -> None:
        assert io.path is not None
        device.aborts += 1
        io.aborting = device.aborts
        io.abort_ends = self._send_task(
            io.path, io.ident, io.attempt, Task.ABORT_TASK, device.aborts
        )
        key = (io.abort_ends, MULTIPATH, TIMER, io.ident, io.attempt)
        self._agenda.add(key, self._abort_times_out, device, io, device.aborts)

    def _send_reset(self, device: Device, path: Path, task: Task) -> None:
        device.resets += 1
        device.target_resets += task is Task.TARGET_RESET
        ident = device.resets << 32 | device.index
        ends = self._send_task(path, ident, RESET_ATTEMPT, task, 0)
        device.recovery = Recovery(path, task, ident, ends)
        self._agenda.add((ends, MULTIPATH, RESET, device.index, 0), self._reset_due, device, ident)

    def reset(self, device: Device, path: Path, task: Task) -> None:
        """Has a device's unit or target reset by hand: before anything else of now."""
        device.recovery = Recovery(path, task, 0, self._agenda.now)
        key = (self._agenda.now, MULTIPATH, RESET, device.index, 0)
        self._agenda.add(key, self._reset_due, device, 0)

    # --- what does not come -------------------------------------------------------------------

    def _command_times_out(self, io: HostIo, attempt: int, sent_ns: int) -> None:
        """Aborts an I/O that is still out as it was then."""
        path = io.path
        if path is None or (io.attempt, io.sent_ns) != (attempt, sent_ns):
            return
        device = self._by_index[io.nexus]
        device.timed_out += 1
        if path.dead:
            self._give_back(device, io)
        elif device.recovery is not None:
            io.aborting = -1
        else:
            self._abort(device, io)

    def _abort_times_out(self, device: Device, io: HostIo, word: int) -> None:
        path = io.path
        if path is None or io.aborting != word:
            return
        device.unanswered += 1
        if device.recovery is not None:
            io.aborting = -1
        elif path.dead:
            self._give_back(device, io)
        elif self._spec.escalation < Escalation.LOGICAL_UNIT_RESET:
            self._abort(device, io)
        else:
            io.aborting = -1
            self._send_reset(device, path, Task.LOGICAL_UNIT_RESET)

    def _reset_due(self, device: Device, ident: int) -> None:
        """Sends a reset that was asked for, or goes on after one that was not answered."""
        found, most = device.recovery, self._spec.escalation
        if found is None or found.ident != ident:
            return
        task = found.task
        device.unanswered += ident > 0
        if ident and task is Task.TARGET_RESET and most >= Escalation.PATH_DOWN:
            device.given_up += 1
            if found.path.checked:
                self.fails(device, found.path)
            else:
                found.path.given_up = True
                self._turn(device)
            self._end_recovery(device, helped=False)
            return
        if ident and most >= Escalation.TARGET_RESET:
            task = Task.TARGET_RESET
        self._send_reset(device, found.path, task)

    # --- what comes ---------------------------------------------------------------------------

    def _task_heard(self, record: Completion) -> None:
        """Hears that a function is complete; its word crosses the fabric as a frame does."""
        path = self._waits_for(record)
        if path is None:
            return
        through = self._cross(path, 1)
        if through is None:
            return
        if through == self._agenda.now:
            self._task_complete(record)
            return
        late = record._replace(time=through)
        if self._waits_for(late):
            self._crossing[key_of(late)] = path, late
            key = (through, MULTIPATH, COMPLETE, record.ident, record.attempt)
            self._agenda.add(key, self._task_complete, late)

    def _waits_for(self, record: Completion) -> Path | None:
        """The path of what waits to hear this, if it comes in time."""
        if record.attempt == RESET_ATTEMPT:
            found = self._by_index[record.ident & 0xFFFFFFFF].recovery
            if found is None or found.ident != record.ident or record.time >= found.ends:
                return None
            return found.path
        io = self._ios.get(record.ident)
        if io is None or io.attempt != record.attempt or io.aborting != record.sense:
            return None
        return io.path if record.time < io.abort_ends else None

    def _task_complete(self, record: Completion) -> None:
        self._crossing.pop(key_of(record), None)
        if self._waits_for(record) is None:
            return
        if record.attempt == RESET_ATTEMPT:
            self._end_recovery(self._by_index[record.ident & 0xFFFFFFFF], helped=True)
        else:
            io = self._ios[record.ident]
            self._give_back(self._by_index[io.nexus], io)

    def _give_back(self, device: Device, io: HostIo) -> None:
        """Takes one I/O back, to be sent again."""
        assert io.path is not None
        path, adapter = io.path, io.path.adapter
        io.attempt += 1
        self._land(device, io, answered=False)
        if path.checked:
            self.fails(device, path)
        self._rejoin(device, io)
        self._serve(adapter)
        self._pump(device)

    def _end_recovery(self, device: Device, *, helped: bool) -> None:
        """A reset is over: what has timed out is sent again, or all that is out."""
        device.recovery = None
        taken: list[HostIo] = []
        failed: list[Path] = []
        for io in sorted(self._ios.values(), key=lambda io: io.ident, reverse=True):
            if io.path is None or self._by_index[io.nexus] is not device:
                continue
            if io.sent_ns is None and io.path.dead:
                io.waited_ns += self._agenda.now - io.queued_ns
            elif io.sent_ns is not None and (helped or io.aborting is not None):
                io.attempt += 1
                failed += [io.path] if io.aborting is not None else []
            else:
                continue
            self._land(device, io, answered=False)
            taken.append(io)
        for path in failed:
            if path.checked:
                self.fails(device, path)
        for io in taken:
            self._rejoin(device, io)
        for path in device.paths if helped else ():
            gone = path.array in self._lost
            if path.check is not None and path.check.waits_until is None and not gone:
                path.check.attempt += 1
                self._send_check(path.check)
        for adapter in self.adapters.values():
            self._serve(adapter)
        self._pump(device)

    def _recovery_lost(self, device: Device, path: Path) -> None:
        """A path went down, and with it perhaps what a device's reset was sent by."""
        if device.recovery is not None and device.recovery.path is path:
            self._end_recovery(device, helped=False)

    def _forget_reset(self, array: Array, heard: frozenset[tuple[int, int]]) -> None:
        """An array is gone: no reset that it has not answered is waited for."""
        for device in self._by_index:
            found = device.recovery
            answered = found is not None and (found.ident, RESET_ATTEMPT) in heard
            if found is not None and found.path.array is array and not answered:
                device.recovery = None
