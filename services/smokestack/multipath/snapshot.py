"""What a snapshot holds of the multipath layer: its tables, hosts, devices and paths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from smokestack.engine import events_copy, faults_copy
from smokestack.engine.errors import FailedPrecondition
from smokestack.engine.snapshot import Keeper, Pieces, piece_of, refuse_others
from smokestack.engine.tables_copy import Copying, TableCopy, checked_tables, copy_tables

from .fabrics import Fabric, Link, LinkKind
from .inventory import Device, Path, copied
from .specs import (
    ApdHandling,
    ClaimRule,
    DepthRule,
    Escalation,
    Failback,
    MultipathHostSpec,
    MultipathSpec,
    NoPathRetry,
    PathChecker,
    PathFailureHandling,
    PathState,
    Plugin,
    QueueControl,
    Selector,
    SelectorSettings,
)

if TYPE_CHECKING:
    from .model import MultipathModel

_COPYING: Final = Copying(
    sparse=frozenset({"kernel_histogram", "path_histogram", "detour_histogram", "heard", "probe"}),
    heads={
        "hand": "hand_count",
        "born": "born_count",
        "note": "note_count",
        "chunk": "chunk_used",
        "wide_chunk": "wide_chunk_used",
        "world": "world_count",
    },
    scratch=frozenset({"dispatch", "counts", "out"}),
)


@dataclass(frozen=True, eq=False)
class ArrayCopy:
    """What multipath knows of an array; its link stays as it is."""

    row: int
    path_of: NDArray[np.uint32]
    lost_at_ns: int | None
    lost_epoch: int


_CLASSES: Final = (
    *events_copy.CLASSES,
    *faults_copy.CLASSES,
    TableCopy,
    ApdHandling,
    ArrayCopy,
    Escalation,
    Device,
    Fabric,
    Link,
    LinkKind,
    MultipathHostSpec,
    MultipathSpec,
    Path,
    PathState,
    ClaimRule,
    Plugin,
    Selector,
    SelectorSettings,
    DepthRule,
    QueueControl,
    NoPathRetry,
    Failback,
    PathChecker,
    PathFailureHandling,
)


class MultipathPart:
    """The layer's model as a part of its service; links and drivers are no part of it."""

    def __init__(self, model: MultipathModel) -> None:
        self._model = model

    def save(self) -> Any:
        """Returns a copy of tables and inventory."""
        model = self._model
        return {
            "tables": copy_tables(model.state, _COPYING),
            "spec": model.spec,
            "seed": model.seed,
            "hosts": model.hosts.copy(),
            "adapters": model.adapters.copy(),
            "devices": {key: device.row for key, device in model._devices.items()},
            "named": model.events.named(),
            "arrays": {
                name: ArrayCopy(a.row, a.path_of.copy(), a.lost_at_ns, a.lost_epoch)
                for name, a in model.arrays.items()
            },
            "paths_most": model.state.paths_most,
            "wires": model.wires.saved(),
            "fabrics": {name: f.copy() for name, f in model.fabrics.fabrics.items()},
            "evaluation_ns": model.evaluation_ns,
        }

    def load(self, saved: Any) -> Callable[[], None]:
        """Checks a copy, and returns what puts it in place."""
        model = self._model
        if set(saved["arrays"]) != set(model.arrays):
            had = ", ".join(sorted(saved["arrays"])) or "none"
            raise FailedPrecondition(
                f"the snapshot is of a stack with arrays {had}; "
                f"{model.name} has {', '.join(sorted(model.arrays)) or 'none'}: restore it where "
                "the arrays are the same",
                reason="SNAPSHOT_OF_ANOTHER",
                resource=model.name,
            )
        put_tables = checked_tables(model.state, saved["tables"], _COPYING, model.name)
        devices = {row: copied(device) for row, device in saved["named"][0].items()}
        known = {key: devices[row] for key, row in saved["devices"].items()}
        hosts, adapters = saved["hosts"].copy(), saved["adapters"].copy()
        fabrics = {name: fabric.copy() for name, fabric in saved["fabrics"].items()}
        tables_of = {name: copy.path_of.copy() for name, copy in saved["arrays"].items()}

        def put() -> None:
            put_tables()
            model.placed.forget()
            model.state.refit(saved["paths_most"])
            model.evaluation_ns = saved["evaluation_ns"]
            model.spec, model.seed = saved["spec"], saved["seed"]
            model.hosts, model.adapters, model._devices = hosts, adapters, known
            model.fabrics.fabrics = fabrics
            model.wires.restore(saved["wires"])
            model.events.name(devices, saved["named"][1])
            for name, copy in saved["arrays"].items():
                array = model.arrays[name]
                array.row, array.path_of = copy.row, tables_of[name]
                array.lost_at_ns, array.lost_epoch = copy.lost_at_ns, copy.lost_epoch
            model.order_arrays()

        return put


def stage(model: MultipathModel, pieces: Pieces) -> None:
    """Checks the layer's piece and its arrays' and keeps them ready; nothing changes yet."""
    parts = model.keeper.stage(piece_of(pieces, model.name))
    copies: dict[str, ArrayCopy] = parts["model"]["arrays"]
    live = {
        array_id: f"arrays/{array_id}" for array_id, c in copies.items() if c.lost_at_ns is None
    }
    refuse_others(pieces, {model.name, *live.values()})
    for array_id, service in live.items():
        model.arrays[array_id].device.stage({service: piece_of(pieces, service)})


def keeper_of(model: MultipathModel) -> Keeper:
    """Returns what keeps the layer's parts."""
    keeper = Keeper(model.name, lambda: model.now_ns, _CLASSES)
    keeper.parts["model"] = MultipathPart(model)
    keeper.parts["events"] = events_copy.EventsPart(model.events)
    keeper.parts["faults"] = faults_copy.FaultsPart(
        model.faults, lists=("chains.linked", "_ended"), values=("chains.links",)
    )
    return keeper
