"""`smokestack watch`: shows events as they happen, and goes on where it was."""

from __future__ import annotations

import json
import queue
import threading
from pathlib import Path
from typing import Any

import click

from .connection import prepare
from .estate import estate_at, stack_option
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
    prepare()
    from smokestack.v1 import simulation_pb2 as pb

    tokens = _tokens(resume_file)
    with estate_at(address) as estate:
        services = estate.services
    requests = {
        service: pb.WatchEventsRequest(
            resume_token=tokens.get(service, ""),
            kinds=kinds,
            subject=subject,
            follow=not no_follow,
            only_new=only_new,
        )
        for service in services
    }
    for service, answer in _answers(services, requests):
        for event in answer.events:
            _show(event, as_json)
        tokens[service] = answer.resume_token
        if resume_file is not None:
            resume_file.write_text(json.dumps(tokens), encoding="utf-8")


def _answers(services: dict[str, str], requests: dict[str, Any]) -> Any:
    """Yields what services send, as it comes; raises what the first one fails with."""
    import grpc

    from smokestack.v1 import simulation_pb2_grpc

    arrived: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()

    def listen(service: str, stream: Any) -> None:
        try:
            for answer in stream:
                arrived.put((service, answer))
        except grpc.RpcError as error:
            arrived.put((service, error))
        arrived.put((service, None))

    channels = [grpc.insecure_channel(place) for place in services.values()]
    streams = [
        simulation_pb2_grpc.SimulationServiceStub(channel).WatchEvents(requests[service])
        for service, channel in zip(services, channels, strict=True)
    ]
    try:
        for service, stream in zip(services, streams, strict=True):
            threading.Thread(target=listen, args=(service, stream), daemon=True).start()
        open_streams = len(services)
        while open_streams:
            service, answer = arrived.get()
            if isinstance(answer, grpc.RpcError):
                raise answer
            if answer is None:
                open_streams -= 1
            else:
                yield service, answer
    finally:
        for stream in streams:
            stream.cancel()
        for channel in channels:
            channel.close()


def _show(event: Any, as_json: bool) -> None:
    if as_json:
        print_json(plain(event), one_line=True)
        return
    details = [f"{d.key}={getattr(d, d.WhichOneof('value') or 'text')}" for d in event.details]
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
