"""Writes a dashboard for each room that has more to tell than fits the overview.

dashboards/multipath.json: hosts' queues, paths, fabrics.  dashboards/array.json: ports,
controllers, media, thin pools and dark storage.  How rates are taken and how panels look, `panels`
says.  Run it after any change:

    pip install -e '.[grafana]' && python grafana/rooms.py
"""

from __future__ import annotations

from typing import Any, Final

from grafana_foundation_sdk.builders import dashboard
from panels import (
    ARRAY,
    ARRAYS,
    HOST,
    HOSTS,
    P,
    Rows,
    array_latency,
    choice,
    dry_pools,
    fullest_pool,
    graph,
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

FABRIC: Final = '{fabric=~"$fabric"}'
FABRICS: Final = choice("fabric", "Fabric", "rscn_total")

# --- multipath ------------------------------------------------------------------------------


def hosts() -> list[Any]:
    device, adapter = "{{host}} {{lun}}", "{{host}} {{hba}}"
    return [
        number(
            "APD",
            "none",
            f'sum({P}device_state{{state=~"apd.*"}})',
            "Devices without a path that can be used.",
            1,
        ),
        number("PDL", "none", f'sum({P}device_state{{state="pdl"}})', "Devices lost for good.", 1),
        number(
            "Retries", "ops", total_rate("device_retries_total"), "Commands that are sent again.", 1
        ),
        number(
            "Throttled",
            "ops",
            total_rate("device_queue_throttles_total"),
            "Times that refusals halved a device's depth.",
            1e-9,
        ),
        graph(
            "Device latency (DAVG)",
            "s",
            "From last dispatch to answer: fabric and array.",
            *percentiles("device_latency_seconds", "host, lun", HOST, device),
        ),
        graph(
            "Kernel latency (KAVG, QAVG)",
            "s",
            "From submission to last dispatch, and the part of it in queues.",
            (mean("kernel_latency_seconds", "host, lun", HOST), f"{device} kernel"),
            (mean("queue_latency_seconds", "host, lun", HOST), f"{device} queue"),
        ),
        graph(
            "What limits devices",
            "none",
            "Configured depth (DQLEN), what refusals left of it, and what holds now.",
            (f"{P}device_queue_depth_configured{HOST}", f"{device} configured"),
            (f"{P}device_queue_depth{HOST}", f"{device} throttled"),
            (f"{P}device_queue_limit{HOST}", f"{device} limit"),
            (f"{P}device_active_commands{HOST}", f"{device} active"),
        ),
        graph(
            "Adapters",
            "none",
            "Commands outstanding and waiting; the depth (AQLEN) limits the first.",
            (f"{P}adapter_active_commands{HOST}", f"{adapter} active"),
            (f"{P}adapter_queued_commands{HOST}", f"{adapter} queued"),
        ),
        graph(
            "Refusals",
            "ops",
            "Commands that arrays refused: TASK SET FULL and BUSY.",
            (rate("device_refusals_total", "host, lun", HOST), device),
        ),
        graph(
            "Latency windows",
            "none",
            "Commands that latency lets devices have out; 0: it moves nothing.",
            (f"{P}device_latency_window_commands{HOST}", device),
        ),
    ]


def paths() -> list[Any]:
    path = "{{host}} {{path}} {{lun}}"
    by = "host, path, lun"
    return [
        path_states(),
        graph(
            "Path I/O",
            "iops",
            "Commands that each path answered.",
            (rate("path_ios_total", by, HOST), path),
        ),
        graph(
            "Path latency",
            "s",
            "Mean from dispatch on the path to the answer.",
            (mean("path_latency_seconds", by, HOST), path),
        ),
        graph(
            "In flight",
            "none",
            "Commands in flight on each path.",
            (f"{P}path_active_commands{HOST}", path),
        ),
        graph(
            "Path errors",
            "ops",
            "Commands that ended in an error on the path or were lost with it, and refusals.",
            (rate("path_errors_total", by, HOST), f"{path} errors"),
            (rate("path_refusals_total", by, HOST), f"{path} refused"),
        ),
        graph(
            "Failovers and checks",
            "ops",
            "Times that paths went down, and TEST UNIT READYs of their checkers.",
            (rate("path_failovers_total", by, HOST), f"{path} down"),
            (rate("path_checks_total", by, HOST), f"{path} checks"),
        ),
    ]


def fabrics() -> list[Any]:
    link, by = "{{fabric}} {{link}}", "fabric, link"
    return [
        graph(
            "Without credit",
            "percentunit",
            "Share of the time that a link had a frame to send and no credit (TxWait).",
            (rate("port_bb_credit_zero_seconds_total", by, FABRIC), link),
        ),
        graph(
            "Busy links",
            "percentunit",
            "Share of the time that a link's far end took for its frames.",
            (rate("port_busy_seconds_total", by, FABRIC), link),
        ),
        graph(
            "Credits left",
            "none",
            "Buffers that a link has free, of those that it has.",
            (f"{P}port_bb_credit_remaining{FABRIC}", f"{link} left"),
            (f"{P}port_bb_credit_configured{FABRIC}", f"{link} in all"),
        ),
        graph(
            "Frames",
            "none",
            "Frames sent on links, per second.",
            (rate("port_tx_frames_total", by, FABRIC), link),
        ),
        graph(
            "Link errors",
            "ops",
            "Damaged frames (CRC), and links that failed.",
            (rate("port_crc_errors_total", by, FABRIC), f"{link} CRC"),
            (rate("port_link_failures_total", by, FABRIC), f"{link} failed"),
        ),
        graph(
            "Fabric",
            "none",
            "Ports that are logged in, and registered state changes (RSCN) a second.",
            (f"{P}fabric_logged_in_ports{FABRIC}", "{{fabric}} ports"),
            (rate("rscn_total", "fabric", FABRIC), "{{fabric}} RSCN"),
        ),
    ]


# --- array ----------------------------------------------------------------------------------


def front_end() -> list[Any]:
    port = "{{array}} {{port}}"
    return [
        port_queues(),
        graph(
            "Port commands",
            "ops",
            "Commands that ports took, and those lost with a link.",
            (rate("target_port_commands_total", "array, port", ARRAY), f"{port} taken"),
            (rate("target_port_dropped_total", "array, port", ARRAY), f"{port} lost"),
        ),
        port_throughput(),
        array_latency(),
        graph(
            "Volumes",
            "iops",
            "Reads and writes that volumes took.",
            (rate("read_commands_total", "lun", ARRAY), "{{lun}} reads"),
            (rate("write_commands_total", "lun", ARRAY), "{{lun}} writes"),
        ),
        graph(
            "Sense data",
            "ops",
            "Commands that ended with CHECK CONDITION, by sense key, ASC and ASCQ.",
            (rate("scsi_sense_total", "kcq", ARRAY), "{{kcq}}"),
        ),
    ]


def back_end() -> list[Any]:
    controller, pool = "{{array}} {{controller}}", "{{array}} {{pool}}"
    return [
        graph(
            "Busy controllers",
            "none",
            "Cores that work, on average.",
            (rate("array_controller_busy_seconds_total", "array, controller", ARRAY), controller),
        ),
        graph(
            "Busy media",
            "none",
            "Disks that work, on average.",
            (rate("thin_pool_media_busy_seconds_total", "array, pool", ARRAY), pool),
        ),
        graph(
            "Cache",
            "percentunit",
            "Reads of written pages that hit, and the write cache that the media do not have yet.",
            (f"{P}array_cache_hit_ratio{ARRAY}", f"{controller} hits"),
            (f"{P}array_cache_dirty_ratio{ARRAY}", f"{controller} dirty"),
        ),
    ]


def space() -> list[Any]:
    return [
        fullest_pool(),
        number(
            "Most promised",
            "none",
            f"max({P}thin_pool_oversubscription_ratio)",
            "Subscribed over capacity; can go over 1.",
        ),
        dry_pools("Dry pools"),
        number(
            "Dark",
            "percentunit",
            f"max({P}dark_storage_ratio)",
            "Share of an array's space on volumes that nobody is shown.",
        ),
        thin_pools((f"{P}thin_pool_snapshot_bytes{ARRAY}", "{{array}} {{pool}} snapshots")),
        graph(
            "Where space is",
            "bytes",
            "Each byte of an array in one category, as far as it knows by itself.",
            (f"{P}dark_storage_bytes{ARRAY}", "{{array}} {{category}}"),
        ),
        graph(
            "Volumes' pages",
            "bytes",
            "Pages that volumes have ever written, the ten largest.",
            (f"topk(10, {P}thin_volume_written_bytes{ARRAY})", "{{lun}}"),
        ),
    ]


# --- pages ----------------------------------------------------------------------------------


def room(
    name: str, text: str, variables: list[dashboard.QueryVariable], rows: Rows
) -> dashboard.Dashboard:
    return page(name, name, f"{text} Rates are per second of virtual time.", variables, rows)


def pages() -> dict[str, dashboard.Dashboard]:
    return {
        "multipath": room(
            "multipath",
            "Queues of hosts, their paths, and the fabrics between.",
            [HOSTS, FABRICS],
            (("Hosts", hosts()), ("Paths", paths()), ("Fabrics", fabrics())),
        ),
        "array": room(
            "array",
            "Ports, controllers, media and space of arrays.",
            [ARRAYS],
            (("Front end", front_end()), ("Back end", back_end()), ("Space", space())),
        ),
    }


if __name__ == "__main__":
    write(pages())
