"""What a snapshot holds of an array: its tables and its inventory, copied between windows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from typing import TYPE_CHECKING, Any, Final

from smokestack.engine import events_copy, faults_copy
from smokestack.engine.snapshot import Keeper
from smokestack.engine.tables_copy import Copying, TableCopy, checked_tables, copy_tables

from . import specs
from .luns import Luns
from .reservations import Reservations, ReservationType

if TYPE_CHECKING:
    from .model import ArrayModel

_CLASSES: Final = (
    *events_copy.CLASSES,
    *faults_copy.CLASSES,
    TableCopy,
    specs.ArrayHostSpec,
    specs.ControllerSpec,
    specs.DriveGroupSpec,
    specs.ExportSpec,
    specs.FamilySpec,
    specs.HostSetSpec,
    specs.InitiatorSpec,
    specs.MediaDistribution,
    specs.MediaKind,
    specs.OutOfSpace,
    specs.PoolSpec,
    specs.PortKind,
    specs.PortSetSpec,
    specs.PortSpec,
    specs.Profile,
    specs.Provisioning,
    specs.RaidLevel,
    Reservations,
    ReservationType,
    specs.SetExportSpec,
    specs.VolumeSnapshotSpec,
    specs.ProductSpec,
    specs.VolumeSpec,
    specs.ZeroDetect,
)
_COPYING: Final = Copying(
    sparse=frozenset(
        {"histogram", "page", "share", "block", "attention", "task", "read_slot", "read_index"}
    ),
    scratch=frozenset({"delta"}),
    heads={
        "inbox": "inbox_count",
        "out": "out_end",
        "note": "note_count",
        "chunk": "chunk_used",
    },
)
# The model's own attributes: dictionaries and lists of values that never change.
_HELD: Final = (
    "controllers",
    "ports",
    "drive_groups",
    "pools",
    "volumes",
    "snapshots",
    "hosts",
    "exports",
    "host_sets",
    "port_sets",
    "set_exports",
    "itls",
    "lun_of",
    "_rows",
)
_LINKS: Final = ("_records", "_changes", "_stale")
_CONTROLLERS: Final = ("_boots", "_told")


def save_windows(model: ArrayModel) -> dict[str, Any]:
    """Returns a copy of what windows, too, change of a model beside its tables."""
    return {
        "links": {name: copy(getattr(model.links, name)) for name in _LINKS},
        "controllers": {
            name: getattr(model.links.controllers, name).copy() for name in _CONTROLLERS
        },
        "diversions": model.advertised.diversions.save(),
        "known": model.known.copy(),
        "reservations": model.reservations.save(),
    }


def put_windows(model: ArrayModel, saved: Mapping[str, Any]) -> None:
    """Puts in place what ``save_windows`` returned, where tables are as they were before it."""
    for name in _LINKS:
        setattr(model.links, name, copy(saved["links"][name]))
    for name in _CONTROLLERS:
        setattr(model.links.controllers, name, saved["controllers"][name].copy())
    model.advertised.diversions.repeat(saved["diversions"])
    model.known = saved["known"].copy()
    model.reservations.put(saved["reservations"])


class ArrayPart:
    """An array's model as a part of its service; who drives it is no part of it."""

    def __init__(self, model: ArrayModel) -> None:
        self._model = model

    def save(self) -> Any:
        """Returns a copy of tables and inventory."""
        return {
            "tables": copy_tables(self._model.state, _COPYING),
            "held": {name: getattr(self._model, name).copy() for name in _HELD},
            "product": self._model.product,
            "family": self._model.family.spec,
            **save_windows(self._model),
        }

    def load(self, saved: Any) -> Callable[[], None]:
        """Checks a copy, and returns what puts it in place."""
        model = self._model
        put_tables = checked_tables(model.state, saved["tables"], _COPYING, model.name)
        held = {name: saved["held"][name].copy() for name in _HELD}
        links = {name: copy(saved["links"][name]) for name in _LINKS}
        put_reservations = model.reservations.load(saved["reservations"])
        put_diversions = model.advertised.diversions.load(saved["diversions"])
        itls_by_volume: dict[str, list[int]] = {}
        for index, (volume_id, *_) in enumerate(held["itls"]):
            if volume_id in held["volumes"]:
                itls_by_volume.setdefault(volume_id, []).append(index)
        controllers = {name: saved["controllers"][name].copy() for name in _CONTROLLERS}
        known = saved["known"].copy()
        luns = Luns()
        for export in held["exports"].values():
            luns.take(export)

        def put() -> None:
            kept = bool(model.state.row["delta_kept"])
            put_tables()
            model.state.keep_deltas(kept)
            for name in _HELD:
                setattr(model, name, held[name])
            for name in _LINKS:
                setattr(model.links, name, links[name])
            model.luns, model.itls_by_volume = luns, itls_by_volume
            put_diversions()
            put_reservations()
            model.index_itls()
            for name in _CONTROLLERS:
                setattr(model.links.controllers, name, controllers[name])
            model.product, model.known = saved["product"], known
            model.family.spec = saved["family"]

        return put


def keeper_of(model: ArrayModel) -> Keeper:
    """Returns what keeps an array's parts."""
    keeper = Keeper(model.name, lambda: model.now_ns, _CLASSES)
    keeper.parts["model"] = ArrayPart(model)
    keeper.parts["events"] = events_copy.EventsPart(model.events)
    keeper.parts["faults"] = faults_copy.FaultsPart(
        model.faults, lists=("chains.linked", "_ended"), values=("chains.links",)
    )
    return keeper
