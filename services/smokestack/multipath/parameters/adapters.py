"""Parameters of adapters: initiators of hosts."""

from __future__ import annotations

from typing import Final

from .parameter import Parameter

ADAPTERS: Final = (
    Parameter(
        "smokestack_adapter_queue_depth",
        "gauge",
        "commands",
        "Commands that the adapter may have outstanding (AQLEN).",
        "UpdateAdapter: I/Os wait in the adapter",
        lambda r: r.adapter["depth"],
    ),
    Parameter(
        "smokestack_adapter_active_commands",
        "gauge",
        "commands",
        "Commands of the adapter outstanding at arrays (ACTV).",
        "load",
        lambda r: r.adapter["active"],
    ),
    Parameter(
        "smokestack_adapter_queued_commands",
        "gauge",
        "commands",
        "Commands with a path that wait for a place in the adapter's queue (QUED).",
        "more load than the adapter's queue has places",
        lambda r: r.adapter["queued"],
    ),
    Parameter(
        "smokestack_adapter_ios_total",
        "counter",
        "commands",
        "Commands that got their final answer by the adapter.",
        "load",
        lambda r: r.adapter_ios,
    ),
    Parameter(
        "smokestack_adapter_bytes_total",
        "counter",
        "bytes",
        "Length of the commands that got their final answer by the adapter.",
        "load",
        lambda r: r.adapter_bytes,
    ),
    Parameter(
        "smokestack_bus_resets_total",
        "counter",
        "events",
        "Resets of logical units and of targets that the adapter has sent (RESETS).",
        "ResetDevice; aborts that are not answered",
        lambda r: r.adapter_resets,
    ),
)
