"""Resume tokens: where in a service's events somebody has got to.

A token names the service, the run whose events it counts, and the last event that was seen.  It is
good for as long as that run's log keeps the next event; a stale, foreign or damaged one is refused
with what would be right.
"""

from __future__ import annotations

import base64
import binascii
import zlib

from .errors import FailedPrecondition, InvalidArgument, Violation
from .events import EventLog


class ResumeTokens:
    """Makes and reads the tokens of one log."""

    def __init__(self, log: EventLog, run: str) -> None:
        """Takes the log, and a word without spaces that no other run of the service has."""
        self._log = log
        self._run = run

    def make(self, number: int) -> str:
        """Returns the token of whoever has seen all events up to a number."""
        content = f"{self._log.service} {self._run}.{self._log.generation} {number}"
        marked = f"{zlib.crc32(content.encode()):08x} {content}"
        return base64.urlsafe_b64encode(marked.encode()).decode()

    def read(self, token: str, field: str = "resume_token") -> int:
        """Returns the number of the last event seen; refuses what is no token of this log."""
        try:
            mark, content = base64.urlsafe_b64decode(token.encode()).decode().split(" ", 1)
            service, run, number = content.split(" ")
            damaged = mark != f"{zlib.crc32(content.encode()):08x}"
            seen = int(number)
        except (binascii.Error, ValueError):
            damaged = True
        if damaged:
            raise _refused(
                field,
                "is damaged: give a token as this service made it, or none to start with the "
                "oldest event that is kept",
                "DAMAGED_TOKEN",
            )
        if service != self._log.service:
            raise _refused(
                field,
                f"is of {service}, not of {self._log.service}: resume there, or give none here",
                "FOREIGN_TOKEN",
            )
        if run != f"{self._run}.{self._log.generation}" or seen > self._log.last:
            raise FailedPrecondition(
                f"{field}: is of an earlier run of {service}, or of the time before a snapshot was "
                "restored; its events are gone: start again without a token",
                reason="STALE_TOKEN",
                resource=service,
            )
        return seen


def _refused(field: str, description: str, reason: str) -> InvalidArgument:
    return InvalidArgument(
        f"{field}: {description}", reason=reason, violations=[Violation(field, description)]
    )
