"""What a hypervisor is built from: plain data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HostSpec:
    """A physical host."""

    host_id: str


@dataclass(frozen=True)
class VmSpec:
    """A virtual machine on a host; each of its I/Os costs ``broker_ns`` of brokering."""

    host_id: str
    vm_id: str
    broker_ns: int = 2_500  # a paravirtual SCSI call, FACTS 1.7 (a calibration seed)
    guest_adapter_queue_depth: int = 0  # commands of all its disks under way; 0: no limit


@dataclass(frozen=True)
class DiskSpec:
    """A virtual disk: a range of a device that the VM's host has discovered."""

    host_id: str
    vm_id: str
    disk_id: str
    device: str  # the device's name on the host, "a1.v1"
    capacity_bytes: int = 0  # a multiple of 512; 0 takes all behind the offset
    device_offset_bytes: int = 0  # a multiple of 512
    guest_queue_depth: int = 0  # commands under way; others wait in the guest; 0: no limit
