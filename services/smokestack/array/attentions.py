"""Unit attentions: which nexuses have to tell what, before they serve anything else.

A nexus that has several tells them one command at a time, in the order of ``Attention``.  What the
kernel itself establishes, within a window, goes by the functions of ``attentions.h``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from smokestack.engine.records import Attention

from .state import ATTENTION_ROWS

if TYPE_CHECKING:
    from .inventory import ArrayInventory


def establish(
    array: ArrayInventory,
    attention: Attention,
    cause: int,
    *,
    volume_id: str = "",
    port_id: str = "",
    host_id: str = "",
    initiator: str = "",
) -> int:
    """Makes nexuses tell an attention; returns how many.  It acts when a change of now acts.

    A name that is given leaves out the nexuses of others; with none given, all of the array are
    meant.  ``cause`` is the number of the array's event that explains it.  NotFound of what the
    array does not have is the caller's to raise: names that match nothing establish nothing.
    """
    itl = array.state.used("itl")
    chosen = itl["valid"] != 0
    if volume_id:
        chosen &= array.advertised.diversions.owners() == array.row_of("volumes", volume_id)
    if port_id:
        chosen &= itl["port"] == array.row_of("ports", port_id)
    at = np.flatnonzero(chosen)
    if host_id or initiator:
        wanted = [
            index
            for index in at.tolist()
            if host_id in ("", array.itls[index][1]) and initiator in ("", array.itls[index][2])
        ]
        at = np.array(wanted, dtype=np.intp)
    establish_at(array, attention, cause, at)
    return len(at)


def establish_at(
    array: ArrayInventory, attention: Attention, cause: int, at: NDArray[np.intp]
) -> None:
    """Makes the nexuses of these rows tell an attention."""
    itl = array.state.used("itl")
    if attention is Attention.POWER_ON:
        itl["attentions"][at] = 0
    itl["attentions"][at] |= np.uint16(1 << attention)
    array.state["attention"]["cause"][at * ATTENTION_ROWS + int(attention)] = cause


def pending(array: ArrayInventory, itl: int) -> tuple[Attention, ...]:
    """Returns what a nexus has to tell, in order."""
    bits = int(array.state["itl"]["attentions"][itl])
    return tuple(attention for attention in Attention if bits >> attention & 1)
