"""A small stack with a bit of everything that metrics tell: refusals, a dry pool, a dead path."""

from __future__ import annotations

from dataclasses import dataclass, field

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
from smokestack.hypervisor.collector import HypervisorCollector
from smokestack.hypervisor.model import HypervisorModel
from smokestack.hypervisor.specs import DiskSpec, HostSpec, VmSpec
from smokestack.multipath.collector import MultipathCollector
from smokestack.multipath.model import MultipathModel
from smokestack.multipath.specs import MultipathHostSpec, Selector
from smokestack.workload import JobSpec, compile_job

MIB = 1 << 20
MS = 1_000_000
FABRICS = ("fabric-a", "fabric-b")


@dataclass
class SmallStack:
    """Two hosts, two fabrics, one array whose ports take few commands and whose pool is small."""

    border: BorderLock = field(default_factory=BorderLock)

    def __post_init__(self) -> None:
        self.array = small_array()
        self.multipath = MultipathModel()
        self.multipath.connect_array("a1", self.array)
        self.hypervisor = HypervisorModel(seed=7, border=self.border)
        self.hypervisor.connect(self.multipath)
        for host in ("h1", "h2"):
            initiators = (f"{host}-a", f"{host}-b")
            selector = Selector.ROUND_ROBIN if host == "h1" else Selector.QUEUE_LENGTH
            self.multipath.create_host(MultipathHostSpec(host, initiators, selector, 12, 3))
            self.multipath.rescan(host)
            self.hypervisor.create_host(HostSpec(host))
        self.add_vm("h1", "web", "a1.v1", iodepth=12, read_ratio=0.7)
        self.add_vm("h2", "db", "a1.v2", iodepth=8, read_ratio=0.0)
        self.add_vm("h1", "log", "a1.v4", iodepth=1, read_ratio=0.5)
        self.hypervisor.create_vm(VmSpec("h2", "idle"))
        self.hypervisor.create_disk(DiskSpec("h2", "idle", "d0", "a1.v3"))

    def add_vm(self, host: str, vm: str, device: str, *, iodepth: int, read_ratio: float) -> None:
        self.hypervisor.create_vm(VmSpec(host, vm))
        self.hypervisor.create_disk(DiskSpec(host, vm, "d0", device))
        job = JobSpec(
            host_id=host,
            vm_id=vm,
            disk_id="d0",
            job_id="j0",
            iodepth=iodepth,
            read_ratio=read_ratio,
            block_sizes=((4096, 3), (65536, 1)),
            error_backoff_ns=2 * MS,
        )
        self.hypervisor.create_job(compile_job(job, f"hosts/{host}/vms/{vm}/jobs/j0"))

    def live(self) -> None:
        """Runs 60 ms: calm; a link down, a path out of use; a unit gone, one exported anew."""
        self.hypervisor.advance(30 * MS)
        self.array.set_port_enabled("p1", False)
        self.multipath.set_path_enabled("h2", "a1.v3", "h2-a.p0", False)
        self.hypervisor.advance(45 * MS)
        self.array.delete_export("v2", "h2")
        self.array.delete_export("v4", "h1")
        self.array.create_export(ExportSpec("v4", "h1", 1))
        self.multipath.rescan("h1")
        self.hypervisor.advance(60 * MS)

    def collectors(self) -> list[HypervisorCollector | MultipathCollector | ArrayCollector]:
        return [
            HypervisorCollector(self.hypervisor, self.border),
            MultipathCollector(self.multipath, self.border),
            ArrayCollector(self.array, self.border),
        ]


def small_array() -> ArrayModel:
    array = ArrayModel("a1")
    for index, fabric in enumerate(FABRICS):
        array.create_controller(ControllerSpec(f"c{index}"))
        array.create_port(PortSpec(f"p{index}", f"c{index}", fabric, queue_limit=6))
    array.create_pool(PoolSpec("p1", 24 * MIB))
    for volume in ("v1", "v2", "v3", "v4"):
        array.create_volume(VolumeSpec(volume, "p1", 32 * MIB))
    for host in ("h1", "h2"):
        initiators = (
            InitiatorSpec(f"{host}-a", FABRICS[0]),
            InitiatorSpec(f"{host}-b", FABRICS[1]),
        )
        array.create_host(ArrayHostSpec(host, initiators))
    array.create_export(ExportSpec("v1", "h1", 0))
    array.create_export(ExportSpec("v2", "h2", 0))
    array.create_export(ExportSpec("v3", "h2", 1))
    array.create_export(ExportSpec("v4", "h1", 1))
    return array
