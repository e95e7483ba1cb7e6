"""What a hypervisor holds: each resource's spec and its place in the kernel's tables."""

from __future__ import annotations

from dataclasses import dataclass

from smokestack.engine.errors import InvalidArgument
from smokestack.engine.jobplan import JobPlan
from smokestack.engine.records import BLOCK_BYTES

from .specs import DiskSpec, VmSpec


@dataclass(frozen=True)
class Vm:
    """A virtual machine; ``index`` is what its submissions carry."""

    spec: VmSpec
    index: int


@dataclass(frozen=True)
class Disk:
    """A virtual disk; ``nexus`` is its device's index in multipath."""

    spec: DiskSpec
    row: int
    nexus: int
    capacity_bytes: int

    @property
    def name(self) -> str:
        """Its full name."""
        return f"hosts/{self.spec.host_id}/vms/{self.spec.vm_id}/disks/{self.spec.disk_id}"


@dataclass(frozen=True)
class Job:
    """A job that has been started."""

    plan: JobPlan
    index: int
    listed: bool = True  # false: a script's single I/O, of which nothing is told


def region_bytes_of(plan: JobPlan, capacity_bytes: int) -> int:
    """Resolves and checks the part of the disk that a job works on."""
    left = capacity_bytes - plan.region_offset_bytes
    region_bytes = plan.region_bytes or left
    if left <= 0 or region_bytes > left:
        raise InvalidArgument.at(
            "job.region_bytes",
            f"the disk has {capacity_bytes} bytes: from {plan.region_offset_bytes} on at most "
            f"{max(left, 0)} are left",
        )
    largest = max((length for length, _ in plan.block_sizes), default=0)
    if largest > region_bytes:
        raise InvalidArgument.at(
            "job.block_sizes", f"{largest} bytes do not fit the region of {region_bytes}"
        )
    if plan.trace is not None and len(plan.trace):
        end = int((plan.trace["lba"] * BLOCK_BYTES + plan.trace["length"]).max())
        if end > region_bytes:
            raise InvalidArgument.at(
                "job.trace", f"reaches byte {end}: the disk's region has {region_bytes}"
            )
    return region_bytes
