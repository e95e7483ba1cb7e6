"""`smokestack watch`: shows events as they happen, and goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from .estate import stack_at, stack_option
from .output import NS_PER_SECOND, print_json
from .show import plain


@click.command()
@click.option("--kind", "kinds", multiple=True, help="Only this kind, e.g. PORT_DOWN; repeatable.")
@click.option("--subject", default="", metavar="NAME", help="Only of this and what is below it.")
@click.option("--only-new", is_flag=True, help="Leave out what has happened already.")
@click.option("--no-follow", is_flag=True, help="End after the newest event.")
@click.option(
    "--resume-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Go on where this file says, and keep it up to date: none is missed or shown twice.",
)
@stack_option
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each event.")
def watch(
    *,
    kinds: tuple[str, ...],
    subject: str,
    only_new: bool,
    no_follow: bool,
    resume_file: Path | None,
    address: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show the events of a stack: of all its services, each in its own order. Ctrl-C ends it."""
    tokens = _tokens(resume_file)
    with stack_at(address) as stack:
        events = stack.events
        if only_new:
            tokens = {name: events.of(name).token() for name in stack.addresses} | tokens
        watch = events.watch(
            kinds=kinds, subject=subject, resume_tokens=tokens, follow=not no_follow
        )
        for event in watch:
            _show(event, as_json)
            if resume_file is not None:
                resume_file.write_text(json.dumps(tokens | watch.resume_tokens), encoding="utf-8")


def _show(event: Any, as_json: bool) -> None:
    if as_json:
        from smokestack.v1 import simulation_pb2 as pb

        message = pb.Event(
            name=event.name,
            time_ns=event.time_ns,
            kind=event.kind,
            subject=event.subject,
            cause=event.cause,
            details=event.details,
        )
        print_json(plain(message), one_line=True)
        return
    details = [f"{key}={value}" for key, value in event.detail.items()]
    cause = f"because of {event.cause}" if event.cause else ""
    at = f"{event.time_ns / NS_PER_SECOND:.6f} s"
    words = [at, event.name, event.kind, event.subject, *details, cause]
    click.echo("  ".join(word for word in words if word))


def _tokens(file: Path | None) -> dict[str, str]:
    if file is None or not file.exists():
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise click.UsageError(f"{file}: is not what --resume-file has written: remove it")
    return {str(service): str(token) for service, token in found.items()}
