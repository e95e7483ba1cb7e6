"""Parameters of nexuses, and of their exchanges by direction: what the probe sees on the wire.

There are none while it is off (`UpdateMultipath`, `probing`).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..probe import Seen
from .parameter import Parameter
from .reading import Reading

_SECOND_NS: Final = 10**9


def _seen(which: Seen, reading: Reading) -> NDArray[np.int64]:
    return reading.probe[:, which]


def _peaks(now: str, before: str, reading: Reading) -> NDArray[np.int64]:
    """Returns the worst of this second of virtual time and of the last."""
    age = reading.now_ns // _SECOND_NS - reading.tap["second"]
    values = reading.tap[now].astype(np.int64), reading.tap[before].astype(np.int64)
    worst: NDArray[np.int64] = np.where(
        age == 0, np.maximum(*values), np.where(age == 1, values[0], 0)
    )
    return worst


def _sizes(reading: Reading) -> NDArray[np.int64]:
    both = reading.probe[:, [Seen.READ_BYTES, Seen.WRITE_BYTES, Seen.WRITE_BYTES]].copy()
    both[:, 2] = 0  # other commands carry no data
    return both.reshape(-1, both.shape[2])


def _returned(reading: Reading) -> NDArray[np.int64]:
    """Returns what was sent, less what has its final answer and what is on its way."""
    sent, answered, under_way = (
        reading.path[name].astype(np.int64) for name in ("dispatched", "ios", "in_flight")
    )
    return sent - answered - under_way


NEXUSES: Final = (
    Parameter(
        "smokestack_exchange_completion_max_seconds",
        "gauge",
        "seconds",
        "Longest exchange of this second of virtual time and of the one before.",
        "a slow link, a busy array",
        lambda r: _peaks("longest_ns", "longest_before_ns", r) / 1e9,
        "number",
    ),
    Parameter(
        "smokestack_first_data_seconds",
        "histogram",
        "seconds",
        "Virtual time from a read's command to its first data, at the array.",
        "reads: what the array takes to find the data",
        lambda r: _seen(Seen.FIRST_DATA, r),
        "seconds",
    ),
    Parameter(
        "smokestack_write_ack_seconds",
        "histogram",
        "seconds",
        "Virtual time from a write's command to the array's word that it is ready for the data.",
        "writes: what the array takes to make room",
        lambda r: _seen(Seen.WRITE_ACK, r),
        "seconds",
    ),
    Parameter(
        "smokestack_wire_seconds",
        "histogram",
        "seconds",
        "Part of the exchange completion time that the fabric took, there and back.",
        "a link with a rate, SLOW_DRAIN",
        lambda r: _seen(Seen.WIRE, r),
        "seconds",
    ),
    Parameter(
        "smokestack_exchanges_started_total",
        "counter",
        "exchanges",
        "Commands sent on the nexus since there is a probe, repeats included.",
        "load, retries",
        lambda r: r.tap["sent"],
    ),
    Parameter(
        "smokestack_exchanges_completed_total",
        "counter",
        "exchanges",
        "Commands of the nexus that got an answer since there is a probe.",
        "load",
        lambda r: r.probe[:, [Seen.READ, Seen.WRITE, Seen.OTHER], 0].sum(axis=1),
    ),
    Parameter(
        "smokestack_exchanges_pending_max",
        "gauge",
        "exchanges",
        "Most commands in flight, in this second of virtual time and in the one before.",
        "load",
        lambda r: _peaks("pending", "pending_before", r),
    ),
    Parameter(
        "smokestack_exchange_retries_total",
        "counter",
        "events",
        "Commands sent on the nexus that came back without a final answer: refused, damaged, lost.",
        "FRAME_DAMAGED, refusals, LINK_DOWN",
        _returned,
    ),
    Parameter(
        "smokestack_exchange_timeouts_total",
        "counter",
        "events",
        "Commands of the nexus that were not answered in time.",
        "a time-out that is shorter than what the array takes",
        lambda r: r.path["timed_out"],
    ),
    Parameter(
        "smokestack_exchange_aborts_total",
        "counter",
        "events",
        "Aborts of commands sent on the nexus (ABTS), whether they were answered or not.",
        "a time-out that is shorter than what the array takes; PORT_HANG",
        lambda r: r.path["aborts"],
    ),
    Parameter(
        "smokestack_sequential_ios_total",
        "counter",
        "commands",
        "Commands that began where the one before had ended.",
        "a sequential load",
        lambda r: r.tap["sequential"],
    ),
    Parameter(
        "smokestack_inter_io_gap_seconds",
        "histogram",
        "seconds",
        "Virtual time from one command to the next on the nexus.",
        "load",
        lambda r: _seen(Seen.GAP, r),
        "seconds",
    ),
)

EXCHANGES: Final = (
    Parameter(
        "smokestack_exchange_completion_seconds",
        "histogram",
        "seconds",
        "Exchange completion time: virtual time from a command to its answer.",
        "load, a slow link, a busy array",
        lambda r: r.probe[:, : Seen.OTHER + 1].reshape(-1, r.probe.shape[2]),
        "seconds",
    ),
    Parameter(
        "smokestack_io_size_bytes",
        "histogram",
        "bytes",
        "Length of the commands that succeeded.",
        "load, by its sizes",
        _sizes,
        "bytes",
    ),
)
