"""What front-end ports there are, as data: the commands that one has outstanding at most.

As of profiles, each value says where it is from; a limit that a port gives itself goes before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .profiles import Value
from .specs import PortKind

_3PAR: Final = "FACTS 4.2 [S56]"
_ISCSI: Final = "FACTS 4.2 [S57]"
_HITACHI: Final = "FACTS 4.2 [S60]"
_MEMORY: Final = "from memory"

PORT_LIMITS: Final[Mapping[PortKind, Value]] = {
    PortKind.QLOGIC_2G_FC: Value(497, _3PAR),
    PortKind.LSI_2G_FC: Value(510, _3PAR),
    PortKind.EMULEX_4G_FC: Value(959, _3PAR),
    PortKind.INSERV_4G_FC: Value(1638, _3PAR),
    PortKind.INSERV_8G_FC: Value(3276, _MEMORY),
    PortKind.QLOGIC_1G_ISCSI: Value(512, _ISCSI),
    PortKind.QLOGIC_10G_ISCSI: Value(2048, _ISCSI),
    PortKind.CNA_FCOE: Value(1748, "FACTS 4.2 [S54]"),
    PortKind.CLARIION_FC: Value(2048, "FACTS 4.2 [S58][S59]: hard; plan with 1,600"),
    PortKind.HITACHI_9200: Value(256, f"{_HITACHI}: 9200 and 7700E"),
    PortKind.HITACHI_9500V: Value(512, f"{_HITACHI}: 9500V, AMS and 9900"),
    PortKind.HITACHI_USP: Value(1024, _HITACHI),
    PortKind.HITACHI_USP_V: Value(2048, _HITACHI),
    PortKind.COMPELLENT_FC: Value(1900, _MEMORY),
}
