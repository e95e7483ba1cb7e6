"""What one client knows: what it was told is done, and what it asked for last and never heard of.

Each client has resources of its own, named after it, and makes one call at a time.  So after a kill
what is there must be all that it was told, and of its last call all or nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Reserved:
    """What a volume knows of registrations: keys by host, who holds it, and if that persists."""

    keys: dict[str, int] = field(default_factory=dict)
    holder: str = ""
    aptpl: bool = False

    def leave(self, host: str) -> None:
        """Forgets a host."""
        self.keys.pop(host, None)
        if self.holder == host:
            self.holder = ""


@dataclass
class Volume:
    """One volume: its size, and the LUN under which each host sees it (None: not told yet)."""

    capacity_bytes: int
    luns: dict[str, int | None] = field(default_factory=dict)
    reserved: Reserved = field(default_factory=Reserved)


@dataclass
class Holdings:
    """All that a client has."""

    volumes: dict[str, Volume] = field(default_factory=dict)
    snapshots: dict[str, tuple[str, int | None]] = field(default_factory=dict)  # of what; its size
    faults: set[str] = field(default_factory=set)
    pool_bytes: int = 0  # of the pool that is the client's own; 0: it has none

    def lose_power(self) -> None:
        """Forgets what does not outlive a kill, which is a loss of power."""
        for volume in self.volumes.values():
            if not volume.reserved.aptpl:
                volume.reserved = Reserved()

    def same(self, found: Holdings) -> bool:
        """Whether this is what was found; a LUN that was never told may be any."""
        if self.volumes.keys() != found.volumes.keys():
            return False
        if self.snapshots.keys() != found.snapshots.keys():
            return False
        for name, (volume, size) in self.snapshots.items():
            if found.snapshots[name] != (volume, size or found.snapshots[name][1]):
                return False
        if (self.faults, self.pool_bytes) != (found.faults, found.pool_bytes):
            return False
        for name, volume in self.volumes.items():
            other = found.volumes[name]
            if volume.capacity_bytes != other.capacity_bytes:
                return False
            if volume.luns.keys() != other.luns.keys() or volume.reserved != other.reserved:
                return False
            if any(lun not in (None, other.luns[host]) for host, lun in volume.luns.items()):
                return False
        return True


@dataclass(frozen=True)
class Step:
    """One call: how it is made, what it changes, and, if it must be refused, with which code."""

    name: str
    call: Callable[[Any], Any]
    change: Callable[[Holdings, Any], None]  # with the answer, or None: it never came
    code: str = ""
    is_once: bool = False  # it has a request_id: asked again, it is still done once


class Ledger:
    """One client's book."""

    def __init__(self) -> None:
        self.holdings = Holdings()
        self.open: Step | None = None  # asked and not answered
        self.acknowledged = self.refused = 0

    def acknowledge(self, step: Step, answer: Any) -> None:
        """Notes that a call was answered."""
        step.change(self.holdings, answer)
        self.open = None
        self.acknowledged += 1

    def refuse(self) -> None:
        """Notes that a call was refused: nothing of it may ever be there."""
        self.open = None
        self.refused += 1

    def settle(self, found: Holdings) -> str:
        """Takes what was found after a kill; returns what is wrong with it, or nothing."""
        before, step, self.open = self.holdings, self.open, None
        after = deepcopy(before)
        if step is not None and not step.code:
            step.change(after, None)
        before.lose_power()
        after.lose_power()
        if not before.same(found) and not after.same(found):
            return f"after {step.name if step else 'no call'}: {before} became {found}"
        self.holdings = deepcopy(found)
        return ""
