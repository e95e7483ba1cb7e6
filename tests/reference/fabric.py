"""Fabrics in plain Python: what an answer waits for on its way from an array's port to a host.

An answer's frames cross up to three links one after the other.  Each link sends them one by one,
at its own pace, and a frame leaves a link only when the next one has a free buffer for it.  A
switch drops an answer of which it could send no frame for its hold time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

FRAME_BYTES = 2048
NOMINAL = 800_000_000  # bytes per second, of a link that is slow but has no rate


@dataclass(eq=False)
class Link:
    """One link, in the direction of the hosts."""

    name: str
    rate: int = 0
    credits: int = 16
    free: int = 0
    slow: Callable[[str, int], int] = lambda _name, _time: 0  # per mille, as rules want it
    discards: int = 0  # frames that were to go by it, and that a switch has dropped
    down: bool = False
    barred: bool = False  # it is up, and logins across it are refused
    since: tuple[int, int] = (-1, 0)  # when paths last lost or got it, before or after others

    def frame_ns(self, now: int) -> int:
        """What a frame takes that comes now."""
        slow = self.slow(self.name, now)
        if slow:
            return FRAME_BYTES * 10**9 // (self.rate or NOMINAL) * slow // 1000
        return FRAME_BYTES * 10**9 // self.rate if self.rate else 0


@dataclass(eq=False)
class Fabric:
    """The links of a fabric; with a trunk, arrays are behind it."""

    trunk: Link
    links: dict[str, Link] = field(default_factory=dict)
    has_trunk: bool = False
    holds: bool = False  # whether they are to, from now on or soon
    hold: int = 0  # how long switches hold what they cannot send; 0: without end

    def hops(self, target: str, host: str) -> list[Link]:
        """The links from a port to an initiator, in order."""
        return [self.links[target], *([self.trunk] if self.has_trunk else []), self.links[host]]

    def cross(self, target: str, host: str, frames: int, now: int) -> int | None:
        """When an answer that comes now is through; None: a switch has dropped it."""
        hops = self.hops(target, host)
        pace = [link.frame_ns(now) for link in hops]
        gone = [now] * len(hops)  # when a link's last frame has left it
        first = last = now
        lost = None
        for at, link in enumerate(hops):
            start = max(first, link.free)
            if self.hold and at and start > first + self.hold:
                lost = (at, first + self.hold)
            last = max(start + frames * pace[at], last + pace[at])
            first = start + pace[at]
            gone[at] = last
            if lost:
                break
        crossed = lost[0] if lost else len(hops)
        if lost:
            hops[crossed].discards += frames
        for at in range(min(crossed, len(hops) - 1) - 1, -1, -1):
            room = gone[at + 1] - hops[at + 1].credits * pace[at + 1]
            if lost and at + 1 == crossed:
                room = min(room, lost[1])  # it gives its buffers back then
            gone[at] = max(gone[at], room)
        for at, link in enumerate(hops[:crossed]):
            link.free = gone[at]
        return None if lost else gone[-1]
