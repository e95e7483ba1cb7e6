"""What a failed test's report says of its stack: seed, virtual time, last events, how to replay."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .source import Source
    from .view import Smokestack

TITLE = "smokestack"


def section(view: Smokestack, source: Source, node_id: str, options: list[str]) -> str:
    """Returns the lines; a stack that does not answer any more says so in one of them."""
    replay = ["pytest", node_id, f"--smokestack-seed={view.seed}", *options]
    lines = [f"seed {view.seed}, {source}"]
    try:
        lines.append(f"virtual time {view.now_ns / 1e9:.9f} s; the last events:")
        lines += [f"  {line(event)}" for event in view.last_events()]
    except Exception as error:
        lines.append(f"the stack does not answer: {error}")
    return "\n".join([*lines, f"replay with: {shlex.join(replay)}"])


def line(event: Any) -> str:
    """Returns an event in one line."""
    details = [f"{d.key}={getattr(d, d.WhichOneof('value'))}" for d in event.details]
    because = f" because of {event.cause}" if event.cause else ""
    words = " ".join([event.kind, event.subject, *details])
    return f"{event.time_ns / 1e9:.9f} s  {words}{because}  [{event.name}]"
