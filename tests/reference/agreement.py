"""Where the stack and its plain-Python reference part: in records, times, paths and space.

Both are built from one description and run to one time; the stack's run may be cut at will.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hypothesis import reject

from smokestack.array.model import ArrayModel
from smokestack.array.state import BLOCK_NUMBER_BITS
from smokestack.engine.errors import FailedPrecondition
from smokestack.engine.records import Op
from smokestack.multipath.specs import PathState
from tests.reference.array import Array
from tests.reference.build import Models, build_models, build_reference
from tests.reference.config import StackConfig
from tests.reference.digest import Completion
from tests.reference.generate import Scenario
from tests.reference.world import World

Compared = tuple[str, Any, Any]  # what, in the reference, and in the models


def first_difference(
    reference: list[Completion], models: list[Completion]
) -> tuple[Any, Any] | None:
    """What two runs have at the first place where they part, with that place."""
    for place in range(max(len(reference), len(models))):
        there, here = ((place, *run[place : place + 1]) for run in (reference, models))
        if there != here:
            return there, here
    return None


def differences(
    config: StackConfig, until_ns: int, cuts: tuple[int, ...] = ()
) -> dict[str, tuple[Any, Any]]:
    """Runs both to a time, the models in pieces: what the reference has, and what they have."""
    config = replace(config, changes=tuple(c for c in config.changes if c.at_ns < until_ns))
    reference, models = build_reference(config), build_models(config)
    reference.run(until_ns)
    for time in (*cuts, until_ns):
        models.run(time)
    place = first_difference(reference.completions, models.completions)
    if place is not None:
        return {"completions": place}
    compared = itertools.chain(flow(reference, models), space(reference, models, until_ns))
    return {what: (there, here) for what, there, here in compared if there != here}


def differences_on(scenario: Scenario, cuts: tuple[int, ...]) -> dict[str, tuple[Any, Any]]:
    """The same, unless a change turns out to be none: who clones cannot know what went stale."""
    try:
        return differences(scenario.stack, scenario.until_ns, cuts)
    except FailedPrecondition as refused:
        assert refused.reason == "SNAPSHOT_STALE"
        reject()


def flow(reference: World, models: Models) -> Iterator[Compared]:
    """What has become of I/O and paths."""
    yield "digest", reference.digest(), models.digest()
    yield "times", times_of_reference(reference), times_of_models(models)
    yield "dead paths", dead_in_reference(reference), dead_in_models(models)
    waits = [(len(w), sum(w)) for w in reference.hypervisor.waits]
    yield "waits", waits, waits_of_models(models)
    yield "recoveries", recoveries_of_reference(reference), recoveries_of_models(models)


def times_of_reference(world: World) -> dict[tuple[int, int], tuple[int, ...]]:
    """Where the time of the I/Os of each (device, VM) went; guests' measured for itself."""
    return {
        (device.index, vm): (t.ios, t.guest_ns, t.device_ns, t.kernel_ns, t.queue_ns)
        for device in world.multipath.all_devices()
        for vm, t in device.times.items()
    }


def times_of_models(models: Models) -> dict[tuple[int, int], tuple[int, ...]]:
    """The same of the kernel's worlds, whose guests' time is the sum of its parts."""
    state = models.multipath.state
    paths = state.used("path")
    assert (paths["guest_ns"] == paths["device_ns"] + paths["kernel_ns"]).all()
    return {
        (int(w["device"]), int(w["vm"])): (
            int(w["ios"]),
            int(w["device_ns"] + w["kernel_ns"]),
            *(int(w[part]) for part in ("device_ns", "kernel_ns", "queue_ns")),
        )
        for w in state["world"][1 : state.row["world_count"]]
        if w["ios"]
    }


def waits_of_models(models: Models) -> list[tuple[int, int]]:
    """How many commands of each disk waited in the guest, and how long in all."""
    rows = models.hypervisor.state.used("wait")
    return [(int(row["count"]), int(row["sum"])) for row in rows]


def recoveries_of_reference(world: World) -> list[tuple[int, ...]]:
    """What each device did about commands that were not answered, and how often."""
    return [
        (
            d.timed_out,
            d.aborts,
            d.unanswered,
            d.resets - d.target_resets,
            d.target_resets,
            d.given_up,
        )
        for d in world.multipath.all_devices()
    ]


def recoveries_of_models(models: Models) -> list[tuple[int, ...]]:
    """The same of the kernel's tables."""
    state = models.multipath.state
    counts = ("aborts", "unanswered", "lun_resets", "target_resets", "given_up")
    return [
        (int(device["timed_out"]), *(int(row[count]) for count in counts))
        for device, row in zip(state.used("device"), state["recovery"], strict=False)
    ]


def dead_in_reference(world: World) -> set[tuple[str, str, str]]:
    """The paths that hosts take for dead."""
    return {
        (*key, path.name)
        for key, device in world.multipath.devices.items()
        for path in device.paths
        if path.dead
    }


def dead_in_models(models: Models) -> set[tuple[str, str, str]]:
    """The same of the kernel's rows."""
    state = models.multipath.state["path"]["state"]
    return {
        (device.host_id, device.name, path.name)
        for device in models.multipath.all_devices()
        for path in device.paths.values()
        if state[path.row] == PathState.DEAD
    }


def space(reference: World, models: Models, until_ns: int) -> Iterator[Compared]:
    """What pools and volumes hold, where each array stands: a latency ahead of hosts."""
    for there in sorted(reference.arrays.values(), key=lambda array: array.forward_ns):
        if models.links[there.array_id].broken:
            continue
        reference.run(until_ns + there.forward_ns)
        here = models.arrays[there.array_id]
        groups = [there.drives, *there.groups.values()]
        yield "free raw space", sum(group.free or 0 for group in groups), here.drives.free_bytes
        for controller_id, controller in there.controllers.items():
            size = len(controller.reads.ring) * controller.spec.read_cache_block_bytes
            usage = here.controller_usage(controller_id)
            yield f"{controller_id} read cache", size, usage.read_cached_bytes
            yield f"{controller_id} dirty", controller.dirty, usage.dirty_bytes
            yield f"{controller_id} flushes", controller.flushes, usage.cache_flush_count
        for pool_id in there.pools:
            yield f"pool {pool_id}", *pool_of(there, here, pool_id)
        for snapshot_id, snapshot in there.snapshots.items():
            yield f"{snapshot_id} stale", snapshot.stale, here.is_stale(snapshot_id)
        for volume_id in there.volumes:
            yield f"volume {volume_id}", *volume_of(there, here, volume_id)
            yield f"unit {volume_id}", *unit_of(there, here, volume_id)
        for collection, those in (("volumes", there.volumes), ("snapshots", there.snapshots)):
            for name, volume in those.items():
                yield f"blocks {name}", volume.values, values(here, here.row_of(collection, name))


def pool_of(
    reference: Array, model: ArrayModel, pool_id: str
) -> tuple[dict[str, int], dict[str, int]]:
    """What a pool has handed out, in both."""
    pool, usage = reference.pools[pool_id], model.pool_usage(pool_id)
    page = pool.spec.page_bytes
    kept = [v.pages.values() for v in reference.snapshots.values() if v.pool is pool]
    used = [v.pages.values() for v in reference.volumes.values() if v.pool is pool]
    there = {
        "written": pool.allocated * page,
        "room": pool.room * page,
        "snapshots": len(set().union(*kept) - set().union(*used)) * page,
        "grown": pool.grown * page if pool.spec.growth_bytes else usage.grown_bytes,
        "failures": pool.failures,
        "warnings": pool.warnings,
        "growths": pool.growths,
    }
    here = {
        "written": usage.allocated_bytes - usage.unwritten_bytes,
        "room": usage.reserved_bytes + usage.unwritten_bytes,
        "snapshots": usage.snapshot_bytes,
        "grown": usage.grown_bytes,
        "failures": usage.allocation_failure_count,
        "warnings": usage.warning_count,
        "growths": usage.growth_count,
    }
    return there, here


def volume_of(
    reference: Array, model: ArrayModel, volume_id: str
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Whether a volume is there, its pages, and who has registered with it, in both."""
    volume, held = reference.volumes[volume_id], model.volume_usage(volume_id)
    page = volume.pool.spec.page_bytes
    unwritten = volume.room * page if volume.full else 0
    told, reserved = volume.reservation, model.reservations.of(volume_id)
    return (
        (volume.offline, len(volume.pages) * page, unwritten),
        (told.keys, told.kind, told.generation, told.aptpl),
    ), (
        (
            model.is_offline(volume_id),
            held.allocated_bytes - held.unwritten_bytes,
            held.unwritten_bytes,
        ),
        (dict(reserved.keys), reserved.kind, reserved.generation, reserved.aptpl),
    )


def unit_of(
    reference: Array, model: ArrayModel, volume_id: str
) -> tuple[dict[str, int], dict[str, int]]:
    """What hosts have done to a volume besides reading and writing, in both."""
    volume, unit = reference.volumes[volume_id], model.unit_usage(volume_id)
    page, counts = volume.pool.spec.page_bytes, volume.counts
    there = {
        "unmap_count": counts[Op.UNMAP],
        "unmapped_bytes": counts["unmapped"] * page,
        "write_same_count": counts[Op.WRITE_SAME],
        "copy_count": counts[Op.COPY],
        "copied_bytes": counts["copied"],
        "zero_write_count": counts["zero writes"],
        "zero_bytes": counts["zero pages"] * page,
        "compare_and_write_count": counts[Op.COMPARE_AND_WRITE],
        "miscompare_count": counts["miscompares"],
    }
    return there, {name: getattr(unit, name) for name in there}


def values(array: ArrayModel, row: int) -> dict[int, int]:
    """The values that blocks of a volume or a snapshot have."""
    table = array.state["block"]
    mine = table[table["key"] >> BLOCK_NUMBER_BITS == row + 1]
    return {
        int(block["key"]) & (1 << BLOCK_NUMBER_BITS) - 1: int(block["physical"]) for block in mine
    }
