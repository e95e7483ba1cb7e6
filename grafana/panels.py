"""Queries and panels that all dashboards share: how rates are taken, and how panels look.

Rates are per second of virtual time: a simulation runs faster or slower than the wall clock by
which Prometheus scrapes, and stands still between commands.
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

TARGETS: Final = Path(__file__).parent / "dashboards"
SOURCE: Final = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
Rows = tuple[tuple[str, list[Any]], ...]

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


def percentiles(
    histogram: str, by: str, where: str, legend: str
) -> tuple[tuple[str, str], tuple[str, str]]:
    """Lines of the median and the 99th percentile."""
    return (
        (percentile(0.5, histogram, by, where), f"{legend} p50"),
        (percentile(0.99, histogram, by, where), f"{legend} p99"),
    )


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


# --- ready panels ---------------------------------------------------------------------------


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


def port_queues() -> Any:
    port = "{{array}} {{port}}"
    return graph(
        "Port queues",
        "none",
        "Commands that each port holds; at the limit it refuses.",
        (f"{P}target_port_pending_exchanges{ARRAY}", f"{port} pending"),
        (f"{P}target_port_queue_limit{ARRAY}", f"{port} limit"),
    )


def port_throughput() -> Any:
    port = "{{array}} {{port}}"
    return graph(
        "Port throughput",
        "Bps",
        "Data of writes (rx) and reads (tx).",
        (rate("port_rx_bytes_total", "array, port", ARRAY), f"{port} rx"),
        (rate("port_tx_bytes_total", "array, port", ARRAY), f"{port} tx"),
    )


def array_latency() -> Any:
    return graph(
        "Array latency",
        "s",
        "From a command's arrival to its answer, by port.",
        *percentiles("array_latency_seconds", "array, target", ARRAY, "{{array}} {{target}}"),
    )


def thin_pools(*more: tuple[str, str]) -> Any:
    """Pools' space, and what else a page wants to have beside it."""
    pool = "{{array}} {{pool}}"
    return graph(
        "Thin pools",
        "bytes",
        "Space taken, there, and promised to volumes.",
        (f"{P}thin_pool_allocated_bytes{ARRAY}", f"{pool} allocated"),
        (f"{P}thin_pool_capacity_bytes{ARRAY}", f"{pool} capacity"),
        (f"{P}thin_pool_subscribed_bytes{ARRAY}", f"{pool} subscribed"),
        *more,
    )


def fullest_pool() -> stat.Panel:
    used = f"max({P}thin_pool_allocated_bytes / {P}thin_pool_capacity_bytes)"
    return number("Fullest pool", "percentunit", used, "Allocated over capacity.", 0.9)


def dry_pools(title: str) -> stat.Panel:
    failures = total_rate("thin_pool_allocation_failures_total")
    return number(title, "ops", failures, "Writes that found no space.", 1e-9)


# --- pages ----------------------------------------------------------------------------------


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


HOSTS: Final = choice("host", "Host", "device_state")
ARRAYS: Final = choice("array", "Array", "target_port_queue_limit")


def page(
    name: str, title: str, text: str, variables: list[dashboard.QueryVariable], rows: Rows
) -> dashboard.Dashboard:
    """A dashboard: a row of panels for each part of what it shows."""
    made = (
        dashboard.Dashboard(f"smokestack: {title}")
        .uid(f"smokestack-{name}")
        .description(text)
        .tags(["smokestack"])
        .refresh("5s")
        .time("now-15m", "now")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(
            dashboard.DatasourceVariable("datasource").label("Source").type("prometheus")
        )
    )
    for variable in variables:
        made = made.with_variable(variable)
    ids = count(1)
    for title_of_row, panels in rows:
        made = made.with_row(dashboard.Row(title_of_row).id(next(ids)))
        for panel in panels:
            made = made.with_panel(panel.id(next(ids)))
    return made


def text(made: dashboard.Dashboard) -> str:
    """A dashboard as it is committed."""
    return str(JSONEncoder(sort_keys=True, indent=2).encode(made.build())) + "\n"


def write(pages: dict[str, dashboard.Dashboard]) -> None:
    """Writes dashboards where Grafana finds them, by name."""
    for name, made in pages.items():
        (TARGETS / f"{name}.json").write_text(text(made), encoding="utf-8")
