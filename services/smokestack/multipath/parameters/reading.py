"""What one border had of some paths, and of what they belong to; taken while time stands still.

Rows are those of the paths that are asked for, of their devices, adapters, links and fabrics, each
once, in order of name.  Parameters read columns of these; nothing here is shared with the kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smokestack.engine.exposition import octaves
from smokestack.engine.histogram import buckets
from smokestack.engine.sparse_histogram import chunk_octaves, dense

from ..fabrics import Fabric, Link, LinkKind
from ..state import PROBE_HISTOGRAMS

if TYPE_CHECKING:
    from ..inventory import Device, Path
    from ..model import MultipathModel

Found = tuple["Device", tuple["Path", ...]]
RowsOf = Callable[[NDArray[Any]], NDArray[np.int64]]


@dataclass(frozen=True)
class Reading:
    """Tables' rows by level, and what is known of links in Python."""

    now_ns: int
    probing: bool
    found: list[Found]
    owner: NDArray[np.intp]  # for each path, its device among `found`
    path: NDArray[Any]
    measure: NDArray[Any]
    path_latency: NDArray[np.int64]  # a row: count, sum, and counts by octave or bucket
    tap: NDArray[Any]
    probe: NDArray[np.int64]  # such rows by path and probe.Seen; none unless there is a probe
    imbalance: NDArray[np.float64]  # by device, over all of its paths
    device: NDArray[Any]
    control: NDArray[Any]
    device_latency: NDArray[np.int64]
    kernel_latency: NDArray[np.int64]
    detours: NDArray[np.int64]
    adapters: list[tuple[tuple[str, str], int]]
    adapter: NDArray[Any]
    adapter_ios: NDArray[np.int64]  # by adapter: I/Os and their bytes
    adapter_bytes: NDArray[np.int64]
    links: list[tuple[Fabric, Link]]
    link: NDArray[Any]
    downs: NDArray[np.int64]  # by link: how often it went down
    is_down: NDArray[np.bool_]
    is_end: NDArray[np.bool_]  # a port is at its end: no trunk
    fabrics: list[str]
    fabric_changes: NDArray[np.int64]  # by fabric: ports' links that went down or came up
    fabric_ports: NDArray[np.int64]  # and ports whose links are up, and that hosts take for up


def read_all(model: MultipathModel) -> Reading:
    """Reads what stands of all, histograms by octave; at a border."""
    found = [(device, tuple(device.paths.values())) for device in model.all_devices()]
    return _read(model, found, sorted(model.adapters.items()), list(model.fabrics.all_links()))


def read_path(model: MultipathModel, device: Device, path: Path) -> Reading:
    """Reads what stands of a path and what it belongs to, histograms in full; at a border."""
    key = (device.host_id, path.initiator)
    row = model.state["path"][path.row]
    crossed = {int(row[end]) for end in ("host_link", "trunk_link", "target_link")}
    links = [pair for pair in model.fabrics.all_links() if pair[1].row in crossed]
    adapters = [(key, model.adapters[key])]
    return _read(model, [(device, (path,))], adapters, links, full=True)


def _read(
    model: MultipathModel,
    found: list[Found],
    adapters: list[tuple[tuple[str, str], int]],
    links: list[tuple[Fabric, Link]],
    full: bool = False,
) -> Reading:
    state = model.state
    paths = np.array([path.row for _, some in found for path in some], dtype=np.intp)
    devices = np.array([device.row for device, _ in found], dtype=np.intp)
    counts = np.array([len(some) for _, some in found], dtype=np.intp)
    all_paths = state.used("path")
    at = np.array([row for _, row in adapters], dtype=np.intp)
    fabrics = sorted({fabric.fabric_id for fabric, _ in links})
    changes, ports = _fabrics(model, fabrics)
    keys = [(fabric.fabric_id, link.link_id) for fabric, link in links]
    rows = np.array([link.row for _, link in links], dtype=np.intp)
    rows_of = buckets if full else octaves
    path_latency, device_latency = _latencies(model, paths, devices, rows_of)
    sums = {name: np.zeros(len(state["adapter"]), np.int64) for name in ("ios", "bytes")}
    for name, column in sums.items():
        np.add.at(column, all_paths["adapter"], all_paths[name].astype(np.int64))
    probing = bool(state.row["probing"])
    if probing:
        state.fit_probe()
    return Reading(
        now_ns=model.now_ns,
        probing=probing,
        found=found,
        owner=np.repeat(np.arange(len(found)), counts),
        path=all_paths[paths],
        measure=state["measure"][paths],
        path_latency=path_latency,
        tap=state["tap"][paths] if probing else state["tap"][:0],
        probe=_probe(model, paths if probing else paths[:0], full),
        imbalance=_imbalance(model, found),
        device=state["device"][devices],
        control=state["control"][devices],
        device_latency=device_latency,
        kernel_latency=rows_of(state["kernel_histogram"][devices]),
        detours=_detours(model, devices, rows_of),
        adapters=adapters,
        adapter=state["adapter"][at],
        adapter_ios=sums["ios"][at],
        adapter_bytes=sums["bytes"][at],
        links=links,
        link=state["link"][rows],
        downs=np.array([model.wires.downs.get(key, 0) for key in keys], dtype=np.int64),
        is_down=np.array([key in model.wires.down for key in keys], dtype=bool),
        is_end=np.array([link.kind is not LinkKind.TRUNK for _, link in links], dtype=bool),
        fabrics=fabrics,
        fabric_changes=changes,
        fabric_ports=ports,
    )


def _fabrics(
    model: MultipathModel, fabrics: list[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns changes of ports' links, and ports that are logged in, by fabric."""
    table = model.state.used("path")
    alive = frozenset(np.unique(table["target_link"][table["target_down"] == 0]).tolist())
    changes, ports = np.zeros((2, len(fabrics)), np.int64)
    for at, fabric_id in enumerate(fabrics):
        for link in model.fabrics.fabric(fabric_id).links.values():
            key = (fabric_id, link.link_id)
            down = key in model.wires.down
            if link.kind is not LinkKind.TRUNK:
                changes[at] += 2 * model.wires.downs.get(key, 0) - down
                ports[at] += not down and (link.kind is LinkKind.HOST or link.row in alive)
    return changes, ports


def _imbalance(model: MultipathModel, found: list[Found]) -> NDArray[np.float64]:
    """Returns for each device its busiest path's I/Os over an equal share of all."""
    rows = [path.row for device, _ in found for path in device.paths.values()]
    count = np.array([len(device.paths) for device, _ in found], dtype=np.intp)
    owner = np.repeat(np.arange(len(found)), count)
    ios = model.state["path"]["ios"][np.array(rows, dtype=np.intp)].astype(np.float64)
    total = np.bincount(owner, weights=ios, minlength=len(found))
    busiest = np.zeros(len(found))
    np.maximum.at(busiest, owner, ios)
    imbalance = np.full(len(found), np.nan)
    np.divide(busiest * count, total, out=imbalance, where=total > 0)
    return imbalance


def _probe(model: MultipathModel, paths: NDArray[np.intp], full: bool) -> NDArray[np.int64]:
    state = model.state
    rows = (paths[:, None] * PROBE_HISTOGRAMS + np.arange(PROBE_HISTOGRAMS)).ravel()
    used = state["chunk"][: int(state.row["chunk_used"])]
    table = state["probe"][rows]
    found = buckets(dense(table, used)) if full else chunk_octaves(table, used)
    return found.reshape(len(paths), PROBE_HISTOGRAMS, found.shape[1])


def _latencies(
    model: MultipathModel,
    paths: NDArray[np.intp],
    devices: NDArray[np.intp],
    rows_of: RowsOf,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns paths' rows, and devices': those that a rescan has removed still count there."""
    place = np.full(len(model.state["device"]), -1, dtype=np.intp)
    place[devices] = np.arange(len(devices))
    of = place[model.state.used("path")["device"]]
    some = np.flatnonzero(of >= 0)
    table = model.state.used("path_histogram")
    rows = rows_of(table if len(some) == len(table) else table[some])  # all: without a copy
    latency = np.zeros((len(devices), rows.shape[1]), np.int64)
    np.add.at(latency, of[some], rows)
    return rows[np.searchsorted(some, paths)], latency


def _detours(
    model: MultipathModel, devices: NDArray[np.intp], rows_of: RowsOf
) -> NDArray[np.int64]:
    """Returns what devices' queue latencies have other than kernel latencies."""
    state = model.state
    rows = np.zeros((len(devices), rows_of(state["detour_histogram"][:0]).shape[1]), np.int64)
    some = np.flatnonzero(state["device"]["retries"][devices])  # of most it is nothing
    rows[some] = rows_of(state["detour_histogram"][devices[some]])
    return rows
