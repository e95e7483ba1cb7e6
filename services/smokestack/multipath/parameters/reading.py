"""What one border had of some paths, and of what they belong to; taken while time stands still.

Rows are those of the paths that are asked for, of their devices, adapters, links and fabrics, each
once, in order of name.  Parameters read columns of these; nothing here is shared with the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smokestack.engine.exposition import octaves
from smokestack.engine.sparse_histogram import chunk_octaves

from ..fabrics import Fabric, Link, LinkKind
from ..state import PROBE_HISTOGRAMS

if TYPE_CHECKING:
    from ..inventory import Device, Path
    from ..model import MultipathModel

Found = tuple["Device", tuple["Path", ...]]


@dataclass(frozen=True)
class Reading:
    """Tables' rows by level, and what is known of links in Python."""

    now_ns: int
    probing: bool
    found: list[Found]
    owner: NDArray[np.intp]  # for each path, its device among `found`
    path: NDArray[Any]
    measure: NDArray[Any]
    path_latency: NDArray[np.int64]  # octaves
    tap: NDArray[Any]
    probe: NDArray[np.int64]  # octaves, by path and probe.Seen; empty unless there is a probe
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
    fabric_of: NDArray[np.intp]  # by link
    port_down: NDArray[np.bool_]  # by link: an array's port that hosts take for down


def read(model: MultipathModel, found: list[Found], links: list[tuple[Fabric, Link]]) -> Reading:
    """Reads what stands of these devices' paths, and of these links; at a border."""
    state = model.state
    paths = np.array([path.row for _, some in found for path in some], dtype=np.intp)
    devices = np.array([device.row for device, _ in found], dtype=np.intp)
    counts = np.array([len(some) for _, some in found], dtype=np.intp)
    all_paths = state.used("path")
    ends = {(device.host_id, path.initiator) for device, some in found for path in some}
    adapters = sorted((key, row) for key, row in model.adapters.items() if key in ends)
    if len(found) == len(model._devices):
        adapters = sorted(model.adapters.items())
    at = np.array([row for _, row in adapters], dtype=np.intp)
    fabrics = sorted({fabric.fabric_id for fabric, _ in links})
    keys = [(fabric.fabric_id, link.link_id) for fabric, link in links]
    rows = np.array([link.row for _, link in links], dtype=np.intp)
    alive = np.unique(all_paths["target_link"][all_paths["target_down"] == 0])
    target = np.array([link.kind is LinkKind.TARGET for _, link in links], dtype=bool)
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
        path_latency=octaves(state["path_histogram"][paths]),
        tap=state["tap"][paths] if probing else state["tap"][:0],
        probe=_probe(model, paths if probing else paths[:0]),
        device=state["device"][devices],
        control=state["control"][devices],
        device_latency=_device_latency(model, devices),
        kernel_latency=octaves(state["kernel_histogram"][devices]),
        detours=_detours(model, devices),
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
        fabric_of=np.array([fabrics.index(name) for name, _ in keys], dtype=np.intp),
        port_down=target & ~np.isin(rows, alive),
    )


def _probe(model: MultipathModel, paths: NDArray[np.intp]) -> NDArray[np.int64]:
    state = model.state
    rows = (paths[:, None] * PROBE_HISTOGRAMS + np.arange(PROBE_HISTOGRAMS)).ravel()
    used = state["chunk"][: int(state.row["chunk_used"])]
    found = chunk_octaves(state["probe"][rows], used)
    return found.reshape(len(paths), PROBE_HISTOGRAMS, found.shape[1])


def _device_latency(model: MultipathModel, devices: NDArray[np.intp]) -> NDArray[np.int64]:
    """Adds up paths; those that a rescan has removed still count, as their device's work."""
    all_paths = model.state.used("path")
    place = np.full(len(model.state["device"]), -1, dtype=np.intp)
    place[devices] = np.arange(len(devices))
    of = place[all_paths["device"]]
    some = np.flatnonzero(of >= 0)
    rows = octaves(model.state["path_histogram"][some])
    latency = np.zeros((len(devices), rows.shape[1]), np.int64)
    np.add.at(latency, of[some], rows)
    return latency


def _detours(model: MultipathModel, devices: NDArray[np.intp]) -> NDArray[np.int64]:
    """Returns what devices' queue latencies have other than kernel latencies."""
    state = model.state
    rows = np.zeros((len(devices), octaves(state["detour_histogram"][:0]).shape[1]), np.int64)
    some = np.flatnonzero(state["device"]["retries"][devices])  # of most it is nothing
    rows[some] = octaves(state["detour_histogram"][devices[some]])
    return rows
