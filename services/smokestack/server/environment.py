"""Settings that gRPC reads once, when it is imported: quiet, and quick at small round trips.

A border is one short message each way.  gRPC's event engine hands each to one more thread than the
pollers that it replaced, and of these "poll" wakes only the thread that waits: together some 30 %
less time and CPU for a round trip.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from importlib import metadata

# Versions in which the switch is known: others would complain about it on standard error.
_SWITCH_SINCE, _SWITCH_UNTIL = (1, 72), (1, 86)


def prepare_grpc(environ: MutableMapping[str, str] | None = None) -> MutableMapping[str, str]:
    """Sets what is not set yet, in this process's environment if none is given; call it first."""
    environ = os.environ if environ is None else environ
    environ.setdefault("GRPC_VERBOSITY", "NONE")  # whoever asks gets our errors, not its log
    major, minor, *_ = metadata.version("grpcio").split(".")
    if _SWITCH_SINCE <= (int(major), int(minor)) < _SWITCH_UNTIL:
        environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_client,-event_engine_listener")
        environ.setdefault("GRPC_POLL_STRATEGY", "poll")
    return environ
