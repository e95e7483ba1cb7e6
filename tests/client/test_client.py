"""The SDK as an engineer writes with it."""

from __future__ import annotations

import struct
import threading
from pathlib import Path

import pytest

from smokestack.client import BlockSize, GiB, Initiator, KiB, MiB, Stack
from smokestack.client.errors import FailedPrecondition, InvalidArgument, NotFound

VM = "hosts/h1/vms/v1"


def test_a_volume_from_creation_to_deletion(stack: Stack) -> None:
    array = stack.array("a1")
    volume = array.volumes.create("v9", pool="p1", capacity_bytes=40 * GiB)
    assert (volume.id, volume.name) == ("v9", "arrays/a1/volumes/v9")
    assert (volume.pool, volume.capacity_bytes, volume.allocated_bytes) == ("p1", 40 * GiB, 0)
    assert [v.id for v in array.volumes] == ["v1", "v2", "v3", "v4", "v9"]
    assert volume.update(capacity_bytes=50 * GiB) is volume
    assert volume.capacity_bytes == 50 * GiB
    assert array.volumes["v9"].capacity_bytes == 50 * GiB
    volume.delete()
    assert "v9" not in array.volumes and "v1" in array.volumes


def test_a_volume_is_kept_and_cloned(stack: Stack) -> None:
    array = stack.array("a1")
    array.pools["p1"].fill(0.001, volume="v1")
    snapshot = array.snapshots.create("s1", volume="v1")
    assert (snapshot.volume, snapshot.pool) == ("v1", "p1")
    assert snapshot.allocated_bytes == array.volumes["v1"].allocated_bytes > 0
    assert snapshot.create_ns == 50_000  # a driven array has run one latency ahead
    clone = array.volumes.create("w1", pool="p1", capacity_bytes=GiB * 64, source_snapshot="s1")
    assert (clone.source_snapshot, clone.source_volume) == ("s1", "")
    other = array.volumes.create("w2", pool="p1", capacity_bytes=GiB * 64, source_volume="v1")
    assert (other.source_volume, other.allocated_bytes) == ("v1", snapshot.allocated_bytes)
    pool = array.pools["p1"]
    assert (pool.allocated_bytes, pool.snapshot_bytes) == (snapshot.allocated_bytes, 0)
    array.snapshots.create("s2", volume="w2")
    with pytest.raises(FailedPrecondition, match="in use by snapshots s2"):
        other.delete()
    array.snapshots["s2"].delete()
    other.delete()
    assert [each.id for each in array.snapshots] == ["s1"]
    snapshot.delete()
    assert clone.reload().source_snapshot == "s1"  # which is gone


def test_space_is_given_back(stack: Stack) -> None:
    stack.set_clock(autojump=True)
    disk = stack.hypervisor.hosts["h1"].vms["v1"].disks["d0"]
    assert disk.write_zeros(64 * KiB).succeeded
    volume = stack.array("a1").volumes["v1"]
    assert volume.allocated_bytes == 64 * KiB
    assert disk.unmap(32 * KiB, offset_bytes=16 * KiB).succeeded
    assert volume.reload().allocated_bytes == 32 * KiB
    assert disk.write_zeros(16 * KiB, unmap=True).succeeded
    assert volume.reload().allocated_bytes == 16 * KiB
    assert (volume.unmap_count, volume.unmapped_bytes) == (1, 48 * KiB)
    volume.update(zero_detect="SKIP")
    assert disk.write(32 * KiB, zeros=True).succeeded
    assert disk.write(512, offset_bytes=16 * KiB).succeeded
    assert volume.reload().allocated_bytes == 32 * KiB
    assert (volume.write_same_count, volume.zero_write_count) == (2, 1)
    assert volume.zero_bytes == 32 * KiB


def test_a_lock_is_taken_once(stack: Stack) -> None:
    stack.set_clock(autojump=True)
    disk = stack.hypervisor.hosts["h1"].vms["v1"].disks["d0"]
    assert disk.compare_and_write(1024, 0, 3).succeeded
    lost = disk.compare_and_write(1024, 0, 4)
    assert (lost.succeeded, lost.scsi_status, lost.sense) == (False, 2, 0x0E1D00)
    assert disk.compare_and_write(1024, 3, 0).succeeded
    volume = stack.array("a1").volumes["v1"]
    assert (volume.compare_and_write_count, volume.miscompare_count) == (3, 1)
    with pytest.raises(InvalidArgument, match="expected_value"):
        disk.compare_and_write(1024, 8, 0)


def test_hosts_reserve_a_volume(stack: Stack) -> None:
    stack.set_clock(autojump=True)
    array = stack.array("a1")
    export = array.exports["v1.h1"]
    export.persistent_reserve("REGISTER", service_key=5)
    made = export.persistent_reserve("RESERVE", key=5, kind="WRITE_EXCLUSIVE")
    assert array.volumes["v1"].reservations() == made
    assert stack.hypervisor.hosts["h1"].vms["v1"].disks["d0"].write(4 * KiB).succeeded
    with pytest.raises(FailedPrecondition, match="RESERVATION CONFLICT"):
        export.persistent_reserve("CLEAR", key=6)


def test_a_copy_stays_in_the_array(stack: Stack) -> None:
    stack.set_clock(autojump=True)
    disk = stack.hypervisor.hosts["h1"].vms["v1"].disks["d0"]
    assert disk.write(64 * KiB).succeeded
    before = disk.reload()
    assert disk.copy(64 * KiB, source_offset_bytes=0, offset_bytes=1 << 20).succeeded
    volume = stack.array("a1").volumes["v1"]
    assert volume.allocated_bytes == 128 * KiB
    assert (volume.copy_count, volume.copied_bytes) == (1, 64 * KiB)
    with pytest.raises(InvalidArgument, match="do not overlap"):
        disk.copy(2 << 20, source_offset_bytes=0, offset_bytes=1 << 20)
    assert disk.reload() == before


def test_a_copy_goes_from_one_volume_of_an_array_to_another(stack: Stack) -> None:
    stack.set_clock(autojump=True)
    array, vm = stack.array("a1"), stack.hypervisor.hosts["h1"].vms["v1"]
    array.volumes.create("v9", pool="p1", capacity_bytes=GiB)
    array.exports.create(volume="v9", host="h1")
    stack.multipath.hosts["h1"].rescan()
    source, disk = vm.disks["d0"], vm.disks.create("d9", device="a1.v9")
    assert source.write(64 * KiB).succeeded
    assert source.compare_and_write(512, 0, 3).succeeded
    assert disk.copy(64 * KiB, source_offset_bytes=0, offset_bytes=0, source_disk=source).succeeded
    assert disk.compare_and_write(512, 3, 4).succeeded
    assert (array.volumes["v9"].copy_count, array.volumes["v1"].copy_count) == (1, 0)
    device = stack.multipath.hosts["h1"].devices["a1.v9"]
    worlds = {world.vm_number: world.queue.ios_count for world in device.statistics().worlds}
    assert worlds == {-1: 1, 0: 1}


def test_names_are_short_but_full_ones_are_taken(stack: Stack) -> None:
    array = stack.array("a1")
    full = array.volumes.create("v9", pool="arrays/a1/pools/p1", capacity_bytes=GiB)
    assert full.pool == "p1"
    assert array.volumes["arrays/a1/volumes/v9"].capacity_bytes == GiB
    assert array.ports["p0"].controller == "c0"
    device = stack.multipath.hosts["h1"].devices["a1.v1"]
    assert device.preferred_path == "h1-a.p0"
    assert device.volume == "arrays/a1/volumes/v1"  # of another service, so in full


def test_a_volume_is_exported_to_a_set_of_hosts(stack: Stack) -> None:
    array = stack.array("a1")
    array.volumes.create("v9", pool="p1", capacity_bytes=GiB)
    cluster = array.host_sets.create("hs1", hosts=["h1"])
    fabric = array.port_sets.create("ps1", ports=["p0"])
    export = array.set_exports.create(volume="v9", host_set="hs1", port_set="ps1")
    assert (export.id, export.host_set, export.lun, export.ports) == ("v9.hs1", "hs1", 2, ())
    one = array.exports["v9.h1"]
    assert (one.lun, one.host_set, one.port_set) == (2, "hs1", "ps1")
    assert stack.multipath.hosts["h1"].rescan().paths_added_count == 1
    assert cluster.update(hosts=["h1", "h2"]).hosts == ("h1", "h2")
    assert array.exports["v9.h2"].lun == 2
    assert fabric.update(ports=["p0", "p1"]).ports == ("p0", "p1")
    assert stack.multipath.hosts["h1"].rescan().paths_added_count == 1
    export.delete()
    cluster.delete()
    fabric.delete()
    assert "v9.h1" not in [export.id for export in array.exports]


def test_the_way_of_a_volume_up_to_a_guest(stack: Stack) -> None:
    stack.array("a1").volumes.create("v9", pool="p1", capacity_bytes=GiB)
    export = stack.array("a1").exports.create(volume="v9", host="h1")
    assert (export.id, export.volume, export.host, export.lun) == ("v9.h1", "v9", "h1", 2)
    host = stack.multipath.hosts["h1"]
    found = host.rescan()
    assert (found.devices_added_count, found.paths_added_count) == (1, 4)
    device = host.devices["a1.v9"]
    assert [path.id for path in device.paths] == ["h1-a.p0", "h1-a.p2", "h1-b.p1", "h1-b.p3"]
    vm = stack.hypervisor.hosts["h1"].vms.create("new", broker_ns=0)
    disk = vm.disks.create("d0", device="a1.v9", capacity_bytes=256 * MiB)
    assert (disk.device, disk.capacity_bytes) == ("a1.v9", 256 * MiB)
    job = vm.jobs.create(
        "j0",
        disk="d0",
        iodepth=8,
        pattern="ZIPF",
        read_ratio=0,
        io_limit=100,
        block_sizes=[BlockSize(length_bytes=8192)],
    )
    assert (job.disk, job.pattern, job.state, job.trace_mode) == ("d0", "ZIPF", "RUNNING", None)
    assert [size.length_bytes for size in job.block_sizes] == [8192]
    assert stack.advance_until_idle().io_count == 100
    assert job.reload().state == "FINISHED"
    assert stack.statistics().io_count == stack.hypervisor.statistics().io_count == 100
    job.stop()
    for resource in (job, disk, vm):
        resource.delete()


def test_hardware_is_created_changed_and_taken_down(stack: Stack) -> None:
    array = stack.array("a1")
    assert array.controllers.create("c9", core_count=2).core_count == 2
    port = array.ports.create("p9", controller="c9", fabric="fabric-z", queue_limit=7)
    assert (port.controller, port.queue_limit, port.enabled) == ("c9", 7, True)
    assert port.update(queue_limit=None).queue_limit == 1638  # None: the default again
    pool = array.pools.create("p9", capacity_bytes=GiB, media_distribution="CONSTANT")
    assert (pool.media_distribution, pool.page_bytes) == ("CONSTANT", 16384)
    assert pool.update(capacity_bytes=2 * GiB).capacity_bytes == 2 * GiB
    host = array.hosts.create("h9", initiators=[Initiator(name="h9-a", fabric="fabric-a")])
    assert host.initiators[0].fabric == "fabric-a"
    for resource in (host, pool, port):
        resource.delete()
    array.controllers["c9"].delete()
    assert [port.id for port in array.ports] == ["p0", "p1", "p2", "p3"]


def test_a_port_goes_down_and_its_paths_die(stack: Stack) -> None:
    port = stack.array("a1").ports["p0"]
    paths = stack.multipath.hosts["h1"].devices["a1.v1"].paths
    assert not port.disable().enabled
    stack.advance(seconds=0.001)
    assert paths["h1-a.p0"].state == "DEAD"
    assert port.enable().enabled
    stack.advance(duration_ns=1_000_000)
    path = paths.get("h1-a.p0")
    assert path.state == "ACTIVE"
    assert path.disable().state == "DISABLED"
    assert path.update(relative_throughput=5, cpus=[1]).cpus == (1,)
    assert path.enable().state == "ACTIVE"


def test_a_device_takes_settings_and_gives_them_back(stack: Stack) -> None:
    stack.multipath.hosts.create("h9", initiators=["h9-a"], lun_queue_depth=5)
    assert stack.multipath.hosts["h9"].lun_queue_depth == 5
    rule = {"vendor": "AC*", "plugin": "VENDOR", "plugin_vendor": "ACME"}
    host = stack.multipath.hosts.create("h8", initiators=["h8-a"], claim_rules=[rule])
    assert [each.plugin_vendor for each in host.claim_rules] == ["ACME"]
    with pytest.raises(InvalidArgument, match="'OURS' is none of NATIVE, VENDOR"):
        stack.multipath.hosts.create("h7", initiators=["h7-a"], claim_rules=[{"plugin": "OURS"}])
    assert stack.array("a1").update(vendor="ACME").vendor == "ACME"
    device = stack.multipath.hosts["h1"].devices["a1.v1"]
    device.update(selector="FIXED", preferred_path="h1-b.p3", lun_queue_depth=3)
    assert (device.selector, device.preferred_path) == ("FIXED", "h1-b.p3")
    assert device.update(lun_queue_depth=None, selector=None).lun_queue_depth == 32
    assert device.selector == "ROUND_ROBIN"


def test_time_moves_by_seconds_nanoseconds_and_to_a_point(stack: Stack) -> None:
    assert stack.advance(seconds=0.1).now_ns == 100_000_000
    assert stack.advance(2).now_ns == 2_100_000_000
    assert stack.advance(duration_ns=5).now_ns == 2_100_000_005
    assert stack.advance(until_ns=3_000_000_000).now_ns == 3_000_000_000
    simulation = stack.array("a1").simulation()
    assert (simulation.name, simulation.driver) == ("arrays/a1", "multipaths/m1")
    with pytest.raises(TypeError, match="one of seconds"):
        stack.advance(seconds=1, until_ns=5)
    with pytest.raises(FailedPrecondition, match="multipaths/m1") as caught:
        stack.array("a1").advance(seconds=1)
    assert caught.value.reason == "DRIVEN"


def test_pages_come_in_the_size_asked_for(stack: Stack) -> None:
    volumes = stack.array("a1").volumes
    assert [[v.id for v in page] for page in volumes.pages(3)] == [["v1", "v2", "v3"], ["v4"]]
    assert all(volume.__dict__["capacity_bytes"] for page in volumes.pages() for volume in page)


def test_indexing_asks_nobody(stack: Stack) -> None:
    nobody = stack.hypervisor.hosts["nowhere"].vms["nobody"]
    assert nobody.jobs["j0"].name == "hosts/nowhere/vms/nobody/jobs/j0"
    with pytest.raises(NotFound, match="hosts/nowhere"):
        print(nobody.broker_ns)


def test_fields_are_what_they_were_until_reloaded(stack: Stack) -> None:
    array = stack.array("a1").reload()
    before = array.subscribed_bytes
    array.volumes.create("v9", pool="p1", capacity_bytes=GiB)
    assert array.subscribed_bytes == before
    assert array.reload().subscribed_bytes == before + GiB


def test_what_is_no_field_is_told(stack: Stack) -> None:
    volume = stack.array("a1").volumes["v1"]
    with pytest.raises(AttributeError, match="no attribute 'size'"):
        print(getattr(volume, "size"))  # noqa: B009
    with pytest.raises(AttributeError, match=r"update\(\)"):
        volume.capacity_bytes = GiB
    assert repr(volume) == "<Volume arrays/a1/volumes/v1>"
    assert "capacity_bytes=68719476736" in repr(volume.reload())
    assert repr(stack.array("a1").volumes) == "<Volumes arrays/a1/volumes>"


def test_a_trace_is_uploaded_and_replayed(stack: Stack, tmp_path: Path) -> None:
    records = [struct.pack("<IIIHHQQ", n, 4096, 1, 0x2A, 0x0100, 8 * n, 1000 + n) for n in range(3)]
    file = tmp_path / "three.vscsi"
    file.write_bytes(b"".join(records))
    trace = stack.hypervisor.traces.upload("t1", file)
    assert (trace.command_count, trace.write_bytes) == (3, 3 * 4096)
    assert stack.hypervisor.traces.upload("t2", b"".join(records), format="vscsi1").read_count == 0
    vm = stack.hypervisor.hosts["h1"].vms["v1"]
    job = vm.jobs.create("replay", disk="d0", trace="t1", trace_mode="CLOSED")
    assert (job.trace, job.trace_mode, job.time_scale) == ("t1", "CLOSED", 1.0)
    assert stack.advance_until_idle(limit_ns=10**10).io_count >= 3


def test_io_by_hand_tells_how_it_went(stack: Stack) -> None:
    disk = stack.hypervisor.hosts["h1"].vms["v1"].disks["d0"]
    with pytest.raises(FailedPrecondition) as caught:
        disk.write(4096)
    assert caught.value.reason == "CLOCK_STOPPED"
    stack.hypervisor.hosts["h1"].vms["v1"].jobs.create("load", disk="d0")
    runner = threading.Thread(target=stack.advance, args=(4,))
    runner.start()
    try:
        while not stack.simulation().now_ns:
            pass
        assert disk.write(8192, offset_bytes=MiB).succeeded
        assert disk.read(512).latency_ns > 0
    finally:
        runner.join()


def test_a_pool_is_filled_without_waiting_for_it(stack: Stack) -> None:
    pool = stack.array("a1").pools["p1"]
    pool.fill(0.1)
    assert pool.allocated_bytes == pool.capacity_bytes // 10 // pool.page_bytes * pool.page_bytes
    pool.fill(0.2, volume="v2")
    assert stack.array("a1").volumes["v2"].allocated_bytes >= pool.capacity_bytes // 10
    vm = stack.hypervisor.hosts["h1"].vms["v1"]
    vm.jobs.create("writer", disk="d0", read_ratio=0, iodepth=32)
    stack.advance_until_full(pool, 0.2001)
    assert 0.2001 <= pool.reload().allocated_bytes / pool.capacity_bytes < 0.2002


def test_a_fault_is_injected_seen_and_cleared(stack: Stack) -> None:
    array = stack.array("a1")
    assert "PORT_DOWN" in [kind.name for kind in array.faults.kinds()]
    fault = array.faults.inject("PORT_DOWN", array.ports["p0"], duration_ns=10**9)
    assert (fault.name, fault.kind) == ("arrays/a1/faults/port-down-1", "PORT_DOWN")
    assert fault.target == "arrays/a1/ports/p0"
    named = array.faults.inject("PORT_DOWN", "arrays/a1/ports/p1", "later", start_ns=10**10)
    assert (named.id, named.state) == ("later", "PENDING")
    stack.advance(seconds=0.1)
    assert [f.state for f in array.faults] == ["PENDING", "ACTIVE"]
    path = stack.multipath.hosts["h1"].devices["a1.v1"].paths["h1-a.p0"]
    assert path.state == "DEAD"
    assert fault.clear().state == "ENDED"
    stack.advance(seconds=0.1)
    assert path.reload().state == "ACTIVE"
    assert "port-down-1" not in array.faults


def test_the_clock_is_set_and_the_stack_goes_back_to_its_start(stack: Stack) -> None:
    assert stack.set_clock(autojump=True).autojump
    stack.array("a1").volumes["v1"].update(capacity_bytes=65 * GiB)
    stack.advance(seconds=1)
    started = stack.reset(seed=7)
    assert (started.now_ns, started.seed) == (0, 7)
    assert stack.array("a1").volumes["v1"].capacity_bytes == 64 * GiB
