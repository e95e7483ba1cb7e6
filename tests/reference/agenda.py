"""Virtual time: every event of the whole stack in one heap, the smallest key first.

A key is (time, layer, kind, id, attempt).  The layers settle what happens first at one time:

- a change, which finds everything before its time done and nothing of it begun;
- arrays, whose answers take at least a return latency and so never meet their cause's time;
- multipath hearing from arrays, and its retries: what completes there completes in the guest now;
- the hypervisor: completions, then issues, then arrivals;
- multipath taking what the hypervisor issued at this very time.

A layer never schedules, at the present time, anything for a layer before it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any, Final

CHANGE: Final = 0
ARRAY: Final = 1
MULTIPATH: Final = 2
HYPERVISOR: Final = 3
SUBMISSION: Final = 4

# (time, layer, kind, id, attempt, serial, the array it is of, action, arguments)
Entry = tuple[int, int, int, int, int, int, object, Callable[..., None], tuple[Any, ...]]
_OF: Final = 6
_ACTION: Final = 7
_ARGUMENTS: Final = 8


class Agenda:
    """The heap and the time that it has reached."""

    def __init__(self) -> None:
        self.now = 0
        self._heap: list[Entry] = []
        self._serial = 0  # two entries of one key keep their order

    def add(
        self,
        key: tuple[int, int, int, int, int],
        action: Callable[..., None],
        *arguments: object,
        of: object = None,
    ) -> None:
        """Schedules an action; ``of`` is the array that would take it along when it is lost."""
        if key[0] < self.now:
            raise AssertionError(f"{key} is in the past of {self.now}")
        self._serial += 1
        heapq.heappush(self._heap, (*key, self._serial, of, action, arguments))

    def run(self, until_ns: int | None = None) -> None:
        """Does all that happens before a time, or all there is."""
        heap = self._heap
        while heap and (until_ns is None or heap[0][0] < until_ns):
            self._do(heapq.heappop(heap))
        if until_ns is not None:
            self.now = until_ns

    def ahead(self, array: object, limit: tuple[int, int, int, int]) -> None:
        """Lets an array do all that it does before a key; that never depends on hosts' time."""
        now = self.now
        while True:
            mine = [e for e in self._heap if e[_OF] is array and e[1] == ARRAY and e[:4] < limit]
            if not mine:
                break
            entry = min(mine)
            self._heap.remove(entry)
            heapq.heapify(self._heap)
            self._do(entry)
        self.now = now

    def lose(self, array: object, ahead_ns: int, heard_ns: int) -> None:
        """Drops an array's entries, as if its process had died, but for its answers on the way.

        When the host's time was now, the array had run ``ahead_ns`` ahead, and the host had heard
        of all that arrives before ``heard_ns`` from now.
        """
        now, heap = self.now, self._heap
        rest = [entry for entry in heap if entry[_OF] is not array]
        heap[:] = [entry for entry in heap if entry[_OF] is array]
        heapq.heapify(heap)
        answers = []
        while heap and heap[0][0] < now + ahead_ns:
            entry = heapq.heappop(heap)
            if entry[1] == ARRAY:
                self._do(entry)
            else:
                answers.append(entry)
        answers += [entry for entry in heap if entry[1] != ARRAY]
        heard = [entry for entry in answers if entry[0] < now + heard_ns]
        self.now = now
        heap[:] = rest + heard
        heapq.heapify(heap)

    def planned(self, before_ns: int) -> list[tuple[int, Callable[..., None], tuple[Any, ...]]]:
        """What is to happen before a time, as far as is known, in order: when, and what."""
        found = sorted(entry[:6] + entry[7:] for entry in self._heap if entry[0] < before_ns)
        return [(entry[0], entry[-2], entry[-1]) for entry in found]

    def _do(self, entry: Entry) -> None:
        self.now = entry[0]
        entry[_ACTION](*entry[_ARGUMENTS])
