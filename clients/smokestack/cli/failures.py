"""Turns failures into one line that says what is wrong, and an exit code.

What is not known here is our mistake and keeps its traceback.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import click

FAILED = 1
BAD_INPUT = 2
INTERRUPTED = 130  # as a shell reports a process that SIGINT ended

# Refusals whose cause is what was asked for, not the state of what was asked.
_ASKED_WRONGLY = {"INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "OUT_OF_RANGE"}


class Failure(NamedTuple):
    """What to print, and what to exit with."""

    line: str
    exit_code: int


def explain(error: BaseException) -> Failure | None:
    """Returns what a user should read about an error, or None if it is no user's doing."""
    if isinstance(error, click.ClickException):
        return Failure(_one_line(_click_message(error)), error.exit_code)
    if isinstance(error, _class("smokestack.engine.errors", "Refused")):
        return _refused(error)
    if isinstance(error, _class("smokestack.client.errors", "Error")):
        return _refused(error)
    if isinstance(error, _class("grpc", "RpcError")):
        return _rpc(error)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        code = BAD_INPUT if error.filename else FAILED
        return Failure(_one_line(f"{where}{error.strerror or error}"), code)
    return None


def _class(module: str, name: str) -> type[BaseException]:
    """Returns an exception class; who never imported its module cannot have raised it."""
    found: type[BaseException] = getattr(sys.modules.get(module), name, _Never)
    return found


class _Never(Exception):
    """Stands for a class that nothing can be an instance of."""


def _click_message(error: click.ClickException) -> str:
    message = error.format_message()
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{message.rstrip('.')} (see {error.ctx.command_path} --help)"
    return message


def _refused(error: Any) -> Failure:
    return Failure(_one_line(error.message), BAD_INPUT if error.code in _ASKED_WRONGLY else FAILED)


def _rpc(error: Any) -> Failure:
    code = error.code().name
    details = error.details() or code
    return Failure(_one_line(details), BAD_INPUT if code in _ASKED_WRONGLY else FAILED)


def _one_line(text: str) -> str:
    return " ".join(text.split())
