"""Copies within an array, and the plain-Python reference: to the last record, however it is cut."""

from __future__ import annotations

from dataclasses import replace

import pytest

from smokestack.array.specs import ControllerSpec, ExportSpec, VolumeSpec, ZeroDetect
from smokestack.engine.fault_rules import FaultRule
from smokestack.engine.jobplan import Pattern
from smokestack.engine.records import (
    BLOCK_BYTES,
    COPY_UNIT_BYTES,
    Op,
    Sense,
    Status,
    compared,
)
from tests.reference.agreement import differences
from tests.reference.build import build_reference
from tests.reference.config import (
    Change,
    ControllerRebooted,
    ExportDeleted,
    FaultInjected,
    PortEnabled,
    StackConfig,
)
from tests.reference.samples import PAGE, array, job, port, stack

UNTIL_NS = 3_000_000
BAD = FaultRule("MEDIA_ERROR", "arrays/a1/pools/*", fault_id="f", probability=0.5)
LOSSES = (
    (),
    (ControllerRebooted(700_000, "a1", "c0"),),
    (PortEnabled(700_000, "a1", "p0", False), PortEnabled(900_000, "a1", "p0", True)),
    (FaultInjected(500_000, "arrays/a1", BAD),),
)
NAMES = ["nothing", "controller", "link", "media"]
HIDDEN = (ExportDeleted(1_000_000, "a1", "v1", "h1"),)
DISK = ("h1", "v1", "d0")


def copying(losses: tuple[Change, ...], *, back: bool) -> StackConfig:
    """Two jobs: one writes a volume's front, and one copies that to its second MiB."""
    plain = array(ports=(port(), port("p1", controller_id="c1", partner="p0")), read_hit_ratio=0.0)
    first = replace(plain.controllers[0], write_back=back, reboot_ns=400_000)
    volume = replace(plain.volumes[0], capacity_bytes=4 * COPY_UNIT_BYTES)
    config = replace(
        plain,
        controllers=(first, ControllerSpec("c1", partner="c0", read_hit_ratio=0.0)),
        volumes=(volume,),
    )
    copies = job(
        "j1",
        slots=3,
        write_op=int(Op.COPY),
        region_offset_bytes=COPY_UNIT_BYTES,
        region_bytes=8 * PAGE,
    )
    writes = job(region_bytes=8 * PAGE, think_ns=50_000)
    return stack(writes, copies, arrays=(config,), changes=losses)


def between(losses: tuple[Change, ...], detect: ZeroDetect) -> StackConfig:
    """A VM locks and writes v1, which others copy to v2 and from there to v3, of larger pages."""
    plain = copying((), back=False).arrays[0]
    pools = (
        *plain.pools,
        replace(plain.pools[0], pool_id="q", page_bytes=3 * PAGE, capacity_bytes=999 * PAGE),
    )
    size = 4 * COPY_UNIT_BYTES
    volumes = [
        VolumeSpec(name, "q" if name == "v3" else "pool", size, zero_detect=detect)
        for name in ("v1", "v2", "v3")
    ]
    exports = tuple(ExportSpec(volume.volume_id, "h1", n) for n, volume in enumerate(volumes))
    config = replace(plain, pools=pools, volumes=tuple(volumes), exports=exports)
    size = 8 * PAGE
    locks = job(
        "j1",
        slots=3,
        write_op=int(Op.COMPARE_AND_WRITE),
        write_flags=compared(0, 5),
        block_sizes=((BLOCK_BYTES, 1 << 32),),
        pattern=Pattern.RANDOM,
        region_bytes=size,
        think_ns=30_000,
        error_backoff_ns=30_000,
    )
    writes = job(pattern=Pattern.RANDOM, region_bytes=size, think_ns=400_000, io_limit=3)
    first = job("j2", disk_id="d1", write_op=int(Op.COPY), copy_source_disk=DISK, region_bytes=size)
    second = replace(
        first,
        disk_id="d2",
        job_id="j3",
        copy_source_disk=(*DISK[:2], "d1"),
        block_sizes=((size, 1 << 32),),
        region_offset_bytes=COPY_UNIT_BYTES,
    )
    devices = ("a1.v1", "a1.v2", "a1.v3")
    return stack(
        writes, locks, first, second, arrays=(config,), devices=devices, changes=losses, depth=2
    )


@pytest.mark.parametrize("losses", [*LOSSES, HIDDEN], ids=[*NAMES, "hidden"])
@pytest.mark.parametrize("detect", ZeroDetect)
def test_copies_between_volumes_agree(losses: tuple[Change, ...], detect: ZeroDetect) -> None:
    config = between(losses, detect)
    assert not differences(config, UNTIL_NS)
    assert not differences(config, UNTIL_NS, tuple(range(7_000, UNTIL_NS, 7_000)))
    world = build_reference(config)
    world.run(UNTIL_NS)
    (there,) = world.arrays.values()
    assert there.volumes["v2"].counts[Op.COPY] > 4
    assert there.volumes["v3"].counts[Op.COPY] > 4
    senses = {record.sense for record in world.completions}
    assert (Sense.COPY_UNREACHABLE in senses) == (losses is HIDDEN)
    assert there.volumes["v2"].values or losses is HIDDEN


@pytest.mark.parametrize("losses", LOSSES, ids=NAMES)
@pytest.mark.parametrize("back", [True, False], ids=["cache", "media"])
def test_copies_agree_through_losses_and_cuts(losses: tuple[Change, ...], back: bool) -> None:
    config = copying(losses, back=back)
    assert not differences(config, UNTIL_NS)
    assert not differences(config, UNTIL_NS, tuple(range(7_000, UNTIL_NS, 7_000)))
    world = build_reference(config)
    world.run(UNTIL_NS)
    (there,) = world.arrays.values()
    assert there.volumes["v1"].counts[Op.COPY] > 8
    assert all(record.status == Status.GOOD for record in world.completions[:10])
