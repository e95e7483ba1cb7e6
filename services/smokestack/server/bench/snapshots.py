"""A large stack's snapshot, and its fork: what a test pays to try two futures of one past.

In one process; every VM has a volume of its own with four paths, so that no row is shared.
"""

from __future__ import annotations

from typing import Any, Final

from smokestack.engine.clock import Stopwatch

from ..snapshots import Kept, taken
from ..stack import Stack
from .stacks import Load, scenario

VMS: Final = 1_000
_WARM_NS: Final = 100_000_000
_MS: Final = 1_000


def run(vms: int = VMS, warm_ns: int = _WARM_NS, turns: int = 5) -> dict[str, Any]:
    """Measures the best of some turns: others can only slow one down."""
    load = Load(vms=vms, depth=8, disks=64, volumes=vms)
    with Stack(scenario(load)) as stack:
        driver = stack.hypervisor.model
        driver.advance(warm_ns)
        snapshot_ms, fork_ms, restore_ms = [], [], []
        for _ in range(turns):
            with Stopwatch() as watch:
                kept = taken(driver)
            snapshot_ms.append(watch.elapsed_seconds * _MS)
            with Stopwatch() as watch, stack.fork() as fork:
                fork_ms.append(watch.elapsed_seconds * _MS)
                same = fork.hypervisor.model.digest() == driver.digest()
            with Stopwatch() as watch:
                driver.restore(kept.pieces)
            restore_ms.append(watch.elapsed_seconds * _MS)
        with Stopwatch() as watch:
            file = kept.file()
        file_ms = watch.elapsed_seconds * _MS
        with Stopwatch() as watch:
            driver.restore(Kept.of_file(file).pieces)
        return {
            "vms": vms,
            "outstanding_ios": load.outstanding,
            "same_digest": same,
            "snapshot_ms": min(snapshot_ms),
            "fork_ms": min(fork_ms),
            "restore_ms": min(restore_ms),
            "snapshot_bytes": kept.size_bytes,
            "file_bytes": len(file),
            "export_ms": file_ms,
            "import_and_restore_ms": watch.elapsed_seconds * _MS,
        }
