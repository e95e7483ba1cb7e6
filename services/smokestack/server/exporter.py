"""Serves collectors to Prometheus over HTTP: GET /metrics, and /healthz for who only asks for life.

    exporter = Exporter([ArrayCollector(model, border)], port=9100)
    exporter.start()        # exporter.port is the port, exporter.url the address
    ...
    exporter.close()

A collector has a `name` and `collect()`, which reads its room at a border and returns samples by
family; their text is written while it is sent.  Several collectors of one kind share their
families.  One that raises is left out of that scrape, and the scrape says so:
smokestack_scrape_collector_success is 0.

It serves loopback unless told otherwise, changes nothing, and refuses requests that a web page
could have made a browser send: a Host that is a foreign DNS name, or a foreign Origin.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import numpy as np
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from smokestack.engine.clock import Stopwatch
from smokestack.engine.exposition import Family, Level, Samples

_CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_IDLE_SECONDS: Final = 10
_CONNECTIONS_MAX: Final = 16
_LOG: Final = logging.getLogger(__name__)

_DURATION: Final = Family(
    "smokestack_scrape_collector_duration_seconds",
    "gauge",
    "Wall time that the collector took to read its room for this scrape.",
)
_SUCCESS: Final = Family(
    "smokestack_scrape_collector_success",
    "gauge",
    "1 when the collector succeeded in this scrape, 0 when it is missing from it.",
)


class Collector(Protocol):
    """What reads one room."""

    @property
    def name(self) -> str:
        """Full name of what it reads, e.g. ``arrays/a1``."""

    def collect(self) -> list[Samples]:
        """Returns the room's samples as they stand."""


class Exporter:
    """An HTTP server of its own thread around a list of collectors."""

    def __init__(
        self,
        collectors: Sequence[Collector],
        host: str = "127.0.0.1",
        port: int = 0,
        allowed_hosts: Sequence[str] = (),
    ) -> None:
        """Binds at once, so that OSError says here that a port is in use.

        ``allowed_hosts`` are further DNS names that requests may be addressed to.
        """
        self._collectors = tuple(collectors)
        self._level = Level("collector")
        self._scraping = threading.Lock()
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)
        self._server = _Server(self, host, port, frozenset(allowed_hosts))
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Where Prometheus finds it."""
        host = str(self._server.server_address[0])
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/metrics"

    def start(self) -> None:
        """Begins to answer."""
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stops answering and frees the port."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self._server.server_close()

    def scrape(self) -> bytes:
        """Returns what stands, family by family in the order of their names."""
        return b"".join(self.stream())

    def stream(self) -> Iterator[bytes]:
        """Reads what stands, and returns it piece by piece as it is written."""
        with self._scraping:
            families = self._families()
        for family, samples in sorted(families.items(), key=lambda item: item[0].name):
            if any(samples):
                yield family.header
                for pieces in samples:
                    yield from pieces
        yield generate_latest(self._process)

    def _families(self) -> dict[Family, list[Sequence[bytes]]]:
        found: list[Samples] = []
        seconds, success = [], []
        for collector in self._collectors:
            with Stopwatch() as watch:
                samples = _collected(collector)
            seconds.append(watch.elapsed_seconds)
            success.append(samples is not None)
            found.extend(samples or ())
        rows = self._level.rows([(collector.name,) for collector in self._collectors])
        found += [rows.numbers(_DURATION, np.array(seconds)), rows.counts(_SUCCESS, success)]
        families: dict[Family, list[Sequence[bytes]]] = {}
        for family, pieces in found:
            families.setdefault(family, []).append(pieces)
        return families


def _collected(collector: Collector) -> list[Samples] | None:
    try:
        return collector.collect()
    except Exception:
        _LOG.exception("the collector of %s failed", collector.name)
        return None


class _Server(ThreadingHTTPServer):
    """Knows its exporter and which names it goes by; holds a bounded number of connections."""

    daemon_threads = True

    def __init__(
        self, exporter: Exporter, host: str, port: int, allowed_hosts: frozenset[str]
    ) -> None:
        self.exporter = exporter
        self._loopback = _is_loopback(host)
        self._allowed = allowed_hosts | {host.lower()}
        self._connections = threading.BoundedSemaphore(_CONNECTIONS_MAX)
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Binds without asking DNS for this machine's name, which may take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "smokestack", int(self.server_address[1])

    def goes_by(self, authority: str) -> bool:
        """Says whether a Host or an Origin's authority means this server.

        Elsewhere than on loopback, addresses and names without a dot ("array", a container) pass:
        no stranger's DNS name can look like either.
        """
        try:
            name = (urlsplit(f"//{authority}").hostname or "").lower()
        except ValueError:
            return False
        if name in self._allowed or _is_loopback(name):
            return True
        return not self._loopback and bool(name) and ("." not in name or _is_address(name))

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answers in a thread, or closes the connection when too many are open."""
        if self._connections.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Gives the connection's place back when it has ended."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._connections.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keeps quiet about clients that went away."""
        level = logging.DEBUG if isinstance(sys.exception(), OSError) else logging.ERROR
        _LOG.log(level, "answering %s failed", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _IDLE_SECONDS
    protocol_version = "HTTP/1.1"
    server_version = "smokestack"
    sys_version = ""

    def do_GET(self) -> None:
        """Answers the two paths that there are."""
        path = self.path.partition("?")[0]
        if not self._meant_for_us():
            self._answer(HTTPStatus.FORBIDDEN, b"This Host or Origin is not served.\n")
        elif path == "/metrics":
            self._stream(self.server.exporter.stream())
        elif path == "/healthz":
            self._answer(HTTPStatus.OK, b"ok\n")
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"Here are /metrics and /healthz.\n")

    def _refuse(self) -> None:
        self._answer(HTTPStatus.METHOD_NOT_ALLOWED, b"Only GET is served.\n")

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _refuse

    def _meant_for_us(self) -> bool:
        hosts = self.headers.get_all("Host", [])
        origins = self.headers.get_all("Origin", [])
        authorities = [*hosts, *(origin.partition("://")[2] for origin in origins)]
        return len(hosts) == 1 and all(map(self.server.goes_by, authorities))

    def _stream(self, pieces: Iterator[bytes]) -> None:
        """Answers in chunks, so that who reads knows whether it got all, however much it is."""
        chunked = self.request_version != "HTTP/1.0"
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", _CONTENT_TYPE)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Connection", "close")
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in pieces:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _answer(self, status: HTTPStatus, body: bytes, content: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Connection", "close")
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Logs for who asks for it, not to standard error."""
        _LOG.debug(format, *args)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(name: str) -> bool:
    return name == "localhost" or (_is_address(name) and ipaddress.ip_address(name).is_loopback)
