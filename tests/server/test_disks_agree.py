"""What pools share of disks, and the plain-Python reference: to the last record."""

from __future__ import annotations

from dataclasses import replace

import pytest

from smokestack.array.specs import DriveGroupSpec, ExportSpec, MediaDistribution, VolumeSpec
from smokestack.engine.jobplan import Pattern
from tests.reference.agreement import differences
from tests.reference.config import StackConfig
from tests.reference.samples import PAGE, array, job, stack

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
