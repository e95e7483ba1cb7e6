"""Clients that create, grow, export and delete, all at once, each on resources of its own."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import grpc

from smokestack.v1 import array_pb2 as pb
from smokestack.v1 import array_pb2_grpc, faults_pb2, simulation_pb2_grpc, types_pb2

from .ledger import Holdings, Ledger, Reserved, Step, Volume

ARRAY: Final = "arrays/a1"
POOL: Final = f"{ARRAY}/pools/p1"
PAGE: Final = 16 << 10
HOSTS: Final = ("h0", "h1")
VOLUMES_MAX: Final = 12
SNAPSHOTS_MAX: Final = 6
_IN_USE: Final = "FAILED_PRECONDITION"
_MIB: Final = 1 << 20
_GONE: Final = ("UNAVAILABLE", "CANCELLED")


class Api:
    """The stubs of one array that is served, or the handlers of one that is not."""

    def __init__(self, array: Any, simulation: Any) -> None:
        self.array = array
        self.simulation = simulation

    @classmethod
    def at(cls, channel: grpc.Channel) -> Api:
        """Returns the stubs on a channel."""
        return cls(
            array_pb2_grpc.ArrayServiceStub(channel),
            simulation_pb2_grpc.SimulationServiceStub(channel),
        )


def build(api: Api) -> None:
    """Gives an empty array what all clients share: ports, a pool, hosts, volumes for I/O."""
    api.array.CreateController(
        pb.CreateControllerRequest(parent=ARRAY, controller_id="c0", controller=pb.Controller())
    )
    for port_id, fabric in (("p0", "a"), ("p1", "b")):
        port = pb.Port(controller=f"{ARRAY}/controllers/c0", fabric=fabric)
        api.array.CreatePort(pb.CreatePortRequest(parent=ARRAY, port_id=port_id, port=port))
    api.array.CreatePool(
        pb.CreatePoolRequest(
            parent=ARRAY, pool_id="p1", pool=pb.Pool(capacity_bytes=1 << 40, page_bytes=PAGE)
        )
    )
    for host_id in HOSTS:
        initiators = [types_pb2.Initiator(name=f"{host_id}-{f}", fabric=f) for f in "ab"]
        api.array.CreateArrayHost(
            pb.CreateArrayHostRequest(
                parent=ARRAY, array_host_id=host_id, array_host=pb.ArrayHost(initiators=initiators)
            )
        )
    for number in range(4):
        api.array.CreateVolume(_volume_request(f"io-{number}", 1 << 30))
        api.array.CreateExport(_export_request(f"io-{number}", "h0"))


class Client:
    """One client; its book outlives the servers that it talks to."""

    def __init__(self, name: str, rng: random.Random) -> None:
        self.name = name
        self.ledger = Ledger()
        self.wrong: list[str] = []
        self.answered_from = 0.0  # when the newest call that was answered had been asked
        self._rng = rng
        self._made = 0

    def run(self, api: Api, over: threading.Event) -> None:
        """Makes calls until the server is gone."""
        while not over.is_set():
            step = self._next()
            self.ledger.open = step
            asked = time.monotonic()
            try:
                answer = step.call(api)
            except grpc.RpcError as error:
                code = error.code().name
                details = error.details() or ""
                if code in _GONE and "keep" not in details:
                    return  # it may have been carried out, or not
                if code != step.code:
                    self.wrong.append(f"{self.name}: {step.name}: {code}: {details}")
                    return
                self.ledger.refuse()
                continue
            if step.code:
                self.wrong.append(f"{self.name}: {step.name} was not refused")
                return
            self.ledger.acknowledge(step, answer)
            self.answered_from = asked

    def retry(self, api: Api, step: Step | None) -> None:
        """Asks again what was not answered, if it has a request_id: done once, whatever came."""
        if step is not None and step.is_once:
            self.ledger.open = step
            self.ledger.acknowledge(step, step.call(api))

    # --- what to do next --------------------------------------------------------------------

    def _next(self) -> Step:
        held = self.ledger.holdings.volumes
        exported = [name for name, volume in held.items() if volume.luns]
        kept = {volume for volume, _ in self.ledger.holdings.snapshots.values()}
        hidden = [name for name, volume in held.items() if not volume.luns and name not in kept]
        steps: list[Callable[[], Step]] = [self._fault]
        if len(held) < VOLUMES_MAX:
            steps += [self._create] * 4 + [self._batch]
        if held:
            steps += [lambda: self._grow(self._pick(list(held)))] * 2
            steps += [lambda: self._shrink(self._pick(list(held)))]
            steps += [lambda: self._again(self._pick(list(held)))]
        if hidden:
            steps += [lambda: self._export(self._pick(hidden))] * 3
            steps += [lambda: self._delete(self._pick(hidden))] * 3
        if kept & held.keys():
            steps += [lambda: self._delete(self._pick(list(kept & held.keys())), _IN_USE)]
        if len(self.ledger.holdings.snapshots) < SNAPSHOTS_MAX:
            steps += [lambda: self._snapshot(self._pick([*held, "io-0", "io-1"]))] * 3
        if self.ledger.holdings.snapshots:
            steps += [lambda: self._forget(self._pick(list(self.ledger.holdings.snapshots)))] * 2
            if len(held) < VOLUMES_MAX:
                steps += [self._clone]
        if exported:
            steps += [lambda: self._hide(self._pick(exported))] * 2
            steps += [lambda: self._reserve(self._pick(exported))] * 3
            steps += [lambda: self._delete(self._pick(exported), _IN_USE)]
        return self._rng.choice([*steps, self._resize_pool])()

    def _pick(self, names: list[str]) -> str:
        return self._rng.choice(sorted(names))

    def _new(self) -> str:
        self._made += 1
        return f"{self.name}-{self._made}"

    def _create(self) -> Step:
        name, size = self._new(), self._rng.randrange(1, 64) * _MIB
        request = _volume_request(name, size, f"create-{name}")
        return Step(
            f"create {name}",
            lambda api: api.array.CreateVolume(request),
            lambda has, _: has.volumes.update({name: Volume(size)}),
            is_once=True,
        )

    def _batch(self) -> Step:
        names = [self._new() for _ in range(self._rng.randrange(2, 9))]
        request = pb.BatchCreateVolumesRequest(
            parent=ARRAY,
            requests=[_volume_request(name, _MIB) for name in names],
            request_id=f"batch-{names[0]}",
        )
        return Step(
            f"create {len(names)} from {names[0]} on",
            lambda api: api.array.BatchCreateVolumes(request),
            lambda has, _: has.volumes.update({name: Volume(_MIB) for name in names}),
            is_once=True,
        )

    def _grow(self, name: str, by: int = _MIB, code: str = "") -> Step:
        size = self.ledger.holdings.volumes[name].capacity_bytes + by
        volume = pb.Volume(name=f"{ARRAY}/volumes/{name}", capacity_bytes=size)

        def change(has: Holdings, _: Any) -> None:
            has.volumes[name].capacity_bytes = size

        return Step(
            f"size {name} to {size}",
            lambda api: api.array.UpdateVolume(pb.UpdateVolumeRequest(volume=volume)),
            change,
            code,
        )

    def _shrink(self, name: str) -> Step:
        return self._grow(name, -512, "INVALID_ARGUMENT")

    def _again(self, name: str) -> Step:
        request = _volume_request(name, _MIB)
        return Step(
            f"create {name} again",
            lambda api: api.array.CreateVolume(request),
            lambda _has, _: None,
            "ALREADY_EXISTS",
        )

    def _export(self, name: str) -> Step:
        host = self._rng.choice(HOSTS)
        request = _export_request(name, host, f"export-{self._new()}")

        def change(has: Holdings, answer: Any) -> None:
            has.volumes[name].luns[host] = answer.lun if answer is not None else None

        return Step(
            f"export {name}",
            lambda api: api.array.CreateExport(request),
            change,
            is_once=True,
        )

    def _hide(self, name: str) -> Step:
        host = self._pick(list(self.ledger.holdings.volumes[name].luns))
        request = pb.DeleteExportRequest(name=f"{ARRAY}/exports/{name}.{host}")

        def change(has: Holdings, _: Any) -> None:
            del has.volumes[name].luns[host]
            has.volumes[name].reserved.leave(host)

        return Step(
            f"hide {name}",
            lambda api: api.array.DeleteExport(request),
            change,
        )

    def _reserve(self, name: str) -> Step:
        """A host registers, reserves if it is registered and nobody has, or clears all."""
        held = self.ledger.holdings.volumes[name]
        host, now = self._pick(list(held.luns)), held.reserved
        key = now.keys.get(host, 0)
        actions = ["REGISTER"] * 2 + ["CLEAR"] * bool(key) + ["RESERVE"] * 2 * bool(key)
        action = self._rng.choice(actions)
        if action == "RESERVE" and now.holder:
            action = "REGISTER"
        new, aptpl = self._rng.randrange(1, 1 << 40), self._rng.random() < 0.7
        request = pb.PersistentReserveOutRequest(
            name=f"{ARRAY}/exports/{name}.{host}",
            action=f"RESERVATION_ACTION_{action}",
            reservation_key=key,
            service_action_reservation_key=new if action == "REGISTER" else 0,
            type="RESERVATION_TYPE_WRITE_EXCLUSIVE" if action == "RESERVE" else None,
            aptpl=aptpl and action == "REGISTER",
        )

        def change(has: Holdings, _: Any) -> None:
            reserved = has.volumes[name].reserved
            if action == "REGISTER":
                reserved.keys[host], reserved.aptpl = new, aptpl
            elif action == "RESERVE":
                reserved.holder = host
            else:
                reserved.keys, reserved.holder = {}, ""

        # Not to be asked again: what it did a loss of power may have undone.
        return Step(
            f"{action.lower()} {name}", lambda api: api.array.PersistentReserveOut(request), change
        )

    def _delete(self, name: str, code: str = "") -> Step:
        request = pb.DeleteVolumeRequest(name=f"{ARRAY}/volumes/{name}")

        def change(has: Holdings, _: Any) -> None:
            del has.volumes[name]

        return Step(f"delete {name}", lambda api: api.array.DeleteVolume(request), change, code)

    def _snapshot(self, volume: str) -> Step:
        name, full = self._new(), f"{ARRAY}/volumes/{volume}"
        held = self.ledger.holdings.volumes.get(volume)
        size = held.capacity_bytes if held else None
        request = pb.CreateVolumeSnapshotRequest(
            parent=ARRAY,
            volume_snapshot_id=name,
            volume_snapshot=pb.VolumeSnapshot(volume=full),
            request_id=f"snapshot-{name}",
        )
        return Step(
            f"snapshot {name} of {volume}",
            lambda api: api.array.CreateVolumeSnapshot(request),
            lambda has, _: has.snapshots.update({name: (volume, size)}),
            is_once=True,
        )

    def _clone(self) -> Step:
        name, source = self._new(), self._pick(list(self.ledger.holdings.snapshots))
        size = self.ledger.holdings.snapshots[source][1]
        request = _volume_request(name, size or 1 << 30, f"clone-{name}")
        request.volume.source_snapshot = f"{ARRAY}/snapshots/{source}"
        return Step(
            f"clone {name} of {source}",
            lambda api: api.array.CreateVolume(request),
            lambda has, _: has.volumes.update({name: Volume(size or 1 << 30)}),
            is_once=True,
        )

    def _forget(self, name: str) -> Step:
        request = pb.DeleteVolumeSnapshotRequest(name=f"{ARRAY}/snapshots/{name}")

        def change(has: Holdings, _: Any) -> None:
            del has.snapshots[name]

        return Step(f"delete {name}", lambda api: api.array.DeleteVolumeSnapshot(request), change)

    def _resize_pool(self) -> Step:
        size = self._rng.randrange(1, 100) * _MIB
        name = f"pool-{self.name}"
        pool = pb.Pool(name=f"{ARRAY}/pools/{name}", capacity_bytes=size)
        exists = bool(self.ledger.holdings.pool_bytes)

        def call(api: Api) -> Any:
            if exists:
                return api.array.UpdatePool(pb.UpdatePoolRequest(pool=pool))
            made = pb.Pool(capacity_bytes=size)
            return api.array.CreatePool(pb.CreatePoolRequest(parent=ARRAY, pool_id=name, pool=made))

        def change(has: Holdings, _: Any) -> None:
            has.pool_bytes = size

        return Step(f"size {name} to {size}", call, change)

    def _fault(self) -> Step:
        held = self.ledger.holdings.faults
        if len(held) >= 3:
            fault_id = self._pick(list(held))
            clear = faults_pb2.ClearFaultRequest(name=f"{ARRAY}/faults/{fault_id}")
            return Step(
                f"clear {fault_id}",
                lambda api: api.simulation.ClearFault(clear),
                lambda has, _: has.faults.discard(fault_id),
            )
        fault_id = self._new()
        kind, target, more = self._rng.choice(_FAULTS)
        rule = faults_pb2.FaultRule(kind=kind, target=f"{ARRAY}/{target}", **more)
        inject = faults_pb2.InjectFaultRequest(fault_id=fault_id, fault=rule, request_id=fault_id)
        return Step(
            f"inject {fault_id}",
            lambda api: api.simulation.InjectFault(inject),
            lambda has, _: has.faults.add(fault_id),
            is_once=True,
        )


_FAULTS: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    ("TASK_SET_FULL", "ports/p0", {"probability": 0.1, "count": 100}),
    ("COMMAND_FAILED", "volumes/io-1", {"probability": 0.2, "duration_ns": 3_000_000}),
    ("MEDIA_SLOW", "pools/p1", {"factor_per_mille": 1500}),
    ("PORT_DOWN", "ports/p1", {"duration_ns": 2_000_000}),
)


def holdings_of(api: Api, clients: list[Client]) -> dict[str, Holdings]:
    """Returns what an array has of each client."""
    found = {client.name: Holdings() for client in clients}
    listed: dict[str, Volume] = {}
    for volume in _all(api.array.ListVolumes, pb.ListVolumesRequest, "volumes"):
        name = volume.name.rpartition("/")[2]
        listed[name] = Volume(volume.capacity_bytes)
        if name.partition("-")[0] in found:
            found[name.partition("-")[0]].volumes[name] = listed[name]
            listed[name].reserved = _reserved(api, volume.name)
    for made in _all(
        api.array.ListVolumeSnapshots, pb.ListVolumeSnapshotsRequest, "volume_snapshots"
    ):
        name, of = (full.rpartition("/")[2] for full in (made.name, made.volume))
        found[name.partition("-")[0]].snapshots[name] = (of, made.capacity_bytes)
    for export in _all(api.array.ListExports, pb.ListExportsRequest, "exports"):
        host = export.host.rpartition("/")[2]
        listed[export.volume.rpartition("/")[2]].luns[host] = export.lun
    for pool in _all(api.array.ListPools, pb.ListPoolsRequest, "pools"):
        owner = pool.name.rpartition("/pool-")[2]
        if owner in found:
            found[owner].pool_bytes = pool.capacity_bytes
    faults = api.simulation.ListFaults(faults_pb2.ListFaultsRequest(page_size=1000)).faults
    for fault in faults:
        name = fault.name.rpartition("/")[2]
        found[name.partition("-")[0]].faults.add(name)
    return found


def _reserved(api: Api, volume: str) -> Reserved:
    now = api.array.GetVolumeReservations(pb.GetVolumeReservationsRequest(name=volume))
    keys = {each.host.rpartition("/")[2]: each.reservation_key for each in now.registrations}
    return Reserved(keys, now.holder.rpartition("/")[2], now.aptpl)


def _all(call: Any, request: Any, listing: str) -> list[Any]:
    answer = call(request(parent=ARRAY, page_size=1000))
    assert not answer.next_page_token
    return list(getattr(answer, listing))


def _volume_request(name: str, size: int, request_id: str = "") -> pb.CreateVolumeRequest:
    return pb.CreateVolumeRequest(
        parent=ARRAY,
        volume_id=name,
        volume=pb.Volume(pool=POOL, capacity_bytes=size),
        request_id=request_id,
    )


def _export_request(volume: str, host: str, request_id: str = "") -> pb.CreateExportRequest:
    return pb.CreateExportRequest(
        parent=ARRAY,
        export=pb.Export(volume=f"{ARRAY}/volumes/{volume}", host=f"{ARRAY}/hosts/{host}"),
        request_id=request_id,
    )
