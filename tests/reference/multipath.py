"""Multipath in plain Python: devices with a queue each, over paths that come and go.

An I/O is queued, or in flight on a path, or waits to retry.  At most ``depth`` of a device's I/Os
are in flight.  A refusal by a full port frees its place; the I/O comes back to the queue's head
after a delay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, cast

from smokestack.engine.records import (
    EventCode,
    Flag,
    HostStatus,
    Kind,
    Sense,
    Status,
    Task,
)
from smokestack.multipath.specs import (
    DeviceState,
    MultipathHostSpec,
    MultipathSpec,
    Selector,
)
from tests.reference import selectors
from tests.reference.access import TELLING
from tests.reference.agenda import CHANGE, HYPERVISOR, MULTIPATH, SUBMISSION, Agenda
from tests.reference.array import Array
from tests.reference.checkers import FIRST, Checkers
from tests.reference.claims import forbids_fixed, policy_of
from tests.reference.config import (
    AdapterUpdated,
    DeviceReset,
    DeviceUpdated,
    PathEnabled,
    PathUpdated,
)
from tests.reference.devices import Adapter, Device, HostIo, Path, Times, origin_of
from tests.reference.digest import Completion
from tests.reference.failback import Failbacks
from tests.reference.faults import AFTER, BEFORE, Rules
from tests.reference.landings import Landings
from tests.reference.losses import Losses
from tests.reference.mclock import MClock
from tests.reference.recovery import TIMER, Key, Recoveries, key_of
from tests.reference.stations import Command
from tests.reference.throttle import Throttle
from tests.reference.transport import Transport
from tests.reference.wires import Wires

NOT_READY = (Sense.TRANSITION, Sense.STANDBY, Sense.UNAVAILABLE)
UNIT_ATTENTION = 6  # the sense key
# Of one time: timers, links that change, events (0), what is complete (1), answers, retries.
ANSWER, RETRY = 2, 3  # links change at -1


class Multipath(Checkers, Failbacks, Landings, Losses, Transport, Wires, Recoveries):
    """The multipath layer of every host."""

    def __init__(
        self, agenda: Agenda, spec: MultipathSpec, arrays: Sequence[Array], seed: int
    ) -> None:
        self._agenda = agenda
        self._spec = spec
        self._arrays = arrays  # by name
        self._hosts: dict[str, MultipathHostSpec] = {}
        self._ios: dict[int, HostIo] = {}
        self._paths: dict[tuple[Array, int], tuple[Device, Path]] = {}
        self._by_index: list[Device] = []
        self.adapters: dict[tuple[str, str], Adapter] = {}
        self._evaluation_ns = -1
        self._lost: set[Array] = set()
        self.devices: dict[tuple[str, str], Device] = {}
        self.complete: Callable[[Completion], None]  # the hypervisor's, set when it stands
        self.lookahead_ns = min(array.lookahead_ns for array in arrays)
        self.fabrics = {}
        self._crossing: dict[Key, tuple[Path, Completion]] = {}
        self._strays: dict[Completion, tuple[Path, int]] = {}
        self._moves = 0  # of links
        self._rows = 0  # paths found so far
        self._service = f"multipaths/{spec.name}"
        self.rules = Rules(agenda, self._service, seed)
        self.rules.moved = self._rules_move
        for array in arrays:
            array.listener = self

    # --- what hosts see -----------------------------------------------------------------------

    def create_host(self, spec: MultipathHostSpec) -> None:
        """Adds a host and lets it scan."""
        self._hosts[spec.host_id] = spec
        for initiator in spec.initiators:
            self.adapters[spec.host_id, initiator] = Adapter(spec.adapter_queue_depth)
        self.rescan(spec.host_id)

    def rescan(self, host_id: str) -> None:
        """Finds a host's new volumes, by name, and lets go of those that are hidden now."""
        spec = self._hosts[host_id]
        found: dict[str, list[Path]] = {}
        for array in self._arrays:
            if array not in self._lost:
                array.asked(spec.initiators)
            for itl in array.itls:
                if itl.shown and itl.initiator in spec.initiators and array not in self._lost:
                    name = f"{itl.initiator}.{itl.port.spec.port_id}"
                    adapter = self.adapters[host_id, itl.initiator]
                    path = Path(name, array, adapter, itl, up=array.usable(itl.port))
                    path.access, path.preferred_group = array.access(itl)
                    path.group = itl.port.home.number
                    found.setdefault(f"{array.array_id}.{itl.export.volume_id}", []).append(path)
        for name, paths in sorted(found.items()):
            device = self.devices.get((host_id, name))
            if device is None:
                self._add_device(spec, name, paths)
            elif {path.itl for path in device.paths} != {path.itl for path in paths}:
                raise NotImplementedError("paths of a known device do not change here")
            else:
                self._look_again(spec, device, paths)
        gone = [key for key in self.devices if key[0] == host_id and key[1] not in found]
        for key in gone:
            if self.devices[key].paths[0].array not in self._lost:
                device = self.devices.pop(key)
                for path in device.paths:
                    path.gone = True
                    path.unchecked_at = self._agenda.now + self.lookahead_ns  # known until then
                device.paths.clear()
                device.state = DeviceState.ON

    def _look_again(self, spec: MultipathHostSpec, device: Device, found: list[Path]) -> None:
        """Takes a device's paths for what an array says of them now."""
        says = {path.itl: path for path in found}
        for path in device.paths:
            now = says[path.itl]
            path.up, path.gone, path.given_up = now.up, False, False
            path.failed = path.silent and not path.blocked
            if path.removed and not path.silent:
                path.removed = False
                self.begin_checks(device, path)
            path.access, path.preferred_group = now.access, now.preferred_group
        if isinstance(device.policy, selectors.POLICIES[Selector.FIXED]) and forbids_fixed(
            spec, device.paths
        ):
            device.policy = selectors.POLICIES[Selector.MOST_RECENTLY_USED](device.paths)
        self._turn(device)

    def _add_device(self, spec: MultipathHostSpec, name: str, paths: list[Path]) -> None:
        paths.sort(key=lambda path: (path.itl.initiator, path.itl.port.spec.port_id))
        device = Device(
            index=len(self._by_index),
            capacity_bytes=paths[0].itl.own.capacity_bytes,
            paths=paths,
            policy=selectors.POLICIES[policy_of(spec, paths)](paths),
            throttle=Throttle(spec.queue_control, spec.lun_queue_depth),
            ios_per_path=spec.ios_per_path,
            preferred=paths[0],
            settings=spec.selector_settings,
            dsnro=spec.sched_num_req_outstanding,
        )
        self._by_index.append(device)
        self.devices[spec.host_id, name] = device
        for path in paths:
            self._paths[path.array, path.itl.index] = device, path
            self._join(path)
            full = f"{self._service}/hosts/{spec.host_id}/devices/{name}/paths/{path.name}"
            path.held = partial(self._held, full)
            path.peers = paths
            path.row = self._rows
            self._rows += 1
            path.failed = path.silent
        self.check_paths(device, spec.path_failure_handling)
        for path in paths:
            path.was_usable = path.usable
        self._map_cpus(device)
        self._judge(device)

    def _held(self, path: str) -> bool:
        kinds = ("PATH_DISABLED", "PATH_FALSELY_DEAD")
        return any(self.rules.holds(kind, path, self._agenda.now) for kind in kinds)

    @staticmethod
    def _map_cpus(device: Device) -> None:
        count = len(device.paths)
        for place, path in enumerate(device.paths):
            path.cpus = path.mapped or frozenset(range(place, 64, count))

    def _rules_move(self, time: int, phase: int) -> None:
        if phase == AFTER:
            self._turn_all(phase)
        else:
            self._agenda.add((time, CHANGE, BEFORE, 0, 0), self._turn_all, phase)

    def _turn_all(self, phase: int) -> None:
        self._move_links(phase)
        for device in self._by_index:
            self._turn(device)

    def _turn(self, device: Device) -> None:
        """Tells the policy which paths are usable now and were not, or the other way round."""
        self.judge_failback(device)
        for path in device.paths:
            if path.usable != path.was_usable:
                path.was_usable = path.usable
                hear = device.policy.reinstated if path.usable else device.policy.failed
                hear(path)
        self._judge(device)

    def update_device(self, change: DeviceUpdated) -> None:
        """Changes a device's queue or policy."""
        device = self.devices[change.host_id, change.device]
        if change.ios_per_path is not None:
            device.ios_per_path = change.ios_per_path
        if change.preferred_path is not None:
            named = {path.name: path for path in device.paths}
            device.preferred = named[change.preferred_path]
        if change.selector_settings is not None:
            device.settings = change.selector_settings
        refused = change.selector is Selector.FIXED and forbids_fixed(
            self._hosts[change.host_id], device.paths
        )
        if change.selector is not None and not (
            refused or isinstance(device.policy, selectors.Vendor)
        ):
            kind = selectors.POLICIES[change.selector]
            if type(device.policy) is not kind:
                device.policy = kind(device.paths)
        if change.lun_queue_depth is not None:
            device.throttle.configure(change.lun_queue_depth)
        if change.sched_num_req_outstanding is not None:
            device.dsnro = change.sched_num_req_outstanding
        if change.queue_control is not None:
            device.control(change.queue_control)
        if change.path_failure_handling is not None:
            self.check_paths(device, change.path_failure_handling)
        if change.world_shares is not None:
            device.mclock = MClock(change.world_shares) if change.world_shares else None
        self._pump(device)  # which does nothing when no limit has changed

    def update_layer(self, settings: Mapping[str, int]) -> None:
        """Changes settings of the layer; what is under way keeps what it was given."""
        spec = replace(self._spec, **cast(Mapping[str, Any], settings))
        if spec.command_timeout_ns or not any(each.holds for each in self.fabrics.values()):
            self._spec = spec

    def reset_device(self, change: DeviceReset) -> None:
        """Resets a device, or its target, by its first usable path."""
        device = self.devices[change.host_id, change.device]
        path = next((path for path in device.paths if path.usable), None)
        if device.recovery is None and path is not None:
            task = Task.TARGET_RESET if change.target else Task.LOGICAL_UNIT_RESET
            self.reset(device, path, task)

    def update_adapter(self, change: AdapterUpdated) -> None:
        """Changes how many commands an adapter may have out."""
        adapter = self.adapters[change.host_id, change.initiator]
        adapter.depth = change.queue_depth
        self._serve(adapter)

    def set_path_enabled(self, change: PathEnabled) -> None:
        """Takes a path out of use or back; what is in flight on it stays in flight."""
        device, path = self._named(change.host_id, change.device, change.path)
        path.enabled = change.enabled
        self._turn(device)

    def update_path(self, change: PathUpdated) -> None:
        """Changes what policies are told of a path."""
        device, path = self._named(change.host_id, change.device, change.path)
        if change.relative_throughput is not None:
            path.relative_throughput = change.relative_throughput
        if change.cpus is not None:
            path.mapped = frozenset(change.cpus)
            self._map_cpus(device)

    def _named(self, host_id: str, device: str, path: str) -> tuple[Device, Path]:
        found = self.devices[host_id, device]
        return found, next(each for each in found.paths if each.name == path)

    def all_devices(self) -> list[Device]:
        """Every device that was ever found, by index."""
        return self._by_index

    # --- I/O ----------------------------------------------------------------------------------

    def submit(self, io: HostIo) -> None:
        """Takes a guest's I/O, issued now."""
        self._agenda.add((self._agenda.now, SUBMISSION, 0, io.ident, 0), self._submitted, io)

    def _submitted(self, io: HostIo) -> None:
        device = self._by_index[io.nexus]
        self._ios[io.ident] = io
        io.submitted_ns = io.queued_ns = self._agenda.now
        device.worlds[io.vm] += 1
        device.queue.append(io)
        self._pump(device)

    def _pump(self, device: Device) -> None:
        """Sends from the queue's head while the device has places."""
        while device.queue and device.active < device.limit:
            place = device.mclock.choose(device.queue, self._agenda.now) if device.mclock else 0
            if place is None:
                assert device.mclock
                assert device.mclock.wake_ns
                key = (device.mclock.wake_ns, MULTIPATH, TIMER, -1, 0)
                self._agenda.add(key, self._pump, device)
                return
            io = device.queue[place]
            del device.queue[place]
            path = self._select(device, io)
            while path and path.checked and path.silent and not path.blocked:
                device.policy.unanswered(path, self._agenda.now)
                self.fails(device, path)
                path = self._select(device, io)
            if path is None and self._waits(device):
                if device.mclock:
                    device.mclock.undo()
                device.queue.appendleft(io)
                return
            if path is None:
                device.worlds[io.vm] -= 1
                self._give_up(io, device)
                continue
            device.active += 1
            path.in_flight += 1
            path.in_flight_bytes += io.length
            io.path, io.start_ns = path, self._agenda.now
            io.sent_ns = None
            if path.blocked:
                path.parked.append(io)
                continue
            path.adapter.queue.append(io)
            self._serve(path.adapter)

    def _serve(self, adapter: Adapter) -> None:
        """Sends what an adapter's free places allow, in the order in which it came."""
        while adapter.queue and adapter.active < adapter.depth:
            io = adapter.queue.popleft()
            adapter.active += 1
            io.sent_ns = io.start_ns = self._agenda.now
            io.waited_ns += io.sent_ns - io.queued_ns
            path = io.path
            assert path is not None
            flags = io.flags | (Flag.SET_GROUPS if path.asks else 0)
            command = Command(io.ident, io.attempt, io.lba, io.length, io.op, path.itl, flags)
            command.origin = origin_of(io, path, self._by_index)
            path.array.submit(command)
            io.timeout_ns = self._spec.command_timeout_ns
            if io.timeout_ns:
                timeout = max(io.timeout_ns, self.lookahead_ns)
                key = (io.sent_ns + timeout, MULTIPATH, TIMER, io.ident, io.attempt)
                self._agenda.add(key, self._command_times_out, io, io.attempt, io.sent_ns)

    def _select(self, device: Device, io: HostIo) -> Path | None:
        if not device.paths:
            return None  # hidden from the host since
        found = device.policy.select(self._choice(device, io))
        assert found is None or isinstance(found, Path)
        return found

    def _choice(self, device: Device, io: HostIo, hint: int = 0) -> selectors.Choice:
        return selectors.Choice(
            self._agenda.now,
            io.length,
            io.vm,
            device.preferred,
            device.ios_per_path,
            device.settings,
            hint,
        )

    def _give_up(self, io: HostIo, device: Device) -> None:
        """Answers an I/O that no path can carry; the guest hears after the lookahead."""
        del self._ios[io.ident]
        lost = device.state is DeviceState.PDL
        self._tell(
            Completion(
                time=self._agenda.now + self.lookahead_ns,
                ident=io.ident,
                array_ns=0,
                first_data_ns=0,
                nexus=io.nexus,
                sense=Sense.LU_NOT_SUPPORTED if lost else 0,
                attempt=io.attempt,
                status=HostStatus.NO_CONNECT,
                kind=Kind.HOST,
            )
        )

    def _tell(self, record: Completion) -> None:
        key = (record.time, HYPERVISOR, 0, record.ident, record.attempt)
        self._agenda.add(key, self.complete, record)

    def hear(self, array: Array, record: Completion) -> None:
        """Takes an array's answer or event that arrives now."""
        if record.kind == Kind.EVENT:
            self._event(array, record)
            return
        stray = self._strays.pop(record, None)
        if stray:
            self._cross(*stray)
            return
        if record.kind == Kind.TASK:
            self._task_heard(record)
            return
        hint = array.hints.pop((record.ident, record.attempt), 0)
        if record.ident >= FIRST:
            self._hear_check(array, record)
            return
        io = self._ios.get(record.ident)
        if io is None or not io.waits_for(record.attempt):
            return  # of an attempt that was given up
        io.hint = hint
        frames = self._frames(io, record)  # all of them cross, whatever becomes of one
        through = self._cross(io.path, frames)
        if through is None:
            return  # a switch has dropped it
        if self._damaged(io.path, record):
            record = record._replace(kind=Kind.HOST, status=HostStatus.PARITY, sense=0)
        if through > self._agenda.now:
            key = (through, MULTIPATH, ANSWER, record.ident, record.attempt)
            late = record._replace(time=through)
            self._crossing[key_of(late)] = io.path, late
            self._agenda.add(key, self._arrive, late)
        else:
            self._answered(io, record)

    def _arrive(self, record: Completion) -> None:
        """Takes an answer that a fabric has held up; its path may be down by now."""
        self._crossing.pop(key_of(record), None)
        io = self._ios.get(record.ident)
        if io is not None and io.waits_for(record.attempt):
            self._answered(io, record)

    def _answered(self, io: HostIo, record: Completion) -> None:
        device = self._by_index[io.nexus]
        refused = record.status in (Status.TASK_SET_FULL, Status.BUSY)
        attention = record.sense >> 16 == UNIT_ATTENTION
        gone = record.sense == Sense.LU_NOT_SUPPORTED
        damaged = record.kind == Kind.HOST
        aborted = record.status == Status.TASK_ABORTED
        again = refused or attention or gone or damaged or aborted or record.sense in NOT_READY
        if refused and device.throttle.hangs:
            return  # the host takes it for accepted
        path = io.path
        self._land(device, io, answered=not again, hint=io.hint)
        self._serve(path.adapter)
        if refused:
            device.throttle.refused()
            io.attempt += 1
            then = self._agenda.now + self._spec.qfull_retry_delay_ns
            self._agenda.add((then, MULTIPATH, RETRY, io.ident, 0), self._retry, io)
        elif attention or gone or damaged or aborted:
            io.attempt += 1
            self._learn(device, path, record)
            if gone:
                self.goes(device, path)
            if damaged and path.checked:
                self.fails(device, path)
            self._turn(device)
            self._rejoin(device, io)
        elif record.sense in NOT_READY:
            io.attempt += 1
            self._learn(device, path, record)
            self._turn(device)
            then = self._agenda.now + self._spec.not_ready_retry_delay_ns
            self._agenda.add((then, MULTIPATH, RETRY, io.ident, 0), self._retry, io)
        else:
            del self._ios[io.ident]
            device.worlds[io.vm] -= 1
            self._account(device, io)
            if record.status == Status.GOOD:
                device.throttle.succeeded()
            self._tell(record._replace(nexus=io.nexus))
        self._pump(device)

    @staticmethod
    def _learn(device: Device, path: Path, record: Completion) -> None:
        """Takes in what an answer says of target port groups."""
        if not path.access or record.sense not in TELLING:
            return
        for each in device.paths:
            each.access = record.first_data_ns >> (4 * each.group) & 15 or each.access

    def _account(self, device: Device, io: HostIo) -> None:
        now, sent = self._agenda.now, io.sent_ns
        assert sent is not None
        times = device.times.setdefault(io.vm, Times())
        times.ios += 1
        times.guest_ns += now - io.submitted_ns
        times.device_ns += now - sent
        times.kernel_ns += sent - io.submitted_ns
        times.queue_ns += io.waited_ns
        if device.controls_latency:
            device.window_ios += 1
            device.window_ns += now - sent
            self._plan_evaluation()

    def _plan_evaluation(self) -> None:
        """Latency moves windows at the next multiple of the period; without I/O it moves none."""
        period = self._spec.congestion_evaluation_ns
        then = (self._agenda.now // period + 1) * period
        if then != self._evaluation_ns:
            self._evaluation_ns = then
            self._agenda.add((then, CHANGE, BEFORE, 0, 0), self._evaluate)

    def _evaluate(self) -> None:
        """Moves the windows of the hosts of each volume, by what they all have seen of it."""
        volumes: dict[str, list[Device]] = {}
        for (_, name), device in self.devices.items():
            if device.controls_latency:
                volumes.setdefault(name, []).append(device)
        for devices in volumes.values():
            count = sum(device.window_ios for device in devices)
            if count:
                mean_ns = sum(device.window_ns for device in devices) // count
                for device in devices:
                    device.window.move(mean_ns, device.throttle.configured)
                    device.forget()
        for device in self._by_index:
            self._pump(device)

    def _land(self, device: Device, io: HostIo, *, answered: bool, hint: int = 0) -> None:
        assert io.path is not None
        device.active -= 1
        io.path.in_flight -= 1
        io.path.in_flight_bytes -= io.length
        if answered and io.path in device.paths:
            device.policy.answered(io.path, self._choice(device, io, hint), io.start_ns)
        elif io.path in device.paths:
            device.policy.unanswered(io.path, io.start_ns)
        if io in io.path.parked:
            io.path.parked.remove(io)
        elif io.sent_ns is None:
            io.path.adapter.queue.remove(io)
        else:
            io.path.adapter.active -= 1
        io.path = io.aborting = None

    def _retry(self, io: HostIo) -> None:
        device = self._by_index[io.nexus]
        self._rejoin(device, io)
        self._pump(device)

    def _rejoin(self, device: Device, io: HostIo) -> None:
        """Puts an I/O at the head of its queue."""
        io.queued_ns = self._agenda.now
        device.queue.appendleft(io)

    # --- paths that go down and come back -----------------------------------------------------

    def _event(self, array: Array, record: Completion) -> None:
        device, path = self._paths.get((array, record.nexus), (None, None))
        if device is None or path is None or array in self._lost:
            return  # of a path that no host has found, or that will not come back
        was_dead = path.dead
        path.up = record.sense == EventCode.PATH_UP
        if not path.up:
            self.cut(device, path, was_dead)
        elif not path.silent:
            self.mended(device, path)
        self._pump(device)
        if not path.up:
            self._recovery_lost(device, path)

    def _take_back(self, device: Device, path: Path, but: frozenset[Any] = frozenset()) -> None:
        """Puts what is in flight on a path back to the queue's head, lowest id first."""
        for io in sorted(self._ios.values(), key=lambda io: io.ident, reverse=True):
            if io.path is path and (io.ident, io.attempt) not in but:
                if io.sent_ns is None:  # its adapter has held it: no attempt was made
                    io.waited_ns += self._agenda.now - io.queued_ns
                else:
                    io.attempt += 1
                self._land(device, io, answered=False)
                self._rejoin(device, io)

    def lose(self, array: Array) -> None:
        """Gives up an array whose process has died, but for what it has answered already."""
        self._agenda.lose(array, array.forward_ns, self.lookahead_ns)
        for other in self._arrays:
            if other is not array and other not in self._lost:
                self._agenda.ahead(other, (self._agenda.now + other.forward_ns, 0, 0, 0))
        answered = self._counting(array)
        self._forget_reset(array, answered)
        self._lost.add(array)
        for device in self._by_index:
            mine = [path for path in device.paths if path.array is array]
            for path in mine:
                path.up = path.blocked = False
                path.failed = True
                path.fails_at = path.lost_at = None
            self._turn(device)
            for path in mine:
                self._take_back(device, path, answered)
                self._pump(device)
        for adapter in self.adapters.values():
            self._serve(adapter)
