"""An array's metrics, read from its tables at a scrape; the I/O path touches none.

A nexus is labelled {array, initiator, target, lun}: `target` is a port of the array, and `lun` the
logical unit's name ("a1.v1"), the same in every service's metrics, so that they join on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from smokestack.engine.border import BorderLock
from smokestack.engine.exposition import Family, Level, Samples, virtual_time
from smokestack.engine.records import Attention, Sense
from smokestack.engine.sparse_histogram import chunk_sums, octaves_of

from .measure import distinct_bytes
from .model import ArrayModel
from .specs import ControllerState, PoolSpec, PortSpec, VolumeSpec
from .state import ATTENTION_ROWS, CONFLICT_ROW
from .usage import PoolState, state_of

_STATE: Final = Family(
    "smokestack_port_oper_state", "gauge", "State of the port's link: 1 for the one that it is in."
)
_SPEED: Final = Family(
    "smokestack_port_speed_bytes_per_second", "gauge", "Bandwidth of the port, each way."
)
_INITIATORS: Final = Family(
    "smokestack_initiators_per_target_port",
    "gauge",
    "Initiators that see a logical unit through the port (fan-in).",
)
_ACTIVE_ITLS: Final = Family(
    "smokestack_active_itls", "gauge", "Nexuses of the port with a command outstanding."
)
# By column of the port table.
_PORT: Final = {
    "rx_bytes": Family(
        "smokestack_port_rx_bytes_total", "counter", "Data of writes that the port has received."
    ),
    "tx_bytes": Family(
        "smokestack_port_tx_bytes_total", "counter", "Data of reads that the port has sent."
    ),
    "commands": Family(
        "smokestack_target_port_commands_total",
        "counter",
        "Commands that the port has taken.",
    ),
    "dropped": Family(
        "smokestack_target_port_dropped_total",
        "counter",
        "Commands and answers that were lost because the port was down.",
    ),
    "target_resets": Family(
        "smokestack_target_resets_total",
        "counter",
        "Resets of the target that the port has carried out.",
    ),
    "outstanding": Family(
        "smokestack_target_port_pending_exchanges",
        "gauge",
        "Commands that the port has taken and not answered.",
    ),
    "queue_limit": Family(
        "smokestack_target_port_queue_limit",
        "gauge",
        "Commands that the port takes before it refuses.",
    ),
}
# By column of the ITL table.
_ITL: Final = {
    "outstanding": Family(
        "smokestack_exchanges_pending", "gauge", "Commands of the nexus outstanding in the array."
    ),
    "reads": Family("smokestack_read_commands_total", "counter", "Reads that the array has taken."),
    "writes": Family(
        "smokestack_write_commands_total", "counter", "Writes that the array has taken."
    ),
    "read_bytes": Family(
        "smokestack_read_bytes_total", "counter", "Length of the reads that the array has taken."
    ),
    "write_bytes": Family(
        "smokestack_write_bytes_total", "counter", "Length of the writes that the array has taken."
    ),
    "busy": Family(
        "smokestack_scsi_busy_total", "counter", "Commands that the array refused as BUSY (08h)."
    ),
    "task_set_full": Family(
        "smokestack_scsi_task_set_full_total",
        "counter",
        "Commands that the array refused with TASK SET FULL (28h).",
    ),
}
# By column of the table of task management.
_TASK: Final = {
    "abort_tasks": Family(
        "smokestack_abort_task_total",
        "counter",
        "Aborts of single commands (ABORT TASK) that the array was asked for.",
    ),
    "lun_resets": Family(
        "smokestack_lun_resets_total",
        "counter",
        "Resets of the logical unit that were asked for by this nexus.",
    ),
    "task_aborted": Family(
        "smokestack_scsi_task_aborted_total",
        "counter",
        "Commands that the array answered TASK ABORTED (40h), for another nexus ended them.",
    ),
}
_CHECKS: Final = Family(
    "smokestack_scsi_check_conditions_total",
    "counter",
    "Commands that the array ended with CHECK CONDITION (02h), by sense key.",
)
_SENSE: Final = Family(
    "smokestack_scsi_sense_total",
    "counter",
    "Commands that the array ended with CHECK CONDITION, by sense key, ASC and ASCQ.",
)
_SENSE_COLUMNS: Final = {
    "3/11/00": "media_error",
    "4/44/00": "target_failure",
    "5/21/00": "out_of_range",
    "5/25/00": "no_unit",
    "7/27/07": "no_space",
}
# What is told rarely has series once a nexus was told it, by its place among a nexus's rows of the
# attention table: its unit attentions, and from the last places NOT READY.
_RARE: Final = {int(attention): attention.sense.text for attention in Attention} | {
    ATTENTION_ROWS - 3: Sense.TRANSITION.text,
    ATTENTION_ROWS - 2: Sense.STANDBY.text,
    ATTENTION_ROWS - 1: Sense.UNAVAILABLE.text,
}
_STATUS: Final = Family(
    "smokestack_scsi_status_total",
    "counter",
    "Commands by the SAM status that the array decided on.",
)
_STATUS_COLUMNS: Final = ("good", "check_condition", "busy", "task_set_full")
_STATUS_ELSEWHERE: Final = ("task_aborted", "reservation_conflict")  # in other tables
_COUNTED: Final = (*_ITL, *_STATUS_COLUMNS, *_SENSE_COLUMNS.values())
_CONFLICTS: Final = Family(
    "smokestack_scsi_reservation_conflicts_total",
    "counter",
    "Commands that a reservation of others kept the nexus from (18h).",
)
_LATENCY: Final = Family(
    "smokestack_array_latency_seconds",
    "histogram",
    "Virtual time from a command's arrival at the port to its answer, refusals left out.",
)
_CONTROLLER_STATE: Final = Family(
    "smokestack_array_controller_state",
    "gauge",
    "State of the controller: 1 for the one that it is in.",
)
_CONTROLLER_STATES: Final = tuple(state.name.lower() for state in ControllerState)
_DIRTY_RATIO: Final = Family(
    "smokestack_array_cache_dirty_ratio",
    "gauge",
    "Share of the write cache that the media do not have yet; NaN while its room is endless.",
)
_HIT_RATIO: Final = Family(
    "smokestack_array_cache_hit_ratio",
    "gauge",
    "Share of the reads of written pages that came from cache since the start; NaN none yet.",
)
_CONTROLLER_BUSY: Final = Family(
    "smokestack_array_controller_busy_seconds_total",
    "counter",
    "Virtual time that the controller's cores have worked, over all of them.",
)
_MEDIA_BUSY: Final = Family(
    "smokestack_thin_pool_media_busy_seconds_total",
    "counter",
    "Virtual time that the pool's disks have worked, over all of them.",
)
_CAPACITY: Final = Family(
    "smokestack_thin_pool_capacity_bytes", "gauge", "Space that the pool has."
)
_ALLOCATED: Final = Family(
    "smokestack_thin_pool_allocated_bytes", "gauge", "Space that volumes have taken from the pool."
)
_SUBSCRIBED: Final = Family(
    "smokestack_thin_pool_subscribed_bytes", "gauge", "Sizes that the pool's volumes promise."
)
_OVERSUBSCRIPTION: Final = Family(
    "smokestack_thin_pool_oversubscription_ratio",
    "gauge",
    "Subscribed over capacity; can go over 1.",
)
_FAILURES: Final = Family(
    "smokestack_thin_pool_allocation_failures_total",
    "counter",
    "Writes that the pool had no space for.",
)
_SNAPSHOTS: Final = Family(
    "smokestack_thin_pool_snapshot_bytes", "gauge", "Space that only snapshots hold in the pool."
)
_DARK: Final = Family(
    "smokestack_dark_storage_bytes",
    "gauge",
    "Space of the array by category, as far as it knows by itself: unassigned is exported to "
    "nobody, assigned may be in use.",
)
_DARK_RATIO: Final = Family(
    "smokestack_dark_storage_ratio",
    "gauge",
    "Share of the array's space that volumes have which are exported to nobody; NaN without space.",
)
_POOL_STATE: Final = Family(
    "smokestack_thin_pool_state", "gauge", "State of the pool: 1 for the one that it is in."
)
_POOL_STATES: Final = tuple(state.name.lower() for state in PoolState)
_THRESHOLD: Final = Family(
    "smokestack_thin_pool_soft_threshold_total",
    "counter",
    "Times that the pool came to its warning threshold.",
)
_WRITTEN: Final = Family(
    "smokestack_thin_volume_written_bytes",
    "gauge",
    "Pages of the volume that were ever written, as space in its pool.",
)
_RESERVED: Final = Family(
    "smokestack_scsi_reservations_held", "gauge", "1 while the volume is reserved, else 0."
)
# By column of the unit table: what hosts have done to volumes.
_UNIT: Final = {
    "unmaps": Family(
        "smokestack_unmap_commands_total", "counter", "UNMAP commands that the volume carried out."
    ),
    "write_sames": Family(
        "smokestack_write_same_commands_total",
        "counter",
        "WRITE SAME commands that the volume carried out, or had no space for.",
    ),
    "zero_writes": Family(
        "smokestack_zero_detected_commands_total",
        "counter",
        "Commands of whose zeros the volume did not write all, by its zero detection.",
    ),
    "copies": Family(
        "smokestack_extended_copy_commands_total",
        "counter",
        "EXTENDED COPY commands that the volume took on.",
    ),
    "copied_bytes": Family(
        "smokestack_extended_copy_bytes_total",
        "counter",
        "Bytes that EXTENDED COPY commands were to copy within the volume.",
    ),
    "compares": Family(
        "smokestack_compare_and_write_commands_total",
        "counter",
        "COMPARE AND WRITE commands that the volume took up, miscompares included.",
    ),
    "miscompares": Family(
        "smokestack_ats_miscompares_total",
        "counter",
        "COMPARE AND WRITE commands that found another value than they expected.",
    ),
}
_UNIT_PAGES: Final = {
    "unmapped_pages": Family(
        "smokestack_unmapped_bytes_total",
        "counter",
        "Pages that the volume gave up by UNMAP, or by WRITE SAME with its UNMAP bit.",
    ),
    "zero_pages": Family(
        "smokestack_zero_detected_bytes_total",
        "counter",
        "Pages that the volume did not write, as their data were zeros.",
    ),
}


@dataclass(frozen=True)
class _Copy:
    """What one border had: resources with their rows, by name, and the tables."""

    now_ns: int
    ports: list[tuple[PortSpec, int]]
    controllers: list[tuple[str, int]]
    pools: list[tuple[PoolSpec, int]]
    volume_specs: dict[str, VolumeSpec]
    rows: dict[tuple[str, str], int]
    hosts: frozenset[str]
    itls: list[tuple[str, str, str, str]]
    table: dict[str, NDArray[Any]]
    histogram: NDArray[Any]
    chunk_sums: NDArray[np.int64]
    assigned_bytes: int
    raw_bytes: int  # of drives; 0: not counted
    raw_free_bytes: int
    counted: NDArray[np.bool_]  # pools that draw from drives

    @cached_property
    def volumes(self) -> list[tuple[VolumeSpec, int]]:
        """Volumes with their rows, by name; sorted when time goes on already."""
        found = sorted(self.volume_specs.items())
        return [(spec, self.rows["volumes", name]) for name, spec in found]


class ArrayCollector:
    """Reads one array."""

    def __init__(self, model: ArrayModel, border: BorderLock) -> None:
        self.name = model.name
        self._array = model.array_id
        self._model = model
        self._border = border
        self._port_level = Level("array", "fabric", "port")
        self._itl_level = Level("array", "initiator", "target", "lun")
        self._controller_level = Level("array", "controller")
        self._pool_level = Level("array", "pool")
        self._volume_level = Level("array", "pool", "lun")
        self._array_level = Level("array")
        self._category_level = Level("array", "category")

    def collect(self) -> list[Samples]:
        """Copies what the tables say at a border, and writes it down after."""
        with self._border.change():
            copy = self._copy()
        return [
            virtual_time(self.name, copy.now_ns),
            *self._ports(copy),
            *self._itls(copy),
            *self._space(copy),
            *self._controllers(copy),
        ]

    def _copy(self) -> _Copy:
        model = self._model
        row = model.row_of
        tables = ("port", "controller", "pool", "volume", "itl", "attention", "unit", "task")
        table = {name: model.state.used(name).copy() for name in tables}
        table["itl"]["volume"] = model.advertised.diversions.owners()
        said = {name: model.advertised.pool_capacity(name) for name in model.pools}
        return _Copy(
            now_ns=model.now_ns,
            ports=[(spec, row("ports", name)) for name, spec in sorted(model.ports.items())],
            controllers=[(name, row("controllers", name)) for name in sorted(model.controllers)],
            pools=[
                (replace(spec, capacity_bytes=said[name]), row("pools", name))
                for name, spec in sorted(model.pools.items())
            ],
            volume_specs=model.volumes.copy(),
            rows=model._rows.copy(),
            hosts=frozenset(model.hosts),
            itls=list(model.itls),
            table=table,
            histogram=model.state.used("histogram").copy(),
            chunk_sums=chunk_sums(model.state["chunk"][: int(model.state.row["chunk_used"])]),
            raw_bytes=model.drives.raw_bytes,
            raw_free_bytes=model.drives.free_bytes,
            counted=np.array(
                [model.drives.counts(spec) for _, spec in sorted(model.pools.items())], dtype=bool
            ),
            assigned_bytes=distinct_bytes(model, list({v for v, _ in model.exports})),
        )

    def _ports(self, copy: _Copy) -> list[Samples]:
        rows = self._port_level.rows([(self._array, p.fabric, p.port_id) for p, _ in copy.ports])
        at = _indices(copy.ports)
        table, itl = copy.table["port"][at], copy.table["itl"]
        ports = len(copy.table["port"])
        active = np.bincount(itl["port"][itl["outstanding"] > 0], minlength=ports)
        seen = {(itl["port"][i], copy.itls[i][2]) for i in np.flatnonzero(itl["valid"])}
        initiators = np.bincount(np.array([p for p, _ in seen], dtype=np.intp), minlength=ports)
        return [
            rows.states(_STATE, ("down", "up"), table["up"]),
            rows.counts(_SPEED, [port.bandwidth_bytes_per_second for port, _ in copy.ports]),
            *(rows.counts(family, table[name]) for name, family in _PORT.items()),
            rows.counts(_ACTIVE_ITLS, active[at]),
            rows.counts(_INITIATORS, initiators[at]),
        ]

    def _itls(self, copy: _Copy) -> list[Samples]:
        at, owner, keys = self._nexuses(copy)
        rows = self._itl_level.rows(keys)
        table = _added(copy.table["itl"][at], owner, len(keys))
        task = _added(copy.table["task"][at], owner, len(keys), tuple(_TASK))
        octaves = octaves_of(copy.histogram[at], copy.chunk_sums)
        latency = np.zeros((len(keys), octaves.shape[1]), np.int64)
        np.add.at(latency, owner, octaves)
        conflicts = np.zeros(len(keys), np.int64)
        np.add.at(conflicts, owner, _told(copy, at)[:, CONFLICT_ROW])
        columns = [table[name] for name in _STATUS_COLUMNS]
        status = np.stack([*columns, task["task_aborted"], conflicts], axis=1)
        senses, sense = _senses(copy, at, owner, table)
        sense_keys = tuple(sorted({kcq.partition("/")[0] for kcq in senses}))
        of_key = [[kcq.startswith(f"{key}/") for key in sense_keys] for kcq in senses]
        checks = sense @ np.array(of_key, dtype=sense.dtype)
        return [
            *(rows.counts(family, table[name]) for name, family in _ITL.items()),
            *(rows.counts(family, task[name]) for name, family in _TASK.items()),
            rows.split(_STATUS, "status", (*_STATUS_COLUMNS, *_STATUS_ELSEWHERE), status),
            rows.counts(_CONFLICTS, conflicts),
            rows.split(_CHECKS, "sense_key", sense_keys, checks),
            rows.split(_SENSE, "kcq", senses, sense),
            rows.latencies(_LATENCY, latency),
        ]

    def _nexuses(self, copy: _Copy) -> tuple[list[int], list[int], list[tuple[str, ...]]]:
        """Returns ITL rows, for each the place of its labels, and the labels.

        A nexus stays while its port, volume and host do: one that is exported no more still
        refuses commands, and one that is exported anew, in another row, goes on counting.
        """
        ports = {spec.port_id: row for spec, row in copy.ports}
        volumes = {spec.volume_id: row for spec, row in copy.volumes}
        luns = {volume: self._lun(volume) for volume in volumes}
        itl = copy.table["itl"]
        at, owner = [], []
        places: dict[tuple[str, ...], int] = {}
        rows = zip(copy.itls, itl["port"].tolist(), itl["volume"].tolist(), strict=True)
        for index, ((volume, host, initiator, port), port_row, volume_row) in enumerate(rows):
            if ports.get(port) != port_row or volumes.get(volume) != volume_row:
                continue
            if host in copy.hosts:
                key = (self._array, initiator, port, luns[volume])
                at.append(index)
                owner.append(places.setdefault(key, len(places)))
        return at, owner, list(places)

    def _space(self, copy: _Copy) -> list[Samples]:
        pools = self._pool_level.rows([(self._array, pool.pool_id) for pool, _ in copy.pools])
        volumes = self._volume_level.rows(
            [(self._array, v.pool_id, self._lun(v.volume_id)) for v, _ in copy.volumes]
        )
        page = copy.table["pool"]["page_bytes"]
        table = copy.table["pool"][_indices(copy.pools)]
        volume = copy.table["volume"][_indices(copy.volumes)]
        unit = copy.table["unit"][volume["unit"]]
        promised = dict.fromkeys((pool.pool_id for pool, _ in copy.pools), 0)
        for spec, _ in copy.volumes:
            promised[spec.pool_id] += spec.capacity_bytes
        subscribed = np.array(list(promised.values()), dtype=np.int64)
        capacity = np.array([pool.capacity_bytes for pool, _ in copy.pools], dtype=np.int64)
        return [
            pools.counts(_CAPACITY, capacity),
            pools.counts(_ALLOCATED, table["allocated_pages"] * table["page_bytes"]),
            pools.counts(_SUBSCRIBED, subscribed),
            pools.numbers(_OVERSUBSCRIPTION, subscribed / capacity),
            pools.numbers(_MEDIA_BUSY, table["media_busy_ns"] / 1e9),
            pools.counts(_FAILURES, table["failures"]),
            pools.states(_POOL_STATE, _POOL_STATES, [state_of(row) - 1 for row in table]),
            pools.counts(_THRESHOLD, table["warnings"]),
            pools.counts(_SNAPSHOTS, table["snapshot_pages"] * table["page_bytes"]),
            *self._dark(copy, capacity),
            volumes.counts(_WRITTEN, volume["allocated_pages"] * page[volume["pool"]]),
            volumes.counts(_RESERVED, (unit["reserved"] != 0).astype(np.int64)),
            *(volumes.counts(family, unit[name]) for name, family in _UNIT.items()),
            *(
                volumes.counts(family, unit[name] * page[volume["pool"]])
                for name, family in _UNIT_PAGES.items()
            ),
        ]

    def _dark(self, copy: _Copy, capacity: NDArray[np.int64]) -> list[Samples]:
        """Returns the array's own categories, which add up to what its pools have."""
        table = copy.table["pool"][_indices(copy.pools)]
        page = table["page_bytes"].astype(np.int64)
        snapshot = int((table["snapshot_pages"].astype(np.int64) * page).sum())
        have = int((table["allocated_pages"].astype(np.int64) * page).sum())
        raw = int(capacity.sum())
        dark = have - snapshot - copy.assigned_bytes
        room = int((table["room_pages"].astype(np.int64) * page).sum())
        drawn = np.where(
            table["growth_pages"] > 0, table["grown_pages"].astype(np.int64) * page, capacity
        )
        sizes = {
            "raw_unconfigured": raw - int(drawn.sum()),
            "pool_free": int(drawn.sum()) - have - room,
            "snapshot": snapshot,
            "allocated_never_written": room,
            "unassigned": dark,
            "assigned": copy.assigned_bytes,
        }
        if copy.raw_bytes:
            counted = copy.counted
            raw = copy.raw_bytes + int(capacity[~counted].sum())
            raw_page = table["raw_page_bytes"].astype(np.int64)
            left = int((capacity - drawn)[~counted].sum())
            sizes["raw_unconfigured"] = copy.raw_free_bytes + left
            sizes["redundancy"] = int((drawn // page * (raw_page - page))[counted].sum())
        by_category = self._category_level.rows([(self._array, name) for name in sizes])
        array = self._array_level.rows([(self._array,)])
        ratio = np.array([dark / raw if raw else np.nan])
        return [
            by_category.counts(_DARK, np.array(list(sizes.values()), dtype=np.int64)),
            array.numbers(_DARK_RATIO, ratio),
        ]

    def _controllers(self, copy: _Copy) -> list[Samples]:
        rows = self._controller_level.rows([(self._array, name) for name, _ in copy.controllers])
        table = copy.table["controller"][_indices(copy.controllers)]
        state = table["state"].astype(np.int64) - 1
        return [
            rows.states(_CONTROLLER_STATE, _CONTROLLER_STATES, state),
            rows.numbers(_CONTROLLER_BUSY, table["busy_ns"] / 1e9),
            rows.numbers(_DIRTY_RATIO, _ratio(table["dirty_bytes"], table["cache_bytes"])),
            rows.numbers(_HIT_RATIO, _ratio(table["hits"], table["hits"] + table["misses"])),
        ]

    def _lun(self, volume_id: str) -> str:
        return f"{self._array}.{volume_id}"


def _senses(
    copy: _Copy, at: list[int], owner: list[int], table: dict[str, NDArray[np.int64]]
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Returns the sense data that are counted, and the counts, a row for each nexus."""
    told = _told(copy, at)
    rare = [place for place in _RARE if told[:, place].any()]
    counts = {kcq: table[name] for kcq, name in _SENSE_COLUMNS.items()}
    for place in rare:
        column = np.zeros(len(table["reads"]), np.int64)
        np.add.at(column, owner, told[:, place])
        counts[_RARE[place]] = column
    senses = tuple(sorted(counts))
    return senses, np.stack([counts[kcq] for kcq in senses], axis=1)


def _told(copy: _Copy, at: list[int]) -> NDArray[np.int64]:
    """Returns what nexuses were answered rarely, a row for each."""
    return copy.table["attention"]["told"].reshape(-1, ATTENTION_ROWS)[at].astype(np.int64)


def _added(
    table: NDArray[Any], owner: list[int], rows: int, columns: Sequence[str] = _COUNTED
) -> dict[str, NDArray[np.int64]]:
    """Returns the columns that are counted, with the rows of one owner added up."""
    added = {name: np.zeros(rows, np.int64) for name in columns}
    for name, column in added.items():
        np.add.at(column, owner, table[name].astype(np.int64))
    return added


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    """Returns parts over wholes; NaN where the whole is nothing."""
    ratio = np.full(len(whole), np.nan)
    np.divide(part, whole, out=ratio, where=whole > 0)
    return ratio


def _indices(found: list[tuple[Any, int]]) -> NDArray[np.intp]:
    return np.array([row for _, row in found], dtype=np.intp)
