"""What serves a stack to tests, wherever it runs; it is brought back to its start between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, Self

from .source import Source


class ServerRefused(Exception):
    """A stack that cannot be used for tests as it is; the message says what would be right."""


class Server(Protocol):
    """A stack that is served."""

    source: Source

    @property
    def addresses(self) -> Mapping[str, str]:
        """Where each service is served, by full name; the hypervisor's comes first."""

    @property
    def metrics_urls(self) -> Mapping[str, str]:
        """Where each service's metrics are, by full name, as far as they are served."""

    def reset(self, seed: int | None = None) -> int:
        """Brings the stack back to time 0, manual with autojump; returns the seed in use.

        Without a seed it is the scenario's own.
        """

    def close(self) -> None:
        """Ends what it has started."""


class Closing:
    """A server as a context manager."""

    def close(self) -> None:
        """Ends what it has started."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
