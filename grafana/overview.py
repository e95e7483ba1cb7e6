"""Writes dashboards/overview.json: the whole stack on one page, from guests down to the thin pool.

How rates are taken and how panels look, `panels` says.  Run it after any change:

    pip install -e '.[grafana]' && python grafana/overview.py
"""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders import dashboard
from panels import (
    ARRAY,
    ARRAYS,
    HOST,
    HOSTS,
    SPEED,
    P,
    array_latency,
    dry_pools,
    fullest_pool,
    graph,
    guest_heatmap,
    mean,
    number,
    page,
    path_states,
    percentiles,
    port_queues,
    port_throughput,
    rate,
    thin_pools,
    total_rate,
    write,
)


def stack() -> list[Any]:
    paths_down = f'sum({P}path_state{{state!="active"}})'
    refused = total_rate('scsi_status_total{status=~"busy|task_set_full"}')
    failing = f"count({P}scrape_collector_success == 0) or vector(0)"
    p99 = f"sum by (le) (rate({P}guest_latency_seconds_bucket[$__rate_interval]))"
    return [
        number("Clock", "none", SPEED, "Virtual seconds per second of wall time."),
        number(
            "Guest I/O",
            "iops",
            total_rate("guest_latency_seconds_count"),
            "Completions, all VMs.",
        ),
        number("Guest p99", "s", f"histogram_quantile(0.99, {p99})", "99 % of I/Os were faster."),
        number("Paths down", "none", paths_down, "Paths that are dead or disabled.", 1),
        number("Refused", "ops", refused, "Commands met with TASK SET FULL or BUSY.", 1),
        fullest_pool(),
        dry_pools("Dry pool"),
        number("Scrape", "none", failing, "Collectors that failed in the last scrape.", 1),
    ]


def hypervisor() -> list[Any]:
    vm = "{{host}} {{vm}}"
    return [
        graph(
            "Guest I/O",
            "iops",
            "Completions by VM.",
            (rate("guest_latency_seconds_count", "host, vm", HOST), vm),
        ),
        graph(
            "Guest latency (GAVG)",
            "s",
            "As the guest sees it: broker, queues, fabric and array.",
            *percentiles("guest_latency_seconds", "host, vm", HOST, vm),
        ),
        guest_heatmap(),
    ]


def multipath() -> list[Any]:
    device = "{{host}} {{lun}}"
    return [
        graph(
            "Where hosts wait",
            "s",
            "Mean latency of the array and fabric (DAVG) and of the host's queue (KAVG).",
            (mean("device_latency_seconds", "host, lun", HOST), f"{device} device"),
            (mean("kernel_latency_seconds", "host, lun", HOST), f"{device} kernel"),
        ),
        graph(
            "Device queues",
            "none",
            "Commands outstanding (ACTV) and waiting (QUED); the depth (DQLEN) limits the first.",
            (f"{P}device_active_commands{HOST}", f"{device} active"),
            (f"{P}device_queued_commands{HOST}", f"{device} queued"),
            (f"{P}device_queue_depth{HOST}", f"{device} depth"),
        ),
        path_states(),
        graph(
            "Path I/O",
            "iops",
            "Commands that each path carried.",
            (rate("path_ios_total", "host, path, lun", HOST), "{{host}} {{path}} {{lun}}"),
            span=12,
        ),
        graph(
            "Path imbalance",
            "none",
            "I/Os of the busiest path over an equal share; 1 is even.",
            (f"{P}path_imbalance_ratio{HOST}", device),
            span=12,
        ),
    ]


def array() -> list[Any]:
    return [
        port_queues(),
        graph(
            "Refusals and errors",
            "ops",
            "Commands by the status that the array decided on, GOOD left out.",
            (
                rate("scsi_status_total", "status", '{array=~"$array", status!="good"}'),
                "{{status}}",
            ),
        ),
        array_latency(),
        port_throughput(),
        thin_pools(),
        graph(
            "Cache hits",
            "percentunit",
            "Share of the reads of written pages since the start.",
            (f"{P}array_cache_hit_ratio{ARRAY}", "{{array}} {{controller}}"),
        ),
    ]


def pages() -> dict[str, dashboard.Dashboard]:
    return {
        "overview": page(
            "overview",
            "the stack",
            "From guests down to the thin pool; rates are per second of virtual time.",
            [HOSTS, ARRAYS],
            (
                ("Stack", stack()),
                ("Hypervisor", hypervisor()),
                ("Multipath", multipath()),
                ("Array", array()),
            ),
        )
    }


if __name__ == "__main__":
    write(pages())
