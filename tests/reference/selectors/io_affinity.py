"""The path mapped to the CPU that submits, else one of its NUMA node, else any."""

from __future__ import annotations

from .base import Candidate, Choice, Policy


class IoAffinity(Policy):
    """dm-multipath's io-affinity."""

    def select(self, choice: Choice) -> Candidate | None:
        """Returns the path to use."""
        cpus, nodes = choice.settings.cpu_count, choice.settings.numa_node_count
        mine = choice.vm % cpus
        node_of = [cpu * nodes // cpus for cpu in range(cpus)]
        near = [cpu for cpu in range(cpus) if node_of[cpu] == node_of[mine]]
        for cpu in (mine, *near, *range(cpus)):
            path = next((path for path in self.paths if cpu in path.cpus), None)
            if path is not None and path.usable:
                return path
        return None
