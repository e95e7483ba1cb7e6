"""Unit attentions: which nexuses have to tell what, before they serve anything else.

A nexus that has several tells them one command at a time, in the order of ``Attention``.  What the
kernel itself establishes, within a window, goes by the functions of ``attentions.h``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from smokestack.engine.records import Attention

from .state import ATTENTION_ROWS

if TYPE_CHECKING:
    from .inventory import ArrayInventory

ASK_FOR_A_RESCAN: Final = (
    Attention.LUNS_CHANGED,
    Attention.INQUIRY_CHANGED,
    Attention.IDENTIFIER_CHANGED,
    Attention.CAPACITY_CHANGED,
)


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


def joined(array: ArrayInventory, itl: int, volume_id: str) -> None:
    """Has a new nexus of a volume in transition hear of the end, as those that were there do."""
    if array.ownership.in_transition(volume_id):
        cause = array.state.number("volume", "moved", array.row_of("volumes", volume_id))
        establish_at(array, Attention.ACCESS_CHANGED, cause, np.array([itl], dtype=np.intp))


def rescanned(array: ArrayInventory, found: list[int], initiators: Sequence[str]) -> None:
    """Takes an initiator's question for what it reaches as what some attentions ask it for."""
    array.known.update(dict.fromkeys(initiators, True))
    answered = sum(1 << attention for attention in ASK_FOR_A_RESCAN)
    array.state["itl"]["attentions"][found] &= np.uint16(0xFFFF & ~answered)


def luns_changed(array: ArrayInventory, host_id: str, cause: int, before: int) -> None:
    """Tells a host's initiators that what they reach has changed, by all that they reached before.

    Who has never asked what it reaches has nothing to be told; rows from ``before`` on are new.
    """
    if not any(i.name in array.known for i in array.hosts[host_id].initiators):
        return
    rows = np.array(array.itls_of_host.get(host_id, []), dtype=np.intp)
    shown = array.state["itl"]["valid"][rows] != 0
    establish_at(array, Attention.LUNS_CHANGED, cause, rows[shown & (rows < before)])


def represented(array: ArrayInventory, host_id: str, lun: int, cause: int) -> None:
    """Tells by nexuses of volumes hidden since that another one is at their LUN now.

    After that they answer 5/25/00 again: who was told so addresses the volume that it knew.
    """
    rows = [i for i in array.itls_of_host.get(host_id, []) if array.lun_of[i] == lun]
    at = np.array(rows, dtype=np.intp)
    hidden = array.state["itl"]["valid"][at] == 0
    establish_at(array, Attention.INQUIRY_CHANGED, cause, at[hidden])


def pending(array: ArrayInventory, itl: int) -> tuple[Attention, ...]:
    """Returns what a nexus has to tell, in order."""
    bits = int(array.state["itl"]["attentions"][itl])
    return tuple(attention for attention in Attention if bits >> attention & 1)
