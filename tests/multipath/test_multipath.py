"""Multipath over a real array: discovery, selection, queues, retries, lost paths, refusals."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from smokestack.array.model import ArrayModel
from smokestack.array.specs import (
    ArrayHostSpec,
    ControllerSpec,
    ExportSpec,
    InitiatorSpec,
    PoolSpec,
    PortSpec,
    VolumeSpec,
)
from smokestack.engine.blockdevice import NOTHING, Attachment, IoBatch, PeerLost, Reply
from smokestack.engine.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Refused,
)
from smokestack.engine.records import SLOT_SHIFT, SUBMISSION, HostStatus, Kind, Op, Status
from smokestack.engine.sparse_histogram import dense
from smokestack.multipath.model import MultipathModel
from smokestack.multipath.specs import (
    NATIVE,
    DepthRule,
    MultipathHostSpec,
    MultipathSpec,
    PathState,
    QueueControl,
    Selector,
    WorldShares,
)
from smokestack.multipath.statistics import adapter_statistics, device_statistics

L = 100_000
PARTS = ("ios_count", "guest_total_ns", "device_total_ns", "kernel_total_ns", "queue_total_ns")


def make_stack(
    selector: Selector = Selector.ROUND_ROBIN,
    *,
    ports: int = 4,
    depth: int = 64,
    ios_per_path: int = 1,
    queue_limit: int = 1638,
    retry_delay_ns: int = 1_000_000,
    dsnro: int = 32,
    adapter_depth: int = 4096,
    spec: MultipathSpec | None = None,
) -> tuple[ArrayModel, MultipathModel]:
    array = ArrayModel("a1")
    array.create_controller(ControllerSpec("c0"))
    for port in range(ports):
        array.create_port(PortSpec(f"p{port}", "c0", "fabric-a", queue_limit=queue_limit))
    array.create_pool(PoolSpec("p1", 1 << 30))
    array.create_volume(VolumeSpec("v1", "p1", 1 << 30))
    array.create_host(ArrayHostSpec("h1", (InitiatorSpec("h1-a", "fabric-a"),)))
    array.create_export(ExportSpec("v1", "h1", 0))
    multipath = MultipathModel(spec or MultipathSpec(qfull_retry_delay_ns=retry_delay_ns))
    multipath.connect_array("a1", array)
    queues = {"sched_num_req_outstanding": dsnro, "adapter_queue_depth": adapter_depth}
    multipath.create_host(
        MultipathHostSpec("h1", ("h1-a",), selector, depth, ios_per_path, **queues)
    )
    multipath.rescan("h1")
    return array, multipath


def attach(multipath: MultipathModel) -> None:
    multipath.attach(Attachment("tests/driver", 1, 1, multipath.now_ns, multipath.lookahead_ns))


def writes(*times: int, first_slot: int = 0) -> IoBatch:
    records = np.zeros(len(times), SUBMISSION)
    records["time"] = times
    records["id"] = (np.arange(len(times), dtype=np.uint64) + np.uint64(first_slot)) << np.uint64(
        SLOT_SHIFT
    )
    records["op"], records["length"] = Op.WRITE, 512
    return IoBatch(records, len(times))


def serve(multipath: MultipathModel, ios: IoBatch, for_ns: int = 10**9) -> list:
    if multipath.driver is None:
        attach(multipath)
    start, replies = multipath.now_ns, []
    until = start + L
    reply = multipath.exchange(until, ios)
    while True:
        replies += [reply.records[i].copy() for i in range(reply.count)]
        if until >= start + for_ns:
            return replies
        until = min(max(until + 1, reply.next_ns), start + for_ns)
        reply = multipath.exchange(until, NOTHING)


def carried(multipath: MultipathModel) -> dict[str, int]:
    (device,) = multipath.devices("h1")
    return {path.name: path.io_count for path in device.paths}


def test_a_rescan_finds_devices_and_paths_in_the_names_order() -> None:
    array, multipath = make_stack()
    (device,) = multipath.devices("h1")
    assert device.name == "a1.v1"
    assert [p.name for p in device.paths] == ["h1-a.p0", "h1-a.p1", "h1-a.p2", "h1-a.p3"]
    assert {p.state for p in device.paths} == {PathState.ACTIVE}
    array.create_volume(VolumeSpec("v0", "p1", 1 << 20))
    array.create_export(ExportSpec("v0", "h1", 1))
    result = multipath.rescan("h1")
    assert (result.devices_added, result.paths_added) == (1, 4)
    assert multipath.rescan("h1").devices_added == 0
    array.delete_export("v1", "h1")
    result = multipath.rescan("h1")
    assert (result.devices_removed, result.paths_removed) == (1, 4)
    assert [d.name for d in multipath.devices("h1")] == ["a1.v0"]


@pytest.mark.parametrize("selector", NATIVE)
def test_every_selector_uses_only_usable_paths_and_loses_nothing(selector: Selector) -> None:
    _, multipath = make_stack(selector)
    multipath.set_path_enabled("h1", "a1.v1", "h1-a.p1", False)
    replies = serve(multipath, writes(*range(0, 4000, 100)))
    assert [int(r["status"]) for r in replies] == [Status.GOOD] * 40
    counts = carried(multipath)
    assert counts["h1-a.p1"] == 0
    assert sum(counts.values()) == 40
    for path in ("h1-a.p0", "h1-a.p2", "h1-a.p3"):
        multipath.set_path_enabled("h1", "a1.v1", path, False)
    replies = serve(multipath, writes(multipath.now_ns, first_slot=100))
    assert [(int(r["kind"]), int(r["status"])) for r in replies] == [
        (Kind.HOST, HostStatus.NO_CONNECT)
    ]
    multipath.set_path_enabled("h1", "a1.v1", "h1-a.p2", True)
    (reply,) = serve(multipath, writes(multipath.now_ns, first_slot=200))
    assert int(reply["status"]) == Status.GOOD


def test_fixed_puts_all_on_its_path_and_fails_back() -> None:
    _, multipath = make_stack(Selector.FIXED)
    multipath.update_device("h1", "a1.v1", preferred_path="h1-a.p2")
    serve(multipath, writes(*range(10)))
    assert carried(multipath)["h1-a.p2"] == 10
    multipath.set_path_enabled("h1", "a1.v1", "h1-a.p2", False)
    serve(multipath, writes(*[multipath.now_ns] * 10, first_slot=20))
    assert carried(multipath)["h1-a.p0"] == 10
    multipath.set_path_enabled("h1", "a1.v1", "h1-a.p2", True)
    serve(multipath, writes(*[multipath.now_ns] * 10, first_slot=40))
    assert carried(multipath)["h1-a.p2"] == 20


def test_round_robin_switches_every_ios_per_path() -> None:
    _, multipath = make_stack(Selector.ROUND_ROBIN, ios_per_path=3)
    serve(multipath, writes(*range(14)))
    assert list(carried(multipath).values()) == [5, 3, 3, 3]


def test_queue_length_fills_the_emptiest_path_and_rotates_on_ties() -> None:
    _, multipath = make_stack(Selector.QUEUE_LENGTH)
    serve(multipath, writes(0, 0, 0, 0, 0, 0))
    assert list(carried(multipath).values()) == [2, 2, 1, 1]


def test_the_lun_queue_depth_binds() -> None:
    _, multipath = make_stack(depth=2)
    attach(multipath)
    multipath.exchange(L, writes(0, 0, 0, 0, 0))
    (device,) = multipath.devices("h1")
    assert (device.active_count, device.queued_count) == (2, 3)


def test_competing_worlds_share_dsnro_and_the_figures_add_up() -> None:
    _, multipath = make_stack(depth=8, dsnro=2)
    attach(multipath)
    batch = writes(*[0] * 6)
    batch.records["vm"] = [7, 7, 7, 9, 9, 9]
    multipath.exchange(1, batch)
    device = multipath.device("h1", "a1.v1")
    found = device_statistics(multipath.state, device)
    # Three of the first world were out when the second came; that leaves no place until one is.
    assert (found.queue.active_count, found.queue.queued_count) == (3, 3)
    assert (found.queue.queue_depth, found.active_worlds_count) == (2, 2)
    assert (found.queue.used_ratio, found.queue.load_ratio) == (1.5, 3.0)
    assert {vm: (w.active_count, w.queued_count) for vm, w in found.worlds.items()} == {
        7: (3, 0),
        9: (0, 3),
    }
    serve(multipath, NOTHING)
    found = device_statistics(multipath.state, device)
    assert (found.queue.ios_count, found.queue.active_count) == (6, 0)
    assert (found.queue.queue_depth, found.active_worlds_count) == (8, 0)
    assert found.queue.guest_total_ns == found.queue.device_total_ns + found.queue.kernel_total_ns
    assert found.queue.queue_total_ns == found.queue.kernel_total_ns > 0
    total = [sum(getattr(w, part) for w in found.worlds.values()) for part in PARTS]
    assert total == [getattr(found.queue, part) for part in PARTS]
    adapter = adapter_statistics(multipath.state, multipath.adapter("h1", "h1-a"))
    assert [getattr(adapter, part) for part in PARTS] == total


def test_the_adapters_depth_binds_over_all_devices() -> None:
    _, multipath = make_stack(adapter_depth=2)
    attach(multipath)
    answered = multipath.exchange(1, writes(0, 0, 0, 0, 0)).count
    adapter = adapter_statistics(multipath.state, multipath.adapter("h1", "h1-a"))
    assert (adapter.active_count, adapter.queued_count) == (2, 3)
    (device,) = multipath.devices("h1")
    assert (device.active_count, device.queued_count) == (5, 0)
    assert answered + len(serve(multipath, NOTHING)) == 5


def test_the_queues_histogram_is_the_kernels_without_detours() -> None:
    _, multipath = make_stack(ports=1, queue_limit=1, retry_delay_ns=700_000)
    serve(multipath, writes(0, 0))
    tables = (multipath.state[f"{name}_histogram"][:1] for name in ("kernel", "detour"))
    kernel, detour = (dense(table, multipath.state["wide_chunk"])[0] for table in tables)
    queue = (kernel["bucket"] + detour["bucket"]).astype(np.int64)  # modulo 2^64
    assert (kernel["count"], queue.sum(), queue[0]) == (2, 2, 2)
    assert kernel["sum"] > 700_000
    assert int(kernel["sum"]) + int(detour["sum"]) == 1 << 64


def control(multipath: MultipathModel, **settings: int) -> None:
    multipath.update_device("h1", "a1.v1", queue_control=QueueControl(**settings))


def test_refusals_halve_the_depth_and_good_answers_let_it_grow_back() -> None:
    _, multipath = make_stack(ports=1, depth=16, queue_limit=4)
    control(multipath, rule=DepthRule.WINDOW, qfull_sample_size=32, qfull_threshold=4)
    assert len(serve(multipath, writes(*[0] * 60))) == 60
    (device,) = multipath.devices("h1")
    found = device_statistics(multipath.state, multipath.device("h1", "a1.v1"))
    assert device.lun_queue_depth == 16
    assert found.throttles_count >= 2
    assert found.recoveries_count > 0
    told = Counter(event.kind for event in multipath.events.since(0))
    assert told["DEVICE_THROTTLED"] == 1  # the others came within a second
    serve(multipath, writes(*[multipath.now_ns] * 100, first_slot=100), for_ns=10**8)


def test_a_host_without_a_throttle_waits_for_answers_that_never_come() -> None:
    array, multipath = make_stack(ports=2, depth=16, queue_limit=2)
    control(multipath, rule=DepthRule.LEGACY_NO_THROTTLE)
    answered = serve(multipath, writes(*[0] * 10))
    found = device_statistics(multipath.state, multipath.device("h1", "a1.v1"))
    assert found.hung_count == found.queue.active_count == 10 - len(answered) > 0
    (device,) = multipath.devices("h1")
    assert {p.state for p in device.paths} == {PathState.ACTIVE}  # no failover
    assert "DEVICE_COMMANDS_HUNG" in {event.kind for event in multipath.events.since(0)}
    # Whoever resets the port ends it: the path is seen to fail, and its commands go elsewhere.
    array.set_port_queue_limit("p0", 100)
    array.set_port_queue_limit("p1", 100)
    for port in ("p0", "p1"):
        array.set_port_enabled(port, False)
        multipath.exchange(multipath.now_ns, NOTHING)
        answered += serve(multipath, NOTHING)
        array.set_port_enabled(port, True)
        multipath.exchange(multipath.now_ns, NOTHING)
        answered += serve(multipath, NOTHING)
    assert len(answered) == 10


def test_latency_moves_the_windows_of_all_hosts_of_a_volume() -> None:
    _, multipath = make_stack(depth=64)
    control(multipath, congestion_threshold_ns=50_000)  # less than the fabric takes
    serve(multipath, writes(*[0] * 64), for_ns=5 * 10**9)
    (device,) = multipath.devices("h1")
    assert (device.throttled_depth, device.lun_queue_depth) == (64, 64)
    assert 4 <= device.latency_window == device.queue_limit < 64
    found = device_statistics(multipath.state, multipath.device("h1", "a1.v1"))
    assert found.congestion_latency_ns > 100_000
    window = device.latency_window
    serve(multipath, NOTHING, for_ns=20 * 10**9)
    assert multipath.devices("h1")[0].latency_window == window  # nothing was seen


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"qfull_sample_size": 65}, "qfull_sample_size"),
        ({"qfull_threshold": 17}, "qfull_threshold"),
        ({"qfull_sample_size": 3, "qfull_threshold": 4}, "no sample holds so many"),
        ({"congestion_threshold_ns": 999}, "congestion_threshold_ns"),
        ({"congestion_gain": 0}, "congestion_gain"),
        ({"window_min": 9, "window_max": 8}, "less than window_min"),
        ({"shares": 0}, "shares"),
    ],
)
def test_a_control_that_cannot_be_is_refused(settings: dict[str, int], says: str) -> None:
    _, multipath = make_stack()
    before = multipath.state["control"].tobytes()
    with pytest.raises(InvalidArgument, match=says):
        control(multipath, **settings)
    with pytest.raises(InvalidArgument, match=says):
        multipath.create_host(
            MultipathHostSpec("h2", ("x",), queue_control=QueueControl(**settings))
        )
    assert multipath.state["control"].tobytes() == before
    assert "h2" not in multipath.hosts


def served_by_vm(multipath: MultipathModel, *shares: WorldShares, for_ns: int) -> Counter[int]:
    """How many of 60 writes of each of two VMs, all there from the start, end within a time."""
    multipath.update_device("h1", "a1.v1", world_shares=shares)
    attach(multipath)
    multipath.exchange(0, NOTHING)
    batch = writes(*[0] * 120)
    batch.records["vm"] = [1] * 60 + [0] * 60
    replies = serve(multipath, batch, for_ns=for_ns)
    return Counter(0 if int(r["id"]) >> SLOT_SHIFT >= 60 else 1 for r in replies)


def test_shares_are_in_proportion() -> None:
    _, multipath = make_stack(depth=1)
    found = served_by_vm(multipath, WorldShares(0, 3_000), WorldShares(1, 1_000), for_ns=6 * 10**6)
    assert 40 < found.total() < 70
    assert found[0] == pytest.approx(3 * found[1], abs=3)


def test_a_limit_holds_though_the_device_is_idle_and_a_reservation_though_shares_are_few() -> None:
    _, multipath = make_stack(depth=1)
    limited = WorldShares(1, 1_000, limit_iops=1_000)
    found = served_by_vm(multipath, limited, for_ns=20 * 10**6)
    assert found[0] == 60
    assert 18 <= found[1] <= 21  # 20 ms of 1,000 a second, long after the other one is done
    _, multipath = make_stack(depth=1)
    reserved = (WorldShares(1, 1, reservation_iops=2_000), WorldShares(0, 1_000_000))
    found = served_by_vm(multipath, *reserved, for_ns=5 * 10**6)
    assert 9 <= found[1] <= 11  # 5 ms of 2,000 a second


@pytest.mark.parametrize(
    ("shares", "says"),
    [
        ([WorldShares(0, shares=0)], "shares"),
        ([WorldShares(0), WorldShares(0)], "twice"),
        ([WorldShares(0, 1, reservation_iops=5, limit_iops=4)], "less than reservation_iops"),
    ],
)
def test_shares_that_cannot_be_are_refused(shares: list[WorldShares], says: str) -> None:
    _, multipath = make_stack()
    with pytest.raises(InvalidArgument, match=says):
        multipath.update_device("h1", "a1.v1", world_shares=tuple(shares))
    assert multipath.devices("h1")[0].world_shares == ()


def test_a_refused_command_returns_after_the_delay_as_a_new_attempt() -> None:
    _, multipath = make_stack(ports=1, queue_limit=1, retry_delay_ns=700_000)
    first, second = serve(multipath, writes(0, 0))
    assert (int(first["attempt"]), int(second["attempt"])) == (0, 1)
    assert int(second["time"]) - int(first["time"]) >= 700_000
    (device,) = multipath.devices("h1")
    assert device.paths[0].refusal_count == 1


def test_a_lost_path_fails_over_without_losing_an_io() -> None:
    array, multipath = make_stack(Selector.ROUND_ROBIN)
    attach(multipath)
    multipath.exchange(L, writes(*[L - 1] * 8))
    array.set_port_enabled("p0", False)
    multipath.exchange(L, NOTHING)  # a border: the change acts here
    replies = serve(multipath, NOTHING)
    assert sorted(int(r["id"]) >> SLOT_SHIFT for r in replies) == list(range(8))
    assert {int(r["status"]) for r in replies} == {Status.GOOD}
    assert Counter(int(r["attempt"]) for r in replies) == {0: 6, 1: 2}
    (device,) = multipath.devices("h1")
    assert [p.state for p in device.paths] == [PathState.DEAD] + [PathState.ACTIVE] * 3
    array.set_port_enabled("p0", True)
    serve(multipath, NOTHING)
    assert multipath.devices("h1")[0].paths[0].state == PathState.ACTIVE


def test_without_any_path_left_io_fails_one_lookahead_later() -> None:
    array, multipath = make_stack(ports=1)
    attach(multipath)
    multipath.exchange(L, writes(L - 1))
    array.set_port_enabled("p0", False)
    multipath.exchange(L, NOTHING)  # a border: the change acts here
    (reply,) = serve(multipath, NOTHING)
    assert (int(reply["kind"]), int(reply["status"])) == (Kind.HOST, HostStatus.NO_CONNECT)
    assert int(reply["time"]) == (L + L) + L  # heard one lookahead after the border, then failed


class DyingArray:
    """A link to an array whose process dies at a given window."""

    def __init__(self, array: ArrayModel, windows: int) -> None:
        self._array, self._windows = array, windows

    def __getattr__(self, name: str) -> object:
        return getattr(self._array, name)

    def exchange(self, until_ns: int, submissions: IoBatch) -> Reply:
        self._windows -= 1
        if self._windows < 0:
            raise PeerLost("the stream broke")
        return self._array.exchange(until_ns, submissions)


def test_a_dead_array_fails_what_it_has_not_answered_and_the_stack_runs_on() -> None:
    array, _ = make_stack()
    multipath = MultipathModel()
    multipath.connect_array("a1", DyingArray(array, windows=1))
    multipath.create_host(MultipathHostSpec("h1", ("h1-a",)))
    multipath.rescan("h1")
    attach(multipath)
    multipath.exchange(L, writes(L - 1))
    replies = serve(multipath, writes(L, L, first_slot=10))
    assert sorted(int(r["id"]) >> SLOT_SHIFT for r in replies) == [0, 10, 11]
    assert {int(r["kind"]) for r in replies} >= {Kind.HOST}
    assert multipath.arrays["a1"].lost_at_ns == 2 * L
    (device,) = multipath.devices("h1")
    assert {p.state for p in device.paths} == {PathState.DEAD}
    assert (device.active_count, device.queued_count) == (0, 0)


@pytest.mark.parametrize(
    ("call", "refusal", "says"),
    [
        (lambda m: m.rescan("h9"), NotFound, "hosts/h9"),
        (lambda m: m.create_host(MultipathHostSpec("h1", ("x",))), AlreadyExists, "hosts/h1"),
        (lambda m: m.create_host(MultipathHostSpec("h2", ())), InvalidArgument, "initiators"),
        (
            lambda m: m.create_host(MultipathHostSpec("h2", ("x",), lun_queue_depth=0)),
            InvalidArgument,
            "lun_queue_depth",
        ),
        (
            lambda m: m.create_host(MultipathHostSpec("h2", ("x",), adapter_queue_depth=0)),
            InvalidArgument,
            "adapter_queue_depth",
        ),
        (
            lambda m: m.update_device("h1", "a1.v1", sched_num_req_outstanding=4097),
            InvalidArgument,
            "sched_num_req_outstanding",
        ),
        (lambda m: m.update_adapter("h1", "h9-a", 1), NotFound, "adapters/h9-a"),
        (lambda m: m.update_adapter("h1", "h1-a", 0), InvalidArgument, "queue_depth"),
        (lambda m: m.delete_host("h1"), FailedPrecondition, "has devices"),
        (lambda m: m.update_device("h1", "a1.v9"), NotFound, "devices/a1.v9"),
        (
            lambda m: m.update_device("h1", "a1.v1", lun_queue_depth=8, preferred_path="h2-a.p0"),
            InvalidArgument,
            "use one of h1-a.p0",
        ),
        (
            lambda m: m.update_device("h1", "a1.v1", ios_per_path=5, lun_queue_depth=5000),
            InvalidArgument,
            "lun_queue_depth",
        ),
        (lambda m: m.set_path_enabled("h1", "a1.v1", "nope", True), NotFound, "paths/nope"),
        (lambda m: m.connect_array("a1", ArrayModel("a1")), AlreadyExists, "arrays/a1"),
        (lambda m: m.advance(1), FailedPrecondition, "advance the hypervisor"),
    ],
)
def test_bad_input_is_refused_whole(call, refusal: type[Refused], says: str) -> None:
    _, multipath = make_stack()
    before = repr((multipath.hosts, multipath.devices("h1")))
    with pytest.raises(refusal, match=says):
        call(multipath)
    assert repr((multipath.hosts, multipath.devices("h1"))) == before


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((10,), (L + 10,)),  # the first command is still queued or in flight
        ((), (10, 20)),  # one slot twice in a batch
    ],
)
def test_a_slot_in_use_is_refused_and_changes_nothing(
    first: tuple[int, ...], second: tuple[int, ...]
) -> None:
    _, multipath = make_stack()
    attach(multipath)
    answered = multipath.exchange(L, writes(*first)).count
    batch = writes(*(time if time >= L else L + time for time in second))
    batch.records["id"] = np.arange(len(second)) + 7
    before = multipath.state["slot"].tobytes()
    with pytest.raises(InvalidArgument, match="slot is in use"):
        multipath.exchange(2 * L, batch)
    assert multipath.state["slot"].tobytes() == before
    # The window is still to come.
    answered += multipath.exchange(2 * L, writes(L + 50, first_slot=9)).count
    assert answered + len(serve(multipath, NOTHING)) == len(first) + 1
