"""Asks services for the rows that commands show: in JSON a unit is in the name, else in the cell.

An ``api`` is a service's stub, or its servicer when the stack runs in this process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from .output import bytes_text, latency_text

Row = dict[str, Any]


def disk_rows(api: Any) -> list[Row]:
    """Returns what a hypervisor's virtual disks have done."""
    from smokestack.v1 import hypervisor_pb2 as pb

    return [
        {
            "disk": disk.disk,
            "ios": disk.io_count,
            "errors": disk.error_count,
            "mean_ns": disk.latency.mean_ns,
            "p50_ns": disk.latency.p50_ns,
            "p99_ns": disk.latency.p99_ns,
            "max_ns": disk.latency.max_ns,
        }
        for disk in api.GetStatistics(pb.GetStatisticsRequest()).disks
    ]


def path_rows(api: Any, multipath: str) -> list[Row]:
    """Returns the paths of a multipath layer, host by host and device by device."""
    from smokestack.v1 import multipath_pb2 as pb

    hosts = pb.ListMultipathHostsRequest(parent=multipath)
    return [
        {
            "host": _short(host.name),
            "device": _short(device.name),
            "path": _short(path.name),
            "state": pb.PathState.Name(path.state).removeprefix("PATH_STATE_"),
            "in_flight": path.in_flight_count,
            "ios": path.io_count,
            "bytes": path.io_bytes,
            "errors": path.error_count,
            "refusals": path.refusal_count,
        }
        for host in _pages(api.ListMultipathHosts, hosts, "multipath_hosts")
        for device in _pages(api.ListDevices, pb.ListDevicesRequest(parent=host.name), "devices")
        for path in _pages(api.ListPaths, pb.ListPathsRequest(parent=device.name), "paths")
    ]


def port_rows(api: Any, array: str) -> list[Row]:
    """Returns an array's ports."""
    from smokestack.v1 import array_pb2 as pb

    return [
        {
            "port": _short(port.name),
            "enabled": port.enabled,
            "outstanding": port.outstanding_count,
            "queue_limit": port.queue_limit,
            "commands": port.command_count,
            "task_set_full": port.task_set_full_count,
            "busy": port.busy_count,
            "received_bytes": port.rx_bytes,
            "sent_bytes": port.tx_bytes,
        }
        for port in _pages(api.ListPorts, pb.ListPortsRequest(parent=array), "ports")
    ]


def pool_rows(api: Any, array: str) -> list[Row]:
    """Returns an array's pools."""
    from smokestack.v1 import array_pb2 as pb

    return [
        {
            "pool": _short(pool.name),
            "capacity_bytes": pool.capacity_bytes,
            "allocated_bytes": pool.allocated_bytes,
            "subscribed_bytes": pool.subscribed_bytes,
            "allocation_failures": pool.allocation_failure_count,
        }
        for pool in _pages(api.ListPools, pb.ListPoolsRequest(parent=array), "pools")
    ]


def as_text(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Returns rows for people: the unit goes from the name into the cell."""
    return [dict(_cell(key, value) for key, value in row.items()) for row in rows]


def _cell(key: str, value: Any) -> tuple[str, str]:
    if value is None:
        return _cell(key, 0)[0], "–"
    if key.endswith("_ns"):
        return key.removesuffix("_ns").replace("_", " "), latency_text(value)
    if key == "bytes" or key.endswith("_bytes"):
        return key.removesuffix("_bytes").replace("_", " "), bytes_text(value)
    if isinstance(value, bool):
        value = "yes" if value else "no"
    name = "I/Os" if key == "ios" else key.replace("_", " ")
    return name, value if isinstance(value, str) else f"{value:,}"


def _short(name: str) -> str:
    return name.rpartition("/")[2]


def _pages(call: Callable[[Any], Any], request: Any, field: str) -> Iterator[Any]:
    """Yields what a List method returns, page after page."""
    while True:
        response = call(request)
        yield from getattr(response, field)
        if not response.next_page_token:
            return
        request.page_token = response.next_page_token
