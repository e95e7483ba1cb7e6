"""Parameters of fabrics as a whole."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from .parameter import Parameter
from .reading import Reading


def _sum(values: NDArray[np.int64], reading: Reading) -> NDArray[np.int64]:
    """Adds up over the links at whose end a port is."""
    total = np.zeros(len(reading.fabrics), np.int64)
    np.add.at(total, reading.fabric_of, np.where(reading.is_end, values, 0))
    return total


FABRICS: Final = (
    Parameter(
        "smokestack_rscn_total",
        "counter",
        "events",
        "State changes of ports that the fabric told of: links of ports that went down or came up.",
        "LINK_DOWN, and its end",
        lambda r: _sum(2 * r.downs - r.is_down, r),
    ),
    Parameter(
        "smokestack_fabric_logged_in_ports",
        "gauge",
        "ports",
        "Ports logged in to the fabric: those whose link is up, and that hosts do not take for "
        "down.",
        "LINK_DOWN, an array's port that is disabled",
        lambda r: _sum((~(r.is_down | r.port_down)).astype(np.int64), r),
    ),
)
