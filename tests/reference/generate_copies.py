"""Hypothesis strategies for snapshots and clones, and for hosts that use the clones."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st

from smokestack.array.specs import ArrayHostSpec, ExportSpec, Provisioning, VolumeSpec
from smokestack.engine.jobplan import Pattern
from smokestack.hypervisor.specs import DiskSpec
from smokestack.workload import JobSpec, compile_job
from tests.reference.config import (
    ArrayConfig,
    Change,
    DiskCreated,
    ExportCreated,
    JobStarted,
    Rescanned,
    SnapshotCreated,
    SnapshotDeleted,
    VolumeCreated,
    VolumeDeleted,
)


@dataclass
class Copies:
    """What an array has that can be copied, as far as it has been drawn."""

    array: ArrayConfig
    made: int = 0
    volumes: dict[str, int] = field(default_factory=dict)  # identifier → bytes
    pools: dict[str, str] = field(default_factory=dict)  # of volumes and snapshots
    snapshots: dict[str, tuple[str, int]] = field(default_factory=dict)  # → volume, bytes
    unused: list[str] = field(default_factory=list)  # clones that no host has seen

    def __post_init__(self) -> None:
        self.volumes = {v.volume_id: v.capacity_bytes for v in self.array.volumes}
        self.pools = {v.volume_id: v.pool_id for v in self.array.volumes}

    def name(self, letter: str) -> str:
        """Returns an identifier that nothing has."""
        self.made += 1
        return f"{letter}{self.made}"


@st.composite
def copy_changes(
    draw: st.DrawFn, copies: Copies, hosts: tuple[ArrayHostSpec, ...], time: int
) -> list[Change]:
    """Draws a snapshot or a clone that is made or removed, or a host that begins to use one."""
    array_id = copies.array.array_id
    what = draw(
        st.sampled_from(["snapshot", "snapshot", "clone", "use", "use", "free", "delete", "thick"])
    )
    made: list[Change] = []  # what is to be removed may have to be made first
    if what == "snapshot" or (what == "free" and not copies.snapshots):
        volume = draw(st.sampled_from(sorted(copies.volumes)))
        name = copies.name("s")
        copies.snapshots[name] = (volume, copies.volumes[volume])
        copies.pools[name] = copies.pools[volume]
        made = [SnapshotCreated(time, array_id, name, volume)]
    if what == "snapshot":
        return made
    if what == "free":
        name = draw(st.sampled_from(sorted(copies.snapshots)))
        del copies.snapshots[name]
        return [*made, SnapshotDeleted(time, array_id, name)]
    if what == "thick":
        return [VolumeCreated(time, array_id, draw(_thick(copies)))]
    kept = {volume for volume, _ in copies.snapshots.values()}
    free = [name for name in copies.unused if name not in kept]
    if what != "delete" or not free:
        clone = draw(_clone(copies))
        made = [VolumeCreated(time, array_id, clone)]
        if what == "use":
            host = draw(st.sampled_from(hosts)).host_id
            return [*made, *draw(_use(copies, host, clone.volume_id, time))]
        copies.unused.append(clone.volume_id)
        free.append(clone.volume_id)
    if what == "clone":
        return made
    name = draw(st.sampled_from(free))
    copies.unused.remove(name)
    copies.volumes.pop(name, None)
    return [*made, VolumeDeleted(time, array_id, name)]


@st.composite
def _thick(draw: st.DrawFn, copies: Copies) -> VolumeSpec:
    """A volume that is refused when its pool lacks the pages: nobody uses it, but it may go."""
    pool = draw(st.sampled_from(copies.array.pools))
    size = pool.page_bytes * draw(st.integers(1, 12)) - 512 * draw(st.sampled_from([0, 3]))
    name = copies.name("t")
    copies.unused.append(name)
    kind = draw(st.sampled_from([Provisioning.THICK, Provisioning.FULL]))
    return VolumeSpec(name, pool.pool_id, size, provisioning=kind)


@st.composite
def _clone(draw: st.DrawFn, copies: Copies) -> VolumeSpec:
    source = draw(st.sampled_from([*sorted(copies.volumes), *sorted(copies.snapshots)]))
    is_snapshot = source in copies.snapshots
    least = copies.snapshots[source][1] if is_snapshot else copies.volumes[source]
    clone = VolumeSpec(
        copies.name("w"),
        copies.pools[source],
        least + 512 * draw(st.sampled_from([0, 0, 100])),
        source_volume="" if is_snapshot else source,
        source_snapshot=source if is_snapshot else "",
    )
    copies.volumes[clone.volume_id] = clone.capacity_bytes
    copies.pools[clone.volume_id] = clone.pool_id
    return clone


@st.composite
def _use(draw: st.DrawFn, copies: Copies, host: str, volume: str, time: int) -> list[Change]:
    """A clone is shown to a host, whose first VM gets a disk on it, and a job."""
    array_id = copies.array.array_id
    disk, job = f"x-{array_id}-{copies.made}", f"y-{array_id}-{copies.made}"
    spec = JobSpec(
        host_id=host,
        vm_id="m0",
        disk_id=disk,
        job_id=job,
        pattern=draw(st.sampled_from(Pattern)),
        read_ratio=draw(st.sampled_from([0.0, 0.5])),
        iodepth=draw(st.sampled_from([1, 4])),
        io_limit=draw(st.sampled_from([5, 40])),
        block_sizes=draw(st.sampled_from([((4096, 1),), ((512, 1), (12288, 1))])),
    )
    return [
        ExportCreated(time, array_id, ExportSpec(volume, host, lun=1_000 + copies.made)),
        Rescanned(time, host),
        DiskCreated(time, DiskSpec(host, "m0", disk, f"{array_id}.{volume}")),
        JobStarted(time, compile_job(spec, f"hosts/{host}/vms/m0/jobs/{job}")),
    ]
