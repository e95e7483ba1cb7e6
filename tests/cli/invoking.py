"""Runs a group of commands in this process, against a stack that it serves."""

from __future__ import annotations

from collections.abc import Callable

from click.testing import CliRunner, Result

from smokestack.cli.failures import explain
from smokestack.cli.main import main
from smokestack.server.stack import Stack

Invoke = Callable[..., Result]


def invoking(stack: Stack, group: str) -> Invoke:
    """Returns what runs the group's command of these words."""
    runner = CliRunner(env={"SMOKESTACK_ADDRESS": stack.endpoints[0].address})

    def invoke(*words: str) -> Result:
        return runner.invoke(main, [group, *words], standalone_mode=False)

    return invoke


def said(done: Result) -> str:
    """Returns what a command printed that went well."""
    assert done.exception is None, done.exception
    return done.output


def refusal(done: Result) -> str:
    """Returns the line that a command ends with that was refused."""
    assert done.exception is not None, done.output
    failure = explain(done.exception)
    assert failure is not None, done.exception
    return failure.line
