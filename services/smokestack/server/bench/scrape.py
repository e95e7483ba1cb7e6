"""Shows what a scrape of 100,000 series costs, and for how long of it windows must wait.

A whole stack in one process, sized to the number of series, with I/O on every path.  The best turn
counts, since other programs can only slow a turn down; of the waits the longest.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.request import ProxyHandler, build_opener

from smokestack.array.collector import ArrayCollector
from smokestack.array.model import ArrayModel
from smokestack.array.specs import (
    ArrayHostSpec,
    ControllerSpec,
    ExportSpec,
    InitiatorSpec,
    PoolSpec,
    PortSpec,
    VolumeSpec,
)
from smokestack.engine.border import BorderLock
from smokestack.engine.clock import Stopwatch
from smokestack.hypervisor.collector import HypervisorCollector
from smokestack.hypervisor.model import HypervisorModel
from smokestack.hypervisor.specs import DiskSpec, HostSpec, VmSpec
from smokestack.multipath.collector import MultipathCollector
from smokestack.multipath.model import MultipathModel
from smokestack.multipath.specs import MultipathHostSpec
from smokestack.workload import JobSpec, compile_job

from ..exporter import Exporter

_GIB: Final = 1 << 30
_PATHS: Final = 4
_HOST_VMS: Final = 32  # each with a volume of its own
_VM_SERIES: Final = 560  # about: a VM's, its device's, its paths' and its nexuses'


def run(*, series: int = 100_000, turns: int = 5) -> dict[str, Any]:
    """Returns milliseconds of wall time; ``border_held_ms`` is when no window could run."""
    border = MeteredBorder()
    exporter = Exporter(_stack(-(-series // _VM_SERIES), border))
    exporter.start()
    try:
        with Stopwatch() as first:
            text = exporter.scrape()
        border.held_ns = 0
        best = min(_timed(exporter.scrape) for _ in range(turns))
        opener = build_opener(ProxyHandler({}))
        http = min(_timed(lambda: opener.open(exporter.url).read()) for _ in range(turns))
    finally:
        exporter.close()
    return {
        "series": sum(not line.startswith(b"#") for line in text.splitlines()),
        "bytes": len(text),
        "first_scrape_ms": _ms(first.elapsed_ns),
        "scrape_ms": _ms(best),
        "http_scrape_ms": _ms(http),
        "border_held_ms": _ms(border.held_ns),
    }


class MeteredBorder(BorderLock):
    """A border that knows the longest time for which a change has held it, or held another."""

    def __init__(self, border: BorderLock | None = None) -> None:
        super().__init__()
        self.held_ns = 0
        self._held = border.change if border else super().change

    @contextmanager
    def change(self) -> Iterator[None]:
        """Holds the border for one change, and measures for how long."""
        with self._held(), Stopwatch() as watch:
            yield
        self.held_ns = max(self.held_ns, watch.elapsed_ns)


def _stack(vms: int, border: BorderLock) -> list[Any]:
    """Returns the collectors of a stack that has run for a while."""
    hosts = range(-(-vms // _HOST_VMS))
    array = _array(vms, len(hosts))
    multipath = MultipathModel()
    multipath.connect_array(array.array_id, array)
    hypervisor = HypervisorModel(border=border)
    hypervisor.connect(multipath)
    for host in hosts:
        multipath.create_host(MultipathHostSpec(f"h{host}", (f"h{host}-a",), ios_per_path=1))
        multipath.rescan(f"h{host}")
        hypervisor.create_host(HostSpec(f"h{host}"))
    for vm in range(vms):
        host_id, vm_id = f"h{vm // _HOST_VMS}", f"v{vm}"
        hypervisor.create_vm(VmSpec(host_id, vm_id))
        hypervisor.create_disk(DiskSpec(host_id, vm_id, "d0", f"a1.v{vm}"))
        job = JobSpec(
            host_id=host_id, vm_id=vm_id, disk_id="d0", job_id="j0", iodepth=4, read_ratio=0.5
        )
        hypervisor.create_job(compile_job(job, f"hosts/{host_id}/vms/{vm_id}/jobs/j0"))
    hypervisor.advance(50_000_000)
    return [
        HypervisorCollector(hypervisor, border),
        MultipathCollector(multipath, border),
        ArrayCollector(array, border),
    ]


def _array(volumes: int, hosts: int) -> ArrayModel:
    array = ArrayModel("a1")
    array.create_controller(ControllerSpec("c0"))
    for port in range(_PATHS):
        array.create_port(PortSpec(f"p{port}", "c0", "fabric-a"))
    array.create_pool(PoolSpec("p1", 1024 * _GIB))
    for host in range(hosts):
        array.create_host(ArrayHostSpec(f"h{host}", (InitiatorSpec(f"h{host}-a", "fabric-a"),)))
    for volume in range(volumes):
        array.create_volume(VolumeSpec(f"v{volume}", "p1", 16 * _GIB))
        host, lun = divmod(volume, _HOST_VMS)
        array.create_export(ExportSpec(f"v{volume}", f"h{host}", lun))
    return array


def _timed(call: Any) -> int:
    with Stopwatch() as watch:
        call()
    return watch.elapsed_ns


def _ms(ns: int) -> float:
    return round(ns / 1e6, 2)
