"""Arrays whose process was lost, and is found again: a power on, at the border of a rescan.

What such an array had in hand is gone; what it exports may be what it was, from its state
directory, or nothing at all.  Its nexuses may have other numbers, so that nothing is known of them
until hosts have asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from smokestack.engine.blockdevice import Attachment, Returning
from smokestack.engine.errors import Refused
from smokestack.engine.event_kinds import EventKind

from . import queues
from .state import NIL

if TYPE_CHECKING:
    from .model import ConnectedArray, MultipathModel


def returned(model: MultipathModel) -> list[ConnectedArray]:
    """Takes back the arrays that were lost and answer again; returns those, by name."""
    found = []
    for array in model.arrays.values():
        if array.lost_at_ns is None or not isinstance(array.device, Returning):
            continue
        try:
            array.device.reconnect()
            _attach(model, array)
        except Refused:  # it is not back, or is not what it was: it stays lost
            continue
        found.append(array)
    return found


def power_on(model: MultipathModel, detail: Mapping[str, str | int]) -> None:
    """Begins anew from what a state directory held: nothing is in flight, and every host asks its
    arrays again, which may be others by now than they were."""
    model.driver, model.epoch = None, 0
    queues.empty(model.state)
    model.wires.empty()
    model.state.kernel.start(model.now_ns)
    for array in list(model.arrays.values()):
        _forget(model, array)
    model.events.add(model.now_ns, EventKind.RECOVERED, model.name, detail=detail)
    for host_id in sorted(model.hosts):
        model.rescan(host_id)


def _forget(model: MultipathModel, array: ConnectedArray) -> None:
    """Knows nothing of an array's nexuses until hosts have asked, and takes it for alive."""
    array.lost_at_ns = None
    array.path_of[:] = NIL
    paths = model.state.used("path")
    mine = paths["array"] == array.row
    paths["lost"][mine] = paths["down_ns"][mine] = 0
    model.order_arrays()


def _attach(model: MultipathModel, array: ConnectedArray) -> None:
    row = model.state.row
    array.connections += 1
    if model.driver is not None:
        array.device.attach(
            Attachment(
                driver=model.name,
                epoch=model.epoch + array.connections,
                seed=model.seed,
                start_ns=model.now_ns,
                lookahead_ns=int(row["lookahead_ns"]),
                power_on=True,
            )
        )
        row["arrays_next_ns"] = model.now_ns + int(row["lookahead_ns"])
    _forget(model, array)
    detail = {"connection": array.connections + 1}
    model.events.add(model.now_ns, EventKind.PEER_RETURNED, array.device.name, detail=detail)
