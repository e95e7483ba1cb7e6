"""The container storage interface behind ports: beside an array's own services, and on its own.

On its own it is a client like any other: of services in this process, whoever they are after a
reset, or of services elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import grpc

from smokestack.dialects.csi import Plugin
from smokestack.engine.border import BorderLock

from .errors import refused_from
from .estate import remote
from .rooms import Room


def with_csi(room: Room[Any], multipath: Any = None) -> Room[Any]:
    """Returns an array whose port serves CSI too; Node only if the multipath layer is known."""
    plugin = Plugin(room.api, room.name, multipath)

    def add(server: grpc.Server) -> None:
        room.add_services(server)
        plugin.add_to(server)

    names = (*room.service_names, *plugin.service_names)
    return replace(room, service_names=names, add_services=add)


def csi_room(plugin: Plugin) -> Room[None]:
    """Returns what serves a plugin alone: no model, no clock, no metrics."""
    nothing: Any = SimpleNamespace(services={})
    return Room(
        None, "csi", BorderLock(), plugin, nothing, nothing, plugin.service_names, plugin.add_to
    )


class Current:
    """The handlers of a service that a reset may replace by others."""

    def __init__(self, api: Callable[[], Any]) -> None:
        self._api = api

    def __getattr__(self, method: str) -> Any:
        return getattr(self._api(), method)


class Elsewhere:
    """The stubs of a service in another process; what it refuses is raised as a refusal."""

    def __init__(self, kind: str, address: str) -> None:
        """Takes the collection that the service's name begins with, and where it is."""
        self._stub = remote(kind, address).api

    def __getattr__(self, method: str) -> Any:
        call = getattr(self._stub, method)

        def ask(request: Any) -> Any:
            try:
                return call(request)
            except grpc.RpcError as error:
                raise refused_from(error) from error

        return ask
