"""Stands between a listener and the room that it serves, so that another can take its place.

A reset builds all rooms anew, so that nothing of the old ones can be left over; what clients know,
an address and its services, stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import grpc

from smokestack.engine.exposition import Samples

from .errors import refusing
from .rooms import Room


class Switch(grpc.GenericRpcHandler):
    """Hands calls and scrapes on to the room whose turn it is."""

    def __init__(self, room: Room[Any]) -> None:
        self.room = room
        self._handlers = _handlers(room)

    def turn_to(self, room: Room[Any]) -> None:
        """Makes a room of the same kind the one that is served."""
        self._handlers = _handlers(room)
        self.room = room

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Returns what handles a method, or None for one that the room does not have."""
        return self._handlers.get(handler_call_details.method)

    @property
    def name(self) -> str:
        """Full name of the room, for scrapes."""
        return self.room.collector.name

    def collect(self) -> list[Samples]:
        """Returns the room's samples as they stand."""
        return self.room.collector.collect()


def _handlers(room: Room[Any]) -> Mapping[str, Any]:
    gathering = _Gathering()
    room.add_services(gathering)  # type: ignore[arg-type]  # only what generated code calls
    return gathering.handlers


class _Gathering:
    """In a server's place while services are added: it only remembers their methods."""

    def __init__(self) -> None:
        self.handlers: dict[str, Any] = {}

    def add_generic_rpc_handlers(self, handlers: Sequence[Any]) -> None:
        """Does nothing: each method is registered too."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Remembers a service's methods by their full names."""
        for method, handler in handlers.items():
            name = f"/{service}/{method}"
            self.handlers[name] = refusing(name, handler)
