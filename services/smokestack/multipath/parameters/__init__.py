"""What can be measured of multipath: every parameter once, by level; each a line.

A parameter counts among those that are told (README, "Parameters") because something that is
modelled moves it; `cause` says what.
"""

from __future__ import annotations

from typing import Final

from .adapters import ADAPTERS
from .devices import DEVICES
from .exchanges import EXCHANGES, NEXUSES
from .fabrics import FABRICS
from .links import LINKS
from .parameter import At, Parameter
from .paths import PATHS

PARAMETERS: Final[dict[At, tuple[Parameter, ...]]] = {
    At.PATH: PATHS,
    At.NEXUS: NEXUSES,
    At.EXCHANGE: EXCHANGES,
    At.DEVICE: DEVICES,
    At.ADAPTER: ADAPTERS,
    At.LINK: LINKS,
    At.FABRIC: FABRICS,
}
