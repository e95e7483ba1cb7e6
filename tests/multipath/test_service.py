"""Multipath as its API shows it: hosts, the devices that a rescan finds, their paths."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from google.protobuf.message import Message

from smokestack.engine.errors import FailedPrecondition, InvalidArgument, NotFound, Refused
from smokestack.v1 import array_pb2
from smokestack.v1 import multipath_pb2 as pb
from smokestack.v1 import simulation_pb2 as sim
from tests.api import ARRAY, DEVICE, GIB, MULTIPATH, MULTIPATH_HOST, Stack

PATH_A = f"{DEVICE}/paths/h1-a.p0"
PATH_B = f"{DEVICE}/paths/h1-b.p1"


@pytest.fixture
def stack() -> Stack:
    return Stack()


def get_device(stack: Stack) -> pb.Device:
    return stack.multipath.GetDevice(pb.GetDeviceRequest(name=DEVICE))


def get_path(stack: Stack, name: str) -> pb.Path:
    return stack.multipath.GetPath(pb.GetPathRequest(name=name))


def test_what_is_not_set_takes_the_documented_default(stack: Stack) -> None:
    host = stack.multipath.GetMultipathHost(pb.GetMultipathHostRequest(name=MULTIPATH_HOST))
    assert (host.lun_queue_depth, host.ios_per_path) == (32, 1000)
    assert host.selector_settings == pb.SelectorSettings(
        bytes_per_path=10_485_760,
        repeat_count=1,
        latency_sample_ios=16,
        latency_evaluation_ns=180_000_000_000,
        hst_base_weight=972,
        hst_threshold_multiplier=0,
        cpu_count=8,
        numa_node_count=2,
    )
    assert host.selector == pb.SELECTOR_ROUND_ROBIN
    layer = stack.multipath.GetMultipath(pb.GetMultipathRequest(name=MULTIPATH))
    assert layer.qfull_retry_delay_ns == 1_000_000
    assert list(layer.arrays) == [ARRAY]
    assert stack.multipath.ListMultipaths(pb.ListMultipathsRequest()).multipaths[0] == layer


def test_a_rescan_finds_what_arrays_export(stack: Stack) -> None:
    device = get_device(stack)
    assert device.volume == f"{ARRAY}/volumes/v1"
    assert (device.capacity_bytes, device.lun) == (4 * GIB, 0)
    assert device.preferred_path == PATH_A
    paths = stack.multipath.ListPaths(pb.ListPathsRequest(parent=DEVICE)).paths
    assert [p.name for p in paths] == [PATH_A, PATH_B]
    assert [p.port for p in paths] == [f"{ARRAY}/ports/p0", f"{ARRAY}/ports/p1"]
    assert all(p.enabled and p.state == pb.PATH_STATE_ACTIVE for p in paths)
    stack.create_volume("v2")
    stack.create_export("v2")
    found = stack.rescan()
    assert (found.devices_added_count, found.paths_added_count) == (1, 2)
    assert stack.rescan() == pb.RescanMultipathHostResponse()
    devices = stack.multipath.ListDevices(pb.ListDevicesRequest(parent=MULTIPATH_HOST, page_size=1))
    assert [d.name for d in devices.devices] == [DEVICE]
    devices = stack.multipath.ListDevices(
        pb.ListDevicesRequest(parent=MULTIPATH_HOST, page_token=devices.next_page_token)
    )
    assert [d.name for d in devices.devices] == [f"{MULTIPATH_HOST}/devices/a1.v2"]


def test_a_rescan_loses_what_arrays_hide(stack: Stack) -> None:
    stack.array.DeleteExport(array_pb2.DeleteExportRequest(name=f"{ARRAY}/exports/v1.h1"))
    found = stack.rescan()
    assert (found.devices_removed_count, found.paths_removed_count) == (1, 2)
    with pytest.raises(NotFound):
        get_device(stack)
    stack.multipath.DeleteMultipathHost(pb.DeleteMultipathHostRequest(name=MULTIPATH_HOST))
    hosts = stack.multipath.ListMultipathHosts(pb.ListMultipathHostsRequest(parent=MULTIPATH))
    assert not hosts.multipath_hosts


def test_a_device_is_updated_and_goes_back_to_its_hosts_defaults(stack: Stack) -> None:
    request = pb.UpdateDeviceRequest(
        device=pb.Device(
            name=DEVICE,
            selector=pb.SELECTOR_FIXED,
            lun_queue_depth=4,
            ios_per_path=1,
            preferred_path=PATH_B,
        )
    )
    made = stack.multipath.UpdateDevice(request)
    assert (made.selector, made.lun_queue_depth, made.ios_per_path, made.preferred_path) == (
        pb.SELECTOR_FIXED,
        4,
        1,
        PATH_B,
    )
    request = pb.UpdateDeviceRequest(device=pb.Device(name=DEVICE))
    request.update_mask.paths.append("lun_queue_depth")
    assert stack.multipath.UpdateDevice(request).lun_queue_depth == 32
    request.update_mask.paths[:] = ["*"]
    made = stack.multipath.UpdateDevice(request)
    assert (made.selector, made.ios_per_path, made.preferred_path) == (
        pb.SELECTOR_ROUND_ROBIN,
        1000,
        PATH_A,
    )


def test_a_policys_settings_and_what_it_measures_are_shown(stack: Stack) -> None:
    settings = pb.SelectorSettings(hst_base_weight=500)
    device = pb.Device(
        name=DEVICE,
        selector=pb.SELECTOR_HISTORICAL_SERVICE_TIME,
        selector_settings=settings,
    )
    made = stack.multipath.UpdateDevice(pb.UpdateDeviceRequest(device=device))
    assert made.selector_settings.hst_base_weight == 500
    assert made.selector_settings.latency_sample_ios == 16  # the host's
    path = pb.Path(name=PATH_A, relative_throughput=7, cpus=[0, 3])
    shown = stack.multipath.UpdatePath(pb.UpdatePathRequest(path=path))
    assert (shown.relative_throughput, list(shown.cpus), shown.enabled) == (7, [0, 3], True)
    stack.create_job("j0", io_limit=50)
    stack.simulation.Advance(sim.AdvanceRequest(until_idle=True))
    shown = get_path(stack, PATH_A)
    assert shown.dispatched_count > 0
    assert shown.historical_service_time_ns > 0
    assert not shown.HasField("latency_ns")
    request = pb.UpdatePathRequest(path=pb.Path(name=PATH_A))
    request.update_mask.paths.append("*")
    shown = stack.multipath.UpdatePath(request)
    assert (shown.relative_throughput, list(shown.cpus)) == (1, list(range(0, 64, 2)))
    device = pb.Device(name=DEVICE, selector=pb.SELECTOR_MOST_RECENTLY_USED)
    stack.multipath.UpdateDevice(pb.UpdateDeviceRequest(device=device))
    stack.create_job("j1", io_limit=5)
    stack.simulation.Advance(sim.AdvanceRequest(until_idle=True))
    assert get_device(stack).current_path == PATH_A


def test_an_adapter_is_updated_and_goes_back_to_its_hosts_default(stack: Stack) -> None:
    name = f"{MULTIPATH_HOST}/adapters/h1-a"
    listed = stack.multipath.ListAdapters(pb.ListAdaptersRequest(parent=MULTIPATH_HOST)).adapters
    assert [(a.name, a.queue_depth) for a in listed] == [
        (name, 4096),
        (f"{MULTIPATH_HOST}/adapters/h1-b", 4096),
    ]
    adapter = pb.Adapter(name=name, queue_depth=3)
    assert stack.multipath.UpdateAdapter(pb.UpdateAdapterRequest(adapter=adapter)) == adapter
    assert stack.multipath.GetAdapter(pb.GetAdapterRequest(name=name)) == adapter
    request = pb.UpdateAdapterRequest(adapter=pb.Adapter(name=name))
    request.update_mask.paths.append("queue_depth")
    assert stack.multipath.UpdateAdapter(request).queue_depth == 4096


def test_statistics_of_queues_add_up(stack: Stack) -> None:
    stack.create_job("j0", io_limit=50, iodepth=40)
    stack.simulation.Advance(sim.AdvanceRequest(until_idle=True))
    device = stack.multipath.GetDeviceStatistics(pb.GetDeviceStatisticsRequest(name=DEVICE))
    queue = device.queue
    assert (queue.ios_count, queue.io_bytes, queue.queue_depth) == (50, 50 * 4096, 32)
    assert queue.guest_total_ns == queue.device_total_ns + queue.kernel_total_ns
    assert queue.kernel_total_ns == queue.queue_total_ns > 0  # 8 waited for a place
    (world,) = device.worlds
    assert (world.vm_number, world.queue) == (0, queue)
    adapters = [
        stack.multipath.GetAdapterStatistics(
            pb.GetAdapterStatisticsRequest(name=f"{MULTIPATH_HOST}/adapters/{name}")
        )
        for name in ("h1-a", "h1-b")
    ]
    assert sum(a.queue.guest_total_ns for a in adapters) == queue.guest_total_ns
    assert device.time_ns == adapters[0].time_ns > 0


def test_statistics_of_a_path_are_those_of_all_that_it_belongs_to(stack: Stack) -> None:
    stack.multipath.UpdateMultipath(
        pb.UpdateMultipathRequest(multipath=pb.Multipath(name=MULTIPATH, probing=True))
    )
    stack.create_job("j0", io_limit=50, iodepth=40)
    stack.simulation.Advance(sim.AdvanceRequest(until_idle=True))
    answer = stack.multipath.GetPathStatistics(pb.GetPathStatisticsRequest(name=PATH_A))
    path = get_path(stack, PATH_A)
    found: dict[str, list[pb.PathParameter]] = {}
    for parameter in answer.parameters:
        found.setdefault(parameter.name.removeprefix("smokestack_"), []).append(parameter)
    assert {p.level for p in answer.parameters} == {
        "path",
        "itl",
        "host,lun",
        "host,hba",
        "link",
        "fabric",
    }
    [ios] = found["path_ios_total"]
    assert (ios.count, ios.unit) == (path.io_count, "commands")
    assert ios.labels == {"host": "h1", "path": "h1-a.p0", "lun": "a1.v1"}
    [state] = found["path_state"]
    assert state.state == "active"
    [latency] = found["path_latency_seconds"]
    exchanges = [p.histogram for p in found["exchange_completion_seconds"]]
    assert sum(h.value_sum for h in exchanges) == latency.histogram.value_sum > 0
    for histogram in (latency.histogram, *exchanges):
        assert sum(each.value_count for each in histogram.ranges) == histogram.value_count
    assert {p.labels["link"] for p in found["port_bb_credit_configured"]} == {"h1-a", "a1.p0"}
    [device] = found["device_read_commands_total"]
    assert device.count == 50, "by all of its paths"
    request = pb.GetPathStatisticsRequest(name=PATH_B, parameters=[ios.name])
    [other] = stack.multipath.GetPathStatistics(request).parameters
    assert other.count == 50 - ios.count


def test_a_refused_update_changes_nothing(stack: Stack) -> None:
    before = get_device(stack)
    device = pb.Device(name=DEVICE, ios_per_path=7, lun_queue_depth=5000)
    with pytest.raises(InvalidArgument, match=r"device\.lun_queue_depth"):
        stack.multipath.UpdateDevice(pb.UpdateDeviceRequest(device=device))
    assert get_device(stack) == before


def test_a_path_out_of_use_carries_nothing(stack: Stack) -> None:
    path = pb.Path(name=PATH_A, enabled=False)
    made = stack.multipath.UpdatePath(pb.UpdatePathRequest(path=path))
    assert (made.state, made.enabled) == (pb.PATH_STATE_DISABLED, False)
    stack.create_job("j0", io_limit=50)
    stack.simulation.Advance(sim.AdvanceRequest(until_idle=True))
    assert get_path(stack, PATH_A).io_count == 0
    other = get_path(stack, PATH_B)
    assert (other.io_count, other.io_bytes, other.in_flight_count) == (50, 50 * 4096, 0)
    path.enabled = True
    made = stack.multipath.UpdatePath(pb.UpdatePathRequest(path=path))
    assert (made.state, made.enabled) == (pb.PATH_STATE_ACTIVE, True)


def test_a_path_dies_with_its_port_and_comes_back(stack: Stack) -> None:
    def set_port(enabled: bool) -> None:
        port = array_pb2.Port(name=f"{ARRAY}/ports/p0", enabled=enabled)
        stack.array.UpdatePort(array_pb2.UpdatePortRequest(port=port))
        stack.simulation.Advance(sim.AdvanceRequest(duration_ns=1_000_000))

    stack.simulation.Advance(sim.AdvanceRequest(duration_ns=0))
    set_port(False)
    path = get_path(stack, PATH_A)
    assert (path.state, path.enabled) == (pb.PATH_STATE_DEAD, True)
    set_port(True)
    assert get_path(stack, PATH_A).state == pb.PATH_STATE_ACTIVE


REFUSED: list[tuple[str, Message, type[Refused], str]] = [
    ("GetMultipath", pb.GetMultipathRequest(name="multipaths/m2"), NotFound, ""),
    ("GetMultipathHost", pb.GetMultipathHostRequest(name="hosts/h1"), InvalidArgument, "name"),
    ("GetDevice", pb.GetDeviceRequest(name=f"{DEVICE}9"), NotFound, ""),
    ("GetPath", pb.GetPathRequest(name=f"{PATH_A}9"), NotFound, ""),
    ("ListPaths", pb.ListPathsRequest(parent=MULTIPATH_HOST), InvalidArgument, "parent"),
    (
        "CreateMultipathHost",
        pb.CreateMultipathHostRequest(parent=MULTIPATH, multipath_host_id="H"),
        InvalidArgument,
        "multipath_host_id",
    ),
    (
        "CreateMultipathHost",
        pb.CreateMultipathHostRequest(
            parent=MULTIPATH,
            multipath_host_id="h2",
            multipath_host=pb.MultipathHost(initiators=["h2-a"], lun_queue_depth=0),
        ),
        InvalidArgument,
        "multipath_host.lun_queue_depth",
    ),
    (
        "DeleteMultipathHost",
        pb.DeleteMultipathHostRequest(name=MULTIPATH_HOST),
        FailedPrecondition,
        "",
    ),
    (
        "RescanMultipathHost",
        pb.RescanMultipathHostRequest(name=f"{MULTIPATH_HOST}9"),
        NotFound,
        "",
    ),
    (
        "UpdateDevice",
        pb.UpdateDeviceRequest(device=pb.Device(name=DEVICE, lun=3)),
        InvalidArgument,
        "update_mask",
    ),
    (
        "UpdateDevice",
        pb.UpdateDeviceRequest(
            device=pb.Device(
                name=DEVICE,
                selector=pb.SELECTOR_FIXED,
                selector_settings=pb.SelectorSettings(cpu_count=65),
            )
        ),
        InvalidArgument,
        "device.selector_settings.cpu_count",
    ),
    (
        "CreateMultipathHost",
        pb.CreateMultipathHostRequest(
            parent=MULTIPATH,
            multipath_host_id="h2",
            multipath_host=pb.MultipathHost(
                initiators=["h2-a"], selector_settings=pb.SelectorSettings(bytes_per_path=0)
            ),
        ),
        InvalidArgument,
        "multipath_host.selector_settings.bytes_per_path",
    ),
    (
        "UpdatePath",
        pb.UpdatePathRequest(path=pb.Path(name=PATH_A, enabled=False, cpus=[8])),
        InvalidArgument,
        "path.cpus[0]",
    ),
    (
        "UpdateDevice",
        pb.UpdateDeviceRequest(device=pb.Device(name=DEVICE, selector=99)),
        InvalidArgument,
        "device.selector",
    ),
    (
        "UpdateDevice",
        pb.UpdateDeviceRequest(device=pb.Device(name=DEVICE, preferred_path=f"{PATH_A}9")),
        InvalidArgument,
        "device.preferred_path",
    ),
    (
        "UpdateDevice",
        pb.UpdateDeviceRequest(
            device=pb.Device(name=DEVICE, preferred_path=PATH_A.replace("a1.v1", "a1.v2"))
        ),
        InvalidArgument,
        "device.preferred_path",
    ),
    ("GetDeviceStatistics", pb.GetDeviceStatisticsRequest(name=f"{DEVICE}9"), NotFound, ""),
    ("GetPathStatistics", pb.GetPathStatisticsRequest(name=f"{PATH_A}9"), NotFound, ""),
    ("GetPathStatistics", pb.GetPathStatisticsRequest(name=DEVICE), InvalidArgument, "name"),
    (
        "GetPathStatistics",
        pb.GetPathStatisticsRequest(name=PATH_A, parameters=["smokestack_vm_state"]),
        InvalidArgument,
        "parameters[0]",
    ),
    ("GetAdapter", pb.GetAdapterRequest(name=f"{MULTIPATH_HOST}/adapters/x"), NotFound, ""),
    ("GetAdapterStatistics", pb.GetAdapterStatisticsRequest(name=DEVICE), InvalidArgument, "name"),
    ("ListAdapters", pb.ListAdaptersRequest(parent=DEVICE), InvalidArgument, "parent"),
    (
        "UpdateAdapter",
        pb.UpdateAdapterRequest(
            adapter=pb.Adapter(name=f"{MULTIPATH_HOST}/adapters/h1-a", queue_depth=70_000)
        ),
        InvalidArgument,
        "adapter.queue_depth",
    ),
    ("UpdatePath", pb.UpdatePathRequest(path=pb.Path(name=PATH_A)), InvalidArgument, "update_mask"),
]


@pytest.mark.parametrize(
    ("method", "request_", "refusal", "field"),
    REFUSED,
    ids=[f"{method}-{refusal.__name__}-{n}" for n, (method, _, refusal, _) in enumerate(REFUSED)],
)
def test_bad_requests_are_refused_and_change_nothing(
    stack: Stack, method: str, request_: Message, refusal: type[Refused], field: str
) -> None:
    before = get_device(stack)
    handler: Callable[[Message], Message] = getattr(stack.multipath, method)
    with pytest.raises(refusal) as caught:
        handler(request_)
    assert [v.field for v in caught.value.violations] == ([field] if field else [])
    assert get_device(stack) == before


def test_a_rescan_leaves_room_for_a_reset_of_every_device_that_it_finds(stack: Stack) -> None:
    for number in range(2, 200):
        stack.create_volume(f"v{number}")
        stack.create_export(f"v{number}")
    stack.rescan()
    state = stack.multipath_model.state
    commands = len(state["slot"]) + len(state.used("device"))
    assert len(state["dispatch"]) >= commands * (1 + state.paths_most)
    before = len(state["dispatch"])
    state.refit(state.paths_most)  # as a snapshot does that is put back
    assert len(state["dispatch"]) == before


def test_a_hold_time_is_refused_while_commands_wait_without_end(stack: Stack) -> None:
    listed = stack.multipath.ListFabrics(pb.ListFabricsRequest(parent=MULTIPATH))
    name = listed.fabrics[0].name

    def update(**fields: int) -> pb.Fabric:
        request = pb.UpdateFabricRequest(fabric=pb.Fabric(name=name, **fields))
        return stack.multipath.UpdateFabric(request)

    with pytest.raises(FailedPrecondition, match="has no command_timeout_ns") as refused:
        update(hold_time_ns=220_000_000, trunk_bandwidth_bytes_per_second=10**9)
    assert refused.value.reason == "NO_COMMAND_TIMEOUT"
    found = stack.multipath.GetFabric(pb.GetFabricRequest(name=name))
    assert (found.hold_time_ns, found.trunk_bandwidth_bytes_per_second) == (0, 0)
    for wrong_ns in (-1, 999, 10**10 + 1):
        with pytest.raises(InvalidArgument, match=r"fabric\.hold_time_ns"):
            update(hold_time_ns=wrong_ns)
    assert update(hold_time_ns=0).hold_time_ns == 0
    assert update(trunk_bandwidth_bytes_per_second=10**9).link_count == found.link_count + 1
