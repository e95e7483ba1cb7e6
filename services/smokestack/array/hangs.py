"""Ports that hang: they take commands and answer none, and no link goes down (FACTS 2.4).

So hosts keep their paths, and fail over only by their own time-outs.  What the port had in it when
it began to hang is never answered, nor is any abort or reset of a logical unit; a reset of the
target ends it at once (``aborts.h``), and so does the rule's end, as when an array resets its port
by itself.  That hosts which keep sending make a port hang is documented; when it does, and that the
array is as slow as ever inside, is ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from smokestack.engine.fault_rules import FaultKind
from smokestack.engine.faults import Fault, FaultState

if TYPE_CHECKING:
    from .inventory import ArrayInventory

PORT_HANG: Final = "PORT_HANG"
KIND: Final = FaultKind(
    PORT_HANG,
    "arrays/a1/ports/p0",
    "The port takes commands and answers none; its link stays up, so paths do, too. A target reset "
    "ends it before its time.",
    per_io=False,
)


def apply(array: ArrayInventory, fault: Fault) -> None:
    """Lets ports begin to hang, or end it, as a rule does."""
    if fault.rule.kind != PORT_HANG:
        return
    ports = [port_id for port_id in array.ports if fault.matches(f"{array.name}/ports/{port_id}")]
    if fault.state is FaultState.ACTIVE:
        fault.hits = len(ports)
        for port_id in ports:
            begin(array, port_id)
        return
    for port_id in ports:
        if array.faults.holding(PORT_HANG, f"{array.name}/ports/{port_id}") is None:
            array.state["port"]["hung"][array.row_of("ports", port_id)] = 0


def begin(array: ArrayInventory, port_id: str) -> None:
    """Makes a port hang, with all that is in it."""
    row = array.state["port"][array.row_of("ports", port_id)]
    row["hung"] = 1
    row["epoch"] += 1
    row["drop_epoch"] = row["epoch"]


def end_all(array: ArrayInventory) -> None:
    """Has ports begin anew with a power on, but for those that a rule still has hang."""
    for port_id in array.ports:
        row = array.state["port"][array.row_of("ports", port_id)]
        row["refused_in_a_row"] = row["refused_at"] = 0
        if array.faults.holding(PORT_HANG, f"{array.name}/ports/{port_id}") is None:
            row["hung"] = 0


def join(array: ArrayInventory, port_id: str) -> None:
    """Lets a new port be as the rules in force want it."""
    if array.faults.holding(PORT_HANG, f"{array.name}/ports/{port_id}") is not None:
        begin(array, port_id)
