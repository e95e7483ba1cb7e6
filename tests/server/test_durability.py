"""An array with a state directory: what was acknowledged survives, whatever came between."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from smokestack.array import durable
from smokestack.array.attentions import pending
from smokestack.array.model import ArrayModel
from smokestack.array.snapshot import save_windows
from smokestack.array.specs import Profile
from smokestack.engine.blockdevice import Attachment
from smokestack.engine.errors import FailedPrecondition, InvalidArgument, Unavailable
from smokestack.engine.records import Attention, Op
from smokestack.server import journal
from smokestack.server.rooms import Room
from smokestack.v1 import array_pb2 as pb
from smokestack.v1 import faults_pb2, simulation_pb2, types_pb2
from tests.array.test_array import attach, batch
from tests.server.durable_array import (
    ARRAY,
    GIB,
    PAGE,
    after_a_crash,
    build,
    check_sums,
    create_volume,
    export,
    kept_array,
    observed,
    settled,
    snapshot,
    write,
)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A directory that does not exist yet."""
    return tmp_path / "state"


def some_of_everything(room: Room[Any]) -> None:
    """Makes calls of every kind, some of them while a driver has the array and I/O maps pages."""
    api = room.api
    create_volume(room, "v2")
    with room.border.change():
        attach(room.model)
    write(room, first=0, count=200)
    api.UpdateVolume(
        pb.UpdateVolumeRequest(volume=pb.Volume(name=f"{ARRAY}/volumes/v2", capacity_bytes=2 * GIB))
    )
    snapshot(room, "v1", "s1")
    write(room, first=0, count=20)
    clone = pb.Volume(
        pool=f"{ARRAY}/pools/p1", capacity_bytes=GIB, source_snapshot=f"{ARRAY}/snapshots/s1"
    )
    api.CreateVolume(pb.CreateVolumeRequest(parent=ARRAY, volume_id="clone", volume=clone))
    inject(room, "slow", "MEDIA_SLOW", "pools/p1", factor_per_mille=2000, duration_ns=10**9)
    inject(room, "some", "COMMAND_FAILED", "volumes/v1", probability=0.5, count=7)
    export(room, "v2")
    inject(room, "astray", "WRONG_VOLUME", "exports/v2.h1", start_ns=room.model.now_ns + 1)
    inject(room, "link", "PORT_DOWN", "ports/p0", start_ns=room.model.now_ns + 1, duration_ns=50)
    write(room, first=10_000, count=50)
    api.FillPool(pb.FillPoolRequest(name=f"{ARRAY}/pools/p1", ratio=0.01))
    api.UpdatePort(pb.UpdatePortRequest(port=pb.Port(name=f"{ARRAY}/ports/p0", enabled=False)))
    write(room, first=20_000, count=5)
    api.UpdatePort(pb.UpdatePortRequest(port=pb.Port(name=f"{ARRAY}/ports/p0", enabled=True)))
    write(room, first=20_000, count=50)
    room.simulation.ClearFault(faults_pb2.ClearFaultRequest(name=f"{ARRAY}/faults/astray"))
    inject(room, "away", "WRONG_VOLUME", "exports/v1.h1", start_ns=room.model.now_ns + 1)
    write(room, first=40_000, count=50)
    snapshot(room, "v1", "s2")
    write(room, first=3, count=70)
    api.DeleteVolumeSnapshot(pb.DeleteVolumeSnapshotRequest(name=f"{ARRAY}/snapshots/s1"))
    write(room, first=0, count=50)
    api.DeleteExport(pb.DeleteExportRequest(name=f"{ARRAY}/exports/v2.h1"))
    api.DeleteVolume(pb.DeleteVolumeRequest(name=f"{ARRAY}/volumes/v2"))
    create_volume(room, "v3")
    export_to_sets(room)
    reserve(room)
    write(room, first=30_000, count=50)


def reserve(room: Room[ArrayModel]) -> None:
    """Lets one of two hosts reserve v3 in a way that outlives a loss of power."""
    name = f"{ARRAY}/exports/v3.h1"
    register = pb.PersistentReserveOutRequest(
        name=name,
        action=pb.RESERVATION_ACTION_REGISTER,
        service_action_reservation_key=9,
        aptpl=True,
    )
    room.api.PersistentReserveOut(register)
    reserve = pb.PersistentReserveOutRequest(
        name=name,
        action=pb.RESERVATION_ACTION_RESERVE,
        reservation_key=9,
        type=pb.RESERVATION_TYPE_EXCLUSIVE_ACCESS,
    )
    room.api.PersistentReserveOut(reserve)
    assert room.model.state.used("itl")["excluded"].any()


def export_to_sets(room: Room[ArrayModel]) -> None:
    """Shows v3 to a set of hosts that one joins and another leaves."""
    api = room.api
    for host_id in ("h2", "h3"):
        host = pb.ArrayHost(initiators=[types_pb2.Initiator(name=host_id, fabric="fabric-a")])
        api.CreateArrayHost(
            pb.CreateArrayHostRequest(parent=ARRAY, array_host_id=host_id, array_host=host)
        )
    hosts = pb.HostSet(name=f"{ARRAY}/hostSets/hs1")
    hosts.hosts.extend([f"{ARRAY}/hosts/h1", f"{ARRAY}/hosts/h2"])
    api.CreateHostSet(pb.CreateHostSetRequest(parent=ARRAY, host_set_id="hs1", host_set=hosts))
    ports = pb.PortSet(ports=[f"{ARRAY}/ports/p0"])
    api.CreatePortSet(pb.CreatePortSetRequest(parent=ARRAY, port_set_id="ps1", port_set=ports))
    shown = pb.SetExport(volume=f"{ARRAY}/volumes/v3", host_set=hosts.name, lun=7)
    shown.port_set = f"{ARRAY}/portSets/ps1"
    api.CreateSetExport(pb.CreateSetExportRequest(parent=ARRAY, set_export=shown))
    hosts.hosts[:] = [f"{ARRAY}/hosts/h1", f"{ARRAY}/hosts/h3"]
    api.UpdateHostSet(pb.UpdateHostSetRequest(host_set=hosts))


def inject(room: Room[Any], fault_id: str, kind: str, target: str, **rule: Any) -> None:
    room.simulation.InjectFault(
        faults_pb2.InjectFaultRequest(
            fault_id=fault_id,
            fault=faults_pb2.FaultRule(kind=kind, target=f"{ARRAY}/{target}", **rule),
        )
    )


def test_all_that_was_done_is_there_after_a_crash(state: Path) -> None:
    with kept_array(state) as room:
        build(room)
        some_of_everything(room)
        settled(room)
        expected = observed(room)
        assert len(expected["pages"]) > 300
        with after_a_crash(state) as recovered:
            assert observed(recovered) == expected
            check_sums(recovered.model)
            assert recovered.model.driver is None
            told = recovered.model.events.get(recovered.model.events.last)
            assert (told.kind, told.time_ns) == ("RECOVERED", expected["now_ns"])
            assert told.detail["after"] == "a crash"
            valid = recovered.model.state.used("itl")["valid"]
            for itl in range(len(valid)):
                waits = pending(recovered.model, itl)
                assert waits == ((Attention.POWER_ON,) if valid[itl] else ())


def test_a_stop_in_order_and_a_crash_leave_the_same(state: Path) -> None:
    with kept_array(state) as room:
        build(room)
        some_of_everything(room)
        expected = observed(room)
    for after in ("a stop", "a crash"):
        with kept_array(state) as room:
            assert observed(room) == expected
            check_sums(room.model)
            told = room.model.events.get(room.model.events.last)
            assert told.detail["after"] == "a stop"
            assert told.detail["calls_repeated"] == 0
            with after_a_crash(state) as recovered:
                assert observed(recovered) == expected, after


def test_what_comes_after_a_recovery_is_as_if_the_power_had_never_gone(state: Path) -> None:
    with kept_array(state) as room:
        build(room)
        some_of_everything(room)
        settled(room)
        with after_a_crash(state) as recovered:
            for one in (room, recovered):
                if one.model.driver is not None:
                    with one.border.change():
                        one.model.detach()
                create_volume(one, "v4")
                export(one, "v4")
            names = [one.api.ListExports(pb.ListExportsRequest(parent=ARRAY)) for one in
                     (room, recovered)]  # fmt: skip
            assert names[0] == names[1]
            rows = [one.model.state.used("volume").tolist() for one in (room, recovered)]
            assert rows[0] == rows[1]


def test_pages_that_io_maps_are_safe_within_a_second(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "TICK_SECONDS", 0.05)
    with kept_array(state) as room:
        build(room)
        with room.border.change():
            attach(room.model)
        write(room, first=0, count=100)
        expected = observed(room)
        written = room.simulation.recording.journal
        deadline = threading.Event()
        for _ in range(2400):  # two minutes, for a busy machine
            deadline.wait(0.05)
            if not room.durable.changed and not written._waiting:
                break
        settled(room)
        with after_a_crash(state) as recovered:
            assert observed(recovered) == expected


@pytest.mark.parametrize("profile", Profile)
def test_pools_of_every_family_come_back_as_they_ran_out(state: Path, profile: Profile) -> None:
    with kept_array(state) as room:
        build(room)
        drives = pb.Array(name=ARRAY, drive_count=16, drive_bytes=1 << 40)
        room.api.UpdateArray(pb.UpdateArrayRequest(array=drives))
        group = pb.DriveGroup(drive_count=16, drive_bytes=1 << 40)
        request = pb.CreateDriveGroupRequest(parent=ARRAY, drive_group_id="g", drive_group=group)
        made = pool_of(room, profile, room.api.CreateDriveGroup(request).name)
        for number in range(3):
            volume = pb.Volume(pool=made.name, capacity_bytes=1 << 40)
            create = pb.CreateVolumeRequest(parent=ARRAY, volume_id=f"f{number}", volume=volume)
            room.api.CreateVolume(create)
            export(room, f"f{number}")
        with room.border.change():
            attach(room.model)
        snapshot(room, "f0", "s0")
        for turn in range(4):
            fill_up(room, made.page_bytes, turn)
            settled(room)
            with after_a_crash(state) as recovered:
                check_sums(recovered.model)
                assert observed(recovered) == observed(room)
                assert families(recovered) == families(room)
            if turn == 1:
                snapshot(room, "f0", "s1")
                snapshot(room, "f1", "s2")
            if turn == 2:
                with suppress(FailedPrecondition):  # it has run out as it is
                    room.api.FillPool(pb.FillPoolRequest(name=made.name, ratio=0.9999))


@pytest.mark.parametrize("kind", [pb.PROVISIONING_THICK, pb.PROVISIONING_FULL])
def test_volumes_that_reserve_keep_their_pages(state: Path, kind: pb.Provisioning) -> None:
    with kept_array(state) as room:
        build(room)
        thick = pb.Volume(
            pool=f"{ARRAY}/pools/p1",
            capacity_bytes=100 * PAGE,
            provisioning=kind,
        )
        for number in range(3):
            request = pb.CreateVolumeRequest(parent=ARRAY, volume_id=f"f{number}", volume=thick)
            room.api.CreateVolume(request)
            export(room, f"f{number}")
        with room.border.change():
            attach(room.model)
        for turn in range(2):
            fill_up(room, PAGE, turn)
            settled(room)
            with after_a_crash(state) as recovered:
                check_sums(recovered.model)
                assert observed(recovered) == observed(room)
                assert families(recovered) == families(room)
            snapshot(room, "f0", f"s{turn}")
            grown = pb.Volume(name=f"{ARRAY}/volumes/f1", capacity_bytes=(200 + turn) * PAGE)
            room.api.UpdateVolume(pb.UpdateVolumeRequest(volume=grown))
            thin = pb.UnmapVolumeRequest(name=f"{ARRAY}/volumes/v1")
            thin.ranges.add(offset_bytes=turn * PAGE, length_bytes=2 * PAGE)
            room.api.UnmapVolume(thin)
        extents = room.model.state.used("extent").tolist()
        assert len(extents) == (5 if kind == pb.PROVISIONING_FULL else 0)
        with after_a_crash(state) as recovered:
            assert recovered.model.state.used("extent").tolist() == extents
        expected = observed(room), families(room)
    with kept_array(state) as room:  # from the checkpoint that a stop makes
        assert (observed(room), families(room)) == expected


def pool_of(room: Room[Any], profile: Profile, group: str) -> pb.Pool:
    """Makes a pool of a family, as small as its pages allow."""
    for size in (42 << 24, 42 * 3 * GIB):
        pool = pb.Pool(capacity_bytes=size, profile=int(profile), drive_group=group)
        request = pb.CreatePoolRequest(parent=ARRAY, pool_id="f", pool=pool)
        with suppress(InvalidArgument):
            return room.api.CreatePool(request)
    raise AssertionError(profile)


def fill_up(room: Room[Any], page_bytes: int, turn: int) -> None:
    """Writes some pages of volumes f0 to f2, from the first one on."""
    itls = {volume: index for index, (volume, *_) in enumerate(room.model.itls)}
    with room.border.change():
        now_ns = room.model.now_ns
        ios = [
            (now_ns + n, now_ns << 20 | n, Op.WRITE, n // 3 * page_bytes, 4096) for n in range(90)
        ]
        submitted = batch(*ios)
        for number, record in enumerate(submitted.records):
            record["nexus"] = itls[f"f{number % 3}"]
        room.model.exchange(now_ns + 10**9 * (turn + 1), submitted)


def families(room: Room[Any]) -> Any:
    """Returns what pools and volumes remember of growing and of having run out."""
    state = room.model.state
    volumes = ["offline", "room_pages", "step_pages", "step_ns", "stale", "allocated_pages"]
    pools = ["room_pages", "grown_pages", "warned", "conserving", "emergency", "exhausted"]
    return (
        state.used("volume")[volumes].tolist(),
        state.used("pool")[pools].tolist(),
        state.used("raw_free").tolist(),
    )


def test_every_table_is_known_to_come_through() -> None:
    """Whoever adds a table of the kernel's says in durable.py how a restart brings it back."""
    model = ArrayModel("a1")
    assert set(model.state.order) == durable.TABLES
    assert set(model.keeper.parts) == {"model", "events", "faults"}
    held = set(model.keeper.parts["model"].save()) - {"tables", "held", "product", "family"}
    assert held == set(save_windows(model))  # the others change by calls only


def test_a_retry_after_the_crash_gets_the_first_answer(state: Path) -> None:
    with kept_array(state) as room:
        build(room)
        first = create_volume(room, "v2", request_id="once")
        inject_request = faults_pb2.InjectFaultRequest(
            request_id="fault",
            fault=faults_pb2.FaultRule(kind="PORT_DOWN", target=f"{ARRAY}/ports/p0"),
        )
        fault = room.simulation.InjectFault(inject_request)
        with after_a_crash(state) as recovered:
            assert create_volume(recovered, "v2", request_id="once") == first
            assert recovered.simulation.InjectFault(inject_request) == fault
            with pytest.raises(InvalidArgument, match="was used for another request"):
                create_volume(recovered, "v3", request_id="once")
    with kept_array(state) as room:  # from the checkpoint that a stop makes
        assert create_volume(room, "v2", request_id="once") == first
        assert room.simulation.InjectFault(inject_request) == fault


def test_the_clock_of_a_recovered_array_catches_up_with_its_driver(state: Path) -> None:
    with kept_array(state) as room:
        build(room)
        room.simulation.Advance(simulation_pb2.AdvanceRequest(until_ns=5_000_000))
        with after_a_crash(state) as recovered:
            assert recovered.model.now_ns == 5_000_000
            lookahead = recovered.model.lookahead_ns
            with pytest.raises(FailedPrecondition, match="ahead of"):
                recovered.model.attach(Attachment("tests/d", 2, 1, 4_000_000, lookahead))
            with recovered.border.change():
                recovered.model.attach(Attachment("tests/d", 2, 1, 9_000_000, lookahead))
            assert recovered.model.now_ns == 9_000_000


def test_a_long_journal_is_cut_short_and_calls_go_on(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "TICK_SECONDS", 0.01)
    monkeypatch.setattr(journal, "_WORK_MIN", 20)
    with kept_array(state) as room:
        build(room)
        for number in range(300):
            create_volume(room, f"v{number + 10}", request_id=f"r{number}")
        settled(room)
        expected = observed(room)
        with after_a_crash(state) as recovered:
            assert observed(recovered) == expected
            told = recovered.model.events.get(recovered.model.events.last)
            assert told.detail["calls_repeated"] < 300
            create_volume(recovered, "v10", request_id="r0")
    assert len(list(state.glob("checkpoint-*"))) == 1


def test_a_snapshot_that_is_put_back_is_kept_before_anything_else(state: Path) -> None:
    with kept_array(state) as room:
        build(room)
        with room.border.change():
            piece = room.model.keeper.save("s1")
        expected = observed(room)
        create_volume(room, "later")
        with room.border.change():
            room.model.keeper.stage(piece)
            room.model.keeper.restore()
        with after_a_crash(state) as recovered:
            assert observed(recovered) == expected
        create_volume(room, "other")
        expected = observed(room)
        with after_a_crash(state) as recovered:
            assert observed(recovered) == expected


def test_a_full_disk_refuses_and_forgets_nothing(state: Path) -> None:
    with kept_array(state) as room:
        build(room)
        written = room.simulation.recording.journal
        (pages,) = written._store._db.execute("PRAGMA page_count").fetchone()
        written._store._db.execute(f"PRAGMA max_page_count = {pages + 2}")
        acknowledged = []
        with pytest.raises(Unavailable, match="full") as caught:
            for number in range(10_000):
                create_volume(room, f"n{number}", request_id=f"r{number}")
                acknowledged.append(f"n{number}")
        assert caught.value.reason == "STATE_NOT_SAFE"
        refused = f"n{len(acknowledged)}"
        with pytest.raises(Unavailable, match="changes nothing while"):
            create_volume(room, "never")
        with pytest.raises(Unavailable, match="has carried out"):  # for this is what it was told
            create_volume(room, refused, request_id=f"r{len(acknowledged)}")
        with after_a_crash(state) as recovered:
            assert set(acknowledged) <= set(recovered.model.volumes)
            assert "never" not in recovered.model.volumes
        written._store._db.execute("PRAGMA max_page_count = 1000000")
        for _ in range(2400):  # two minutes, for a busy machine
            threading.Event().wait(0.05)
            if not written._failure:
                break
        create_volume(room, refused, request_id=f"r{len(acknowledged)}")
        with after_a_crash(state) as recovered:
            assert {*acknowledged, refused} <= set(recovered.model.volumes)


def test_a_broken_journal_refuses_for_good(state: Path) -> None:
    with kept_array(state) as room:
        build(room)
        expected = observed(room, events=False)
        other = sqlite3.connect(state / "journal.db")
        other.execute("DROP TABLE row")
        other.commit()
        other.close()
        with pytest.raises(Unavailable, match="cannot keep it"):
            create_volume(room, "v9")
        with pytest.raises(Unavailable, match="changes nothing while"):
            create_volume(room, "v10")
        assert expected["volumes"]
    with pytest.raises(FailedPrecondition, match="damaged"), kept_array(state):
        pass


def test_many_callers_at_once_lose_nothing(state: Path) -> None:
    with kept_array(state) as room:
        build(room)
        done: list[str] = []

        def make(lane: int) -> None:
            for number in range(30):
                create_volume(room, f"x{lane}-{number}")
                done.append(f"x{lane}-{number}")

        threads = [threading.Thread(target=make, args=(lane,)) for lane in range(8)]
        for thread in threads:
            thread.start()
        with after_a_crash(state) as recovered:  # at some instant in between
            safe = set(recovered.model.volumes)
            check_sums(recovered.model)
        for thread in threads:
            thread.join()
        assert len(done) == 240
        with after_a_crash(state) as recovered:
            assert set(done) <= set(recovered.model.volumes)
            assert safe <= set(recovered.model.volumes)
