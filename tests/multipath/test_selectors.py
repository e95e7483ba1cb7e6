"""What every path selection policy must do, and what each one alone does.

The contract runs over every policy that is registered, over a real array.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

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
from smokestack.engine.blockdevice import NOTHING, Attachment, IoBatch
from smokestack.engine.errors import InvalidArgument
from smokestack.engine.records import SLOT_SHIFT, SUBMISSION, HostStatus, Kind, Op, Status
from smokestack.multipath.model import MultipathModel
from smokestack.multipath.specs import (
    ClaimRule,
    MultipathHostSpec,
    Plugin,
    Selector,
    SelectorSettings,
)

L = 100_000
PATHS = tuple(f"h1-a.p{n}" for n in range(4))
# Those whose choice among equal paths is the one unused for longest, once each I/O.
ROTATING = {
    Selector.QUEUE_LENGTH,
    Selector.LEAST_BLOCKS,
    Selector.DM_ROUND_ROBIN,
    Selector.SERVICE_TIME,
    Selector.HISTORICAL_SERVICE_TIME,
    Selector.LATENCY,
    Selector.VENDOR,
}
STAYING = {Selector.FIXED, Selector.FIRST_AVAILABLE, Selector.MOST_RECENTLY_USED}

every_policy = pytest.mark.parametrize("selector", list(Selector), ids=lambda s: s.name.lower())


class Host:
    """A host with one device over four ports, into which a test puts commands."""

    def __init__(self, selector: Selector, **settings: int) -> None:
        self.array = ArrayModel("a1")
        self.array.update_product(vendor="ACME", hints_enabled=True)
        rule = ClaimRule(plugin=Plugin.VENDOR, plugin_vendor="ACME")
        is_vendors = selector is Selector.VENDOR
        self.array.create_controller(ControllerSpec("c0", core_count=8))
        for port in range(4):
            self.array.create_port(PortSpec(f"p{port}", "c0", "fabric-a"))
        self.array.create_pool(PoolSpec("p1", 1 << 30))
        self.array.create_volume(VolumeSpec("v1", "p1", 1 << 30))
        self.array.create_host(ArrayHostSpec("h1", (InitiatorSpec("h1-a", "fabric-a"),)))
        self.array.create_export(ExportSpec("v1", "h1", 0))
        self.multipath = MultipathModel()
        self.multipath.connect_array("a1", self.array)
        self.multipath.create_host(
            MultipathHostSpec(
                "h1",
                ("h1-a",),
                Selector.ROUND_ROBIN if is_vendors else selector,
                lun_queue_depth=64,
                ios_per_path=4,
                selector_settings=SelectorSettings(**settings),
                claim_rules=(rule,) if is_vendors else (),
            )
        )
        self.multipath.rescan("h1")
        attachment = Attachment("tests/driver", 1, 1, 0, self.multipath.lookahead_ns)
        self.multipath.attach(attachment)
        self._slot = 0

    def send(self, *lengths: int, vm: int = 0, gap_ns: int = 0) -> list[tuple[int, int]]:
        """Submits writes one gap apart, lets all be done; returns kinds and statuses."""
        found, now = [], self.multipath.now_ns
        records = np.zeros(len(lengths), SUBMISSION)
        records["time"] = [now + n * gap_ns for n in range(len(lengths))]
        records["id"] = (np.arange(len(lengths)) + self._slot).astype(np.uint64) << np.uint64(
            SLOT_SHIFT
        )
        records["length"], records["op"], records["vm"] = lengths, Op.WRITE, vm
        self._slot = (self._slot + len(lengths)) % 512
        until = now + max(L, len(lengths) * gap_ns + 1)
        reply = self.multipath.exchange(until, IoBatch(records, len(lengths)))
        while True:
            found += [(int(r["kind"]), int(r["status"])) for r in reply.records[: reply.count]]
            if len(found) == len(lengths):
                self.multipath.exchange(until + 10 * L, NOTHING)  # so that all has been heard
                return found
            until = max(until + 1, reply.next_ns)
            reply = self.multipath.exchange(until, NOTHING)

    def enable(self, path: str, enabled: bool = True) -> None:
        self.multipath.set_path_enabled("h1", "a1.v1", path, enabled)

    def sent(self) -> dict[str, int]:
        """What each path has been sent."""
        (device,) = self.multipath.devices("h1")
        return {path.name: path.selection.dispatched_count for path in device.paths}

    def since(self, before: dict[str, int]) -> list[int]:
        return [now - before[name] for name, now in self.sent().items()]


GOOD = (Kind.RESPONSE, Status.GOOD)


# --- the contract -------------------------------------------------------------------------------


@every_policy
def test_a_policy_never_uses_what_is_not_usable(selector: Selector) -> None:
    host = Host(selector)
    for out in PATHS:
        host.enable(out, False)
        before = host.sent()
        assert set(host.send(*[512] * 30, gap_ns=1_000)) == {GOOD}
        assert host.since(before)[PATHS.index(out)] == 0
        host.enable(out)


@every_policy
def test_a_policy_finds_the_only_path_and_says_when_there_is_none(selector: Selector) -> None:
    host = Host(selector)
    for path in PATHS:
        host.enable(path, False)
    assert host.send(512) == [(Kind.HOST, HostStatus.NO_CONNECT)]
    for path in PATHS:
        host.enable(path)
        before = host.sent()
        assert host.send(*[512] * 5, vm=PATHS.index(path) + 1) == [GOOD] * 5
        assert host.since(before) == [5 * (each == path) for each in PATHS]
        host.enable(path, False)


@every_policy
def test_a_policy_is_deterministic(selector: Selector) -> None:
    def run() -> tuple[dict[str, int], bytes]:
        host = Host(selector)
        host.send(*range(512, 512 * 41, 512), vm=3, gap_ns=777)
        return host.sent(), host.multipath.state.used("measure").tobytes()

    assert run() == run()


@every_policy
def test_a_policy_uses_a_path_that_comes_back(selector: Selector) -> None:
    host = Host(selector)
    host.send(*[512] * 8)
    for path in PATHS[1:]:
        host.enable(path, False)
    host.send(*[512] * 8)
    host.enable(PATHS[0], False)
    host.enable(PATHS[2])
    before = host.sent()
    assert host.send(*[512] * 8) == [GOOD] * 8
    assert host.since(before) == [0, 0, 8, 0]


@every_policy
def test_a_policy_loses_nothing_with_a_port(selector: Selector) -> None:
    host = Host(selector)
    host.send(*[512] * 40)
    host.array.set_port_enabled("p0", False)
    assert host.send(*[512] * 40) == [GOOD] * 40
    host.array.set_port_enabled("p0", True)
    assert host.send(*[512] * 400, gap_ns=2_000) == [GOOD] * 400
    (device,) = host.multipath.devices("h1")
    assert {path.in_flight_count for path in device.paths} == {0}


@every_policy
def test_equal_paths_take_turns_or_one_takes_all(selector: Selector) -> None:
    host = Host(selector)
    host.send(*[512] * 8)
    if selector in ROTATING:
        assert host.since(dict.fromkeys(PATHS, 0)) == [2, 2, 2, 2]
    elif selector in STAYING:
        assert host.since(dict.fromkeys(PATHS, 0)) == [8, 0, 0, 0]
    else:
        assert selector in (
            Selector.ROUND_ROBIN,
            Selector.ROUND_ROBIN_BYTES,
            Selector.IO_AFFINITY,
        ), "say what the new policy does"


@every_policy
def test_a_restored_policy_goes_on_as_it_would_have(selector: Selector) -> None:
    host = Host(selector, latency_sample_ios=4)
    host.send(*range(512, 512 * 31, 512), vm=2, gap_ns=3_000)
    multipath = host.multipath
    pieces = {piece.service: piece for piece in multipath.snapshot("s1")}

    def go_on() -> tuple[dict[str, int], bytes]:
        slot = host._slot
        host.send(*range(512, 512 * 31, 512), vm=2, gap_ns=3_000)
        host._slot = slot
        return host.sent(), multipath.state.used("measure").tobytes()

    first = go_on()
    multipath.stage(pieces)
    multipath.restore()
    assert go_on() == first


# --- one by one ---------------------------------------------------------------------------------


def test_first_available_takes_the_first_in_boot_order_and_knows_no_preference() -> None:
    host = Host(Selector.FIRST_AVAILABLE)
    host.multipath.update_device("h1", "a1.v1", preferred_path=PATHS[2])
    host.send(512, 512)
    host.enable(PATHS[0], False)
    host.send(512, 512)
    host.enable(PATHS[0])
    host.send(512, 512)
    assert list(host.sent().values()) == [4, 2, 0, 0]


def test_most_recently_used_does_not_fail_back() -> None:
    host = Host(Selector.MOST_RECENTLY_USED)
    host.send(512)
    host.enable(PATHS[0], False)
    host.send(512)
    host.enable(PATHS[0])
    host.send(512, 512)
    assert list(host.sent().values()) == [1, 3, 0, 0]
    assert host.multipath.device_status("h1", "a1.v1").current_path == PATHS[1]


def test_round_robin_by_bytes_moves_on_when_the_bytes_are_full() -> None:
    host = Host(Selector.ROUND_ROBIN_BYTES, bytes_per_path=4096)
    host.send(512, 4096, 512, 512, 8192, 1024, 4096)
    assert list(host.sent().values()) == [2, 3, 2, 0]


def test_dm_round_robin_repeats_and_puts_a_path_that_is_back_last() -> None:
    host = Host(Selector.DM_ROUND_ROBIN, repeat_count=2)
    host.send(*[512] * 5)
    assert list(host.sent().values()) == [2, 2, 1, 0]
    host.enable(PATHS[3], False)
    host.enable(PATHS[3])
    before = host.sent()
    host.send(*[512] * 7)  # p2 again, then p0, p1 twice each; p3 waits behind p2
    assert host.since(before) == [2, 2, 3, 0]


def test_service_time_divides_by_throughput_and_keeps_0_for_need() -> None:
    host = Host(Selector.SERVICE_TIME)
    for path, throughput in zip(PATHS, (30, 10, 0, 0), strict=True):
        host.multipath.update_path("h1", "a1.v1", path, relative_throughput=throughput)
    host.send(*[4096] * 40)
    assert list(host.sent().values()) == [30, 10, 0, 0]
    for path in PATHS[:2]:
        host.enable(path, False)
    before = host.sent()
    host.send(4096, 4096)
    assert host.since(before) == [0, 0, 1, 1]


def test_least_blocks_counts_bytes_and_queue_length_commands() -> None:
    sizes = (65_536, 512, 512, 512, 512, 512, 512)
    blocks, commands = Host(Selector.LEAST_BLOCKS), Host(Selector.QUEUE_LENGTH)
    for host in (blocks, commands):
        host.send(*sizes)
    assert list(blocks.sent().values()) == [1, 2, 2, 2]
    assert list(commands.sent().values()) == [2, 2, 2, 1]


def test_io_affinity_follows_the_vm_and_stays_on_its_node() -> None:
    host = Host(Selector.IO_AFFINITY, cpu_count=4, numa_node_count=2)
    for vm in range(8):
        host.send(512, vm=vm)
    assert list(host.sent().values()) == [2, 2, 2, 2]
    host.enable(PATHS[3], False)
    before = host.sent()
    host.send(512, vm=3)  # CPU 3 is on node 1, as CPU 2 is
    assert host.since(before) == [0, 0, 1, 0]
    host.multipath.update_path("h1", "a1.v1", PATHS[1], cpus=[2, 3])
    before = host.sent()
    host.send(512, vm=3)
    assert host.since(before) == [0, 1, 0, 0]


def test_latency_samples_every_path_then_takes_the_one_that_waits_least() -> None:
    host = Host(Selector.LATENCY, latency_sample_ios=4, latency_evaluation_ns=50_000_000)
    host.array.set_port_enabled("p3", False)
    host.send(512, gap_ns=0)
    host.send(*[512] * 60, gap_ns=400_000)  # one at a time, so that latency alone decides
    statuses = host.multipath.device_status("h1", "a1.v1").paths
    assert [path.selection.sample_count for path in statuses] == [4, 4, 4, 0]
    assert all(path.selection.latency_ns for path in statuses[:3])
    before = host.sent()
    host.send(*[512] * 12, gap_ns=400_000)
    assert host.since(before)[3] == 0


def test_historical_service_time_leaves_a_slow_path_and_probes_it() -> None:
    host = Host(Selector.HISTORICAL_SERVICE_TIME)
    state = host.multipath.state
    host.send(*[512] * 40, gap_ns=300_000)
    rows = [path.row for path in host.multipath.device("h1", "a1.v1").paths.values()]
    state["measure"]["hst"][rows[0]] *= 1_000
    state["measure"]["stale_after_ns"][rows[0]] = host.multipath.now_ns + 10**12
    # Until it has answered, every other path is stale, and a stale winner gets its share only.
    before = host.sent()
    host.send(*[512] * 200, gap_ns=20_000)
    assert host.since(before)[0] <= 3
    state["measure"]["hst"][rows[0]] *= 1_000
    state["measure"]["stale_after_ns"][rows[0]] = 1  # stale, and for longest: one command probes it
    before = host.sent()
    host.send(512)
    assert host.since(before) == [1, 0, 0, 0]


def test_another_policy_begins_with_nothing_remembered() -> None:
    host = Host(Selector.ROUND_ROBIN)
    host.send(*[512] * 6)
    host.multipath.update_device("h1", "a1.v1", selector=Selector.DM_ROUND_ROBIN)
    before = host.sent()
    host.send(512)
    assert host.since(before) == [1, 0, 0, 0]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda m, s: m.update_device("h1", "a1.v1", selector_settings=s(hst_base_weight=1024)),
         "hst_base_weight: 1024 is not within 0 to 1023"),
        (lambda m, s: m.update_device("h1", "a1.v1", selector_settings=s(repeat_count=0)),
         "repeat_count"),
        (lambda m, s: m.update_device(
            "h1", "a1.v1", selector=Selector.FIXED, selector_settings=s(numa_node_count=9)),
         "numa_node_count: 9 is more than cpu_count, 8"),
        (lambda m, s: m.update_path("h1", "a1.v1", PATHS[0], relative_throughput=101),
         "relative_throughput"),
        (lambda m, s: m.update_path("h1", "a1.v1", PATHS[0], enabled=False, cpus=[0, 8]),
         r"cpus\[1\]: 8 is not within 0 to 7"),
    ],
)  # fmt: skip
def test_bad_settings_are_refused_whole(call: Callable[..., None], says: str) -> None:
    multipath = Host(Selector.ROUND_ROBIN).multipath
    before = repr(multipath.devices("h1"))
    with pytest.raises(InvalidArgument, match=says):
        call(multipath, SelectorSettings)
    assert repr(multipath.devices("h1")) == before


def test_every_policy_is_said_to_rotate_or_to_stay() -> None:
    counted = Counter([*ROTATING, *STAYING])
    assert max(counted.values()) == 1
