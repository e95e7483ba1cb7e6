"""Parameters of fabrics as a whole."""

from __future__ import annotations

from typing import Final

from .parameter import Parameter

FABRICS: Final = (
    Parameter(
        "smokestack_rscn_total",
        "counter",
        "events",
        "State changes of ports that the fabric told of: links of ports that went down or came up.",
        "LINK_DOWN, and its end",
        lambda r: r.fabric_changes,
    ),
    Parameter(
        "smokestack_fabric_logged_in_ports",
        "gauge",
        "ports",
        "Ports logged in to the fabric: those whose link is up, and that hosts do not take for "
        "down.",
        "LINK_DOWN, an array's port that is disabled",
        lambda r: r.fabric_ports,
    ),
)
