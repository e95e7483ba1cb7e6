"""Dark storage: each byte once, as planted; and reclaiming what nobody is shown, as planned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from smokestack.client import Stack as Client
from smokestack.client import connect, errors
from smokestack.server.estate import EstateService, remote
from smokestack.server.scenario import parse_scenario
from smokestack.server.stack import Stack
from smokestack.v1 import estate_pb2 as pb

PAGE = 16 << 10
MIB = 1 << 20
SCENARIO = """
fabrics: [a]
arrays:
  - name: a1
    controllers: [{name: c0}]
    ports: [{name: p0, controller: c0, fabric: a}]
    pools: [{name: p1, capacity_bytes: 64 MiB}, {name: p2, capacity_bytes: 32 MiB}]
    volumes:
      - {name: used, pool: p1, capacity_bytes: 8 MiB}
      - {name: idle, pool: p1, capacity_bytes: 16 MiB}
      - {name: lost, pool: p2, capacity_bytes: 4 MiB}
      - {name: bare, pool: p2, capacity_bytes: 2 MiB}
    exports: [{volume: used, host: h1}, {volume: idle, host: h1}, {volume: bare, host: h2}]
multipath: {name: m1}
hosts:
  - name: h1
    initiators: [{name: h1-a, fabric: a}]
    vms: [{name: v, disks: [{name: d0, device: a1.used}]}]
  - {name: h2, initiators: [{name: h2-a, fabric: a}]}
"""


@pytest.fixture
def served() -> Iterator[Stack]:
    with Stack(parse_scenario(SCENARIO)) as stack:
        stack.serve(metrics_ports=None)
        yield stack


@pytest.fixture
def stack(served: Stack) -> Iterator[Client]:
    with connect(served.endpoints[0].address) as client:
        client.set_clock(mode="MANUAL", autojump=True)
        yield client


def word(category: int) -> str:
    return pb.DarkStorageCategory.Name(category).removeprefix("DARK_STORAGE_CATEGORY_")


def sizes(stack: Client, raw_bytes: int = 96 * MIB) -> dict[str, tuple[int, int]]:
    """What each category has, if anything; and that all of them add up."""
    [array] = stack.dark_storage(array="a1").arrays
    assert array.raw_bytes == raw_bytes
    assert sum(row.physical_bytes for row in array.categories) == array.raw_bytes
    assert sum(row.subscribed_bytes for row in array.categories) == array.subscribed_bytes
    dark = [r for r in array.categories if word(r.category) in DARK]
    assert array.dark_bytes == sum(row.physical_bytes for row in dark)
    assert array.dark_ratio == array.dark_bytes / array.raw_bytes
    return {
        word(row.category): (row.physical_bytes, row.subscribed_bytes)
        for row in array.categories
        if row.physical_bytes or row.subscribed_bytes
    }


DARK = ("UNASSIGNED", "UNCLAIMED", "CLAIMED_NO_FS")


def fill(stack: Client, pool: str, volume: str, pages: int) -> None:
    found = stack.array("a1").pools.get(pool)
    have = found.allocated_bytes // PAGE
    found.fill((have + pages) / (found.capacity_bytes // PAGE), volume=volume)


def test_each_volume_is_where_it_was_left(stack: Client) -> None:
    fill(stack, "p1", "used", 3)
    fill(stack, "p1", "idle", 5)
    fill(stack, "p2", "lost", 7)
    fill(stack, "p2", "bare", 11)
    free = 96 * MIB - 26 * PAGE
    assert sizes(stack) == {
        "POOL_FREE": (free, 0),
        "IN_USE": (3 * PAGE, 8 * MIB),
        "UNASSIGNED": (7 * PAGE, 4 * MIB),
        "CLAIMED_NO_FS": (16 * PAGE, 18 * MIB),
    }
    listed = {v.volume.rpartition("/")[2]: v for v in stack.dark_storage().volumes}
    assert set(listed) == {"idle", "lost", "bare"}
    assert list(listed["bare"].hosts) == ["h2"]
    assert listed["bare"].devices[0].endswith("hosts/h2/devices/a1.bare")


def test_what_no_host_has_looked_for_is_unclaimed_until_a_rescan(stack: Client) -> None:
    array = stack.array("a1")
    array.volumes.create("new", pool="p1", capacity_bytes=MIB)
    assert sizes(stack)["UNASSIGNED"] == (0, 5 * MIB)
    array.exports.create(volume="new", host="h2")
    assert sizes(stack)["UNCLAIMED"] == (0, MIB)
    stack.multipath.hosts["h2"].rescan()
    assert "UNCLAIMED" not in sizes(stack)
    vm = stack.hypervisor.hosts["h2"].vms.create("w")
    vm.disks.create("d", device="a1.new")
    assert sizes(stack)["IN_USE"] == (0, 9 * MIB)


def test_a_page_that_several_have_is_where_it_is_nearest_to_use(stack: Client) -> None:
    disk = stack.hypervisor.hosts["h1"].vms["v"].disks["d0"]
    fill(stack, "p1", "used", 4)
    array = stack.array("a1")
    array.snapshots.create("s", volume="used")
    array.volumes.create("twin", pool="p1", capacity_bytes=8 * MIB, source_snapshot="s")
    assert sizes(stack)["IN_USE"] == (4 * PAGE, 8 * MIB)
    assert sizes(stack)["UNASSIGNED"] == (0, 12 * MIB)
    assert array.volumes.measure(["used", "twin"]) == 4 * PAGE
    assert disk.write(PAGE).succeeded  # now the old page is the twin's and the snapshot's alone
    assert sizes(stack)["UNASSIGNED"] == (PAGE, 12 * MIB)
    assert array.volumes.measure(["used", "twin"]) == 5 * PAGE
    array.volumes["twin"].delete()
    assert sizes(stack)["SNAPSHOT"] == (PAGE, 0)
    assert array.volumes.measure(["used"], with_snapshots=True) == 5 * PAGE


def test_steps_and_what_is_not_drawn_are_told_apart() -> None:
    text = SCENARIO.replace(
        "{name: p1, capacity_bytes: 64 MiB}",
        "{name: p1, capacity_bytes: 64 MiB, growth_bytes: 16 MiB, step_bytes: 1 MiB, "
        f"step_bytes_max: {MIB}}}",
    )
    with Stack(parse_scenario(text)) as served:
        served.serve(metrics_ports=None)
        with connect(served.endpoints[0].address) as client:
            client.set_clock(mode="MANUAL", autojump=True)
            assert client.hypervisor.hosts["h1"].vms["v"].disks["d0"].write(PAGE).succeeded
            found = {name: physical for name, (physical, _) in sizes(client).items()}
    drawn = 16 * MIB
    assert found["RAW_UNCONFIGURED"] == 64 * MIB - drawn
    assert (found["IN_USE"], found["ALLOCATED_NEVER_WRITTEN"]) == (PAGE, MIB - PAGE)
    assert found["POOL_FREE"] == drawn - MIB + 32 * MIB


def test_what_a_thick_volume_has_not_written_is_told_apart() -> None:
    thick = "{name: idle, pool: p1, capacity_bytes: 16 MiB, provisioning: THICK}"
    text = SCENARIO.replace("{name: idle, pool: p1, capacity_bytes: 16 MiB}", thick)
    with Stack(parse_scenario(text)) as served:
        served.serve(metrics_ports=None)
        with connect(served.endpoints[0].address) as client:
            client.set_clock(mode="MANUAL", autojump=True)
            array = client.array("a1")
            array.pools["p1"].fill(1 / 64, volume="idle")
            found = {name: physical for name, (physical, _) in sizes(client).items()}
            assert found["ALLOCATED_NEVER_WRITTEN"] == 15 * MIB
            assert found["CLAIMED_NO_FS"] == MIB
            assert found["POOL_FREE"] == (64 - 16 + 32) * MIB
            idle = array.volumes.get("idle")
            assert (idle.provisioning, idle.reserved_bytes) == ("THICK", 15 * MIB)
            with pytest.raises(errors.ResourceExhausted, match="to be reserved"):
                idle.update(capacity_bytes=65 * MIB)


def test_where_drives_are_counted_all_sums_to_them() -> None:
    drives = "drive_count: 10\n    drive_bytes: 30 MiB"
    text = SCENARIO.replace("  - name: a1\n", f"  - name: a1\n    {drives}\n")
    text = text.replace(
        "{name: p1, capacity_bytes: 64 MiB}",
        "{name: p1, capacity_bytes: 640 MiB, growth_bytes: 16 MiB, raid_level: RAID10}",
    )
    with Stack(parse_scenario(text)) as served:
        served.serve(metrics_ports=None)
        with connect(served.endpoints[0].address) as client:
            client.set_clock(mode="MANUAL", autojump=True)
            assert client.hypervisor.hosts["h1"].vms["v"].disks["d0"].write(PAGE).succeeded
            found = {name: physical for name, (physical, _) in sizes(client, 300 * MIB).items()}
            assert client.array("a1").raw_bytes == 300 * MIB
    assert found["REDUNDANCY"] == 16 * MIB
    assert found["RAW_UNCONFIGURED"] == (300 - 32 - 32) * MIB
    assert found["POOL_FREE"] == (16 + 32) * MIB - PAGE
    assert sum(found.values()) == 300 * MIB


def test_groups_of_drives_sum_to_raw_beside_pools_that_draw_from_none() -> None:
    text = SCENARIO.replace(
        "  - name: a1\n",
        "  - name: a1\n    drive_groups: [{name: g, drive_count: 10, drive_bytes: 30 MiB}]\n",
    )
    text = text.replace(
        "{name: p1, capacity_bytes: 64 MiB}",
        "{name: p1, capacity_bytes: 640 MiB, growth_bytes: 16 MiB, raid_level: RAID10, "
        "drive_group: g}",
    )
    with Stack(parse_scenario(text)) as served:
        served.serve(metrics_ports=None)
        with connect(served.endpoints[0].address) as client:
            client.set_clock(mode="MANUAL", autojump=True)
            assert client.hypervisor.hosts["h1"].vms["v"].disks["d0"].write(PAGE).succeeded
            raw = (300 + 32) * MIB
            found = {name: physical for name, (physical, _) in sizes(client, raw).items()}
            array = client.array("a1")
            assert (array.raw_bytes, array.raw_free_bytes) == (300 * MIB, 268 * MIB)
            assert array.pools["p1"].drive_group == "g"
            assert array.drive_groups["g"].raw_free_bytes == 268 * MIB
    assert (found["REDUNDANCY"], found["RAW_UNCONFIGURED"]) == (16 * MIB, 268 * MIB)
    assert found["POOL_FREE"] == (16 + 32) * MIB - PAGE


@pytest.mark.parametrize("grows", ["", "growth_bytes: 16 MiB, "])
def test_a_pool_that_lies_about_its_size_changes_no_sum_where_drives_are_counted(
    grows: str,
) -> None:
    drives = "drive_count: 10\n    drive_bytes: 30 MiB"
    text = SCENARIO.replace("  - name: a1\n", f"  - name: a1\n    {drives}\n")
    text = text.replace(
        "capacity_bytes: 64 MiB", f"capacity_bytes: 64 MiB, {grows}raid_level: RAID5"
    )
    with Stack(parse_scenario(text)) as served:
        served.serve(metrics_ports=None)
        with connect(served.endpoints[0].address) as client:
            client.set_clock(mode="MANUAL", autojump=True)
            assert client.hypervisor.hosts["h1"].vms["v"].disks["d0"].write(PAGE).succeeded
            honest = sizes(client, 300 * MIB)
            array = client.array("a1")
            array.faults.inject("POOL_OVERSTATED", "arrays/a1/pools/*", factor_per_mille=3_000)
            assert array.pools["p1"].capacity_bytes == 192 * MIB
            assert sizes(client, 300 * MIB) == honest


def test_without_hosts_what_is_exported_is_not_judged(served: Stack, stack: Client) -> None:
    fill(stack, "p1", "used", 3)
    place = stack.addresses["arrays/a1"]
    alone = EstateService([remote("arrays", place), remote("multipaths", "127.0.0.1:1")])
    report = alone.GetDarkStorageReport(pb.GetDarkStorageReportRequest())
    found = {word(row.category): row.physical_bytes for row in report.arrays[0].categories}
    assert (found["UNKNOWN"], found["IN_USE"], found["UNCLAIMED"]) == (3 * PAGE, 0, 0)
    assert [part.answered for part in report.parts].count(False) == 1
    with pytest.raises(Exception, match="what is in use is not known"):
        alone.Reclaim(pb.ReclaimRequest())


def reasons(plan: Any) -> dict[str, str]:
    return {a.volume.rpartition("/")[2]: "" if a.deletes else a.message for a in plan.actions}


def test_what_nobody_is_shown_is_deleted_as_planned(stack: Client) -> None:
    array = stack.array("a1")
    fill(stack, "p2", "lost", 7)
    array.volumes.create("mine", pool="p1", capacity_bytes=MIB, labels={"owner": "me"})
    array.volumes.create("kept", pool="p1", capacity_bytes=MIB)
    array.snapshots.create("s", volume="kept")
    array.volumes.create("copy", pool="p1", capacity_bytes=MIB, source_snapshot="s")
    plan = stack.reclaim()
    assert reasons(plan) == {
        "lost": "",
        "copy": "",
        "mine": "it has labels, so it is somebody's: name it",
        "kept": "it has snapshots",
    }
    assert plan.freed_bytes == 7 * PAGE
    assert "lost" in array.volumes  # a plan is only a plan
    done = stack.reclaim(plan)
    assert (done.freed_bytes, done.plan_token) == (7 * PAGE, "")
    assert reasons(done) == reasons(plan)
    left = {volume.id for volume in array.volumes}
    assert left == {"used", "idle", "bare", "mine", "kept"}
    named = ["arrays/a1/volumes/mine"]
    assert reasons(stack.reclaim(stack.reclaim(volumes=named), volumes=named)) == {"mine": ""}


def test_pages_that_a_snapshot_keeps_are_not_promised_back(stack: Client) -> None:
    array = stack.array("a1")
    fill(stack, "p1", "used", 4)
    array.snapshots.create("s", volume="used")
    array.volumes.create("twin", pool="p1", capacity_bytes=8 * MIB, source_snapshot="s")
    fill(stack, "p1", "twin", 2)
    assert stack.hypervisor.hosts["h1"].vms["v"].disks["d0"].write(PAGE).succeeded
    plan = stack.reclaim(volumes=["arrays/a1/volumes/twin"])
    assert plan.freed_bytes == 2 * PAGE
    assert stack.reclaim(plan, volumes=["arrays/a1/volumes/twin"]).freed_bytes == 2 * PAGE


def test_what_deleted_disks_have_left_behind_is_unmapped(stack: Client) -> None:
    array, vm = stack.array("a1"), stack.hypervisor.hosts["h1"].vms["v"]
    vm.disks["d0"].delete()
    vm.disks.create("d1", device="a1.used", capacity_bytes=MIB, device_offset_bytes=2 * MIB)
    fill(stack, "p1", "used", 4 * MIB // PAGE)
    assert not any(action.unmaps for action in stack.reclaim().actions)
    plan = stack.reclaim(unmap_free=True)
    [action] = [action for action in plan.actions if action.unmaps]
    ranges = [(each.offset_bytes, each.length_bytes) for each in action.free_ranges]
    assert ranges == [(0, 2 * MIB), (3 * MIB, 5 * MIB)]
    assert (action.volume, action.unmapped_bytes) == ("arrays/a1/volumes/used", 3 * MIB)
    assert array.volumes.get("used").allocated_bytes == 4 * MIB  # a plan is only a plan
    done = stack.reclaim(plan, unmap_free=True)
    assert done.freed_bytes == plan.freed_bytes
    assert array.volumes.get("used").allocated_bytes == MIB
    assert "used" in array.volumes
    fill(stack, "p1", "idle", 2)  # found by its host, and no disk lies on it
    assert not any(action.unmaps for action in stack.reclaim(unmap_free=True).actions)
    named = stack.reclaim(volumes=["arrays/a1/volumes/idle"], unmap_free=True)
    assert [action.unmapped_bytes for action in named.actions] == [2 * PAGE]


def test_a_plan_that_has_changed_is_not_executed(stack: Client) -> None:
    array = stack.array("a1")
    plan = stack.reclaim()
    array.exports.create(volume="lost", host="h1")
    with pytest.raises(errors.FailedPrecondition) as refused:
        stack.reclaim(plan)
    assert refused.value.reason == "PLAN_CHANGED"
    with pytest.raises(errors.FailedPrecondition) as refused:
        stack.reclaim(pb.ReclaimResponse())
    assert refused.value.reason == "NO_PLAN"
    assert "lost" in array.volumes


def test_a_volume_whose_export_is_gone_under_a_vm_is_spared(stack: Client) -> None:
    array = stack.array("a1")
    array.exports["used.h1"].delete()
    assert reasons(stack.reclaim())["used"].startswith("a VM's disk lies on it")
    assert sizes(stack)["UNASSIGNED"][1] == 12 * MIB
    plan = stack.reclaim(volumes=["arrays/a1/volumes/idle"])
    assert reasons(plan) == {"idle": "it is exported to h1"}


def test_bad_input_is_refused(stack: Client) -> None:
    with pytest.raises(errors.NotFound, match="arrays/a9"):
        stack.dark_storage(array="a9")
    with pytest.raises(errors.NotFound, match="volumes/none"):
        stack.reclaim(volumes=["arrays/a1/volumes/none"])
    with pytest.raises(errors.InvalidArgument, match="volumes\\[0\\]"):
        stack.reclaim(array="a1", volumes=["arrays/a2/volumes/v1"])
    with pytest.raises(errors.InvalidArgument, match="does not exist"):
        stack.array("a1").volumes.measure(["none"])
    with pytest.raises(errors.InvalidArgument, match="twice"):
        stack.array("a1").volumes.measure(["used", "used"])
