"""Parameters of links: what switches count of each, in the direction of the hosts.

A failed link is taken for one whose light is lost at the switch: the switch sends NOS, hears OLS
when the other end is back, and sends LR (the link protocols of FC-FS).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from .parameter import Parameter
from .reading import Reading


def _ups(reading: Reading) -> NDArray[np.int64]:
    return reading.downs - reading.is_down


def _remaining(reading: Reading) -> NDArray[np.int64]:
    """Returns free buffers: a frame that has not left yet has one."""
    table = reading.link
    wait_ns = np.maximum(table["free_ns"] - reading.now_ns, 0)
    frames = -(-wait_ns // np.maximum(table["frame_ns"], 1))
    credits = table["credits"].astype(np.int64)
    left: NDArray[np.int64] = credits - np.minimum(
        np.where(table["frame_ns"] > 0, frames, 0), credits
    )
    return left


def _downs(name: str, text: str) -> Parameter:
    return Parameter(name, "counter", "events", text, "LINK_DOWN", lambda r: r.downs)


def _returns(name: str, text: str) -> Parameter:
    return Parameter(name, "counter", "events", text, "the end of a LINK_DOWN", _ups)


LINKS: Final = (
    Parameter(
        "smokestack_port_tx_frames_total",
        "counter",
        "frames",
        "Frames that the link has carried towards hosts.",
        "load",
        lambda r: r.link["frames"],
    ),
    Parameter(
        "smokestack_port_state_changes_total",
        "counter",
        "events",
        "Times that the link went down or came up.",
        "LINK_DOWN, and its end",
        lambda r: 2 * r.downs - r.is_down,
    ),
    Parameter(
        "smokestack_port_crc_errors_total",
        "counter",
        "errors",
        "Frames that failed their checksum on the link.",
        "FRAME_DAMAGED",
        lambda r: r.link["crc_errors"],
    ),
    _downs("smokestack_port_loss_of_signal_total", "Times that the link's light was lost."),
    _downs("smokestack_port_loss_of_sync_total", "Times that the link lost synchronization."),
    _downs("smokestack_port_link_failures_total", "Times that the link failed."),
    _downs("smokestack_port_not_operational_total", "NOS sequences that the switch has sent."),
    _returns("smokestack_port_offline_sequences_total", "OLS sequences that the switch has heard."),
    _returns("smokestack_port_link_resets_tx_total", "Link resets (LR) that the switch has sent."),
    Parameter(
        "smokestack_port_bb_credit_configured",
        "gauge",
        "credits",
        "Buffers for frames at the link's far end (BB_Credit).",
        "UpdateFabricLink: frames wait for buffers",
        lambda r: r.link["credits"],
    ),
    Parameter(
        "smokestack_port_bb_credit_remaining",
        "gauge",
        "credits",
        "Buffers of the link that no frame waits in.",
        "SLOW_DRAIN, a link with a rate",
        _remaining,
    ),
    Parameter(
        "smokestack_port_bb_credit_zero_total",
        "counter",
        "events",
        "Times that the link ran out of credits, with a frame to send.",
        "SLOW_DRAIN, a link with a rate",
        lambda r: r.link["credit_zero"],
    ),
    Parameter(
        "smokestack_port_bb_credit_zero_seconds_total",
        "counter",
        "seconds",
        "Virtual time that the link has had a frame to send and no credit.",
        "SLOW_DRAIN, a link with a rate",
        lambda r: r.link["credit_zero_ns"] / 1e9,
        "number",
    ),
    Parameter(
        "smokestack_port_class3_discards_total",
        "counter",
        "frames",
        "Frames that were to go by the link, and that the switch has dropped for its hold time.",
        "a hold time, and SLOW_DRAIN",
        lambda r: r.link["class3_discards"],
    ),
    Parameter(
        "smokestack_port_busy_seconds_total",
        "counter",
        "seconds",
        "Virtual time that the link's far end has taken for its frames.",
        "SLOW_DRAIN, a link with a rate",
        lambda r: r.link["busy_ns"] / 1e9,
        "number",
    ),
    Parameter(
        "smokestack_port_rrdy_total",
        "counter",
        "primitives",
        "Credits (R_RDY) that the link's far end has given back: one a frame.",
        "load",
        lambda r: r.link["frames"],
    ),
    Parameter(
        "smokestack_port_logins_total",
        "counter",
        "events",
        "Times that the port at the link's end logged in to the fabric (FLOGI).",
        "the end of a LINK_DOWN",
        lambda r: np.where(r.is_end, 1 + _ups(r), 0),
    ),
    Parameter(
        "smokestack_port_logouts_total",
        "counter",
        "events",
        "Times that the port at the link's end was logged out, as its link failed.",
        "LINK_DOWN",
        lambda r: np.where(r.is_end, r.downs, 0),
    ),
    Parameter(
        "smokestack_els_rejects_total",
        "counter",
        "events",
        "Logins of initiators at ports (PLOGI) across the link that were refused (LS_RJT).",
        "LOGIN_REJECTED, and a LINK_DOWN that ends meanwhile",
        lambda r: r.rejects,
    ),
)
