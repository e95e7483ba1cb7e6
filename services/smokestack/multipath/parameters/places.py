"""Where in the tables stands what is known by name: the same until the inventory changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..fabrics import Fabric, Link
    from ..inventory import Device, Path
    from ..model import MultipathModel

Found = tuple["Device", tuple["Path", ...]]


@dataclass(frozen=True)
class Places:
    """Rows of paths and of what they belong to, each in order of name."""

    found: list[Found]
    paths: NDArray[np.intp]  # rows of the paths that are asked for
    owner: NDArray[np.intp]  # for each of them, its device among `found`
    devices: NDArray[np.intp]
    device_paths: NDArray[np.intp]  # rows of all paths of the devices, one device's after another's
    path_counts: NDArray[np.intp]
    adapters: list[tuple[tuple[str, str], int]]
    adapter_rows: NDArray[np.intp]
    links: list[tuple[Fabric, Link]]
    link_rows: NDArray[np.intp]
    link_keys: list[tuple[str, str]]
    fabrics: list[str]


class Placed:
    """Where everything stands, looked up once for each inventory, between borders if it can be."""

    def __init__(self, model: MultipathModel) -> None:
        self._model = model
        self._known: Places | None = None  # none while the inventory is not as it was
        self._changes = 0

    def forget(self) -> None:
        """The inventory has changed."""
        self._known = None
        self._changes += 1

    def seen(self) -> tuple[int, Places] | None:
        """Looks it up while time goes on; None: it is known, or a change came between."""
        if self._known is not None:
            return None
        changes = self._changes
        try:
            return changes, places_of_all(self._model)
        except (KeyError, RuntimeError):  # dictionaries change while they are read
            return None

    def at_border(self, seen: tuple[int, Places] | None = None) -> Places:
        """Returns it; what was seen between borders counts if nothing has changed since."""
        if self._known is None:
            is_same = seen is not None and seen[0] == self._changes
            self._known = seen[1] if seen and is_same else places_of_all(self._model)
        return self._known


def places_of_all(model: MultipathModel) -> Places:
    """Returns where everything stands."""
    found = [(device, tuple(device.paths.values())) for device in model.all_devices()]
    return _places(found, sorted(model.adapters.items()), list(model.fabrics.all_links()))


def places_of_path(model: MultipathModel, device: Device, path: Path) -> Places:
    """Returns where a path stands and what it belongs to."""
    key = (device.host_id, path.initiator)
    row = model.state["path"][path.row]
    crossed = {int(row[end]) for end in ("host_link", "trunk_link", "target_link")}
    links = [pair for pair in model.fabrics.all_links() if pair[1].row in crossed]
    return _places([(device, (path,))], [(key, model.adapters[key])], links)


def _places(
    found: list[Found],
    adapters: list[tuple[tuple[str, str], int]],
    links: list[tuple[Fabric, Link]],
) -> Places:
    counts = np.array([len(some) for _, some in found], dtype=np.intp)
    return Places(
        found=found,
        paths=_rows([path.row for _, some in found for path in some]),
        owner=np.repeat(np.arange(len(found)), counts),
        devices=_rows([device.row for device, _ in found]),
        device_paths=_rows([p.row for device, _ in found for p in device.paths.values()]),
        path_counts=_rows([len(device.paths) for device, _ in found]),
        adapters=adapters,
        adapter_rows=_rows([row for _, row in adapters]),
        links=links,
        link_rows=_rows([link.row for _, link in links]),
        link_keys=[(fabric.fabric_id, link.link_id) for fabric, link in links],
        fabrics=sorted({fabric.fabric_id for fabric, _ in links}),
    )


def _rows(rows: list[int]) -> NDArray[np.intp]:
    return np.array(rows, dtype=np.intp)
