"""What a hypervisor holds: each resource's spec and its place in the kernel's tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from smokestack.engine.blockdevice import BlockDevice, Nexus
from smokestack.engine.checks import multiple_of
from smokestack.engine.errors import FailedPrecondition, InvalidArgument
from smokestack.engine.jobplan import JobPlan
from smokestack.engine.records import BLOCK_BYTES

from .specs import DiskSpec, VmSpec


@dataclass(frozen=True)
class Vm:
    """A virtual machine; ``index`` is what its submissions carry, and its adapter's row."""

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


class Nexuses:
    """The devices that hosts have discovered, as the service below reports them."""

    def __init__(self, owner: str) -> None:
        self.device: BlockDevice | None = None
        self._owner = owner
        self._seen: dict[str, dict[str, Nexus]] | None = None

    def find(self, host_id: str, device: str) -> Nexus:
        """Returns a host's device, or refuses one that it does not have."""
        found = self._of(host_id, device)
        if device not in found:
            found = self._of(host_id)
            known = ", ".join(sorted(found)) or "none: export a volume and rescan"
            raise InvalidArgument.at(
                "disk.device", f"{device!r} is no device of hosts/{host_id} (it has {known})"
            )
        return found[device]

    @contextmanager
    def looked_at_once(self) -> Iterator[None]:
        """Asks only once for each host, for as long as nothing changes."""
        self._seen = {}
        try:
            yield
        finally:
            self._seen = None

    def _of(self, host_id: str, device: str = "") -> dict[str, Nexus]:
        """Returns a host's devices by name, or the one that is named."""
        if self._seen is not None and host_id in self._seen:
            return self._seen[host_id]
        if self.device is None:
            raise FailedPrecondition(f"{self._owner} has no devices: connect multipath first")
        only = device if self._seen is None else ""  # who asks for one will ask for others
        found = {nexus.volume: nexus for nexus in self.device.report_luns([host_id], only)}
        if self._seen is not None:
            self._seen[host_id] = found
        return found


def capacity_bytes_of(spec: DiskSpec, nexus: Nexus) -> int:
    """Resolves and checks the size of a disk on its device."""
    if spec.device_offset_bytes:
        multiple_of("disk.device_offset_bytes", spec.device_offset_bytes, BLOCK_BYTES)
    left = nexus.capacity_bytes - spec.device_offset_bytes
    capacity_bytes = spec.capacity_bytes or left
    if capacity_bytes > left or left <= 0:
        raise InvalidArgument.at(
            "disk.capacity_bytes",
            f"{spec.device} has {nexus.capacity_bytes} bytes: from "
            f"{spec.device_offset_bytes} on at most {max(left, 0)} are left",
        )
    multiple_of("disk.capacity_bytes", capacity_bytes, BLOCK_BYTES)
    return capacity_bytes


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
