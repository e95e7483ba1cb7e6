"""Goals of an Advance whose pools and events are in other processes: asked over their public API.

One question a window and service, so an advance towards such a goal is slower than another one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import grpc

from smokestack.array.fill import target_pages
from smokestack.engine.errors import Unavailable
from smokestack.engine.events import EventLog
from smokestack.v1 import array_pb2
from smokestack.v1 import simulation_pb2 as pb

from .errors import refused_from
from .estate import Peer
from .goals import POOL, Goals, checked_ratio


class GoalsElsewhere(Goals):
    """What the driver of a stack in several processes can watch."""

    def __init__(self, log: EventLog, peers: Callable[[], Sequence[Peer]]) -> None:
        """Takes the driver's own events, and what finds the other services of its stack."""
        super().__init__([log])
        self._peers = peers

    def event(self, goal: pb.EventMatch) -> Callable[[], bool]:
        """Returns what tells whether something has happened anywhere since now.

        A service that is gone tells nothing more.
        """
        here = super().event(goal)
        wanted = pb.ListEventsRequest(
            kinds=[goal.kind], subject=goal.subject, newest_first=True, page_size=1
        )
        newest = {
            peer.name: (peer, _newest(peer, wanted)) for peer in self._peers() if peer.address
        }

        def reached() -> bool:
            return here() or any(
                _newest(peer, wanted) not in ("", name) for peer, name in newest.values()
            )

        return reached

    def pool_fill(self, goal: pb.PoolFill) -> Callable[[], bool]:
        """Returns what tells whether a pool is so full; UNAVAILABLE when its array is gone."""
        array_id, _ = POOL.parse(goal.pool, "until_pool_fill.pool")
        checked_ratio(goal.ratio)
        array = next((p for p in self._peers() if p.name == f"arrays/{array_id}"), None)
        if array is None:
            raise Unavailable(f"arrays/{array_id} is not known here, or does not answer")
        api = array.api

        def reached() -> bool:
            try:
                pool = api.GetPool(array_pb2.GetPoolRequest(name=goal.pool))
            except grpc.RpcError as error:
                raise refused_from(error) from None
            pages = pool.capacity_bytes // pool.page_bytes
            return bool(pool.allocated_bytes >= target_pages(goal.ratio, pages) * pool.page_bytes)

        reached()  # which refuses a pool that does not exist before any time passes
        return reached


def _newest(peer: Peer, wanted: pb.ListEventsRequest) -> str:
    """Returns the name of the newest event of its kind; none of one whose service is gone."""
    try:
        answer: Any = peer.simulation.ListEvents(wanted)
    except grpc.RpcError:
        return ""
    return answer.events[0].name if answer.events else ""
