"""What may be set of a plugin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Settings:
    """Settings of one plugin; by default it is what most tools expect."""

    node_id: str = ""  # the host that Node serves; empty: the multipath layer's first one
    volumes_per_node: int = 0  # 0: as many as a host has LUNs
    # Health calls are answered in any case. They are alpha and new in CSI 1.13: what knows an older
    # one, such as csi-sanity before 5.6, takes a plugin that announces them for a wrong one.
    announce_health: bool = False


DEFAULT: Final = Settings()
