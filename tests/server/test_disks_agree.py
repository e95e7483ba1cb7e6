"""What comes to disks, from pools that share them and from caches, and the reference: to the last
record."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from smokestack.array.specs import DriveGroupSpec, ExportSpec, MediaDistribution, VolumeSpec
from smokestack.engine.fault_rules import FaultRule
from smokestack.engine.jobplan import Pattern
from tests.reference.agreement import differences
from tests.reference.build import build_reference
from tests.reference.config import (
    Change,
    ControllerEnabled,
    ControllerRebooted,
    FaultInjected,
    StackConfig,
)
from tests.reference.samples import PAGE, array, job, port, stack

UNTIL_NS = 4_000_000
CUTS = tuple(range(7_000, UNTIL_NS, 7_000))


def neighbours(groups: str, disks: tuple[int, int], sequential_ns: int | None) -> StackConfig:
    """Two pools, one volume each, and a job for each that misses every cache."""
    plain = array(read_hit_ratio=0.0, write_back=False)
    pools = tuple(
        replace(
            plain.pools[0],
            pool_id=f"q{n}",
            disk_count=count,
            drive_group=group,
            media_sequential_ns=sequential_ns if n else None,
            media_distribution=MediaDistribution(1 + n),
        )
        for n, (group, count) in enumerate(zip(groups, disks, strict=True))
    )
    config = replace(
        plain,
        drive_groups=tuple(DriveGroupSpec(name, 8, 1 << 30) for name in sorted(set(groups))),
        pools=pools,
        volumes=tuple(VolumeSpec(f"v{n}", f"q{n}", 64 * PAGE) for n in (0, 1)),
        exports=tuple(ExportSpec(f"v{n}", "h1", n) for n in (0, 1)),
    )
    jobs = (
        job("j0", slots=5, pattern=Pattern.RANDOM),
        job("j1", disk_id="d1", slots=2),
    )
    return stack(*jobs, arrays=(config,), devices=("a1.v0", "a1.v1"))


@pytest.mark.parametrize("sequential_ns", [None, 20_000])
@pytest.mark.parametrize("disks", [(2, 2), (1, 3), (3, 1)])
@pytest.mark.parametrize("groups", ["gg", "gh"])
def test_pools_on_shared_disks_agree(
    groups: str, disks: tuple[int, int], sequential_ns: int | None
) -> None:
    config = neighbours(groups, disks, sequential_ns)
    assert not differences(config, UNTIL_NS)
    assert not differences(config, UNTIL_NS, CUTS)


def marked(disks: int, **second: Any) -> StackConfig:
    """A pair of controllers with small write caches that have marks, readers and writers."""
    plain = array(ports=(port(), port("p1", controller_id="c1", fabric="fb")), read_hit_ratio=0.0)
    marks = {"cache_bytes": 6 * PAGE, "cache_low_water_ratio": 0.2, "cache_high_water_ratio": 0.5}
    first = replace(plain.controllers[0], mirror_ns=2_000, reboot_ns=300_000, **marks)
    config = replace(
        plain,
        controllers=(
            first,
            replace(first, **{"controller_id": "c1", "partner": "c0", **second}),
        ),
        pools=(replace(plain.pools[0], disk_count=disks, media_sequential_ns=30_000),),
    )
    jobs = (
        job("j0", slots=6, pattern=Pattern.RANDOM, think_ns=20_000),
        job("j1", slots=2, pattern=Pattern.RANDOM, think_ns=20_000),
        job("j2", slots=2, pattern=Pattern.RANDOM, read_always=True, think_ns=50_000),
    )
    return stack(*jobs, arrays=(config,), ios_per_path=3)


LOSSES: dict[str, tuple[Change, ...]] = {
    "nothing": (),
    "controller": (ControllerRebooted(1_500_000, "a1", "c0"),),
    "both": (
        ControllerEnabled(1_500_000, "a1", "c1", False),
        ControllerRebooted(1_900_000, "a1", "c0"),
        ControllerEnabled(2_300_000, "a1", "c1", True),
    ),
    "slow": (
        FaultInjected(
            900_000,
            "arrays/a1",
            FaultRule("MEDIA_SLOW", "arrays/a1/pools/*", fault_id="f", factor_per_mille=7_000),
        ),
    ),
}


@pytest.mark.parametrize("losses", LOSSES)
@pytest.mark.parametrize(
    ("disks", "second"), [(2, {}), (7, {"cache_high_water_ratio": 0.9}), (4, {"write_back": False})]
)
def test_caches_with_marks_agree(losses: str, disks: int, second: dict[str, Any]) -> None:
    config = replace(marked(disks, **second), changes=LOSSES[losses])
    assert not differences(config, UNTIL_NS)
    assert not differences(config, UNTIL_NS, CUTS)
    world = build_reference(config)
    world.run(UNTIL_NS)
    (there,) = world.arrays.values()
    assert there.controllers["c0"].flushes > 0
