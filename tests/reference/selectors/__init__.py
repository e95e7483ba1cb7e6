"""Which of a device's usable paths carries the next I/O: one file per policy, by its number."""

from __future__ import annotations

from smokestack.multipath.specs import Selector

from .base import Candidate, Choice, Policy
from .first_available import FirstAvailable
from .fixed import Fixed
from .historical_service_time import HistoricalServiceTime
from .io_affinity import IoAffinity
from .latency import Latency
from .least import LeastBlocks, QueueLength
from .most_recently_used import MostRecentlyUsed
from .round_robin import DmRoundRobin, RoundRobin, RoundRobinBytes
from .service_time import ServiceTime
from .vendor import Vendor

POLICIES: dict[Selector, type[Policy]] = {
    Selector.FIXED: Fixed,
    Selector.ROUND_ROBIN: RoundRobin,
    Selector.QUEUE_LENGTH: QueueLength,
    Selector.FIRST_AVAILABLE: FirstAvailable,
    Selector.MOST_RECENTLY_USED: MostRecentlyUsed,
    Selector.ROUND_ROBIN_BYTES: RoundRobinBytes,
    Selector.LATENCY: Latency,
    Selector.DM_ROUND_ROBIN: DmRoundRobin,
    Selector.SERVICE_TIME: ServiceTime,
    Selector.HISTORICAL_SERVICE_TIME: HistoricalServiceTime,
    Selector.IO_AFFINITY: IoAffinity,
    Selector.LEAST_BLOCKS: LeastBlocks,
    Selector.VENDOR: Vendor,
}

__all__ = ["POLICIES", "Candidate", "Choice", "Policy", "Vendor"]
