"""Copies within an array, and the plain-Python reference: to the last record, however it is cut."""

from __future__ import annotations

from dataclasses import replace

import pytest

from smokestack.array.specs import ControllerSpec
from smokestack.engine.fault_rules import FaultRule
from smokestack.engine.records import COPY_UNIT_BYTES, Op, Status
from tests.reference.agreement import differences
from tests.reference.build import build_reference
from tests.reference.config import (
    Change,
    ControllerRebooted,
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


@pytest.mark.parametrize("losses", LOSSES, ids=["nothing", "controller", "link", "media"])
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
