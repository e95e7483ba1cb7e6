"""The audit: every lie is found, by whom it can be, and an honest stack has none to find."""

from __future__ import annotations

from typing import Any

import pytest

from smokestack.array import advertised
from smokestack.array import faults as array_faults
from smokestack.engine.errors import InvalidArgument
from smokestack.multipath import faults as multipath_faults
from smokestack.server.estate import EstateService, local_peers, remote
from smokestack.server.stack import Stack
from smokestack.v1 import array_pb2, faults_pb2, hypervisor_pb2, multipath_pb2, simulation_pb2
from smokestack.v1 import estate_pb2 as pb
from tests.server.scenarios import small_scenario
from tests.server.test_faults import broken_scenario

MS = 1_000_000
VIEWS = {pb.AUDIT_VIEW_ARRAY: "array", pb.AUDIT_VIEW_HOST: "host", pb.AUDIT_VIEW_JOINED: "joined"}
Found = dict[tuple[str, str], set[str]]  # kind and resource → who sees it


class Audited:
    """A stack under load, and what its audit finds."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.estate = EstateService(local_peers(stack.rooms))
        self.run(10)

    def run(self, ms: int) -> None:
        request = simulation_pb2.AdvanceRequest(duration_ns=ms * MS)
        self.stack.hypervisor.simulation.Advance(request)

    def rescan(self) -> None:
        for host in self.stack.multipath.model.hosts:
            name = f"multipaths/m1/hosts/{host}"
            request = multipath_pb2.RescanMultipathHostRequest(name=name)
            self.stack.api.multipath.RescanMultipathHost(request)

    def lie(self, kind: str, target: str, factor: int = 0) -> str:
        service = "/".join(target.split("/")[:2])
        room = next(room for room in self.stack.rooms if room.name == service)
        fault = faults_pb2.FaultRule(kind=kind, target=target, factor_per_mille=factor)
        injected = room.simulation.InjectFault(faults_pb2.InjectFaultRequest(fault=fault))
        return str(injected.name)

    def clear(self, name: str) -> None:
        service = "/".join(name.split("/")[:2])
        room = next(room for room in self.stack.rooms if room.name == service)
        room.simulation.ClearFault(faults_pb2.ClearFaultRequest(name=name))

    def found(self) -> Found:
        answer = self.estate.AuditAdvertised(pb.AuditAdvertisedRequest())
        assert all(part.answered for part in answer.parts)
        assert all(f.evidence and f.advertised and f.observed for f in answer.findings)
        return {
            (pb.AuditKind.Name(f.kind).removeprefix("AUDIT_KIND_"), f.resource): {
                VIEWS[view] for view in f.views
            }
            for f in answer.findings
        }


@pytest.fixture
def audited() -> Audited:
    return Audited(Stack(small_scenario(2, io_limit=0)))


def busy_volume(audited: Audited) -> str:
    api = audited.stack.arrays["a1"].api
    volumes = api.ListVolumes(array_pb2.ListVolumesRequest(parent="arrays/a1")).volumes
    return next(str(v.name) for v in volumes if v.response_count > 100)


def device_of(audited: Audited, volume: str) -> str:
    api = audited.stack.api.multipath
    for host in audited.stack.multipath.model.hosts:
        listing = multipath_pb2.ListDevicesRequest(parent=f"multipaths/m1/hosts/{host}")
        for device in api.ListDevices(listing).devices:
            if device.volume == volume:
                return str(device.name)
    raise AssertionError(volume)


def test_an_honest_stack_has_nothing_to_find(audited: Audited) -> None:
    assert audited.found() == {}
    for _ in range(10):
        audited.run(1)
        audited.rescan()
        assert audited.found() == {}


def test_what_breaks_without_lying_is_no_finding() -> None:
    scenario = broken_scenario()
    honest = [f for f in scenario.faults if f.kind not in {"WRONG_VOLUME", "PATH_FALSELY_DEAD"}]
    honest = [f for f in honest if f.kind != "IDENTITY_CHANGED"]
    del scenario.faults[:]
    scenario.faults.extend(honest)
    audited = Audited(Stack(scenario))
    for _ in range(30):
        audited.run(1)
        assert audited.found() == {}


@pytest.mark.parametrize("profile", range(1, 8))
def test_a_pool_that_runs_out_as_its_family_does_is_no_lie(profile: int) -> None:
    scenario = small_scenario(io_limit=0)
    pool = scenario.arrays[0].pools[0]
    pool.profile, pool.capacity_bytes = profile, 84 << 20  # whole pages of every family
    audited = Audited(Stack(scenario))
    api = audited.stack.arrays["a1"].api
    name = "arrays/a1/pools/p1"
    if api.GetPool(array_pb2.GetPoolRequest(name=name)).free_bytes:  # else steps have it all
        api.FillPool(array_pb2.FillPoolRequest(name=name, ratio=1.0))
    for _ in range(10):
        audited.run(2)
        assert audited.found() == {}


LIES = {kind.name for kind in (*advertised.KINDS, *multipath_faults.KINDS)} - {"PATH_DISABLED"}
HONEST_KINDS = sorted({kind.name for kind in array_faults.KINDS} - LIES - {"NOT_READY"})


@pytest.mark.parametrize("kind", HONEST_KINDS)
def test_no_fault_that_breaks_something_is_taken_for_a_lie(audited: Audited, kind: str) -> None:
    found = next(k for k in array_faults.KINDS if k.name == kind)
    where, _, name = found.subject.rpartition("/")
    target = f"{where}/*" if name != "a1" else found.subject
    fault = audited.lie(kind, target, 2_000 if found.takes_factor else 0)
    for _ in range(5):
        audited.run(2)
        assert audited.found() == {}
    audited.clear(fault)
    for _ in range(5):
        audited.run(2)
        audited.rescan()
        assert audited.found() == {}


def test_changes_that_are_not_told_yet_are_no_lies(audited: Audited) -> None:
    api = audited.stack.arrays["a1"].api
    volume = busy_volume(audited)
    grown = array_pb2.Volume(name=volume, capacity_bytes=1 << 40)
    api.UpdateVolume(array_pb2.UpdateVolumeRequest(volume=grown))
    down = array_pb2.Port(name="arrays/a1/ports/p0", enabled=False)
    api.UpdatePort(array_pb2.UpdatePortRequest(port=down))
    assert audited.found() == {}
    audited.stack.hypervisor.simulation.Advance(
        simulation_pb2.AdvanceRequest(duration_ns=20_000)  # less than the way back takes
    )
    assert audited.found() == {}
    audited.run(1)
    assert audited.found() == {}


def test_a_size_that_lies(audited: Audited) -> None:
    volume = busy_volume(audited)
    fault = audited.lie("VOLUME_OVERSTATED", volume, 3_000)
    audited.run(1)
    assert audited.found() == {}  # nobody has been told
    audited.rescan()
    assert audited.found() == {("CAPACITY", volume): {"joined"}}
    audited.clear(fault)
    audited.rescan()
    assert audited.found() == {}


def test_a_host_alone_finds_the_size_when_it_goes_beyond(audited: Audited) -> None:
    volume = busy_volume(audited)
    device = device_of(audited, volume)
    audited.lie("VOLUME_OVERSTATED", volume, 3_000)
    audited.rescan()
    api = audited.stack.api.hypervisor
    host = device.split("/")[3]
    api.CreateVm(hypervisor_pb2.CreateVmRequest(parent=f"hosts/{host}", vm_id="big"))
    disk = hypervisor_pb2.Disk(device=device)
    made = api.CreateDisk(
        hypervisor_pb2.CreateDiskRequest(parent=f"hosts/{host}/vms/big", disk_id="d", disk=disk)
    )
    job = hypervisor_pb2.Job(
        disk=made.name,
        io_limit=20,
        region_offset_bytes=made.capacity_bytes // 2,
        region_bytes=1 << 20,
    )
    api.CreateJob(
        hypervisor_pb2.CreateJobRequest(parent=f"hosts/{host}/vms/big", job_id="j", job=job)
    )
    audited.run(5)
    assert audited.found() == {("CAPACITY", volume): {"host", "joined"}}


def test_space_that_is_not_there(audited: Audited) -> None:
    pool = "arrays/a1/pools/p1"
    api = audited.stack.arrays["a1"].api
    fault = audited.lie("POOL_OVERSTATED", pool, 2_000)
    assert audited.found() == {}
    model = audited.stack.arrays["a1"].model
    used_bytes = api.GetPool(array_pb2.GetPoolRequest(name=pool)).allocated_bytes
    model.update_pool("p1", capacity_bytes=used_bytes + 4 * model.pools["p1"].page_bytes)
    audited.run(20)
    assert audited.found() == {("CAPACITY", pool): {"array", "joined"}}
    audited.clear(fault)
    assert audited.found() == {}  # the pool is full, and says so


def test_a_latency_that_lies_is_seen_by_both_alone(audited: Audited) -> None:
    volume = busy_volume(audited)
    fault = audited.lie("LATENCY_UNDERSTATED", volume, 4_000)
    audited.run(1)
    assert audited.found() == {("LATENCY", volume): {"joined"}}
    audited.clear(fault)
    assert audited.found() == {}


def test_a_service_level_that_is_missed_is_seen_by_the_array_unless_that_lies_too(
    audited: Audited,
) -> None:
    volume = busy_volume(audited)
    promised = array_pb2.Volume(name=volume, service_level_ns=20_000)
    api = audited.stack.arrays["a1"].api
    api.UpdateVolume(array_pb2.UpdateVolumeRequest(volume=promised))
    assert audited.found() == {("LATENCY", volume): {"array", "joined"}}
    audited.lie("LATENCY_UNDERSTATED", volume, 1_000_000)
    audited.run(1)
    assert audited.found() == {("LATENCY", volume): {"joined"}}


def test_a_path_that_is_said_to_be_dead(audited: Audited) -> None:
    device = device_of(audited, busy_volume(audited))
    paths = audited.stack.api.multipath.ListPaths(multipath_pb2.ListPathsRequest(parent=device))
    path = paths.paths[0].name
    fault = audited.lie("PATH_FALSELY_DEAD", path)
    audited.run(1)
    said = audited.stack.api.multipath.GetPath(multipath_pb2.GetPathRequest(name=path))
    assert (said.state, said.enabled) == (multipath_pb2.PATH_STATE_DEAD, True)
    assert audited.found() == {("PATH_STATE", path): {"joined"}}
    audited.clear(fault)
    audited.run(1)
    assert audited.found() == {}


def test_paths_that_are_said_to_work_and_answer_not_ready(audited: Audited) -> None:
    volume = busy_volume(audited)
    fault = audited.lie("NOT_READY", volume)
    audited.run(5)
    found = audited.found()
    device = device_of(audited, volume)
    assert found
    assert all(views == {"host", "joined"} for views in found.values())
    assert all(kind == "PATH_STATE" and name.startswith(device) for kind, name in found)
    audited.clear(fault)
    audited.run(200)  # longer than who was not ready is left alone
    assert audited.found() == {}


def test_an_identity_that_changes(audited: Audited) -> None:
    volume = busy_volume(audited)
    device = device_of(audited, volume)
    fault = audited.lie("IDENTITY_CHANGED", volume)
    audited.run(1)
    assert audited.found() == {}  # nobody has asked the unit who it is
    audited.rescan()
    assert audited.found() == {("IDENTITY", device): {"host", "joined"}}
    audited.clear(fault)
    audited.rescan()
    assert audited.found() == {}


def test_another_volume_behind_a_lun_is_seen_by_both_before_any_rescan(audited: Audited) -> None:
    volume = busy_volume(audited)
    device = device_of(audited, volume)
    export = f"arrays/a1/exports/{volume.rpartition('/')[2]}.{device.split('/')[3]}"
    audited.lie("WRONG_VOLUME", export)
    audited.run(5)
    assert audited.found() == {("IDENTITY", volume): {"joined"}}
    audited.rescan()
    assert audited.found() == {
        ("IDENTITY", volume): {"joined"},
        ("IDENTITY", device): {"host", "joined"},
    }


def test_pages_of_findings_and_what_is_wrong_with_them(audited: Audited) -> None:
    audited.lie("PATH_FALSELY_DEAD", "multipaths/m1/hosts/*/devices/*/paths/*")
    audited.run(1)
    everything = audited.found()
    paged: list[Any] = []
    token = ""
    while True:
        request = pb.AuditAdvertisedRequest(page_size=2, page_token=token)
        answer = audited.estate.AuditAdvertised(request)
        paged += answer.findings
        token = answer.next_page_token
        if not token:
            break
    assert len(paged) == len(everything) > 2
    with pytest.raises(InvalidArgument):
        audited.estate.AuditAdvertised(pb.AuditAdvertisedRequest(page_token="x"))


def test_from_one_address_alone_and_without_the_service_that_is_away(audited: Audited) -> None:
    volume = busy_volume(audited)
    audited.lie("LATENCY_UNDERSTATED", volume, 4_000)
    audited.run(1)
    endpoints = audited.stack.serve(metrics_ports=None)
    away = EstateService(
        [remote("hypervisors", endpoints[0].address), remote("arrays", "127.0.0.1:1", "arrays/a9")]
    )
    answer = away.AuditAdvertised(pb.AuditAdvertisedRequest())
    assert [f.resource for f in answer.findings] == [volume]
    assert [p.service for p in answer.parts if not p.answered] == ["arrays/a9"]
    audited.stack.close()
