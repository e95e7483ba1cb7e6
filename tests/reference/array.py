"""An array in plain Python: the path of a command through port, controller, cache or media.

A command that the port takes holds one of the port's places from its arrival to its departure.
Changes of now meet commands one least forward latency ahead, for an array has run that far.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from smokestack.array.specs import ExportSpec, MediaDistribution
from smokestack.engine.hints import hint_of
from smokestack.engine.records import (
    BLOCK_BYTES,
    AccessState,
    Attention,
    EventCode,
    Kind,
    Op,
    Sense,
    Status,
    Task,
)
from tests.reference import draws
from tests.reference.aborts import Tasks
from tests.reference.access import TELLING, Ownership
from tests.reference.agenda import ARRAY, MULTIPATH, Agenda
from tests.reference.config import (
    ArrayChange,
    ArrayConfig,
    AttentionEstablished,
    ControllerEnabled,
    ControllerRebooted,
    ExportCreated,
    ExportDeleted,
    HostLimits,
    PoolCapacity,
    PortEnabled,
    PortQueueLimit,
    VolumeAssigned,
    VolumeCapacity,
    VolumeQueueLimit,
)
from tests.reference.digest import Completion
from tests.reference.faults import AFTER, BEFORE, Rules
from tests.reference.limits import Limits
from tests.reference.moves import Moves
from tests.reference.space import ARRIVE, CHANGED, CTRL, DEPART, DESTAGED, MEDIA, REFUSE, TASK, TX
from tests.reference.stations import Command, Controller, Drives, Itl, Pool, Port, Volume
from tests.reference.writes import DESTAGE, Writes

READING = (Op.READ, Op.TEST_UNIT_READY)  # what an export that is read-only takes
# What a host that asks what it reaches need not be told any more.
ANSWERED = (
    Attention.LUNS_CHANGED,
    Attention.INQUIRY_CHANGED,
    Attention.IDENTIFIER_CHANGED,
    Attention.CAPACITY_CHANGED,
)
LATENCY_NS_DEFAULT = 50_000  # of an array that serves no port


class Listener(Protocol):
    """Whoever an array answers."""

    def hear(self, array: Array, record: Completion) -> None:
        """Takes an answer or an event that arrives now."""


class Array(Moves, Limits, Writes, Tasks):
    """One array below multipath."""

    def __init__(self, agenda: Agenda, seed: int, config: ArrayConfig) -> None:
        self.array_id = config.array_id
        self.listener: Listener | None = None
        self._agenda = agenda
        self._seed = seed
        self._events = 0
        controllers = {spec.controller_id: Controller(spec) for spec in config.controllers}
        self.controllers = controllers
        for number, controller in enumerate(controllers.values()):
            controller.number = number
        self.ownership = Ownership(config.access, controllers, self._tell_access)
        for spec in config.controllers:
            if spec.partner:
                one, other = controllers[spec.controller_id], controllers[spec.partner]
                one.partner, other.partner = other, one
        self.ports = {p.port_id: Port(p, controllers[p.controller_id]) for p in config.ports}
        for port in config.ports:
            if port.partner:
                this, that = self.ports[port.port_id], self.ports[port.partner]
                this.partner, that.partner = that, this
        self.drives = Drives(config.drives)
        self.groups = {group.group_id: Drives(group) for group in config.drive_groups}
        self.pools = {
            spec.pool_id: Pool(spec, self.groups.get(spec.drive_group, self.drives))
            for spec in config.pools
        }
        self.volumes = {
            spec.volume_id: Volume(spec.volume_id, self.pools[spec.pool_id], spec.capacity_bytes)
            for spec in config.volumes
        }
        self.snapshots: dict[str, Volume] = {}
        self._known = list(self.volumes.values())  # as commands meet them
        self._led: dict[str, Volume] = {}  # by export: where a rule leads it by mistake
        for volume_spec in config.volumes:
            volume = self.volumes[volume_spec.volume_id]
            volume.queue_limit = volume_spec.queue_limit
            volume.zero_detect = volume_spec.zero_detect
            volume.tas = volume_spec.task_aborted_status
            self.ownership.own(volume, volume_spec.controller_id)
        self._hosts = {spec.host_id: spec for spec in config.hosts}
        self._limits = {h.host_id: (h.queue_limit, h.port_queue_limit) for h in config.hosts}
        self.itls: list[Itl] = []
        self._inside: dict[Command, None] = {}  # what ports have taken, in order
        for volume_spec in config.volumes:
            if volume_spec.reserves:
                self._make_thick(self.volumes[volume_spec.volume_id], volume_spec)
        self.vendor, self.hints_enabled = config.vendor, config.hints_enabled
        self.hints: dict[tuple[int, int], int] = {}  # by command and attempt, on their way
        self.rules = Rules(agenda, f"arrays/{self.array_id}", seed)
        self.powered = True
        self.known: set[str] = set()  # initiators that have ever asked what they reach
        for export in config.exports:
            self._create_export(export, since=-1)
        forward = [port.forward_latency_ns for port in config.ports] or [LATENCY_NS_DEFAULT]
        back = [port.return_latency_ns for port in config.ports] or [LATENCY_NS_DEFAULT]
        self.forward_ns = min(forward)
        self.lookahead_ns = min(forward) + min(back)
        if not self.forward_ns or not min(back):
            raise ValueError("both latencies must be at least 1 ns: layers meet at equal times")
        self.rules = Rules(agenda, f"arrays/{self.array_id}", seed, self.forward_ns)
        self.rules.moved = self._rules_move

    def usable(self, port: Port) -> bool:
        """Whether a port's link is up, as a host is told that asks now."""
        return port.enabled and (
            self._will_serve(port) or (port.partner is not None and self._will_serve(port.partner))
        )

    def _will_serve(self, port: Port) -> bool:
        then = self._agenda.now + self.forward_ns
        held = self.rules.holds("PORT_DOWN", self._name(port), then)
        return port.enabled and not held and self._runs(port.home, port.home.enabled, then)

    def _runs(self, controller: Controller, allowed: bool, time: int, phase: int = AFTER) -> bool:
        """Whether a controller is neither held down at a time nor on its way back."""
        name = f"arrays/{self.array_id}/controllers/{controller.spec.controller_id}"
        if not allowed or self.rules.holds("CONTROLLER_DOWN", name, time, phase):
            return False
        array = f"arrays/{self.array_id}"
        if self.rules.holds("ARRAY_POWER_LOSS", array, time, phase):
            return False
        ends = [*controller.ends, *self.rules.ends("CONTROLLER_DOWN", name)]
        ends += self.rules.ends("ARRAY_POWER_LOSS", array)
        return not any(end <= time < end + controller.spec.reboot_ns for end in ends)

    def _name(self, port: Port) -> str:
        return f"arrays/{self.array_id}/ports/{port.spec.port_id}"

    def _create_export(self, export: ExportSpec, since: int) -> None:
        reach = sorted(
            (initiator.name, port_id)
            for initiator in self._hosts[export.host_id].initiators
            for port_id, port in self.ports.items()
            if port.spec.fabric == initiator.fabric and export.serves(port_id)
        )
        for initiator, port_id in reach:
            volume = self.volumes[export.volume_id]
            itl = Itl(len(self.itls), export, volume, initiator, self.ports[port_id])
            itl.since = since
            if since >= 0:
                self._lead(itl, since, AFTER)
                if self.access(itl)[0] is AccessState.TRANSITIONING:  # and will hear of its end
                    itl.establish(Attention.ACCESS_CHANGED)
            self.itls.append(itl)

    def _lead(self, itl: Itl, now: int, phase: int) -> None:
        """Leads a nexus to its volume, or by mistake to the next one of the pool by name."""
        name = f"arrays/{self.array_id}/exports/{itl.export.volume_id}.{itl.export.host_id}"
        itl.volume = itl.own
        if not self.rules.holds("WRONG_VOLUME", name, now, phase):
            self._led.pop(name, None)
            return
        if name not in self._led:  # and there it stays, whatever volumes come and go
            near = {v.volume_id: v for v in self._known if v.pool is itl.own.pool}
            names = sorted({*near, itl.own.volume_id})
            after = (names.index(itl.own.volume_id) + 1) % len(names)
            self._led[name] = near.get(names[after], itl.own)
        itl.volume = self._led[name]

    def apply(self, change: ArrayChange) -> None:
        """Takes a change of now; commands meet it one forward latency ahead."""
        then = self._agenda.now + self.forward_ns
        key = (then, ARRAY, CHANGED, 0, 0)
        if isinstance(change, PortEnabled):
            port = self.ports[change.port_id]
            if port.enabled == change.enabled:
                return
            port.enabled = change.enabled
            down = not change.enabled
            told = [itl for itl in self.itls if itl.port is port and (itl.shown or down)]
            self._agenda.add(key, self._allow, port, change.enabled, told, of=self)
        elif isinstance(change, ExportCreated | ExportDeleted):
            self._change_export(change, key)
        elif isinstance(change, VolumeAssigned):
            self._assign(change, key)
        elif isinstance(change, ControllerEnabled | ControllerRebooted):
            self._change_controller(change, then)
        elif isinstance(change, PortQueueLimit | VolumeQueueLimit | HostLimits):
            self._limit(change, key)
        elif isinstance(change, PoolCapacity):
            pool = self.pools[change.pool_id]
            self._agenda.add(key, self._resize, pool, change.capacity_bytes, of=self)
        elif isinstance(change, AttentionEstablished):
            self._establish(change, key)
        elif isinstance(change, VolumeCapacity):
            volume = self.volumes[change.volume_id]
            capacity = change.capacity_bytes
            if volume.thick:
                told = [i for i in self.itls if i.shown and i.export.volume_id == volume.volume_id]
                self._agenda.add(key, self._grow_thick, volume, capacity, told, of=self)
                return
            self._agenda.add(key, setattr, volume, "capacity_bytes", capacity, of=self)
            if capacity > volume.promised:
                attention = AttentionEstablished(
                    change.at_ns, self.array_id, Attention.CAPACITY_CHANGED, change.volume_id
                )
                self._establish(attention, key)
            volume.promised = capacity
        else:
            self._change_space(change, then)

    def _change_export(
        self, change: ExportCreated | ExportDeleted, key: tuple[int, int, int, int, int]
    ) -> None:
        """Shows or hides a volume, and lets the host hear that what it reaches has changed."""
        if isinstance(change, ExportCreated):
            before = len(self.itls)
            new = change.export
            self._create_export(new, since=key[0])
            self._tell_of_luns(new.host_id, self.itls[:before], key)
            for itl in self.itls[:before]:
                at = (itl.export.host_id, itl.export.lun)
                if at == (new.host_id, new.lun) and not itl.shown:
                    self._agenda.add(key, itl.establish, Attention.INQUIRY_CHANGED, of=self)
            return
        for itl in self.itls:
            if (itl.export.volume_id, itl.export.host_id) == (change.volume_id, change.host_id):
                itl.shown = False
                self._agenda.add(key, itl.hide, of=self)
                self._agenda.add(key, self._leave, itl.own, change.host_id, of=self)
        self._tell_of_luns(change.host_id, self.itls, key)

    def asked(self, initiators: Sequence[str]) -> None:
        """Hears initiators ask what they reach; that is what some attentions want."""
        self.known.update(initiators)
        key = (self._agenda.now + self.forward_ns, ARRAY, CHANGED, 0, 0)
        for itl in self.itls:
            if itl.shown and itl.initiator in initiators:
                self._agenda.add(key, itl.attentions.difference_update, ANSWERED, of=self)

    def _tell_of_luns(
        self, host_id: str, reached: list[Itl], key: tuple[int, int, int, int, int]
    ) -> None:
        """Lets a host that has ever asked hear, by what it reached before, that this changed."""
        if any(initiator.name in self.known for initiator in self._hosts[host_id].initiators):
            for itl in reached:
                if itl.shown and itl.export.host_id == host_id:
                    self._agenda.add(key, itl.establish, Attention.LUNS_CHANGED, of=self)

    def _establish(self, change: AttentionEstablished, key: tuple[int, int, int, int, int]) -> None:
        """Lets those who can be reached as this is said have something to tell, when it acts."""
        for itl in self.itls:
            named = {
                change.volume_id: itl.export.volume_id,
                change.host_id: itl.export.host_id,
                change.port_id: itl.port.spec.port_id,
                change.initiator: itl.initiator,
            }
            if itl.shown and all(asked in ("", have) for asked, have in named.items()):
                self._agenda.add(key, itl.establish, change.attention, of=self)

    def _allow(self, port: Port, allowed: bool, told: list[Itl]) -> None:
        port.allowed = allowed
        self._set_link(port, told, AFTER)
        if any(each.partner for each in self.ports.values()):
            self._fit_links(AFTER)

    def _rules_move(self, time: int, phase: int) -> None:
        """Fits all links to the rules at a time, once for each rule that begins or ends then."""
        reached = len(self.itls) if phase == AFTER else None
        key = (time, ARRAY, CHANGED, phase, 0)
        self._agenda.add(key, self._by_hand, reached, self._fit_links, phase, of=self)
        for delay in {c.spec.reboot_ns for c in self.controllers.values()} - {0}:
            key = (time + delay, ARRAY, CHANGED, BEFORE, 0)  # a controller may be back then
            self._agenda.add(key, self._fit_links, BEFORE, of=self)

    def _fit_links(self, phase: int) -> None:
        """Brings controllers, and then ports, in line with rules, hands and reboots."""
        now = self._agenda.now
        was = self._reached
        if was is None:
            self._reached = sum(itl.since < now + (phase == AFTER) for itl in self.itls)
        self._fit_power(phase)
        lost = []
        for _, controller in sorted(self.controllers.items()):
            runs = self._runs(controller, controller.allowed, now, phase)
            if controller.online and not runs:
                lost.append(controller)
                controller.reads.forget()
            controller.online = runs
        for controller in self.controllers.values():
            mirrored = controller.partner is None or controller.partner.online
            controller.write_back = controller.spec.write_back and mirrored
            self._drain(controller)
        served = [port for port in self.ports.values() if port.controller in lost]
        for _, port in sorted(self.ports.items()):
            told = [itl for itl in self.itls[: self._reached] if itl.port is port]
            self._set_link(port, told, phase)
        self.ownership.fit(self.volumes.values(), lost, now)
        for port in served:
            port.lost_epoch = port.epoch
        for port in self.ports.values():
            if port.home in lost:
                port.rx_free = port.tx_free = now
        for controller in lost:
            controller.free = [now] * controller.spec.core_count
        self._fit_hangs(now, phase)
        for itl in self.itls:
            self._lead(itl, now, phase)
            if itl.valid and itl.index < self._reached:
                self._tell_identity(itl, now, phase)
        self._reached = was

    def _fit_power(self, phase: int) -> None:
        """Lets every nexus tell that the array has power again."""
        now = self._agenda.now
        powered = not self.rules.holds("ARRAY_POWER_LOSS", f"arrays/{self.array_id}", now, phase)
        if powered and not self.powered:
            for volume in self._known:
                volume.reservation.lose_power()
            for itl in self.itls[: self._reached]:
                if itl.valid:
                    itl.establish(Attention.POWER_ON)
        self.powered = powered

    def _tell_identity(self, itl: Itl, now: int, phase: int) -> None:
        """Lets a nexus tell of a rule about its volume's identity that begins or ends now."""
        name = f"arrays/{self.array_id}/volumes/{itl.own.volume_id}"
        for rule in self.rules.rules:
            begins = rule.begin_ns == now and rule.at_once == (phase == AFTER)
            ends = rule.end_ns == now and rule.cleared == (phase == AFTER)
            if rule.matches("IDENTITY_CHANGED", name) and (begins or ends):
                itl.establish(Attention.IDENTIFIER_CHANGED)

    def _serves(self, port: Port, phase: int) -> bool:
        held = self.rules.holds("PORT_DOWN", self._name(port), self._agenda.now, phase)
        return port.allowed and not held and port.home.online

    def _set_link(self, port: Port, told: list[Itl], phase: int) -> None:
        server = port
        up = port.allowed and self._serves(port, phase)
        if port.allowed and not up and port.partner and self._serves(port.partner, phase):
            up, server = True, port.partner
        if up == port.up:
            if server is not port.wire and not self._serves(port.wire, phase):
                port.epoch += 1  # what was on its way is to be sent again
            port.carry(server)
            return
        port.carry(server)
        port.up, port.hung = up, False
        if not up:
            port.epoch += 1
            port.drop_epoch = port.epoch
        code = EventCode.PATH_UP if up else EventCode.PATH_DOWN
        for itl in told:
            if up and not itl.valid:
                continue
            time = self._agenda.now + port.spec.return_latency_ns
            ident = (1 << 63) + self._events
            self._events += 1
            self._send(Completion(time, ident, 0, 0, itl.index, code, 0, 0, Kind.EVENT))

    def _send(self, record: Completion) -> None:
        assert self.listener is not None
        order = {Kind.EVENT: 0, Kind.TASK: 1}.get(Kind(record.kind), 2)
        key = (record.time, MULTIPATH, order, record.ident, record.attempt)
        self._agenda.add(key, self.listener.hear, self, record, of=self)

    def submit(self, command: Command) -> None:
        """Takes a command that a host sends now."""
        arrival = self._agenda.now + command.itl.port.spec.forward_latency_ns
        self._at(arrival, ARRIVE, command)

    def _at(self, time: int, kind: int, command: Command) -> None:
        action = {
            DESTAGED: self._destaged,
            DEPART: self._depart,
            TX: self._tx,
            MEDIA: self._media,
            CTRL: self._ctrl,
            TASK: self._task,
            REFUSE: self._refused,
            ARRIVE: self._arrive,
        }[kind]
        key = (time, ARRAY, kind, command.ident, command.attempt)
        self._agenda.add(key, action, command, of=self)

    # --- a command's way, event by event ------------------------------------------------------

    def _arrive(self, command: Command) -> None:
        now, itl = self._agenda.now, command.itl
        port = itl.port
        command.arrived = now
        if command.op == Op.COPY:
            self._open_copy(command)
        if command.op in tuple(Task):
            self._task_arrives(command)
            return
        if not port.up or port.hung:
            return  # lost with the link, or taken for good
        wire = port.wire
        start = max(now, wire.rx_free)
        full = port.outstanding >= port.queue_limit or self._is_full(itl.volume)
        if full or self._has_enough(itl.export.host_id, port):
            # SAM: TASK SET FULL only to an initiator that has something in the task set.
            status = Status.TASK_SET_FULL if itl.outstanding else Status.BUSY
            self._turn_away(command, start, status)
            return
        if self._hit("TASK_SET_FULL", f"ports/{port.spec.port_id}", command):
            self._turn_away(command, start, Status.TASK_SET_FULL)
            return
        port.refused = 0
        self._inside[command] = None
        port.outstanding += 1
        itl.outstanding += 1
        command.port_epoch = port.epoch
        wire.rx_free = start + wire.spec.command_ns
        if command.op == Op.WRITE:
            command.first_data_ns = wire.rx_free - now  # XFER_RDY: the data may come
            wire.rx_free += wire.transfer_ns(command.length)
        self._at(wire.rx_free, CTRL, command)

    def _ctrl(self, command: Command) -> None:
        if command.aborted or command.port_epoch < command.itl.port.lost_epoch:
            self._depart(command)  # the controller that had it is gone, or nobody wants it
            return
        controller, volume = command.itl.port.controller, command.itl.volume
        asks = command.op == Op.TEST_UNIT_READY
        spec = controller.spec
        where = f"controllers/{spec.controller_id}"
        service = spec.read_ns if asks or command.op == Op.READ else spec.write_ns
        if command.op == Op.COPY:  # it is both
            service = spec.read_ns + spec.write_ns
        service = self._slowed("CONTROLLER_SLOW", where, command, service)
        done = controller.serve(self._agenda.now, service)
        first_byte = command.lba * BLOCK_BYTES
        blocked = Sense.NONE
        fits = asks or (command.length and first_byte + command.length <= volume.capacity_bytes)
        if command.itl.valid and fits:
            blocked, longer = self.ownership.check(command, self._agenda.now)
            done += longer
        if command.itl.attentions and blocked is not Sense.TRANSITION:
            first = min(command.itl.attentions)
            command.itl.attentions.remove(first)
            self._fail(command, first.sense, done)
        elif not command.itl.valid or volume.gone:
            self._fail(command, Sense.LU_NOT_SUPPORTED, done)
        elif not fits:
            self._fail(command, Sense.LBA_OUT_OF_RANGE, done)
        elif blocked:
            self._fail(command, blocked, done)
        elif not asks and self._is_kept_off(command):
            command.status = Status.RESERVATION_CONFLICT
            self._at(done, DEPART, command)
        elif sense := self._spoilt(command, volume):
            self._fail(command, sense, done)
        elif asks:
            self._at(done, DEPART, command)
        else:
            self._execute(command, volume, done)

    @staticmethod
    def _is_kept_off(command: Command) -> bool:
        """Whether a reservation of others keeps a command from its volume."""
        itl = command.itl
        writes = command.op != Op.READ
        return itl.own.reservation.conflicts(itl.export.host_id, writes=writes)

    def _spoilt(self, command: Command, volume: Volume) -> Sense:
        """Why a volume that a command has reached does not serve it."""
        if volume.offline:
            return Sense.UNAVAILABLE
        if command.itl.export.read_only and command.op not in READING:
            return Sense.WRITE_PROTECTED
        if self._hit("COMMAND_FAILED", f"volumes/{volume.volume_id}", command):
            return Sense.INTERNAL_FAILURE
        if self._hit("NOT_READY", f"volumes/{volume.volume_id}", command):
            return Sense.TRANSITION
        return Sense.NONE

    def _fail(self, command: Command, sense: Sense, done: int) -> None:
        command.status, command.sense = Status.CHECK_CONDITION, sense
        self._at(done, DEPART, command)

    def _read(self, command: Command, volume: Volume, pages: range, done: int) -> None:
        mapped = [page for page in pages if page in volume.pages or volume.full]
        if not mapped:
            self._at(done, TX, command)  # zeros: neither cache nor media know of them
            return
        if self._hits(command, volume, mapped[0]):
            command.block = None
            self._at(done, TX, command)
        else:
            self._go_to_media(command, volume.place_of(mapped[0]), done)

    def _go_to_media(self, command: Command, pool_page: int, done: int) -> None:
        command.page = pool_page
        self._at(done, MEDIA, command)

    def _words(self, command: Command) -> tuple[int, int, int, int]:
        return draws.words(self._seed, draws.MEDIA, command.ident, command.attempt)

    def _media(self, command: Command) -> None:
        if command.aborted:
            self._depart(command)
            return
        pool = command.itl.volume.pool if command.source is None else command.read_pool
        disk = command.page % pool.spec.disk_count
        reads = command.op == Op.READ or command.source is not None
        service = pool.access_ns(command.page, reads=reads)
        if pool.spec.media_distribution is MediaDistribution.EXPONENTIAL:
            service = draws.exponential_ns(service, self._words(command)[1])
        where = f"pools/{pool.spec.pool_id}"
        service = self._slowed("MEDIA_SLOW", where, command, service)
        free = max(self._agenda.now, pool.disks.free.get(disk, 0)) + service
        pool.disks.free[disk] = free
        if reads and self._hit("MEDIA_ERROR", where, command):
            self._fail(command, Sense.UNRECOVERED_READ, free)
            return
        then = DESTAGED if command.op == DESTAGE else DEPART
        self._at(free, TX if reads else then, command)

    def _hit(self, kind: str, where: str, command: Command) -> bool:
        subject = f"arrays/{self.array_id}/{where}"
        return self.rules.hit(kind, subject, command.ident, command.attempt) is not None

    def _slowed(self, kind: str, where: str, command: Command, service: int) -> int:
        subject = f"arrays/{self.array_id}/{where}"
        return self.rules.slowed(kind, subject, command.ident, command.attempt, service)

    def _tx(self, command: Command) -> None:
        if command.aborted:
            self._depart(command)
            return
        if command.source is not None:
            self._copied(command)
            return
        wire = command.itl.port.wire
        port = command.itl.port
        if command.block and command.port_epoch == port.epoch:
            port.controller.reads.keep(command.block)
        start = max(self._agenda.now, wire.tx_free)
        command.first_data_ns = start - command.arrived
        wire.tx_free = start + wire.transfer_ns(command.length)
        self._at(wire.tx_free, DEPART, command)

    def _depart(self, command: Command) -> None:
        port = command.itl.port
        del self._inside[command]
        port.outstanding -= 1
        command.itl.outstanding -= 1
        if command.aborted or command.port_epoch < port.drop_epoch:
            return  # lost with the link
        if command.port_epoch != port.epoch:  # what had it is lost, and others speak for it
            command.status, command.sense = Status.BUSY, Sense.NONE
        if self.hints_enabled and command.status == Status.GOOD:
            owner = command.itl.volume.owner in (None, port.controller)
            self.hints[command.ident, command.attempt] = hint_of(port.outstanding, owner=owner)
        if self.ownership.asymmetric and command.sense in TELLING:
            told = self.ownership.report(command.itl.volume, self.ports.values(), self._agenda.now)
            command.first_data_ns = told
        self._answer(command, self._agenda.now)

    def _answer(self, command: Command, departed: int) -> None:
        self._send(
            Completion(
                time=departed + command.itl.port.spec.return_latency_ns,
                ident=command.ident,
                array_ns=departed - command.arrived,
                first_data_ns=command.first_data_ns,
                nexus=command.itl.index,
                sense=command.sense,
                attempt=command.attempt,
                status=command.status,
                kind=Kind.RESPONSE,
            )
        )
