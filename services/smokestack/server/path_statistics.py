"""What is measured of a path and of what it belongs to, on the array's side too.

Multipath tells the host's side, down to links and fabrics; the port, its controller, the volume and
its pool are the array's to tell.  Both by the names of /metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import grpc

from smokestack.engine.errors import NotFound, Unavailable
from smokestack.v1 import array_pb2, multipath_pb2

from .errors import refused_from
from .topology import Part


class _Told(NamedTuple):
    """A parameter that a resource's message has."""

    name: str
    unit: str
    value: str  # the field of PathParameter
    read: Callable[[Any], Any]


_PORT: Final = (
    _Told("port_oper_state", "enum", "state", lambda p: "up" if p.link_up else "down"),
    _Told(
        "port_speed_bytes_per_second", "bytes/s", "count", lambda p: p.bandwidth_bytes_per_second
    ),
    _Told("port_rx_bytes_total", "bytes", "count", lambda p: p.rx_bytes),
    _Told("port_tx_bytes_total", "bytes", "count", lambda p: p.tx_bytes),
    _Told("target_port_commands_total", "commands", "count", lambda p: p.command_count),
    _Told("target_port_dropped_total", "events", "count", lambda p: p.dropped_count),
    _Told("target_port_pending_exchanges", "exchanges", "count", lambda p: p.outstanding_count),
    _Told("target_port_queue_limit", "exchanges", "count", lambda p: p.queue_limit),
)
_CONTROLLER: Final = (
    _Told("array_controller_busy_seconds_total", "seconds", "number", lambda c: c.busy_ns / 10**9),
    _Told(
        "array_cache_dirty_ratio",
        "ratio",
        "number",
        lambda c: c.dirty_bytes / c.cache_bytes if c.cache_bytes else float("nan"),
    ),
)
_POOL: Final = (
    _Told(
        "thin_pool_media_busy_seconds_total", "seconds", "number", lambda p: p.media_busy_ns / 10**9
    ),
    _Told("thin_pool_capacity_bytes", "bytes", "count", lambda p: p.capacity_bytes),
    _Told("thin_pool_allocated_bytes", "bytes", "count", lambda p: p.allocated_bytes),
    _Told("thin_pool_subscribed_bytes", "bytes", "count", lambda p: p.subscribed_bytes),
    _Told(
        "thin_pool_allocation_failures_total",
        "events",
        "count",
        lambda p: p.allocation_failure_count,
    ),
)
_VOLUME: Final = (
    _Told("thin_volume_written_bytes", "bytes", "count", lambda v: v.allocated_bytes),
)
_NAMES: Final = frozenset(
    f"smokestack_{told.name}" for told in (*_PORT, *_CONTROLLER, *_POOL, *_VOLUME)
)


def path_statistics(
    request: multipath_pb2.GetPathStatisticsRequest, parts: list[Part]
) -> multipath_pb2.PathStatistics:
    """Joins what multipath tells of a path with what the array tells of its end."""
    layer = _part(parts, "/".join(request.name.split("/")[:2]), request.name)
    hosts = [name for name in request.parameters if name not in _NAMES]
    arrays = [name for name in request.parameters if name in _NAMES]
    asked = multipath_pb2.GetPathStatisticsRequest(name=request.name, parameters=hosts)
    if arrays and not hosts:
        asked.parameters.append("smokestack_path_state")  # no name would mean all
    found: multipath_pb2.PathStatistics = _asked(layer.api.GetPathStatistics, asked)
    if arrays and not hosts:
        del found.parameters[:]
    if arrays or not request.parameters:
        wanted = frozenset(arrays) or _NAMES
        found.parameters.extend(
            p for p in _array_side(request.name, layer, parts) if p.name in wanted
        )
    return found


def _array_side(name: str, layer: Part, parts: list[Part]) -> Iterator[multipath_pb2.PathParameter]:
    path = _asked(layer.api.GetPath, multipath_pb2.GetPathRequest(name=name))
    device_name = name.rpartition("/paths/")[0]
    device = _asked(layer.api.GetDevice, multipath_pb2.GetDeviceRequest(name=device_name))
    array = _part(parts, "/".join(path.port.split("/")[:2]), name)
    port = _asked(array.api.GetPort, array_pb2.GetPortRequest(name=path.port))
    volume = _asked(array.api.GetVolume, array_pb2.GetVolumeRequest(name=device.volume))
    controller = array_pb2.GetControllerRequest(name=port.controller)
    pool = array_pb2.GetPoolRequest(name=volume.pool)
    labels = {"array": _last(array.name)}
    of_pool = labels | {"pool": _last(volume.pool)}
    yield from _told(
        _PORT, port, "port", labels | {"fabric": port.fabric, "port": _last(port.name)}
    )
    yield from _told(
        _CONTROLLER,
        _asked(array.api.GetController, controller),
        "controller",
        labels | {"controller": _last(port.controller)},
    )
    yield from _told(_POOL, _asked(array.api.GetPool, pool), "pool", of_pool)
    lun = f"{_last(array.name)}.{_last(volume.name)}"
    yield from _told(_VOLUME, volume, "lun", of_pool | {"lun": lun})


def _told(
    parameters: tuple[_Told, ...], message: Any, level: str, labels: dict[str, str]
) -> Iterator[multipath_pb2.PathParameter]:
    for told in parameters:
        yield multipath_pb2.PathParameter(
            name=f"smokestack_{told.name}",
            unit=told.unit,
            level=level,
            labels=labels,
            **{told.value: told.read(message)},
        )


def _part(parts: list[Part], service: str, name: str) -> Part:
    for part in parts:
        if part.name == service:
            if not part.answered:
                raise Unavailable(part.message, resource=service)
            return part
    away = "; ".join(part.message for part in parts if not part.answered)
    if away:
        raise Unavailable(f"{service} is not known here: {away}", resource=service)
    raise NotFound.of(name)


def _asked(method: Callable[[Any], Any], request: Any) -> Any:
    try:
        return method(request)
    except grpc.RpcError as error:
        raise refused_from(error) from error


def _last(name: str) -> str:
    return name.rpartition("/")[2]
