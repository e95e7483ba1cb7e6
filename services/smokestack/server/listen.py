"""Puts a room behind a port: its services, health and reflection, its metrics beside them.

Loopback only, unless the caller says that it may be open to others.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import stat
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from smokestack.engine.errors import FailedPrecondition, InvalidArgument

from .exporter import Collector, Exporter
from .rooms import Room
from .switch import Switch

MESSAGE_BYTES_MAX: Final = 16 << 20
SERVER_THREADS: Final = 16
_STOP_SECONDS: Final = 0.5
_UNIX: Final = "unix://"
_SOCKET_BYTES_MAX: Final = 107  # of a socket's path: what Linux has room for
SERVER_OPTIONS: Final = (
    ("grpc.so_reuseport", 0),  # a second server on a port is a mistake, not a second worker
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", -1),
)


@dataclass(frozen=True)
class Endpoint:
    """Where a service is served."""

    name: str  # e.g. "arrays/a1"
    address: str  # host:port, or unix:// with a path
    metrics_url: str = ""


class Listener:
    """A room's servers, bound but not yet answering."""

    def __init__(
        self,
        room: Room[Any],
        listen: str = "127.0.0.1:0",
        metrics_listen: str | None = None,
        *,
        insecure: bool = False,
    ) -> None:
        """Binds at once; FailedPrecondition says that a port is in use.

        ``metrics_listen`` None serves no metrics.  ``insecure`` allows addresses that other
        machines reach, without encryption.
        """
        self._switch = Switch(room)
        self._health = health.HealthServicer()
        self._server = grpc.server(
            ThreadPoolExecutor(SERVER_THREADS, thread_name_prefix=room.name),
            options=SERVER_OPTIONS,
        )
        self._add_services(room)
        self._exporter = None
        self._socket = socket_path(listen)
        address = self._bind_socket() if self._socket else self._bind(listen, insecure)
        if metrics_listen is not None:
            self._exporter = _exporter(self._switch, metrics_listen, insecure)
        self.endpoint = Endpoint(room.name, address, self._exporter.url if self._exporter else "")
        room.simulation.services[room.name] = self.endpoint.address

    def start(self) -> None:
        """Begins to answer."""
        self._server.start()
        if self._exporter:
            self._exporter.start()
        for name in ("", *self._switch.room.service_names):
            self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    def turn_to(self, room: Room[Any]) -> None:
        """Serves another room in the first one's place, from the next call on."""
        self._switch.turn_to(room)

    def stop(self) -> None:
        """Stops answering; calls in progress have a moment to end."""
        self._health.enter_graceful_shutdown()
        if self._exporter:
            self._exporter.close()
        self._server.stop(_STOP_SECONDS).wait()
        if self._socket:
            Path(self._socket).unlink(missing_ok=True)

    def _add_services(self, room: Room[Any]) -> None:
        self._server.add_generic_rpc_handlers((self._switch,))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names: Sequence[str] = (
            *room.service_names,
            health.SERVICE_NAME,
            reflection.SERVICE_NAME,
        )
        reflection.enable_server_reflection(names, self._server)

    def _bind(self, listen: str, insecure: bool) -> str:
        host, port = checked_address("listen", listen, insecure)
        _check_free(host, port)
        return _joined(host, self._added(_joined(host, port)))

    def _bind_socket(self) -> str:
        """Binds a Unix socket; one that a server left behind is replaced."""
        address = f"{_UNIX}{self._socket}"
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(self._socket) == 0:
                raise _taken(address, "a server listens there already")
        if os.path.lexists(self._socket) and not stat.S_ISSOCK(os.lstat(self._socket).st_mode):
            raise _taken(address, "something else is there")
        self._added(f"unix:{self._socket}")
        return address

    def _added(self, address: str) -> int:
        try:
            bound = self._server.add_insecure_port(address)
        except RuntimeError:
            bound = 0
        if not bound:
            raise _taken(address, "it cannot be bound")
        return bound


def socket_path(address: str) -> str:
    """Returns the path of an address such as unix:///tmp/csi.sock; empty: it is none."""
    if not address.startswith("unix:"):
        return ""
    path = address.removeprefix("unix:").removeprefix("//")
    if not os.path.isabs(path) or len(os.fsencode(path)) > _SOCKET_BYTES_MAX:
        raise InvalidArgument.at(
            "listen",
            f"{address!r} is not unix:// with an absolute path of up to {_SOCKET_BYTES_MAX} bytes",
        )
    return path


def checked_address(field: str, address: str, insecure: bool) -> tuple[str, int]:
    """Returns host and port of an address that may be listened on, or refuses it."""
    match = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^\s:/\[\]]+):(\d{1,5})", address)
    if match is None or int(match[2]) >= 1 << 16:
        raise InvalidArgument.at(field, f"{address!r} is not host:port, e.g. 127.0.0.1:50051")
    host = match[1].strip("[]")
    if not insecure and not _is_loopback(host):
        raise InvalidArgument.at(
            field,
            f"{address} is open to other machines, without encryption: listen on 127.0.0.1, "
            "or say that it may be insecure",
        )
    return host, int(match[2])


def _exporter(collector: Collector, listen: str, insecure: bool) -> Exporter:
    host, port = checked_address("metrics_listen", listen, insecure)
    try:
        return Exporter([collector], host, port)
    except OSError as error:
        raise _taken(_joined(host, port), error.strerror or str(error)) from None


def _check_free(host: str, port: int) -> None:
    """Finds out by binding for a moment, since gRPC does not say why it cannot bind."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise _taken(_joined(host, port), error.strerror or str(error)) from None
    family, kind, protocol, _, where = found[0]
    try:
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
            probe.listen()
    except OSError as error:
        raise _taken(_joined(host, port), error.strerror or str(error)) from None


def _taken(address: str, why: str) -> FailedPrecondition:
    return FailedPrecondition(
        f"cannot listen on {address}: {why.lower()}", reason="ADDRESS_UNUSABLE", resource=address
    )


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
