"""Writes dashboards/overview.json: the whole stack on one page, from guests down to the thin pool.

Rates are per second of virtual time: a simulation runs faster or slower than the wall clock by
which Prometheus scrapes, and stands still between commands.  Run it after any change:

    pip install -e '.[grafana]' && python grafana/overview.py
"""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any, Final

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import (
    dashboard,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    timeseries,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import heatmap as heatmap_models
from grafana_foundation_sdk.models import prometheus as prometheus_models

TARGET: Final = Path(__file__).parent / "dashboards" / "overview.json"
SOURCE: Final = models.DataSourceRef(type_val="prometheus", uid="${datasource}")

# --- queries --------------------------------------------------------------------------------

P: Final = "smokestack_"
HOST: Final = '{host=~"$host"}'
ARRAY: Final = '{array=~"$array"}'
SPEED: Final = f"max(rate({P}virtual_time_seconds_total[$__rate_interval]))"


def rate(counter: str, by: str, where: str) -> str:
    """A counter's rate in virtual time."""
    return f"sum by ({by}) (rate({P}{counter}{where}[$__rate_interval])) / scalar({SPEED})"


def total_rate(counter: str) -> str:
    return f"sum(rate({P}{counter}[$__rate_interval])) / scalar({SPEED})"


def percentile(q: float, histogram: str, by: str, where: str) -> str:
    """A latency that a share of the recent I/Os stayed below."""
    rates = f"sum by ({by}, le) (rate({P}{histogram}_bucket{where}[$__rate_interval]))"
    return f"histogram_quantile({q}, {rates})"


def mean(histogram: str, by: str, where: str) -> str:
    """The mean latency of recent I/Os."""
    seconds, count = (
        f"sum by ({by}) (rate({P}{histogram}_{part}{where}[$__rate_interval]))"
        for part in ("sum", "count")
    )
    return f"{seconds} / {count}"


# --- panels ---------------------------------------------------------------------------------


def query(expr: str, legend: str = "__auto", ref: str = "A") -> prometheus.Dataquery:
    return prometheus.Dataquery().ref_id(ref).expr(expr).legend_format(legend).datasource(SOURCE)


def number(title: str, unit: str, expr: str, text: str, alarm: float | None = None) -> stat.Panel:
    """One figure; it turns red from `alarm` on."""
    steps = [models.Threshold(color="green")]
    if alarm is not None:
        steps.append(models.Threshold(value=alarm, color="red"))
    return (
        stat.Panel()
        .title(title)
        .description(text)
        .unit(unit)
        .datasource(SOURCE)
        .thresholds(dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps))
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
        .graph_mode(common.BigValueGraphMode.AREA)
        .span(3)
        .height(4)
        .with_target(query(expr))
    )


def graph(title: str, unit: str, text: str, *lines: tuple[str, str], span: int = 8) -> Any:
    """Lines over time, each a query and its legend."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(text)
        .unit(unit)
        .datasource(SOURCE)
        .min(0)
        .fill_opacity(8)
        .show_points(common.VisibilityMode.NEVER)
        .tooltip(
            common_builders.VizTooltipOptions()
            .mode(common.TooltipDisplayMode.MULTI)
            .sort(common.SortOrder.DESCENDING)
        )
        .span(span)
        .height(8)
    )
    for ref, (expr, legend) in zip("ABCD", lines, strict=False):
        panel = panel.with_target(query(expr, legend, ref))
    return panel


def guest_heatmap() -> heatmap.Panel:
    expr = f"sum by (le) (increase({P}guest_latency_seconds_bucket{HOST}[$__rate_interval]))"
    return (
        heatmap.Panel()
        .title("Guest latency, every I/O")
        .description("How many I/Os took how long.")
        .datasource(SOURCE)
        .calculate(False)
        .y_axis(heatmap.YAxisConfig().unit("s"))
        .color(
            heatmap.HeatmapColorOptions()
            .mode(heatmap_models.HeatmapColorMode.SCHEME)
            .scheme("Oranges")
            .steps(64)
        )
        .span(8)
        .height(8)
        .with_target(query(expr, "{{le}}").format(prometheus_models.PromQueryFormat.HEATMAP))
    )


def path_states() -> statetimeline.Panel:
    states = {"0": ("down", "red"), "1": ("active", "green")}
    mapping = models.ValueMap(
        options={
            value: models.ValueMappingResult(text=text, color=color, index=int(value))
            for value, (text, color) in states.items()
        }
    )
    return (
        statetimeline.Panel()
        .title("Paths")
        .description("Whether each path is active; down is dead or disabled.")
        .datasource(SOURCE)
        .mappings([mapping])
        .show_value(common.VisibilityMode.NEVER)
        .span(8)
        .height(8)
        .with_target(
            query(f'{P}path_state{{host=~"$host", state="active"}}', "{{host}} {{path}} {{lun}}")
        )
    )


# --- rows -----------------------------------------------------------------------------------


def stack() -> list[Any]:
    paths_down = f'sum({P}path_state{{state!="active"}})'
    refused = total_rate('scsi_status_total{status=~"busy|task_set_full"}')
    used = f"max({P}thin_pool_allocated_bytes / {P}thin_pool_capacity_bytes)"
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
        number("Fullest pool", "percentunit", used, "Allocated over capacity.", 0.9),
        number(
            "Dry pool",
            "ops",
            total_rate("thin_pool_allocation_failures_total"),
            "Writes that found no space.",
            1e-9,
        ),
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
            (percentile(0.5, "guest_latency_seconds", "host, vm", HOST), f"{vm} p50"),
            (percentile(0.99, "guest_latency_seconds", "host, vm", HOST), f"{vm} p99"),
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
    port, pool = "{{array}} {{port}}", "{{array}} {{pool}}"
    target = "{{array}} {{target}}"
    return [
        graph(
            "Port queues",
            "none",
            "Commands that each port holds; at the limit it refuses.",
            (f"{P}target_port_pending_exchanges{ARRAY}", f"{port} pending"),
            (f"{P}target_port_queue_limit{ARRAY}", f"{port} limit"),
        ),
        graph(
            "Refusals and errors",
            "ops",
            "Commands by the status that the array decided on, GOOD left out.",
            (
                rate("scsi_status_total", "status", '{array=~"$array", status!="good"}'),
                "{{status}}",
            ),
        ),
        graph(
            "Array latency",
            "s",
            "From a command's arrival to its answer, by port.",
            (percentile(0.5, "array_latency_seconds", "array, target", ARRAY), f"{target} p50"),
            (percentile(0.99, "array_latency_seconds", "array, target", ARRAY), f"{target} p99"),
        ),
        graph(
            "Port throughput",
            "Bps",
            "Data of writes (rx) and reads (tx).",
            (rate("port_rx_bytes_total", "array, port", ARRAY), f"{port} rx"),
            (rate("port_tx_bytes_total", "array, port", ARRAY), f"{port} tx"),
        ),
        graph(
            "Thin pools",
            "bytes",
            "Space taken, there, and promised to volumes.",
            (f"{P}thin_pool_allocated_bytes{ARRAY}", f"{pool} allocated"),
            (f"{P}thin_pool_capacity_bytes{ARRAY}", f"{pool} capacity"),
            (f"{P}thin_pool_subscribed_bytes{ARRAY}", f"{pool} subscribed"),
        ),
        graph(
            "Cache hits",
            "percentunit",
            "Share of the reads of written pages since the start.",
            (f"{P}array_cache_hit_ratio{ARRAY}", "{{array}} {{controller}}"),
        ),
    ]


def choice(name: str, label: str, metric: str) -> dashboard.QueryVariable:
    """A drop-down of a label's values, several at once."""
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(f"label_values({P}{metric}, {name})")
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
        .current(models.VariableOption(selected=True, text="All", value="$__all"))
    )


def build() -> dashboard.Dashboard:
    page = (
        dashboard.Dashboard("smokestack: the stack")
        .uid("smokestack-overview")
        .description("From guests down to the thin pool; rates are per second of virtual time.")
        .tags(["smokestack"])
        .refresh("5s")
        .time("now-15m", "now")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(
            dashboard.DatasourceVariable("datasource").label("Source").type("prometheus")
        )
        .with_variable(choice("host", "Host", "device_state"))
        .with_variable(choice("array", "Array", "target_port_queue_limit"))
    )
    ids = count(1)
    for title, panels in (
        ("Stack", stack()),
        ("Hypervisor", hypervisor()),
        ("Multipath", multipath()),
        ("Array", array()),
    ):
        page = page.with_row(dashboard.Row(title).id(next(ids)))
        for panel in panels:
            page = page.with_panel(panel.id(next(ids)))
    return page


def text() -> str:
    """The dashboard as it is committed."""
    return str(JSONEncoder(sort_keys=True, indent=2).encode(build().build())) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
