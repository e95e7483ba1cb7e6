"""Multipath: what hosts see of the arrays, and a kernel that carries I/O over the paths.

It is a BlockDevice over BlockDevices: its nexuses are devices, its arrays' nexuses are ITLs.
Management calls are made between windows only (the caller holds the border).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from smokestack.engine.blockdevice import (
    Attachment,
    BlockDevice,
    IoBatch,
    Nexus,
    PeerLost,
    Reply,
)
from smokestack.engine.checks import identifier, in_range
from smokestack.engine.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from smokestack.engine.event_kinds import EventKind
from smokestack.engine.records import NEVER_NS
from smokestack.engine.snapshot import Piece, Pieces

from . import checking, control, queues, snapshot
from .checks import check_host, check_multipath, check_path, check_update
from .events import MultipathEvents
from .fabrics import Fabrics
from .faults import MultipathFaults, disable
from .inventory import Device, Path, RescanResult, add_device, group, set_preferred, update_paths
from .parameters.places import Placed
from .queues import Adapters, configure
from .returns import returned
from .selection import map_cpus, set_cpus, set_settings, settings_of
from .specs import DeviceSettings, DisabledBy, MultipathHostSpec, MultipathSpec, PathState
from .state import NIL, STIRRED_HERE, MultipathState
from .status import DeviceStatus
from .thrashing import check_policy, fit_policy
from .wires import Wires
from .worlds import set_shares

_DEFAULT_LOOKAHEAD_NS = 100_000


@dataclass
class ConnectedArray:
    """An array below: its link, and which path each of its ITLs is."""

    array_id: str
    device: BlockDevice
    row: int
    path_of: NDArray[np.uint32]
    lost_at_ns: int | None = None  # the border at which its process was found gone
    lost_epoch: int = 0
    connections: int = 0  # how often it was found again


class MultipathModel:
    """The multipath layer of every host that one hypervisor drives."""

    def __init__(self, spec: MultipathSpec | None = None) -> None:
        spec = spec or MultipathSpec()
        check_multipath(spec)
        self.spec = spec
        self.name = f"multipaths/{spec.name}"
        self.state = MultipathState()
        self.events = MultipathEvents(self.name, self.state)
        configure(self.state, spec)
        self.state.row["lookahead_ns"] = _DEFAULT_LOOKAHEAD_NS
        self.driver: str | None = None
        self.seed = 0
        self.epoch = 0
        self.arrays: dict[str, ConnectedArray] = {}
        self._live: list[ConnectedArray] = []  # those not lost, in the order of their rows
        self.hosts: dict[str, MultipathHostSpec] = {}
        self.adapters: Adapters = {}
        self.evaluation_ns = NEVER_NS  # when latency moves windows next
        self._devices: dict[tuple[str, str], Device] = {}
        self.placed = Placed(self)
        self.fabrics = Fabrics(self.state, self.name)
        self.wires = Wires(self)
        self.faults = MultipathFaults(self)
        self.keeper = snapshot.keeper_of(self)

    # --- the border above -------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        """Virtual time that windows have run to."""
        return int(self.state.row["until_ns"])

    @property
    def lookahead_ns(self) -> int:
        """The least lookahead of its arrays; while attached, the tree's."""
        if self.driver is not None:
            return int(self.state.row["lookahead_ns"])
        return min((a.device.lookahead_ns for a in self._live), default=_DEFAULT_LOOKAHEAD_NS)

    @property
    def reached_ns(self) -> int:
        """The latest border of itself and its arrays; while attached they stand where it does."""
        if self.driver is not None:
            return self.now_ns
        return max(self.now_ns, *(a.device.reached_ns for a in self._live), 0)

    def advance(self, until_ns: int) -> None:
        """Refuses: multipath has no I/O of its own, time reaches it from its driver."""
        by = f"is driven by {self.driver}" if self.driver else "has no driver yet"
        raise FailedPrecondition(
            f"{self.name} {by}: advance the hypervisor instead", reason="DRIVEN"
        )

    def attach(self, attachment: Attachment) -> None:
        """Takes the layer, and all arrays below, for one driver."""
        if self.driver is not None:
            raise FailedPrecondition(
                f"{self.name} is driven by {self.driver} already; a second driver is refused",
                reason="DRIVEN",
                resource=self.name,
            )
        in_range("lookahead_ns", attachment.lookahead_ns, 1, self.lookahead_ns)
        below = Attachment(
            driver=self.name,
            epoch=attachment.epoch,
            seed=attachment.seed,
            start_ns=attachment.start_ns,
            lookahead_ns=attachment.lookahead_ns,
        )
        taken = []
        try:
            for array in self._live:
                array.device.attach(below)
                taken.append(array)
        except Exception:
            for array in taken:
                array.device.detach()
            raise
        self.driver, self.seed, self.epoch = attachment.driver, attachment.seed, attachment.epoch
        self.state.row["lookahead_ns"] = attachment.lookahead_ns
        self.state.row["until_ns"] = attachment.start_ns
        checking.resume(self.state, attachment.start_ns)
        self._plan_evaluation()
        self.state.row["seed"] = attachment.seed
        self.state.row["arrays_next_ns"] = attachment.start_ns + attachment.lookahead_ns
        self.events.tell(
            EventKind.DRIVER_ATTACHED, driver=attachment.driver, epoch=attachment.epoch
        )

    def detach(self) -> None:
        """Gives the layer and its arrays back; what was in flight is gone."""
        driver, self.driver = self.driver, None
        self.events.tell(EventKind.DRIVER_DETACHED, driver=driver or "", epoch=self.epoch)
        for array in self._live:
            array.device.detach()
        queues.empty(self.state)
        self.wires.empty()
        self.state.kernel.start(self.now_ns)

    def report_luns(self, initiators: Sequence[str], volume: str = "") -> tuple[Nexus, ...]:
        """Returns the devices of these hosts, or that of one volume, in index order."""
        hosts = [host for host in dict.fromkeys(initiators) if host in self.hosts]
        if volume:
            keys = [(host, volume) for host in hosts if (host, volume) in self._devices]
        else:
            keys = [key for key in self._devices if key[0] in hosts]
        found = [self._devices[key] for key in keys]
        states, active = self.state["path"]["state"], int(PathState.ACTIVE)
        return tuple(
            Nexus(
                index=d.row,
                initiator=d.host_id,
                target="",
                volume=d.name,
                lun=d.lun,
                capacity_bytes=d.capacity_bytes,
                usable=any(states[p.row] == active for p in d.paths.values()),
                identifier=d.identifier,
            )
            for d in sorted(found, key=lambda d: d.row)
        )

    def exchange(self, until_ns: int, submissions: IoBatch) -> Reply:
        """Runs one window through the devices' queues and the arrays below.

        It is one window below, too, unless the submitter promises more time than the arrays have
        answered for; then there are several.
        """
        state = self.state
        self.wires.open()
        try:
            reached = self._run(until_ns, submissions, True)
            if isinstance(reached, int):
                state.fit_slots(reached)
                reached = self._run(until_ns, submissions, True)
        except ValueError as error:  # nothing has changed yet
            raise InvalidArgument.at("window.records", str(error)) from None
        while True:
            ready, next_ns, noted = self._exchange_below(reached)
            if noted:
                self._tell_notes()
            if self.faults.next_ns <= reached[0] and self._run_faults(reached[0]):
                next_ns = reached[0] + int(state.row["lookahead_ns"])
            if reached[0] >= until_ns:
                self.wires.close()
                return Reply(state["out"], ready, next_ns)
            reached = self._run(until_ns, submissions, False)

    def _run(self, until_ns: int, submissions: IoBatch, begins: bool) -> Any:
        if self.spec.probing:
            self.state.fit_probe()
        return self.state.kernel.run(until_ns, *submissions, begins)

    def _run_faults(self, at_ns: int) -> bool:
        """Lets rules begin and end; returns whether what waited for that leaves at this border."""
        row = self.state.row
        waits_already, records = row["stirred"], self.wires.records
        self.faults.run_to(at_ns)
        if self.wires.records != records:
            return True
        if waits_already or not row["stirred"]:
            return False
        row["stirred"] = STIRRED_HERE
        return True

    def _exchange_below(self, reached: tuple[int, ...]) -> tuple[int, int, int]:
        """Exchanges a window with every array; ``reached`` is its end, then each one's count."""
        state, until_ns = self.state, reached[0]
        least_ns = NEVER_NS
        lost = []
        for array in self._live:
            batch = IoBatch(state.batches[array.row], reached[1 + array.row])
            try:
                reply = array.device.exchange(until_ns, batch)
            except PeerLost:
                lost.append(array)
                continue
            least_ns = min(least_ns, reply.next_ns)
            if reply.count:
                self._accept(array, reply)
        for array in lost:
            self._lose(array, until_ns)
        if self.evaluation_ns <= until_ns:
            control.evaluate(state, self.all_devices())
            self._plan_evaluation()
        self.wires.settle(until_ns)
        finished: tuple[int, int, int] = state.kernel.finish(least_ns)
        return finished

    def _accept(self, array: ConnectedArray, reply: Reply) -> None:
        state = self.state
        while not state.kernel.accept(reply.records, reply.count, array.path_of):
            state.fit_hand(int(state.row["hand_count"]) + reply.count)

    def _lose(self, array: ConnectedArray, border_ns: int) -> None:
        """Records that an array's process is gone: what it has not answered is lost."""
        array.lost_at_ns, array.lost_epoch = border_ns, self.epoch
        self._live.remove(array)
        self._tell_notes()
        lost = self.events.add(
            border_ns, EventKind.PEER_LOST, array.device.name, detail={"epoch": self.epoch}
        )
        self.state.fit_loss()
        self.state.kernel.lose_array(array.row, border_ns, lost.number)
        self._tell_notes()

    def _tell_notes(self) -> None:
        self.events.tell_notes({a.array_id: a.device.name for a in self.arrays.values()})

    def _plan_evaluation(self) -> None:
        """Says when latency moves windows next."""
        period_ns = self.spec.congestion_evaluation_ns
        self.evaluation_ns = control.next_evaluation_ns(self.state, self.now_ns, period_ns)
        self.look_ahead()

    def look_ahead(self) -> None:
        """Lets no window go beyond the next change that is known."""
        self.state.row["change_ns"] = min(self.faults.next_ns, self.evaluation_ns)

    # --- snapshots --------------------------------------------------------------------------

    def snapshot(self, snapshot_id: str, only: Sequence[str] = ()) -> tuple[Piece, ...]:
        """Returns the pieces of a new snapshot: its own, and those of the arrays that live."""
        pieces = [self.keeper.save(snapshot_id, only)]
        for array in self._live:
            pieces += array.device.snapshot(snapshot_id, only)
        return tuple(pieces)

    def stage(self, pieces: Pieces) -> None:
        """Checks its piece and its arrays' and keeps them ready; nothing changes yet."""
        snapshot.stage(self, pieces)

    def unstage(self) -> None:
        """Forgets what is staged, here and in the arrays."""
        self.keeper.unstage()
        for array in self._live:
            array.device.unstage()

    def restore(self) -> None:
        """Puts what is staged in place, here and in the arrays that live in the snapshot."""
        self.keeper.restore()
        for array in list(self._live):
            try:
                array.device.restore()
            except PeerLost:
                self._lose(array, self.now_ns)

    def order_arrays(self) -> None:
        """Brings the arrays in the order of their rows, and finds those that live."""
        self.arrays = dict(sorted(self.arrays.items(), key=lambda item: item[1].row))
        self._live = [a for a in self.arrays.values() if a.lost_at_ns is None]

    # --- inventory --------------------------------------------------------------------------

    def connect_array(self, array_id: str, device: BlockDevice) -> None:
        """Adds an array below; its devices appear when hosts rescan."""
        identifier("array_id", array_id)
        if array_id in self.arrays:
            raise AlreadyExists.of(f"{self.name}/arrays/{array_id}")
        if self.driver is not None:
            raise FailedPrecondition(
                f"{self.name} is driven by {self.driver}; connect arrays before the first Advance",
                reason="DRIVEN",
            )
        row = len(self.arrays)
        self.arrays[array_id] = ConnectedArray(array_id, device, row, _path_table(0))
        # Rows follow the names' order, so that it does not matter which array came first.
        if not self._devices:
            for row, (_, array) in enumerate(sorted(self.arrays.items())):
                array.row = row
        self.order_arrays()
        self.state.fit_arrays(len(self.arrays))
        self.events.tell(EventKind.ARRAY_CONNECTED, array=device.name)

    def create_host(self, spec: MultipathHostSpec) -> None:
        """Adds a host; a rescan finds its devices."""
        check_host(spec)
        if spec.host_id in self.hosts:
            raise AlreadyExists.of(f"{self.name}/hosts/{spec.host_id}")
        self.placed.forget()
        self.hosts[spec.host_id] = spec
        for initiator in spec.initiators:
            row = queues.add_adapter(self.state, spec.adapter_queue_depth)
            self.adapters[spec.host_id, initiator] = row
        self.events.tell(EventKind.HOST_CREATED, f"hosts/{spec.host_id}")

    def delete_host(self, host_id: str) -> None:
        """Removes a host that has no devices (unexport and rescan first)."""
        self.host(host_id)
        if any(host == host_id for host, _ in self._devices):
            raise FailedPrecondition(
                f"{self.name}/hosts/{host_id} has devices: delete the exports and rescan first",
                reason="IN_USE",
            )
        self.placed.forget()
        del self.hosts[host_id]
        self.adapters = {key: row for key, row in self.adapters.items() if key[0] != host_id}
        self.events.tell(EventKind.HOST_DELETED, f"hosts/{host_id}")

    def host(self, host_id: str) -> MultipathHostSpec:
        """Returns a host's settings."""
        if host_id not in self.hosts:
            raise NotFound.of(f"{self.name}/hosts/{host_id}")
        return self.hosts[host_id]

    def rescan(self, host_id: str) -> RescanResult:
        """Asks every array what it exports to the host, and updates devices and paths.

        An array that was lost and answers again is taken back first, for every host.
        """
        self.host(host_id)
        for array in returned(self):
            for other in sorted(self.hosts.keys() - {host_id}):
                self._rescan(other, [array])
        return self._rescan(host_id, self._live)

    def _rescan(self, host_id: str, arrays: Sequence[ConnectedArray]) -> RescanResult:
        self.placed.forget()
        spec = self.host(host_id)
        reported = [(a, group(a.device.report_luns(spec.initiators))) for a in arrays]
        asked = {array.array_id for array in arrays}
        known = {name: d for (host, name), d in self._devices.items() if host == host_id}
        before = {name: self.events.states(device) for name, device in known.items()}
        counts = [0, 0, 0, 0]
        changed: list[Device] = []
        for array, found in reported:
            for name in sorted(found):
                if (host_id, name) not in self._devices:
                    device = add_device(self.state, spec, array.array_id, found[name][0])
                    self._devices[host_id, name] = device
                    control.set_control(self.state, device.row, spec.queue_control)
                    checking.set_handling(self.state, device, spec.path_failure_handling)
                    counts[0] += 1
                device = self._devices[host_id, name]
                old = {path.row for path in device.paths.values()}
                added, removed = update_paths(
                    self.state, device, array.row, self.adapters, found[name]
                )
                fit_policy(self.state, spec, device)
                counts[2] += added
                counts[3] += removed
                self._map_paths(array, device)
                self.fabrics.join(device)
                new = [path for path in device.paths.values() if path.row not in old]
                for path in new:  # the others hear of links by events
                    self.wires.join(path)
                checking.begin(self.state, device, [path.row for path in new])
                checking.found_again(self.state, device)
                changed.append(device)
        seen = {device.name for device in changed}
        for name, device in known.items():
            if name in seen or device.array_id not in asked:
                continue
            counts[3] += update_paths(self.state, device, 0, self.adapters, [])[1]
            counts[1] += 1
            del self._devices[host_id, name]
            changed.append(device)
        self.state.fit_checks()
        result = RescanResult(*counts)
        told = self.events.tell(EventKind.RESCANNED, f"hosts/{host_id}", **asdict(result))
        for device in changed:
            self.events.tell_rescanned(device, before.get(device.name), told)
        self.faults.rescanned()
        self._plan_evaluation()
        return result

    def _map_paths(self, array: ConnectedArray, device: Device) -> None:
        most = max((p.itl for p in device.paths.values()), default=-1)
        if most >= len(array.path_of):
            larger = _path_table(max(most + 1, 2 * len(array.path_of)))
            larger[: len(array.path_of)] = array.path_of
            array.path_of = larger
        for path in device.paths.values():
            array.path_of[path.itl] = path.row

    # --- devices ----------------------------------------------------------------------------

    def device(self, host_id: str, device: str) -> Device:
        """Returns a host's device."""
        self.host(host_id)
        if (host_id, device) not in self._devices:
            raise NotFound.of(f"{self.name}/hosts/{host_id}/devices/{device}")
        return self._devices[host_id, device]

    def devices(self, host_id: str) -> list[DeviceStatus]:
        """Returns a host's devices by name, as they stand."""
        self.host(host_id)
        found = [d for (host, _), d in sorted(self._devices.items()) if host == host_id]
        return [DeviceStatus.of(self.state, d) for d in found]

    def device_status(self, host_id: str, device: str) -> DeviceStatus:
        """Returns one device as it stands."""
        return DeviceStatus.of(self.state, self.device(host_id, device))

    def all_devices(self) -> list[Device]:
        """Returns every host's devices, by (host, name)."""
        return [d for _, d in sorted(self._devices.items())]

    def update_device(self, host_id: str, device: str, **settings: Unpack[DeviceSettings]) -> None:
        """Changes a device's queue, policy or labels; all is checked before anything changes.

        Another policy begins with nothing remembered; other settings act on what is remembered.
        """
        found = self.device(host_id, device)
        check_update(found, settings)
        asked = settings.get("selector")
        if asked is not None:
            check_policy(self.state, self.host(host_id), found, asked)
        row = self.state["device"][found.row]
        queues.set_limits(self.state, found.row, settings)
        queue_control = settings.get("queue_control")
        if queue_control is not None:
            control.set_control(self.state, found.row, queue_control)
            self._plan_evaluation()
        path_failure_handling = settings.get("path_failure_handling")
        if path_failure_handling is not None:
            checking.set_handling(self.state, found, path_failure_handling)
        world_shares = settings.get("world_shares")
        if world_shares is not None:
            set_shares(self.state, found.row, world_shares)
        ios_per_path, selector = settings.get("ios_per_path"), settings.get("selector")
        if ios_per_path is not None:
            row["ios_per_path"] = ios_per_path
        selector_settings = settings.get("selector_settings")
        if selector_settings is not None:
            set_settings(self.state, found.row, selector_settings)
        if selector is not None and selector != row["selector"]:
            row["selector"] = int(selector)
            self.state.kernel.hand_over(found.row)
        preferred_path = settings.get("preferred_path")
        if preferred_path is not None:
            found.preferred_path = preferred_path
            set_preferred(self.state, found)
        labels = settings.get("labels")
        if labels is not None:
            found.labels = labels
        told = self.events.tell(EventKind.DEVICE_UPDATED, f"hosts/{host_id}/devices/{device}")
        if path_failure_handling is not None:
            self.events.judge(found, told)

    # --- adapters ---------------------------------------------------------------------------

    def adapter(self, host_id: str, initiator: str) -> int:
        """Returns the row of a host's adapter."""
        self.host(host_id)
        if (host_id, initiator) not in self.adapters:
            raise NotFound.of(f"{self.name}/hosts/{host_id}/adapters/{initiator}")
        return self.adapters[host_id, initiator]

    def update_adapter(self, host_id: str, initiator: str, queue_depth: int) -> None:
        """Changes how many commands an adapter may have out."""
        row = self.adapter(host_id, initiator)
        in_range("adapter.queue_depth", queue_depth, 1, 65536)
        queues.set_adapter_depth(self.state, row, queue_depth)
        self.events.tell(EventKind.ADAPTER_UPDATED, f"hosts/{host_id}/adapters/{initiator}")

    # --- fabrics ----------------------------------------------------------------------------

    def update_link(
        self,
        fabric_id: str,
        link_id: str,
        *,
        bandwidth_bytes_per_second: int | None = None,
        bb_credits: int | None = None,
    ) -> None:
        """Changes a link's rate or its buffers; all is checked before anything changes."""
        self.placed.forget()
        self.fabrics.set_link(
            fabric_id,
            link_id,
            bandwidth_bytes_per_second=bandwidth_bytes_per_second,
            bb_credits=bb_credits,
        )
        self.faults.fit_links()
        self.events.tell(EventKind.LINK_UPDATED, f"fabrics/{fabric_id}/links/{link_id}")

    def set_path_enabled(self, host_id: str, device: str, path: str, enabled: bool) -> None:
        """Takes a path out of use or back; what is in flight on it stays in flight."""
        found, one = self._path(host_id, device, path)
        disable(self, found, one, DisabledBy.HAND, not enabled)

    def update_path(
        self,
        host_id: str,
        device: str,
        path: str,
        *,
        enabled: bool | None = None,
        relative_throughput: int | None = None,
        cpus: Sequence[int] | None = None,
    ) -> None:
        """Changes what policies are told of a path, and whether it is in use; None leaves it."""
        found, one = self._path(host_id, device, path)
        check_path(settings_of(self.state, found.row).cpu_count, relative_throughput, cpus)
        if relative_throughput is not None:
            self.state["measure"]["relative_throughput"][one.row] = relative_throughput
        if cpus is not None:
            set_cpus(self.state, one.row, cpus)
            map_cpus(self.state, [each.row for each in found.paths.values()])
        if relative_throughput is not None or cpus is not None:
            self.events.tell(EventKind.DEVICE_UPDATED, f"hosts/{host_id}/devices/{device}")
        if enabled is not None:
            self.set_path_enabled(host_id, device, path, enabled)

    def _path(self, host_id: str, device: str, path: str) -> tuple[Device, Path]:
        found = self.device(host_id, device)
        if path not in found.paths:
            raise NotFound.of(f"{self.name}/hosts/{host_id}/devices/{device}/paths/{path}")
        return found, found.paths[path]


def _path_table(rows: int) -> NDArray[np.uint32]:
    return np.full(rows, NIL, dtype=np.uint32)
