"""Small stacks with round numbers, for timelines that can be worked out by hand.

The plain one: one host with one initiator per fabric, one volume, a port that takes 1,000 ns per
command and 1 ns per byte, 10,000 ns there and 20,000 ns back, a controller of one core that takes
3,000 ns to read and 5,000 ns to write, media of 100,000 ns, brokering of 2,000 ns.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from smokestack.array.specs import (
    ArrayHostSpec,
    ControllerSpec,
    ExportSpec,
    InitiatorSpec,
    MediaDistribution,
    PoolSpec,
    PortSpec,
    VolumeSpec,
)
from smokestack.engine.jobplan import JobKind, JobPlan, Pattern
from smokestack.engine.streams import job_uid
from smokestack.hypervisor.specs import DiskSpec, HostSpec, VmSpec
from smokestack.multipath.specs import MultipathHostSpec, MultipathSpec, Selector
from tests.reference.config import ArrayConfig, StackConfig

KIB = 1 << 10
PAGE = 4 * KIB
ONE_NS_PER_BYTE = 10**9  # bytes a second


def port(port_id: str = "p0", fabric: str = "fa", **fields: Any) -> PortSpec:
    """A port that takes 1 ns per byte."""
    given: dict[str, Any] = {
        "controller_id": "c0",
        "queue_limit": 100,
        "command_ns": 1_000,
        "refusal_ns": 500,
        "bandwidth_bytes_per_second": ONE_NS_PER_BYTE,
        "forward_latency_ns": 10_000,
        "return_latency_ns": 20_000,
    } | fields
    return PortSpec(port_id=port_id, fabric=fabric, **given)


def array(
    *,
    array_id: str = "a1",
    ports: tuple[PortSpec, ...] | None = None,
    pool_pages: int = 1_000,
    volume_ids: tuple[str, ...] = ("v1",),
    **controller: Any,
) -> ArrayConfig:
    """An array that shows all its volumes to host h1."""
    initiators = (InitiatorSpec("h1-a", "fa"), InitiatorSpec("h1-b", "fb"))
    cores: dict[str, Any] = {
        "core_count": 1,
        "read_ns": 3_000,
        "write_ns": 5_000,
        "read_hit_ratio": 1.0,
    } | controller
    pool = PoolSpec(
        "pool",
        pool_pages * PAGE,
        page_bytes=PAGE,
        disk_count=4,
        media_ns=100_000,
        media_distribution=MediaDistribution.CONSTANT,
    )
    return ArrayConfig(
        array_id=array_id,
        controllers=(ControllerSpec("c0", **cores),),
        ports=ports or (port(),),
        pools=(pool,),
        volumes=tuple(VolumeSpec(volume_id, "pool", 256 * PAGE) for volume_id in volume_ids),
        hosts=(ArrayHostSpec("h1", initiators),),
        exports=tuple(ExportSpec(v, "h1", lun) for lun, v in enumerate(volume_ids)),
    )


def job(job_id: str = "j0", *, disk_id: str = "d0", **fields: Any) -> JobPlan:
    """A closed loop of one sequential writer of pages."""
    given: dict[str, Any] = {
        "host_id": "h1",
        "vm_id": "v1",
        "disk_id": disk_id,
        "job_id": job_id,
        "uid": job_uid(f"hosts/h1/vms/v1/jobs/{job_id}"),
        "kind": JobKind.CLOSED,
        "slots": 1,
        "pattern": Pattern.SEQUENTIAL,
        "block_sizes": ((PAGE, 1 << 32),),
    } | fields
    return JobPlan(**given)


def stack(
    *jobs: JobPlan,
    arrays: tuple[ArrayConfig, ...] | None = None,
    devices: tuple[str, ...] = ("a1.v1",),
    depth: int = 32,
    selector: Selector = Selector.ROUND_ROBIN,
    ios_per_path: int = 1_000,
    qfull_retry_delay_ns: int = 50_000,
    broker_ns: int = 2_000,
    **fields: Any,
) -> StackConfig:
    """One host and one VM, whose disk dN is the whole of the Nth device."""
    host = MultipathHostSpec("h1", ("h1-a", "h1-b"), selector, depth, ios_per_path)
    plain = StackConfig(
        arrays=arrays or (array(),),
        multipath_hosts=(host,),
        hosts=(HostSpec("h1"),),
        vms=(VmSpec("h1", "v1", broker_ns),),
        disks=tuple(DiskSpec("h1", "v1", f"d{n}", name) for n, name in enumerate(devices)),
        jobs=jobs,
        multipath=MultipathSpec(qfull_retry_delay_ns=qfull_retry_delay_ns),
    )
    return replace(plain, **fields)
