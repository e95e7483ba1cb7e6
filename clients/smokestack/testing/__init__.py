"""Stacks for tests: served privately, reset between tests, with a clock that moves when told.

With pytest there is nothing to import: a test asks for the fixture ``smokestack``.  Without it:

>>> from smokestack.testing import InProcess, Smokestack
>>> with InProcess() as server, Smokestack(server) as smokestack:
...     smokestack.pools["p1"].fill(0.999)

Importing this package imports neither gRPC nor NumPy; what it names does, when it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .source import Source

if TYPE_CHECKING:
    from .attached import Attached
    from .in_process import InProcess
    from .own_process import OwnProcess
    from .server import Server, ServerRefused
    from .view import Smokestack

_HOMES = {
    "Attached": "attached",
    "InProcess": "in_process",
    "OwnProcess": "own_process",
    "Server": "server",
    "ServerRefused": "server",
    "Smokestack": "view",
}

__all__ = [
    "Attached",
    "InProcess",
    "OwnProcess",
    "Server",
    "ServerRefused",
    "Smokestack",
    "Source",
]


def __getattr__(name: str) -> Any:
    """Imports a name's module when the name is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
