"""What a host's multipath layer is built from: plain data."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Final


class Selector(IntEnum):
    """Path selection policies; one file each under ``selectors/``."""

    FIXED = 1
    ROUND_ROBIN = 2
    QUEUE_LENGTH = 3


class PathState(IntEnum):
    """Path states as ESX names them (FACTS 2.1)."""

    ACTIVE = 1
    DEAD = 2
    DISABLED = 3


@dataclass(frozen=True)
class MultipathHostSpec:
    """A host's side of the fabrics, and the defaults of the devices that a rescan finds."""

    host_id: str
    initiators: tuple[str, ...]
    selector: Selector = Selector.ROUND_ROBIN
    lun_queue_depth: int = 32  # DQLEN; QLogic on ESX 3.x/4.x, 1..4096
    ios_per_path: int = 1000  # round robin's switch, FACTS 2.1


@dataclass(frozen=True)
class MultipathSpec:
    """Settings of the whole multipath service: its name, and integers."""

    name: str = "m1"
    qfull_retry_delay_ns: int = 1_000_000  # how long a refused command waits to rejoin its queue
    # The same after 2/04/0A, 0B or 0C; our choice, for transitions take seconds (FACTS 4.7).
    not_ready_retry_delay_ns: int = 100_000_000

    def settings(self) -> dict[str, int]:
        """Returns the integers by name, which are also the names of the API's fields."""
        return {name: getattr(self, name) for name in SETTINGS}


SETTINGS: Final = tuple(field.name for field in fields(MultipathSpec) if field.name != "name")
