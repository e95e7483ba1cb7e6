"""What disks there are, as data: how long an access takes them on the mean, alone.

Every time is ours, none a product's.  Disks: half a turn (3.0 ms at 10,000 a minute, 4.2 at 7,200)
and a seek, a little longer for a write, which has to settle; nothing of either where an access
follows the last one.  Flash: reads from a die, writes through the drive's own buffer.  What a
pool gives itself goes before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .specs import MediaKind

_US: Final = 1_000


def _times(read_us: int, write_us: int, sequential_us: int) -> Mapping[str, int]:
    return {
        "media_ns": read_us * _US,
        "media_write_ns": write_us * _US,
        "media_sequential_ns": sequential_us * _US,
    }


MEDIA: Final[Mapping[MediaKind, Mapping[str, int]]] = {
    MediaKind.CUSTOM: {},
    MediaKind.FLASH: _times(150, 60, 50),
    MediaKind.DISK_10K: _times(7_000, 7_500, 250),
    MediaKind.DISK_7K2: _times(12_500, 13_500, 350),
}
