"""Logical unit numbers: which volume a host sees under which, and which one is free."""

from __future__ import annotations

from .specs import ExportSpec


class Luns:
    """The LUNs of all hosts; quick to ask, however many exports there are."""

    def __init__(self) -> None:
        self._volumes: dict[tuple[str, int], str] = {}
        self._free: dict[str, int] = {}  # each host's lowest that may be free

    def copy(self) -> Luns:
        """Returns what can be changed without changing this."""
        copy = Luns()
        copy._volumes, copy._free = self._volumes.copy(), self._free.copy()
        return copy

    def volume(self, host_id: str, lun: int) -> str | None:
        """Returns the volume that a host sees under a LUN."""
        return self._volumes.get((host_id, lun))

    def lowest_free(self, host_id: str) -> int:
        """Returns the lowest LUN of a host that is free; it may be above the highest allowed."""
        lun = self._free.get(host_id, 0)
        while (host_id, lun) in self._volumes:
            lun += 1
        self._free[host_id] = lun
        return lun

    def take(self, export: ExportSpec) -> None:
        """Gives a LUN to an export."""
        self._volumes[export.host_id, export.lun] = export.volume_id

    def release(self, export: ExportSpec) -> None:
        """Takes a LUN back."""
        del self._volumes[export.host_id, export.lun]
        self._free[export.host_id] = min(self._free.get(export.host_id, 0), export.lun)
