"""What one border had of some paths, and of what they belong to.

Rows are those of the paths that are asked for, of their devices, adapters, links and fabrics, each
once, in order of name.  Parameters read columns of these; nothing here is shared with the kernel.

Time stands still while tables are copied, and no longer: where names stand is looked up once for
each inventory (`places.py`), and what follows from the copies is worked out when time goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smokestack.engine.border import BorderLock
from smokestack.engine.histogram import HISTOGRAM, buckets
from smokestack.engine.sparse_histogram import (
    CHUNKS,
    chunk_octaves,
    chunk_sums,
    dense,
    octaves_of,
)

from ..fabrics import Fabric, Link, LinkKind, frames
from ..state import PROBE_HISTOGRAMS, MultipathState
from .places import Found, Places, places_of_path

if TYPE_CHECKING:
    from ..inventory import Device, Path
    from ..model import MultipathModel

RowsOf = Callable[[NDArray[Any]], NDArray[np.int64]]
_PROBED_AT_ONCE = 4096  # paths: a few milliseconds


@dataclass(frozen=True)
class Reading:
    """Tables' rows by level, and what is known of links in Python."""

    now_ns: int
    probing: bool
    found: list[Found]
    owner: NDArray[np.intp]  # for each path, its device among `found`
    path: NDArray[Any]
    measure: NDArray[Any]
    checks: NDArray[np.int64]  # by path: TEST UNIT READYs of its checker
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
    adapter_resets: NDArray[np.int64]
    links: list[tuple[Fabric, Link]]
    link: NDArray[Any]
    downs: NDArray[np.int64]  # by link: how often it went down
    rejects: NDArray[np.int64]  # and the logins across it that were refused
    is_down: NDArray[np.bool_]
    is_end: NDArray[np.bool_]  # a port is at its end: no trunk
    fabrics: list[str]
    fabric_changes: NDArray[np.int64]  # by fabric: ports' links that went down or came up
    fabric_ports: NDArray[np.int64]  # and ports whose links are up, and that hosts take for up


def read_all(model: MultipathModel, border: BorderLock) -> Reading:
    """Reads what stands of all, histograms by octave.

    What the probe saw is ten times the rest, so it is read in parts, each at a border of its own.
    """
    seen = model.placed.seen()
    with border.change():
        places = model.placed.at_border(seen)
        copy = _copied(model, places, np.arange(len(model.state.used("path"))), full=False)
    probes = [_no_probe(full=False)]
    for at in range(0, len(places.paths) if copy.probing else 0, _PROBED_AT_ONCE):
        with border.change():
            if model.placed.at_border() is not places:
                break
            probes.append(_probe(model, places.paths[at : at + _PROBED_AT_ONCE], full=False))
    else:
        return _reading(copy, np.concatenate(probes))
    return read_all(model, border)  # a rescan came between


def read_path(model: MultipathModel, device: Device, path: Path) -> Reading:
    """Reads what stands of a path and what it belongs to, histograms in full; at a border."""
    places = places_of_path(model, device, path)
    table = model.state.used("path")
    at = (table["device"] == device.row) | np.isin(table["adapter"], places.adapter_rows)
    copy = _copied(model, places, np.flatnonzero(at), full=True)
    probe = _probe(model, places.paths, full=True) if copy.probing else _no_probe(full=True)
    return _reading(copy, probe)


@dataclass(frozen=True)
class _Copy:
    """What was taken while time stood still."""

    places: Places
    now_ns: int
    probing: bool
    rows: NDArray[np.intp]  # of the path table, that the next two are of
    path: NDArray[Any]
    path_histogram: NDArray[Any]
    rows_of: RowsOf  # what a histogram counts by octave or bucket
    measure: NDArray[Any]
    checks: NDArray[np.int64]
    tap: NDArray[Any]
    device: NDArray[Any]
    control: NDArray[Any]
    kernel_histogram: NDArray[Any]
    detour_histogram: NDArray[Any]
    adapter: NDArray[Any]
    link: NDArray[Any]
    downs: list[int]
    rejects: list[int]
    down: frozenset[tuple[str, str]]
    alive: frozenset[int]  # links whose ports take part
    kinds: dict[str, list[tuple[LinkKind, int, int, bool]]]  # by fabric: row, downs, is it down


def _copied(model: MultipathModel, places: Places, rows: NDArray[np.intp], *, full: bool) -> _Copy:
    state, wires = model.state, model.wires
    probing = bool(state.row["probing"])
    if probing:
        state.fit_probe()
    table = state.used("path")
    every = len(rows) == len(table)  # then without an index: three times as fast
    chunks = state["wide_chunk"][: int(state.row["wide_chunk_used"])]
    target, is_down = table["target_link"], table["target_down"]
    return _Copy(
        places=places,
        now_ns=model.now_ns,
        probing=probing,
        rows=rows,
        path=table.copy() if every else table[rows],
        path_histogram=_some(state.used("path_histogram"), rows, every),
        rows_of=_in_full(chunks) if full else _by_octave(chunks),
        measure=state["measure"][places.paths],
        checks=_checks(state["health"]["checks"], places.paths),
        tap=state["tap"][places.paths if probing else []],
        device=state["device"][places.devices],
        control=state["control"][places.devices],
        kernel_histogram=state["kernel_histogram"][places.devices],
        detour_histogram=state["detour_histogram"][places.devices],
        adapter=state["adapter"][places.adapter_rows],
        link=_links(state, places.link_rows),
        downs=[wires.downs.get(key, 0) for key in places.link_keys],
        rejects=[wires.rejects.get(key, 0) for key in places.link_keys],
        down=frozenset(wires.down),
        alive=frozenset(np.unique(target[is_down == 0]).tolist()),
        kinds={
            name: [
                (
                    link.kind,
                    link.row,
                    wires.downs.get((name, link.link_id), 0),
                    (name, link.link_id) in wires.down,
                )
                for link in model.fabrics.fabric(name).links.values()
            ]
            for name in places.fabrics
        },
    )


def _links(state: MultipathState, rows: NDArray[np.intp]) -> NDArray[Any]:
    """Returns links' rows, with the frames that paths have counted for them."""
    found: NDArray[Any] = state["link"][rows]
    found["frames"] = frames(state)[rows]
    return found


def _checks(checks: NDArray[Any], paths: NDArray[np.intp]) -> NDArray[np.int64]:
    """Returns how often paths were checked; the table is short while none is."""
    found = np.zeros(len(paths), np.int64)
    known = paths < len(checks)
    found[known] = checks[paths[known]]
    return found


def _some(table: NDArray[Any], rows: NDArray[np.intp], every: bool) -> NDArray[Any]:
    found: NDArray[Any] = table.copy() if every else table[rows]
    return found


def _in_full(chunks: NDArray[Any]) -> RowsOf:
    chunks = chunks.copy()
    return lambda rows: buckets(dense(rows, chunks))


def _by_octave(chunks: NDArray[Any]) -> RowsOf:
    sums = chunk_sums(chunks)
    return lambda rows: octaves_of(rows, sums)


def _reading(copy: _Copy, probe: NDArray[np.int64]) -> Reading:
    places = copy.places
    path_latency, device_latency = _latencies(copy)
    changes, ports = _fabrics(copy)
    sums = _by_adapter(copy)
    return Reading(
        now_ns=copy.now_ns,
        probing=copy.probing,
        found=places.found,
        owner=places.owner,
        path=copy.path[np.searchsorted(copy.rows, places.paths)],
        measure=copy.measure,
        checks=copy.checks,
        path_latency=path_latency,
        tap=copy.tap,
        probe=probe,
        imbalance=_imbalance(copy),
        device=copy.device,
        control=copy.control,
        device_latency=device_latency,
        kernel_latency=copy.rows_of(copy.kernel_histogram),
        detours=copy.rows_of(copy.detour_histogram),
        adapters=places.adapters,
        adapter=copy.adapter,
        adapter_ios=sums["ios"],
        adapter_bytes=sums["bytes"],
        adapter_resets=sums["resets"],
        links=places.links,
        link=copy.link,
        downs=np.array(copy.downs, dtype=np.int64),
        rejects=np.array(copy.rejects, dtype=np.int64),
        is_down=np.array([key in copy.down for key in places.link_keys], dtype=bool),
        is_end=np.array([link.kind is not LinkKind.TRUNK for _, link in places.links], dtype=bool),
        fabrics=places.fabrics,
        fabric_changes=changes,
        fabric_ports=ports,
    )


def _by_adapter(copy: _Copy) -> dict[str, NDArray[np.int64]]:
    """Returns I/Os, bytes and resets by adapter, over all paths that it ever had."""
    at = copy.places.adapter_rows
    most = int(max(at.max(initial=0), copy.path["adapter"].max(initial=0))) + 1
    sums = {}
    for name in ("ios", "bytes", "resets"):
        column = np.zeros(most, np.int64)
        np.add.at(column, copy.path["adapter"], copy.path[name].astype(np.int64))
        sums[name] = column[at]
    return sums


def _fabrics(copy: _Copy) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns changes of ports' links, and ports that are logged in, by fabric."""
    changes, ports = np.zeros((2, len(copy.places.fabrics)), np.int64)
    for at, name in enumerate(copy.places.fabrics):
        for kind, row, downs, is_down in copy.kinds[name]:
            if kind is not LinkKind.TRUNK:
                changes[at] += 2 * downs - is_down
                ports[at] += not is_down and (kind is LinkKind.HOST or row in copy.alive)
    return changes, ports


def _imbalance(copy: _Copy) -> NDArray[np.float64]:
    """Returns for each device its busiest path's I/Os over an equal share of all."""
    places = copy.places
    devices, count = len(places.found), places.path_counts
    owner = np.repeat(np.arange(devices), count)
    table = copy.path["ios"][np.searchsorted(copy.rows, places.device_paths)]
    ios = table.astype(np.float64)
    total = np.bincount(owner, weights=ios, minlength=devices)
    busiest = np.zeros(devices)
    np.maximum.at(busiest, owner, ios)
    imbalance = np.full(devices, np.nan)
    np.divide(busiest * count, total, out=imbalance, where=total > 0)
    return imbalance


def _probe(model: MultipathModel, paths: NDArray[np.intp], *, full: bool) -> NDArray[np.int64]:
    state = model.state
    rows = (paths[:, None] * PROBE_HISTOGRAMS + np.arange(PROBE_HISTOGRAMS)).ravel()
    table, chunks = state["probe"][rows], state["chunk"]
    found = buckets(dense(table, chunks)) if full else chunk_octaves(table, chunks)
    return found.reshape(len(paths), PROBE_HISTOGRAMS, found.shape[1])


def _no_probe(*, full: bool) -> NDArray[np.int64]:
    width = buckets(np.zeros(0, HISTOGRAM)).shape[1] if full else 2 + CHUNKS
    return np.empty((0, PROBE_HISTOGRAMS, width), np.int64)


def _latencies(copy: _Copy) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns paths' rows, and devices': those that a rescan has removed still count there."""
    places, owner = copy.places, copy.path["device"]
    place = np.full(int(owner.max(initial=0)) + 1, -1, dtype=np.intp)
    known = places.devices < len(place)
    place[places.devices[known]] = np.flatnonzero(known)
    of = place[owner]
    rows = copy.rows_of(copy.path_histogram)
    latency = np.zeros((len(places.devices), rows.shape[1]), np.int64)
    np.add.at(latency, of[of >= 0], rows[of >= 0])
    return rows[np.searchsorted(copy.rows, places.paths)], latency
