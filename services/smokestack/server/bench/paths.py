"""Shows what 100,000 paths cost in one process: memory, scrapes, and I/O while it is scraped.

Built through the public API's code, with I/O on every path.  It runs in a process of its own, so
that the memory is its own; a scrape is read as it is written, as HTTP would.  "Held" is how long a
scrape keeps windows from running, at most.
"""

from __future__ import annotations

import multiprocessing
import resource
import threading
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from smokestack.array.collector import ArrayCollector
from smokestack.engine.clock import Stopwatch
from smokestack.hypervisor.collector import HypervisorCollector
from smokestack.multipath.collector import MultipathCollector
from smokestack.v1 import multipath_pb2, scenario_pb2

from ..exporter import Exporter
from ..stack import Stack
from .scrape import MeteredBorder
from .stacks import Turn, add_array, turn, warm

_GIB: Final = 1 << 30
_FABRICS: Final = ("a", "b")
_PORTS: Final = 4  # half on each fabric: so many paths has a device
_VM_DISKS: Final = 50
_STEP_NS: Final = 1_000_000


@dataclass(frozen=True)
class Size:
    """So many hosts, each with devices of its own, and I/Os outstanding on each device."""

    hosts: int = 50
    devices: int = 500
    depth: int = 4
    warm_ns: int = 10_000_000
    ios: int = 2_000_000

    @property
    def paths(self) -> int:
        """Paths in all."""
        return self.hosts * self.devices * _PORTS


def run(size: Size = Size()) -> dict[str, Any]:
    """Returns the figures of such a stack, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(_measured, size).result()


def _measured(size: Size) -> dict[str, Any]:
    with Stopwatch() as building:
        stack = Stack(_scenario(size))
    with stack:
        found: dict[str, Any] = {
            "paths": size.paths,
            "build_seconds": round(building.elapsed_seconds, 1),
            "built_rss_mib": _rss_mib(),
        }
        warm(stack.api, size.warm_ns)
        found["busy_paths"] = int((stack.multipath.model.state.used("path")["ios"] > 0).sum())
        found["rss_mib"] = _rss_mib()
        found |= _scraped(stack, size, "")
        stack.api.multipath.UpdateMultipath(
            multipath_pb2.UpdateMultipathRequest(
                multipath=multipath_pb2.Multipath(name="multipaths/m1", probing=True)
            )
        )
        warm(stack.api, size.warm_ns)
        found["probed_rss_mib"] = _rss_mib()
        found |= _scraped(stack, size, "probed_")
    found["peak_rss_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    return found


def _scraped(stack: Stack, size: Size, prefix: str) -> dict[str, Any]:
    """Compares I/O alone with I/O beside a scrape that follows upon the other."""
    border = MeteredBorder(stack.border)
    exporter = Exporter(
        [
            HypervisorCollector(stack.hypervisor.model, border),
            MultipathCollector(stack.multipath.model, border),
            *(ArrayCollector(array.model, border) for array in stack.arrays.values()),
        ]
    )
    try:
        with Stopwatch() as first:
            series, count = _read(exporter)
        first_held_ns, border.held_ns = border.held_ns, 0
        with Stopwatch() as alone:
            _read(exporter)
        before = _rate(turn(stack.api, size.ios, _STEP_NS))
        with _Scraper(exporter) as scraper:
            beside = _rate(turn(stack.api, size.ios, _STEP_NS))
    finally:
        exporter.close()
    figures = {
        "series": series,
        "bytes": count,
        "first_scrape_ms": round(first.elapsed_ns / 1e6),
        "first_held_ms": round(first_held_ns / 1e6, 1),
        "scrape_ms": round(alone.elapsed_ns / 1e6),
        "held_ms": round(border.held_ns / 1e6, 1),
        "ios_per_wall_second": round(before),
        "scraped_ios_per_wall_second": round(beside),
        "scraped_ratio": round(beside / before, 2),
        "scrapes_beside": scraper.count,
    }
    return {f"{prefix}{name}": value for name, value in figures.items()}


class _Scraper(threading.Thread):
    """Scrapes without end, in a thread as the exporter's own."""

    def __init__(self, exporter: Exporter) -> None:
        super().__init__(daemon=True)
        self.count = 0
        self._exporter = exporter
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            for _ in self._exporter.stream():
                if self._over.is_set():
                    return
            self.count += 1

    def __enter__(self) -> _Scraper:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self.join()


def _read(exporter: Exporter) -> tuple[int, int]:
    """Returns how many lines and bytes a scrape has; it is read piece by piece."""
    lines = count = 0
    for piece in exporter.stream():
        lines, count = lines + piece.count(b"\n"), count + len(piece)
    return lines, count


def _rate(found: Turn) -> float:
    return found.ios / found.seconds


def _rss_mib() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() >> 20


def _scenario(size: Size) -> scenario_pb2.Scenario:
    found = scenario_pb2.Scenario(seed=1, fabrics=_FABRICS)
    disks = min(size.paths, 1 << 16)
    array = add_array(found, ports=_PORTS, disks=disks, capacity_bytes=1 << 50)
    for number in range(size.hosts):
        host = found.hosts.add(
            name=f"h{number}",
            lun_queue_depth=64,
            adapter_queue_depth=65_536,
            ios_per_path=1,
        )
        for fabric in _FABRICS:
            host.initiators.add(name=f"h{number}-{fabric}", fabric=fabric)
        for lun in range(size.devices):
            volume = f"v{number}-{lun}"
            array.volumes.add(name=volume, pool="p1", capacity_bytes=_GIB)
            array.exports.add(volume=volume, host=host.name)
            if lun % _VM_DISKS == 0:
                vm = host.vms.add(name=f"h{number}-v{lun // _VM_DISKS}")
            disk = f"d{lun % _VM_DISKS}"
            vm.disks.add(name=disk, device=f"a1.{volume}")
            vm.jobs.add(name=disk, disk=disk, iodepth=size.depth, read_ratio=0.7)
    return found
