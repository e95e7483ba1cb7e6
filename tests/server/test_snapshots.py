"""Snapshots over the API, of one process and of many: kept, restored, carried away, forked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smokestack.engine import container
from smokestack.engine.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
)
from smokestack.engine.timekeeper import ClockMode, ClockSettings
from smokestack.server import snapshots
from smokestack.server.build import Api
from smokestack.server.processes import Processes
from smokestack.server.stack import Stack
from smokestack.v1 import array_pb2, hypervisor_pb2, simulation_pb2
from smokestack.v1 import snapshots_pb2 as pb
from tests.server.scenarios import small_scenario

MS = 1_000_000
DISK = "hosts/h1/vms/on-a1/disks/d0"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack for tests that leave it as it is, or say where they begin."""
    with Stack(small_scenario(io_limit=0)) as stack:
        yield stack


def advance(api: Api, until_ns: int) -> None:
    api.simulation.Advance(simulation_pb2.AdvanceRequest(until_ns=until_ns))


def digest(api: Api) -> str:
    found: str = api.hypervisor.GetStatistics(hypervisor_pb2.GetStatisticsRequest()).digest
    return found


def create(api: Api, snapshot_id: str) -> pb.Snapshot:
    made: pb.Snapshot = api.simulation.CreateSnapshot(
        pb.CreateSnapshotRequest(snapshot_id=snapshot_id)
    )
    return made


def restore(api: Api, snapshot_id: str) -> pb.Snapshot:
    request = pb.RestoreSnapshotRequest(name=f"snapshots/{snapshot_id}")
    found: pb.Snapshot = api.simulation.RestoreSnapshot(request)
    return found


def exported(api: Api, snapshot_id: str) -> bytes:
    request = pb.ExportSnapshotRequest(name=f"snapshots/{snapshot_id}")
    return b"".join(part.data for part in api.simulation.ExportSnapshot(request))


def imported(api: Api, snapshot_id: str, data: bytes) -> pb.Snapshot:
    def parts() -> Iterator[pb.ImportSnapshotRequest]:
        yield pb.ImportSnapshotRequest(snapshot_id=snapshot_id)
        for start in range(0, len(data), 100_000):
            yield pb.ImportSnapshotRequest(data=data[start : start + 100_000])

    made: pb.Snapshot = api.simulation.ImportSnapshot(parts())
    return made


def port(api: Api, port_id: str, **fields: Any) -> None:
    message = array_pb2.Port(name=f"arrays/a1/ports/{port_id}", **fields)
    api.arrays["a1"].UpdatePort(array_pb2.UpdatePortRequest(port=message))


def inventory(api: Api) -> list[Any]:
    """What the API shows of everything that a snapshot must bring back."""
    found: list[Any] = [
        api.hypervisor.GetStatistics(hypervisor_pb2.GetStatisticsRequest()),
        api.arrays["a1"].ListPools(array_pb2.ListPoolsRequest(parent="arrays/a1")),
        api.arrays["a1"].ListVolumes(array_pb2.ListVolumesRequest(parent="arrays/a1")),
        api.arrays["a1"].ListPorts(array_pb2.ListPortsRequest(parent="arrays/a1")),
        api.hypervisor.ListJobs(hypervisor_pb2.ListJobsRequest(parent="hosts/h1/vms/on-a1")),
    ]
    for simulation in api.simulations.values():
        found.append(simulation.ListEvents(simulation_pb2.ListEventsRequest()).events)
    return found


def test_stacks_that_were_asked_for_the_same_are_equal_files() -> None:
    files = []
    for _ in range(2):
        with Stack(small_scenario(io_limit=0)) as stack:
            advance(stack.api, 2 * MS)
            port(stack.api, "p0", enabled=False)
            advance(stack.api, 3 * MS)
            files.append([piece.sealed() for piece in stack.hypervisor.model.snapshot("s1")])
    assert files[0] == files[1]


@pytest.mark.parametrize("opened", [Stack, Processes])
def test_a_stack_goes_back_and_on_as_it_did(
    opened: Callable[..., AbstractContextManager[Any]],
) -> None:
    with opened(small_scenario(io_limit=0)) as found:
        api = found.api
        advance(api, 2 * MS)
        made = create(api, "s1")
        assert made.now_ns == 2 * MS
        assert made.digest == digest(api)
        assert list(made.services) == ["hypervisors/hv1", "multipaths/m1", "arrays/a1"]
        then = inventory(api)
        futures = []
        for _ in range(2):
            port(api, "p0", enabled=False)
            advance(api, 5 * MS)
            api.arrays["a1"].CreateVolume(
                array_pb2.CreateVolumeRequest(
                    parent="arrays/a1",
                    volume_id="v9",
                    volume=array_pb2.Volume(pool="arrays/a1/pools/p1", capacity_bytes=1 << 30),
                    request_id="the same each time",
                )
            )
            advance(api, 7 * MS)
            futures.append(inventory(api))
            assert restore(api, "s1") == made
            assert inventory(api) == then
        assert futures[0] == futures[1] != then


def test_many_processes_and_one_give_and_take_one_anothers_snapshots() -> None:
    scenario = small_scenario(2, io_limit=0)
    with Processes(scenario) as many, Stack(scenario) as one, Stack(scenario) as fresh:
        for api in (many.api, fresh.api):
            advance(api, 3 * MS)
        create(many.api, "s1")
        file = exported(many.api, "s1")
        assert imported(one.api, "theirs", file).now_ns == 3 * MS
        advance(one.api, 1 * MS)
        restore(one.api, "theirs")
        imported(many.api, "back", exported(one.api, "theirs"))
        advance(many.api, 4 * MS)
        restore(many.api, "back")
        for api in (many.api, one.api, fresh.api):
            advance(api, 6 * MS)
        assert inventory(many.api) == inventory(one.api) == inventory(fresh.api)


def test_forks_are_futures_of_one_past() -> None:
    scenario = small_scenario(io_limit=0)
    with Stack(scenario) as past:
        advance(past.api, 3 * MS)
        with past.fork() as calm, past.fork() as broken:
            port(broken.api, "p0", enabled=False)
            for stack in (calm, broken, past):
                advance(stack.api, 6 * MS)
            assert digest(calm.api) == digest(past.api) != digest(broken.api)
        with Stack(scenario) as fresh:
            advance(fresh.api, 3 * MS)
            port(fresh.api, "p0", enabled=False)
            advance(fresh.api, 6 * MS)
            assert digest(fresh.api) == digest(broken.api)
            with fresh.fork() as late:
                assert inventory(late.api) == inventory(fresh.api)


@settings(max_examples=10)
@given(data=st.data())
def test_snapshots_taken_anywhere_lead_to_the_same_end(data: st.DataObject) -> None:
    with Stack(small_scenario()) as stack, Stack(small_scenario()) as fresh:
        advance(fresh.api, 9 * MS)
        times = sorted(data.draw(st.lists(st.integers(0, 9 * MS), min_size=2, max_size=4)))
        for number, time_ns in enumerate(times):
            advance(stack.api, time_ns)
            create(stack.api, f"s{number}")
        advance(stack.api, 9 * MS)
        for number in data.draw(st.permutations(range(len(times)))):
            restore(stack.api, f"s{number}")
            advance(stack.api, 9 * MS)
            assert digest(stack.api) == digest(fresh.api)


def test_a_snapshot_is_listed_fetched_and_deleted(stack: Stack) -> None:
    simulation = stack.api.simulation
    made = [create(stack.api, name) for name in ("b", "a")]
    assert made[0].uid != made[1].uid
    first = simulation.ListSnapshots(pb.ListSnapshotsRequest(page_size=1))
    second = simulation.ListSnapshots(
        pb.ListSnapshotsRequest(page_size=1, page_token=first.next_page_token)
    )
    assert [*first.snapshots, *second.snapshots] == made[::-1]
    assert not second.next_page_token
    assert simulation.GetSnapshot(pb.GetSnapshotRequest(name="snapshots/a")) == made[1]
    for name in ("a", "b"):
        simulation.DeleteSnapshot(pb.DeleteSnapshotRequest(name=f"snapshots/{name}"))
    assert not simulation.ListSnapshots(pb.ListSnapshotsRequest()).snapshots
    with pytest.raises(NotFound, match="snapshots/a does not exist"):
        restore(stack.api, "a")


def test_what_cannot_be_is_refused_with_what_would_be_right(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(stack.api, "s1")
    with pytest.raises(AlreadyExists, match="snapshots/s1 exists already"):
        create(stack.api, "s1")
    with pytest.raises(InvalidArgument, match="snapshot_id"):
        create(stack.api, "No Name")
    with pytest.raises(InvalidArgument, match="'snapshots/s1'"):
        stack.api.simulation.GetSnapshot(pb.GetSnapshotRequest(name="s1"))
    array = stack.api.simulations["arrays/a1"]
    with pytest.raises(FailedPrecondition, match="call it at the hypervisor") as refusal:
        array.CreateSnapshot(pb.CreateSnapshotRequest(snapshot_id="s2"))
    assert refusal.value.reason == "NO_DRIVER"
    monkeypatch.setattr(snapshots, "SNAPSHOTS_MAX", 1)
    with pytest.raises(ResourceExhausted, match="delete some"):
        create(stack.api, "s2")
    stack.api.simulation.DeleteSnapshot(pb.DeleteSnapshotRequest(name="snapshots/s1"))


def test_a_file_is_refused_when_it_is_none_or_damaged_or_of_another_version(stack: Stack) -> None:
    create(stack.api, "s1")
    known = inventory(stack.api)
    file = exported(stack.api, "s1")
    other = file.replace(b"smokestack snapshot 1\n", b"smokestack snapshot 2\n", 1)
    for data, message in (
        (b"", "is no snapshot of smokestack"),
        (b"\x89PNG\r\n", "is no snapshot of smokestack"),
        (other, "has format 2; this version reads format 1"),
        (file[:-1], "damaged or cut short"),
        (file[:40], "damaged or cut short"),
        (file + b"\0", "damaged or cut short"),
        (stack.hypervisor.model.snapshot("x")[0].sealed(), "one service's piece"),
    ):
        with pytest.raises(InvalidArgument, match=message):
            imported(stack.api, "s2", data)
    of_another = pytest.raises(FailedPrecondition, match="is of a stack with arrays a1")
    with Stack(small_scenario(2)) as larger, of_another:
        imported(larger.api, "s2", file)
    stack.api.simulation.DeleteSnapshot(pb.DeleteSnapshotRequest(name="snapshots/s1"))
    assert inventory(stack.api) == known


@settings(max_examples=80)
@given(data=st.data())
def test_any_flipped_bit_of_a_file_is_noticed(stack: Stack, data: st.DataObject) -> None:
    file = bytearray(snapshots.taken(stack.hypervisor.model).file())
    at = data.draw(st.integers(0, len(file) - 1))
    file[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(InvalidArgument):
        imported(stack.api, "s9", bytes(file))


@settings(max_examples=60)
@given(data=st.data())
def test_nonsense_with_a_right_checksum_is_refused_too(stack: Stack, data: st.DataObject) -> None:
    """A manifest that somebody has edited: its values, or the blobs that it lists."""
    kept, known = snapshots.taken(stack.hypervisor.model), inventory(stack.api)
    service = data.draw(st.sampled_from(sorted(kept.pieces)))
    manifest, blobs = container.load(kept.pieces[service].sealed())
    place: Any = manifest
    while isinstance(place, dict | list) and place:
        keys = list(place) if isinstance(place, dict) else range(len(place))
        key = data.draw(st.sampled_from(keys))
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
            place[key] = data.draw(st.sampled_from([None, -1, "x", [], ["tuple"], {"a": 1}]))
            break
        place = inner
    piece = container.dump(manifest, blobs)
    try:
        found = snapshots.Kept(
            kept.uid,
            kept.digest,
            {
                name: type(one)(one.snapshot, name, one.now_ns, data=piece)
                if name == service
                else one
                for name, one in kept.pieces.items()
            },
        )
        stack.hypervisor.model.check(found.pieces)
    except (InvalidArgument, FailedPrecondition):
        pass
    assert inventory(stack.api) == known


def test_whoever_waits_for_an_io_of_the_future_is_told() -> None:
    clock = ClockSettings(ClockMode.PACED, 0.000_001)
    with Stack(small_scenario(io_limit=0), clock) as stack:
        create(stack.api, "s1")
        with stack.border.change():
            service = stack.hypervisor.api
            io = hypervisor_pb2.SubmitIoRequest(
                disk=DISK, operation=hypervisor_pb2.IO_OPERATION_READ, length_bytes=4096
            )
        submitted = service._submit(io)
        restore(stack.api, "s1")
        with pytest.raises(Aborted, match="gone back to a snapshot"):
            service._ios.outcome(submitted)


def test_a_clock_that_runs_by_itself_runs_on_from_the_snapshot() -> None:
    clock = ClockSettings(ClockMode.PACED, 1.0)
    with Stack(small_scenario(io_limit=0), clock) as stack:
        made = create(stack.api, "s1")
        request = simulation_pb2.GetSimulationRequest()
        while stack.api.simulation.GetSimulation(request).now_ns < made.now_ns + 50 * MS:
            pass
        restore(stack.api, "s1")
        later = stack.api.simulation.GetSimulation(request).now_ns
        assert later < made.now_ns + 50 * MS
        while stack.api.simulation.GetSimulation(request).now_ns <= later:
            pass


def test_watchers_are_told_that_what_they_heard_has_not_happened() -> None:
    with Stack(small_scenario()) as stack:
        advance(stack.api, 1 * MS)
        create(stack.api, "s1")
        advance(stack.api, 4 * MS)
        simulation = stack.api.simulation
        watching = simulation.WatchEvents(simulation_pb2.WatchEventsRequest(follow=True))
        token = next(watching).resume_token
        restore(stack.api, "s1")
        with pytest.raises(Aborted, match="has gone back to a snapshot"):
            next(watching)
        with pytest.raises(FailedPrecondition, match="start again"):
            next(simulation.WatchEvents(simulation_pb2.WatchEventsRequest(resume_token=token)))


def test_a_lost_service_is_named() -> None:
    with Processes(small_scenario(io_limit=0)) as processes:
        advance(processes.api, 1 * MS)
        create(processes.api, "s1")
        processes.arrays["a1"].kill()
        with pytest.raises(grpc.RpcError) as error:
            create(processes.api, "s2")
        assert error.value.code() is grpc.StatusCode.UNAVAILABLE
        advance(processes.api, 2 * MS)
        assert create(processes.api, "without").services == ["hypervisors/hv1", "multipaths/m1"]
        with pytest.raises(grpc.RpcError) as error:
            restore(processes.api, "s1")
        assert error.value.code() is grpc.StatusCode.UNAVAILABLE
        known = digest(processes.api)
        restore(processes.api, "without")
        assert digest(processes.api) == known
