"""How many commands ports and volumes take, and hosts may have, of the array in plain Python."""

from __future__ import annotations

from tests.reference.agenda import Agenda
from tests.reference.config import HostLimits, PortQueueLimit, VolumeQueueLimit
from tests.reference.stations import Itl, Port, Volume


class Limits:
    """What the array has of limits besides its ports' own."""

    itls: list[Itl]
    ports: dict[str, Port]
    volumes: dict[str, Volume]
    _agenda: Agenda
    _limits: dict[str, tuple[int, int]]  # by host: in the array, at each port

    def _limit(
        self,
        change: PortQueueLimit | VolumeQueueLimit | HostLimits,
        key: tuple[int, int, int, int, int],
    ) -> None:
        """Changes how many commands a port or a volume takes, or a host may have."""
        if isinstance(change, HostLimits):
            limits = change.queue_limit, change.port_queue_limit
            self._agenda.add(key, self._limits.update, {change.host_id: limits}, of=self)
            return
        limited = (
            self.ports[change.port_id]
            if isinstance(change, PortQueueLimit)
            else self.volumes[change.volume_id]
        )
        self._agenda.add(key, setattr, limited, "queue_limit", change.queue_limit, of=self)

    def _is_full(self, volume: Volume) -> bool:
        """Whether a volume has as many commands as it takes, from whomever."""
        queued = sum(itl.outstanding for itl in self.itls if itl.volume is volume)
        return 0 < volume.queue_limit <= queued

    def _has_enough(self, host_id: str, port: Port) -> bool:
        """Whether a host has as many commands as it may, in the array or at a port."""
        mine = [itl for itl in self.itls if itl.export.host_id == host_id]
        in_all, at_port = self._limits[host_id]
        here = sum(itl.outstanding for itl in mine if itl.port is port)
        return 0 < at_port <= here or 0 < in_all <= sum(itl.outstanding for itl in mine)
