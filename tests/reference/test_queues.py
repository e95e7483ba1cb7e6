"""Timelines worked out by hand: competing worlds, adapters that are full, where the time went.

The sample stack as in test_timelines.py: from a dispatch to its answer it takes 40,096, and each
command that comes right behind another 5,096 more.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from smokestack.engine.streams import job_uid
from smokestack.hypervisor.specs import DiskSpec, VmSpec
from tests.reference.config import AdapterUpdated, DeviceUpdated, StackConfig
from tests.reference.devices import Times
from tests.reference.observe import ran, times
from tests.reference.samples import array, job, port, stack

BACK = 40_096
BEHIND = 5_096  # the wire is busy for so long with the one before


def two_vms(depth: int, dsnro: int, **second: int) -> StackConfig:
    """A disk of each of two VMs on one device; the first has three commands, the second one."""
    one = job("j0", io_limit=3, slots=3)
    uid = job_uid("hosts/h1/vms/v2/jobs/j1")
    two = replace(job("j1", io_limit=1, **second), vm_id="v2", uid=uid)
    plain = stack(one, two, depth=depth)
    return replace(
        plain,
        vms=(*plain.vms, VmSpec("h1", "v2", 2_000)),
        disks=(*plain.disks, DiskSpec("h1", "v2", "d0", "a1.v1")),
        multipath_hosts=(replace(plain.multipath_hosts[0], sched_num_req_outstanding=dsnro),),
    )


def test_one_world_has_the_whole_depth() -> None:
    config = stack(job(io_limit=3, slots=3), depth=3)
    hosts = (replace(config.multipath_hosts[0], sched_num_req_outstanding=1),)
    assert times(replace(config, multipath_hosts=hosts)) == [
        (42_096, 0),
        (42_096 + 5_096, 1),
        (42_096 + 2 * 5_096, 2),
    ]


def test_competing_worlds_share_the_lesser_depth() -> None:
    # All four come at 2,000, the first world's first; when the second world comes, three are out.
    done = times(two_vms(depth=3, dsnro=1))
    assert done[:3] == [(42_096, 0), (47_192, 1), (52_288, 2)]
    # With one left out only, the fourth would go; but then the first world has nothing any more.
    assert done[3] == (52_288 + BACK, 3)


def test_dsnro_above_the_depth_is_nothing() -> None:
    assert times(two_vms(depth=3, dsnro=32))[3] == (42_096 + BACK, 3)


def test_a_world_that_has_nothing_left_competes_no_more() -> None:
    # The second world's command comes first; the other three may then go one by one until it ends.
    config = two_vms(depth=3, dsnro=1)
    first = replace(config.jobs[0], start_ns=1_000)
    config = replace(config, jobs=(first, config.jobs[1]))
    done = {slot: time for time, slot in times(config)}
    assert done[3] == 42_096
    # It is alone from then on: all three leave at once.
    assert [done[n] for n in range(3)] == [42_096 + BACK + n * BEHIND for n in range(3)]


def test_a_lower_dsnro_takes_effect_at_a_border() -> None:
    config = two_vms(depth=3, dsnro=3)
    change = DeviceUpdated(10_000, "h1", "a1.v1", sched_num_req_outstanding=1)
    assert times(replace(config, changes=(change,)))[3] == (52_288 + BACK, 3)


def held_stack(places: int, **fields: Any) -> StackConfig:
    """Two devices over one adapter with so many places, two commands each."""
    both = array(volume_ids=("v1", "v2"))
    jobs = (job("j0", io_limit=2, slots=2), job("j1", disk_id="d1", io_limit=2, slots=2))
    config = stack(*jobs, arrays=(both,), devices=("a1.v1", "a1.v2"), **fields)
    hosts = (replace(config.multipath_hosts[0], adapter_queue_depth=places),)
    return replace(config, multipath_hosts=hosts)


def test_a_full_adapter_sends_in_turn_over_all_devices() -> None:
    at = [42_096 + n * BACK for n in range(4)]
    assert times(held_stack(1)) == list(zip(at, range(4), strict=True))


def test_an_adapter_grows_at_a_border() -> None:
    changes = (AdapterUpdated(12_000, "h1", "h1-a", 2),)
    done = times(replace(held_stack(1), changes=changes))
    # The second leaves at 12,000, as the first arrives: at 22,000 the port has been free for long.
    assert done[:2] == [(42_096, 0), (12_000 + BACK, 1)]


def test_what_an_adapter_holds_has_its_place_in_the_device() -> None:
    world = ran(held_stack(1, depth=1))
    assert [record.ident >> 40 for record in world.completions] == [0, 2, 1, 3]


def test_the_guests_time_is_the_devices_and_the_kernels() -> None:
    world = ran(stack(job(io_limit=2, slots=2), depth=1))
    (device,) = world.multipath.all_devices()
    assert device.times[0] == Times(
        ios=2,
        guest_ns=BACK + 2 * BACK,  # the second waited for the first
        device_ns=2 * BACK,
        kernel_ns=BACK,
        queue_ns=BACK,
    )


def test_what_a_refusal_costs_is_the_kernels_time_but_no_queues() -> None:
    one_place = array(ports=(port(queue_limit=1),))
    world = ran(stack(job(io_limit=2, slots=2), arrays=(one_place,)))
    (device,) = world.multipath.all_devices()
    detour = 37_596 - 2_000 + 50_000
    assert device.times[0] == Times(2, 2 * BACK + detour, 2 * BACK, detour, 0)
