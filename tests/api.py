"""A small stack as tests of the services see it: handlers, called as plain functions."""

from __future__ import annotations

from smokestack.array.model import ArrayModel
from smokestack.array.service import ArrayService
from smokestack.engine.border import BorderLock
from smokestack.hypervisor.model import HypervisorModel
from smokestack.hypervisor.service import HypervisorService
from smokestack.multipath.model import MultipathModel
from smokestack.multipath.service import MultipathService
from smokestack.server.clocks import DriverClock
from smokestack.server.simulation import SimulationService
from smokestack.server.workload import JobsAndTraces
from smokestack.v1 import array_pb2, hypervisor_pb2, multipath_pb2, types_pb2

ARRAY = "arrays/a1"
MULTIPATH = "multipaths/m1"
MULTIPATH_HOST = f"{MULTIPATH}/hosts/h1"
DEVICE = f"{MULTIPATH_HOST}/devices/a1.v1"
VM = "hosts/h1/vms/vm1"
DISK = f"{VM}/disks/d0"
GIB = 1 << 30


class Stack:
    """One array with one exported volume, one host with two paths to it, one VM with one disk."""

    def __init__(self) -> None:
        self.border = BorderLock()
        self.array_model = ArrayModel("a1")
        self.multipath_model = MultipathModel()
        self.multipath_model.connect_array("a1", self.array_model)
        self.hypervisor_model = HypervisorModel("hv1", 1, self.border)
        self.hypervisor_model.connect(self.multipath_model)
        self.array = ArrayService(self.array_model, self.border)
        self.multipath = MultipathService(self.multipath_model, self.border)
        clock = DriverClock(self.hypervisor_model)
        jobs = JobsAndTraces()
        self.hypervisor = HypervisorService(self.hypervisor_model, self.border, jobs, clock)
        self.simulation = SimulationService(self.hypervisor_model, self.border, clock)
        self.build_array()
        self.build_host()

    def build_array(self) -> None:
        self.array.CreateController(
            array_pb2.CreateControllerRequest(parent=ARRAY, controller_id="c0")
        )
        for port_id, fabric in (("p0", "a"), ("p1", "b")):
            port = array_pb2.Port(controller=f"{ARRAY}/controllers/c0", fabric=fabric)
            self.array.CreatePort(
                array_pb2.CreatePortRequest(parent=ARRAY, port_id=port_id, port=port)
            )
        pool = array_pb2.Pool(capacity_bytes=8 * GIB)
        self.array.CreatePool(array_pb2.CreatePoolRequest(parent=ARRAY, pool_id="pool1", pool=pool))
        self.create_volume("v1")
        initiators = [types_pb2.Initiator(name=f"h1-{f}", fabric=f) for f in "ab"]
        self.array.CreateArrayHost(
            array_pb2.CreateArrayHostRequest(
                parent=ARRAY,
                array_host_id="h1",
                array_host=array_pb2.ArrayHost(initiators=initiators),
            )
        )
        self.create_export("v1")

    def create_volume(self, volume_id: str) -> array_pb2.Volume:
        volume = array_pb2.Volume(pool=f"{ARRAY}/pools/pool1", capacity_bytes=4 * GIB)
        return self.array.CreateVolume(
            array_pb2.CreateVolumeRequest(parent=ARRAY, volume_id=volume_id, volume=volume)
        )

    def create_export(self, volume_id: str) -> array_pb2.Export:
        export = array_pb2.Export(volume=f"{ARRAY}/volumes/{volume_id}", host=f"{ARRAY}/hosts/h1")
        return self.array.CreateExport(array_pb2.CreateExportRequest(parent=ARRAY, export=export))

    def build_host(self) -> None:
        self.multipath.CreateMultipathHost(
            multipath_pb2.CreateMultipathHostRequest(
                parent=MULTIPATH,
                multipath_host_id="h1",
                multipath_host=multipath_pb2.MultipathHost(initiators=["h1-a", "h1-b"]),
            )
        )
        self.rescan()
        self.hypervisor.CreateHost(hypervisor_pb2.CreateHostRequest(host_id="h1"))
        self.hypervisor.CreateVm(hypervisor_pb2.CreateVmRequest(parent="hosts/h1", vm_id="vm1"))
        self.hypervisor.CreateDisk(
            hypervisor_pb2.CreateDiskRequest(
                parent=VM, disk_id="d0", disk=hypervisor_pb2.Disk(device=DEVICE)
            )
        )

    def rescan(self) -> multipath_pb2.RescanMultipathHostResponse:
        return self.multipath.RescanMultipathHost(
            multipath_pb2.RescanMultipathHostRequest(name=MULTIPATH_HOST)
        )

    def create_job(self, job_id: str, **fields: object) -> hypervisor_pb2.Job:
        job = hypervisor_pb2.Job(disk=DISK)
        job.MergeFrom(hypervisor_pb2.Job(**fields))
        return self.hypervisor.CreateJob(
            hypervisor_pb2.CreateJobRequest(parent=VM, job_id=job_id, job=job)
        )
