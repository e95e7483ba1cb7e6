"""Connects to a running service, or says in one line why it cannot."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .parameters import address as parse_address

if TYPE_CHECKING:
    import grpc

DEFAULT_ADDRESS = "127.0.0.1:50051"
_CONNECT_SECONDS = 10  # a service that computes takes a while; that nobody is there is seen at once
_MESSAGE_BYTES_MAX = 64 << 20
_F = TypeVar("_F", bound=Callable[..., Any])


def address_option(**settings: Any) -> Callable[[_F], _F]:
    """Returns the option that names a running service."""
    return click.option(
        "--address",
        type=parse_address,
        metavar="HOST:PORT",
        envvar="SMOKESTACK_ADDRESS",
        show_default=True,
        **settings,
    )


def prepare() -> None:
    """Sets what gRPC reads when it is imported: call it before."""
    from smokestack.server.environment import prepare_grpc

    prepare_grpc()


@contextmanager
def connected(address: str) -> Iterator[grpc.Channel]:
    """Yields a channel to a service that answers."""
    prepare()
    import grpc

    options = [
        ("grpc.max_receive_message_length", _MESSAGE_BYTES_MAX),
        ("grpc.enable_http_proxy", 0),
    ]
    with grpc.insecure_channel(address, options=options) as channel:
        if not _answers(channel):
            raise click.ClickException(
                f"nothing answers at {address}: start a stack with `smokestack up`, "
                "or name another --address"
            )
        try:
            yield channel
        except grpc.RpcError as error:
            raise _explained(error, address) from None


def _answers(channel: grpc.Channel) -> bool:
    """Waits for a connection, and no longer than it takes to be refused."""
    import grpc

    settled = {grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.TRANSIENT_FAILURE}
    found: queue.SimpleQueue[grpc.ChannelConnectivity] = queue.SimpleQueue()

    def note(state: grpc.ChannelConnectivity) -> None:
        if state in settled:
            found.put(state)

    channel.subscribe(note, try_to_connect=True)
    try:
        return found.get(timeout=_CONNECT_SECONDS) is grpc.ChannelConnectivity.READY
    except queue.Empty:
        return False
    finally:
        channel.unsubscribe(note)


def _explained(error: Any, address: str) -> Exception:
    code = error.code().name
    if code == "UNIMPLEMENTED":
        return click.ClickException(f"{address} is no smokestack service that can do this")
    if code == "UNAVAILABLE":
        return click.ClickException(f"{address} is gone: {error.details()}")
    return error if isinstance(error, Exception) else RuntimeError(code)
