"""The servers of one test session: one for each scenario, started when a test first asks."""

from __future__ import annotations

from collections.abc import Callable

from .server import Closing, Server
from .source import Source

SERVERS_MAX = 4  # of those that are started; the one unused for longest goes first


class Servers(Closing):
    """Starts servers by a function, and ends them."""

    def __init__(self, start: Callable[[Source], Server], most: int = SERVERS_MAX) -> None:
        self._start = start
        self._most = most
        self._running: dict[Source, Server] = {}

    def of(self, source: Source) -> Server:
        """Returns the server of a scenario."""
        server = self._running.pop(source, None)
        if server is None:
            if len(self._running) >= self._most:
                self._running.pop(next(iter(self._running))).close()
            server = self._start(source)
        self._running[source] = server  # as the last one used
        return server

    def close(self) -> None:
        """Ends all servers."""
        while self._running:
            self._running.popitem()[1].close()
