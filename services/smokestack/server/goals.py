"""Goals of an Advance that lie in another room: conditions that are asked after every window."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite

from smokestack.array.fill import target_pages
from smokestack.array.model import ArrayModel
from smokestack.engine.errors import FailedPrecondition, InvalidArgument, NotFound
from smokestack.engine.events import EventLog
from smokestack.engine.names import NameForm
from smokestack.v1 import simulation_pb2 as pb

from .events import Filter

POOL = NameForm("arrays/a1/pools/p1")


class Goals:
    """What the driver of these arrays can watch, beside the events in these logs."""

    def __init__(
        self, logs: Sequence[EventLog], arrays: Mapping[str, ArrayModel] | None = None
    ) -> None:
        self._logs = tuple(logs)
        self._arrays = dict(arrays or {})

    def event(self, goal: pb.EventMatch) -> Callable[[], bool]:
        """Returns what tells whether something has happened since now; refuses unknown kinds."""
        if not goal.kind:
            raise InvalidArgument.at("until_event.kind", "is missing, e.g. POOL_EXHAUSTED")
        wanted = Filter.of([goal.kind], goal.subject)
        seen = {log: log.last for log in self._logs}

        def reached() -> bool:
            for log, number in seen.items():
                if log.last == number:
                    continue
                new = log.after(max(number, log.first - 1), log.last - number)
                seen[log] = number + len(new)
                if any(map(wanted.passes, new)):
                    return True
            return False

        return reached

    def pool_fill(self, goal: pb.PoolFill) -> Callable[[], bool]:
        """Returns what tells whether a pool is so full; refuses a pool that cannot be seen."""
        array_id, pool_id = POOL.parse(goal.pool, "until_pool_fill.pool")
        checked_ratio(goal.ratio)
        if not self._arrays:
            raise FailedPrecondition(
                f"arrays/{array_id} is another process, whose pools are not seen from here: "
                "advance in steps and look at the pool in between",
                reason="GOAL_NOT_HERE",
                resource=goal.pool,
            )
        if array_id not in self._arrays or pool_id not in self._arrays[array_id].pools:
            raise NotFound.of(goal.pool)
        array = self._arrays[array_id]
        state, page_bytes = array.state, array.pools[pool_id].page_bytes
        index = self._arrays[array_id].row_of("pools", pool_id)

        def reached() -> bool:
            pages = array.advertised.pool_capacity(pool_id) // page_bytes  # as all are told
            return int(state["pool"]["allocated_pages"][index]) >= target_pages(goal.ratio, pages)

        return reached


def checked_ratio(ratio: float) -> None:
    """Refuses what is no part of a pool."""
    if not (isfinite(ratio) and 0 < ratio <= 1):
        raise InvalidArgument.at("until_pool_fill.ratio", f"{ratio:g} is not above 0 and at most 1")
