"""What a journal of an array's calls has to hold besides the calls: what windows have changed.

Calls are repeated on the state that they were made on.  Between two of them I/O maps pages, links
move, rules begin and end, and events are told; that is taken here, and put in place again.  After
a power-on nothing is in flight, nobody drives, and counters begin anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from smokestack.engine.event_kinds import EventKind
from smokestack.engine.events import Event
from smokestack.engine.records import Attention

from . import hangs, snapshot
from .state import PAGE_NUMBER_BITS, ArrayState

if TYPE_CHECKING:
    from .model import ArrayModel

# Of the one row of state all is taken but what the tables' own upkeep keeps right, and what a
# power-on begins anew.
_NOT_TAKEN: Final = frozenset(
    {
        "page_count",
        "share_count",
        "snapshot_count",
        "block_count",
        "block_low",
        "block_high",
        "event_count",
        "itl_count",
        "page_pending",
        "copy_blocks",
        "copies",
        "compared",
        "delta_count",
        "delta_kept",
        "io_free",
        "io_free_count",
        "inbox_count",
        "out_start",
        "out_end",
        "out_disorder",
        "note_count",
        "destages",
        "chunk_used",
    }
)
# How each of the other tables comes through: a new one belongs into one of these lists.
_APPENDED: Final = ("port", "controller", "pool", "raw_free")  # whole: none grows with volumes
_WRITTEN: Final = ("fault", "chain")  # taken whole, too
_TOUCHED: Final = "volume"  # the rows that windows have changed are taken
_NOTED: Final = ("page", "share", "block")  # by notes of what changed
_BY_CALLS: Final = (
    "itl",
    "attention",
    "quota",
    "quotas_of",
    "extent",
    "unit",
    "task",
)  # windows change only counters, and what power ends
_ENDED: Final = (  # with the power
    "core",
    "disk",
    "destage",
    "aged",
    "idle",
    "read_cache",
    "read_slot",
    "read_index",
    "head",
    "io",
    "inbox",
    "out",
    "histogram",
    "chunk",
    "calendar",
    "bucket",
    "note",
    "delta",
)
TABLES: Final = frozenset(("state", *_APPENDED, *_WRITTEN, _TOUCHED, *_NOTED, *_BY_CALLS, *_ENDED))
# What tells that a volume's or a snapshot's row has changed, though no page was noted.
_VOLUME_EVENTS: Final = frozenset(
    {
        EventKind.VOLUME_OFFLINE,
        EventKind.VOLUME_ONLINE,
        EventKind.VOLUME_SNAPSHOT_STALE,
        EventKind.VOLUME_MOVED,
        EventKind.VOLUME_TRESPASSED,
    }
)
# What counts, and when a station is free again: all of it is over with the power.
_COUNTERS: Final[Mapping[str, tuple[str, ...]]] = {
    "port": (
        "rx_free_ns",
        "tx_free_ns",
        "commands",
        "task_set_full",
        "busy",
        "dropped",
        "rx_bytes",
        "tx_bytes",
        "handed",
        "target_resets",
    ),
    "controller": ("hits", "misses", "busy_ns", "forced", "destaged_bytes"),
    "destage": ("flushes",),
    "read_cache": ("evictions",),
    "pool": ("copied_pages", "failures", "growths", "media_busy_ns", "steps", "warnings"),
    "attention": ("told",),
    "quota": ("refused",),
    "unit": (
        "unmaps",
        "unmapped_pages",
        "write_sames",
        "zero_writes",
        "zero_pages",
        "copies",
        "copied_bytes",
        "compares",
        "miscompares",
    ),
    "task": ("abort_tasks", "lun_resets", "aborted", "task_aborted"),
    "itl": (
        "reads",
        "writes",
        "read_bytes",
        "write_bytes",
        "good",
        "check_condition",
        "out_of_range",
        "no_unit",
        "no_space",
        "media_error",
        "target_failure",
        "task_set_full",
        "busy",
    ),
}


class ArrayDurable:
    """One array, as its journal sees it; the caller holds the border."""

    parts: Final = ("model", "events", "faults")  # of a snapshot: all that survives
    whole: Final = False

    def __init__(self, model: ArrayModel) -> None:
        self._model = model
        self._last = 0  # the newest event that was taken, or that a call will tell again
        self._now_ns = 0
        self._seen()

    def begin(self) -> None:
        """Has the kernel note what it changes from here on."""
        self._model.state.keep_deltas(True)

    @property
    def now_ns(self) -> int:
        """The array's virtual time."""
        return self._model.now_ns

    @property
    def size(self) -> int:
        """How many things a copy of the array lists, about."""
        model = self._model
        return len(model.volumes) + len(model.itls) + model.events.last - model.events.first

    @property
    def changed(self) -> bool:
        """Whether there is anything to take."""
        model = self._model
        return (
            model.now_ns != self._now_ns
            or model.events.last != self._last
            or bool(model.state.row["delta_count"])
        )

    @property
    def is_far(self) -> bool:
        """Never: what windows have changed is put in place, not simulated again."""
        return False

    def take(self) -> dict[str, Any]:
        """Returns what has changed since the last call, as a copy."""
        model, state = self._model, self._model.state
        pages, events = state.take_deltas(), model.events.since(self._last)
        touched = self._touched(pages, events)
        taken = {
            "pages": pages,
            "events": tuple(events),
            "state": {name: int(state.row[name]) for name in _state_fields(state)},
            "touched": touched,
            "volumes": state["volume"][touched],
            "tables": {name: state.used(name).copy() for name in _APPENDED}
            | {name: state[name].copy() for name in _WRITTEN},
            "faults": model.keeper.parts["faults"].save(),
            **snapshot.save_windows(model),
            "driver": model.driver or "",
        }
        self._seen()
        return taken

    def skip(self) -> None:
        """Forgets what a call has just changed: it will be made again."""
        self._model.state.take_deltas()
        self._seen()

    def repeat(self, taken: Mapping[str, Any]) -> None:
        """Puts in place what was taken; ValueError and its like say that it does not fit."""
        model, state = self._model, self._model.state
        state.repeat_deltas(taken["pages"])
        for name, rows in taken["tables"].items():
            if rows.dtype != state[name].dtype:
                raise ValueError(f"the table {name} has another layout")
            if name in _APPENDED and len(rows) != len(state.used(name)):
                raise ValueError(f"the table {name} has {len(state.used(name))} rows by now")
            state.reserve(name, len(rows))
            state[name][: len(rows)] = rows
        if taken["volumes"].dtype != state["volume"].dtype:
            raise ValueError("the table volume has another layout")
        state["volume"][taken["touched"]] = taken["volumes"]
        if set(taken["state"]) != set(_state_fields(state)):
            raise ValueError("the row of state has other fields")
        for name, value in taken["state"].items():
            state.row[name] = value
        model.events.take_in(taken["events"])
        state.row["event_count"] = model.events.last
        model.keeper.parts["faults"].load(taken["faults"])()
        snapshot.put_windows(model, taken)
        model.driver = taken["driver"] or None

    def placed(self, parts: Mapping[str, Any]) -> None:
        """Does nothing: what windows have changed is looked up in the model itself."""

    def power_on(self, detail: Mapping[str, str | int]) -> None:
        """Begins anew from what is in place: nothing in flight, no driver, counters at 0.

        Each nexus tells so, by the unit attention 29/00, before it serves anything.
        """
        model, state = self._model, self._model.state
        model.driver, model.epoch = None, 0
        for name, counters in _COUNTERS.items():
            for counter in counters:
                state[name][counter] = 0
        state.forget_latencies()
        model.advertised.diversions.forget_answers()
        state["core"][:] = 0
        model.forget_reads()
        hangs.end_all(model)
        state["disk"][:] = state["head"][:] = 0
        state.restart(model.now_ns)
        model.faults.link_all()  # chains hang on volumes' rows, too, which are not taken
        model._fit_latencies()
        told = model.events.add(model.now_ns, EventKind.RECOVERED, model.name, detail=detail)
        model.reservations.lose_power(model.now_ns, told.name)
        model.establish_attention(Attention.POWER_ON, told.number)

    def _touched(self, pages: NDArray[Any], events: Sequence[Event]) -> NDArray[np.int64]:
        """Returns the rows of volumes and snapshots that windows have changed."""
        rows = set(
            (np.unique(pages["key"] >> np.uint64(PAGE_NUMBER_BITS)).astype(int) - 1).tolist()
        )
        for event in events:
            if event.kind in _VOLUME_EVENTS:
                collection, resource_id = event.subject.split("/")[-2:]
                if (collection, resource_id) in self._model._rows:
                    rows.add(self._model.row_of(collection, resource_id))
        return np.array(sorted(rows), np.int64)

    def _seen(self) -> None:
        self._last, self._now_ns = self._model.events.last, self._model.now_ns


def _state_fields(state: ArrayState) -> list[str]:
    names = state["state"].dtype.names or ()
    return [name for name in names if name not in _NOT_TAKEN]
