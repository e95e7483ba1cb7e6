"""What a hypervisor holds: each resource's spec and its place in the kernel's tables."""

from __future__ import annotations

from dataclasses import dataclass

from smokestack.engine.jobplan import JobPlan

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


@dataclass(frozen=True)
class Job:
    """A job that has been started."""

    plan: JobPlan
    index: int
