"""A host's settings changed after it was created: what follows it, what keeps its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from smokestack.engine.errors import FailedPrecondition, InvalidArgument, NotFound
from smokestack.multipath.specs import MultipathSpec
from smokestack.v1 import multipath_pb2 as pb
from smokestack.v1 import simulation_pb2 as sim
from tests.api import ARRAY, DEVICE, MULTIPATH, MULTIPATH_HOST, Stack

OTHER = f"{MULTIPATH_HOST}/devices/a1.v2"


@pytest.fixture
def stack() -> Stack:
    stack = Stack()
    stack.create_volume("v2")
    stack.create_export("v2")
    stack.rescan()
    return stack


def update(stack: Stack, *mask: str, **fields: object) -> pb.MultipathHost:
    host = pb.MultipathHost(name=MULTIPATH_HOST, **fields)
    return stack.multipath.UpdateMultipathHost(
        pb.UpdateMultipathHostRequest(multipath_host=host, update_mask=FieldMask(paths=mask))
    )


def device(stack: Stack, name: str = DEVICE) -> pb.Device:
    return stack.multipath.GetDevice(pb.GetDeviceRequest(name=name))


def own(stack: Stack, **fields: object) -> None:
    stack.multipath.UpdateDevice(pb.UpdateDeviceRequest(device=pb.Device(name=OTHER, **fields)))


def test_devices_follow_their_host_unless_they_have_a_value_of_their_own(stack: Stack) -> None:
    own(stack, lun_queue_depth=8, selector=pb.SELECTOR_FIXED)
    host = update(
        stack,
        lun_queue_depth=16,
        sched_num_req_outstanding=12,
        ios_per_path=1,
        selector=pb.SELECTOR_QUEUE_LENGTH,
    )
    assert (host.lun_queue_depth, host.selector) == (16, pb.SELECTOR_QUEUE_LENGTH)
    follows, keeps = device(stack), device(stack, OTHER)
    assert (follows.lun_queue_depth, follows.selector) == (16, pb.SELECTOR_QUEUE_LENGTH)
    assert (keeps.lun_queue_depth, keeps.selector) == (8, pb.SELECTOR_FIXED)
    for each in (follows, keeps):
        assert (each.sched_num_req_outstanding, each.ios_per_path) == (12, 1)
    stack.create_volume("v3")
    stack.create_export("v3")
    stack.rescan()
    assert device(stack, f"{MULTIPATH_HOST}/devices/a1.v3").lun_queue_depth == 16


def test_a_mask_without_a_value_goes_back_to_the_default(stack: Stack) -> None:
    update(stack, lun_queue_depth=16, adapter_queue_depth=100)
    host = update(stack, "lun_queue_depth")
    assert (host.lun_queue_depth, host.adapter_queue_depth) == (32, 100)
    assert device(stack).lun_queue_depth == 32
    assert update(stack, "*").adapter_queue_depth == 4096


def test_adapters_follow_their_host(stack: Stack) -> None:
    a, b = (f"{MULTIPATH_HOST}/adapters/h1-{end}" for end in "ab")
    adapter = pb.Adapter(name=a, queue_depth=3)
    stack.multipath.UpdateAdapter(pb.UpdateAdapterRequest(adapter=adapter))
    update(stack, adapter_queue_depth=64)
    depths = {
        name: stack.multipath.GetAdapter(pb.GetAdapterRequest(name=name)).queue_depth
        for name in (a, b)
    }
    assert depths == {a: 3, b: 64}


def test_settings_and_control_follow_as_a_whole(stack: Stack) -> None:
    own(stack, queue_control=pb.QueueControl(qfull_sample_size=8, qfull_threshold=2))
    host = update(
        stack,
        queue_control=pb.QueueControl(qfull_sample_size=32),
        selector_settings=pb.SelectorSettings(repeat_count=7),
    )
    assert device(stack).queue_control == host.queue_control
    assert device(stack, OTHER).queue_control.qfull_sample_size == 8
    assert device(stack, OTHER).selector_settings.repeat_count == 7
    assert host.selector_settings.latency_sample_ios == 16


def test_claim_rules_are_run_again_over_every_device(stack: Stack) -> None:
    rule = pb.ClaimRule(array="a1", selector=pb.SELECTOR_LEAST_BLOCKS)
    own(stack, selector=pb.SELECTOR_FIXED)
    update(stack, claim_rules=[rule])
    assert device(stack).selector == pb.SELECTOR_LEAST_BLOCKS
    assert device(stack, OTHER).selector == pb.SELECTOR_FIXED
    update(stack, "claim_rules")
    assert device(stack).selector == pb.SELECTOR_ROUND_ROBIN


def test_a_deeper_queue_is_used_by_what_waits(stack: Stack) -> None:
    update(stack, lun_queue_depth=1)
    stack.create_job("j0", io_limit=60, iodepth=20)
    stack.simulation.Advance(sim.AdvanceRequest(duration_ns=200_000))
    assert device(stack).active_count == 1
    update(stack, lun_queue_depth=16)
    stack.simulation.Advance(sim.AdvanceRequest(duration_ns=200_000))
    assert device(stack).active_count == 16
    stack.simulation.Advance(sim.AdvanceRequest(until_idle=True))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"lun_queue_depth": 5000}, "multipath_host.lun_queue_depth"),
        ({"adapter_queue_depth": 0}, "multipath_host.adapter_queue_depth"),
        ({"selector": pb.SELECTOR_VENDOR}, "multipath_host.selector"),
        (
            {"queue_control": pb.QueueControl(qfull_sample_size=2, qfull_threshold=4)},
            "multipath_host.queue_control.qfull_threshold",
        ),
    ],
)
def test_what_no_device_takes_changes_nothing(
    stack: Stack, fields: dict[str, object], field: str
) -> None:
    before = stack.multipath.GetMultipathHost(pb.GetMultipathHostRequest(name=MULTIPATH_HOST))
    with pytest.raises(InvalidArgument) as refused:
        update(stack, **{"ios_per_path": 3, **fields})
    assert [v.field for v in refused.value.violations] == [field]
    assert update(stack, ios_per_path=1000) == before


def test_initiators_and_strangers_are_refused(stack: Stack) -> None:
    with pytest.raises(InvalidArgument, match="cannot update initiators"):
        update(stack, "initiators", initiators=["h1-c"])
    with pytest.raises(NotFound):
        stack.multipath.UpdateMultipathHost(
            pb.UpdateMultipathHostRequest(
                multipath_host=pb.MultipathHost(name=f"{MULTIPATH}/hosts/h9", ios_per_path=1)
            )
        )


def layer(stack: Stack, *mask: str, **fields: object) -> pb.Multipath:
    return stack.multipath.UpdateMultipath(
        pb.UpdateMultipathRequest(
            multipath=pb.Multipath(name=MULTIPATH, **fields), update_mask=FieldMask(paths=mask)
        )
    )


def test_what_happens_in_apd_changes_for_what_waits_there(stack: Stack) -> None:
    layer(stack, apd_handling=pb.APD_HANDLING_HOLD, apd_timeout_ns=10**9)
    stack.create_job("j0", io_limit=8, iodepth=8)
    for path in ("h1-a.p0", "h1-b.p1"):
        name = f"{DEVICE}/paths/{path}"
        stack.multipath.UpdatePath(pb.UpdatePathRequest(path=pb.Path(name=name, enabled=False)))
    stack.simulation.Advance(sim.AdvanceRequest(duration_ns=2 * 10**9))
    assert (device(stack).state, device(stack).queued_count) == (pb.DEVICE_STATE_APD_TIMEOUT, 8)
    assert layer(stack, "apd_handling").apd_handling == pb.APD_HANDLING_FAIL
    stack.simulation.Advance(sim.AdvanceRequest(until_idle=True))
    assert device(stack).queued_count == 0


def test_a_layer_takes_only_what_is_in_range(stack: Stack) -> None:
    made = layer(stack, congestion_evaluation_ns=2 * 10**9, probing=True)
    assert (made.congestion_evaluation_ns, made.probing) == (2 * 10**9, True)
    with pytest.raises(InvalidArgument) as refused:
        layer(stack, apd_timeout_ns=5, probing=False)
    assert [v.field for v in refused.value.violations] == ["multipath.apd_timeout_ns"]
    assert layer(stack, "*") == pb.Multipath(
        **{**_plain(stack), "congestion_evaluation_ns": 4 * 10**9, "probing": False}
    )


def test_every_setting_of_a_layer_changes_and_is_told(stack: Stack) -> None:
    wanted = {
        "qfull_retry_delay_ns": 2_000,
        "not_ready_retry_delay_ns": 3_000,
        "apd_timeout_ns": 10**9,
        "apd_handling": pb.APD_HANDLING_HOLD,
        "command_timeout_ns": 5 * 10**9,
        "task_management_timeout_ns": 10**9,
        "escalation": pb.ESCALATION_TARGET_RESET,
        "probing": True,
        "congestion_evaluation_ns": 10**6,
    }
    assert wanted.keys() == MultipathSpec().settings().keys()
    plain = _plain(stack)
    made = layer(stack, **wanted)
    assert made == pb.Multipath(**{**plain, **wanted})
    assert layer(stack, "*").escalation == pb.ESCALATION_PATH_DOWN


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("qfull_retry_delay_ns", -1),
        ("not_ready_retry_delay_ns", 61 * 10**9),
        ("command_timeout_ns", 86_401 * 10**9),
        ("task_management_timeout_ns", 999),
        ("escalation", 9),
    ],
)
def test_a_layer_refuses_what_is_out_of_range(stack: Stack, field: str, value: int) -> None:
    before = _plain(stack)
    with pytest.raises(InvalidArgument) as refused:
        layer(stack, **{"probing": True, field: value})
    assert [v.field for v in refused.value.violations] == [f"multipath.{field}"]
    assert _plain(stack) == before


def test_a_hold_time_needs_a_time_out_as_long_as_it_lasts(stack: Stack) -> None:
    def hold(time_ns: int) -> None:
        fabric = pb.Fabric(name=f"{MULTIPATH}/fabrics/a", hold_time_ns=time_ns)
        stack.multipath.UpdateFabric(pb.UpdateFabricRequest(fabric=fabric))

    layer(stack, command_timeout_ns=10**9)
    hold(10**8)
    with pytest.raises(FailedPrecondition, match="hold_time_ns to 0 first") as refused:
        layer(stack, command_timeout_ns=0, probing=True)
    assert refused.value.reason == "HOLD_TIME"
    assert not _plain(stack).get("probing")
    hold(0)
    assert layer(stack, command_timeout_ns=0).command_timeout_ns == 0


def _plain(stack: Stack) -> dict[str, object]:
    found = stack.multipath.GetMultipath(pb.GetMultipathRequest(name=MULTIPATH))
    assert list(found.arrays) == [ARRAY]
    return {field.name: getattr(found, field.name) for field, _ in found.ListFields()}


def test_a_scrape_finds_what_a_rescan_has_found_meanwhile(stack: Stack) -> None:
    placed = stack.multipath_model.placed
    seen = placed.seen()
    assert seen is not None
    assert placed.at_border(seen) is seen[1]
    assert placed.seen() is None, "it is known until the inventory changes"
    stack.create_volume("v3")
    stack.create_export("v3")
    stack.rescan()
    assert len(placed.at_border(seen).devices) == 3


FIELDS = {
    "lun_queue_depth": 6,
    "sched_num_req_outstanding": 3,
    "ios_per_path": 2,
    "selector": pb.SELECTOR_QUEUE_LENGTH,
    "queue_control": pb.QueueControl(congestion_threshold_ns=100_000, window_max=5),
}


def digest(change: Callable[[Stack], None]) -> str:
    """Runs a loaded stack, changes it at 2 ms, and returns what guests saw."""
    stack = Stack()
    layer(stack, congestion_evaluation_ns=10**6)
    stack.create_job("j0", io_limit=4_000, iodepth=48)
    stack.simulation.Advance(sim.AdvanceRequest(duration_ns=2_000_000))
    change(stack)
    stack.simulation.Advance(sim.AdvanceRequest(until_idle=True))
    return stack.hypervisor_model.digest()


def test_a_host_that_changes_is_as_if_its_devices_had_been_changed_one_by_one() -> None:
    def by_device(stack: Stack) -> None:
        changed = pb.Device(name=DEVICE, **FIELDS)
        stack.multipath.UpdateDevice(pb.UpdateDeviceRequest(device=changed))

    def by_host(stack: Stack) -> None:
        update(stack, **FIELDS)

    assert digest(by_host) == digest(by_device) != digest(lambda stack: None)
