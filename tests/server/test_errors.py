"""What a client sees of a refusal, and of a failure that is ours."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from smokestack.engine.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Refused,
    ResourceExhausted,
    Unavailable,
    Violation,
)
from smokestack.server.errors import DOMAIN, refused_from, refusing, status_of

REFUSALS = (
    InvalidArgument(
        "two fields are wrong",
        violations=[Violation("pool.page_bytes", "is odd"), Violation("pool_id", "is empty")],
    ),
    NotFound.of("arrays/a1/pools/p9"),
    AlreadyExists.of("arrays/a1/pools/p1"),
    FailedPrecondition("driven", reason="DRIVEN", resource="arrays/a1"),
    ResourceExhausted("too much"),
    Unavailable("gone", resource="arrays/a1"),
)


class Raiser(grpc.GenericRpcHandler):
    """Serves a method of each kind, all of which do what they are told."""

    def __init__(self) -> None:
        self.act: Callable[[grpc.ServicerContext], bytes] = lambda _: b"done"

    def service(self, handler_call_details: Any) -> Any:
        def answer(_request: Any, context: grpc.ServicerContext) -> bytes:
            return self.act(context)

        def stream(_request: Any, context: grpc.ServicerContext) -> Iterator[bytes]:
            yield b"first"
            yield self.act(context)

        method = handler_call_details.method
        handler = {
            "/t/UnaryUnary": grpc.unary_unary_rpc_method_handler(answer),
            "/t/StreamUnary": grpc.stream_unary_rpc_method_handler(answer),
            "/t/UnaryStream": grpc.unary_stream_rpc_method_handler(stream),
            "/t/StreamStream": grpc.stream_stream_rpc_method_handler(stream),
        }.get(method)
        return handler and refusing(method, handler)


@pytest.fixture
def raiser() -> Raiser:
    return Raiser()


@pytest.fixture
def channel(raiser: Raiser) -> Iterator[grpc.Channel]:
    pool = futures.ThreadPoolExecutor(max_workers=2)
    server = grpc.server(pool, handlers=[raiser])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    server.stop(None).wait()
    pool.shutdown()


def call(channel: grpc.Channel, method: str) -> list[bytes]:
    if method == "UnaryUnary":
        return [channel.unary_unary(f"/t/{method}")(b"")]
    if method == "StreamUnary":
        return [channel.stream_unary(f"/t/{method}")(iter([b""]))]
    if method == "UnaryStream":
        return list(channel.unary_stream(f"/t/{method}")(b""))
    return list(channel.stream_stream(f"/t/{method}")(iter([b""])))


def refuse(raiser: Raiser, error: Exception) -> None:
    def act(_context: grpc.ServicerContext) -> bytes:
        raise error

    raiser.act = act


METHODS = ("UnaryUnary", "StreamUnary", "UnaryStream", "StreamStream")


@pytest.mark.parametrize("method", METHODS)
def test_an_answer_passes_unchanged(channel: grpc.Channel, method: str) -> None:
    assert call(channel, method)[-1] == b"done"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("refused", REFUSALS, ids=lambda r: type(r).__name__)
def test_a_refusal_arrives_as_it_was_raised(
    channel: grpc.Channel, raiser: Raiser, method: str, refused: Refused
) -> None:
    refuse(raiser, refused)
    with pytest.raises(grpc.RpcError) as caught:
        call(channel, method)
    assert caught.value.code().name == refused.code
    assert caught.value.details() == refused.message
    seen = refused_from(caught.value)
    assert type(seen) is type(refused)
    assert (seen.message, seen.reason, seen.resource, seen.violations) == (
        refused.message,
        refused.reason,
        refused.resource,
        refused.violations,
    )


def test_details_are_the_standard_ones() -> None:
    status = status_of(REFUSALS[0])
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    assert status.details[0].Unpack(info)
    assert (info.domain, info.reason) == (DOMAIN, "INVALID_ARGUMENT")
    assert status.details[1].Unpack(bad)
    assert [v.field for v in bad.field_violations] == ["pool.page_bytes", "pool_id"]
    about = error_details_pb2.ResourceInfo()
    assert status_of(REFUSALS[1]).details[1].Unpack(about)
    assert about.resource_name == "arrays/a1/pools/p9"


@pytest.mark.parametrize("method", METHODS)
def test_a_failure_of_ours_is_internal_and_logged_in_one_line(
    channel: grpc.Channel, raiser: Raiser, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    refuse(raiser, KeyError("secret\nof two lines"))
    with caplog.at_level(logging.ERROR), pytest.raises(grpc.RpcError) as caught:
        call(channel, method)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in caught.value.details()
    assert "Traceback" not in caught.value.details()
    status = rpc_status.from_call(caught.value)
    assert status is not None and len(status.details) == 1
    [record] = [r for r in caplog.records if r.name == "smokestack.server.errors"]
    line = record.getMessage()
    assert "\n" not in line and record.exc_info is None
    assert f"/t/{method}" in line and "test_errors.py:" in line and "secret" in line


def test_a_status_that_the_handler_has_set_stays(channel: grpc.Channel, raiser: Raiser) -> None:
    def act(context: grpc.ServicerContext) -> bytes:
        context.abort(grpc.StatusCode.PERMISSION_DENIED, "not you")

    raiser.act = act
    with pytest.raises(grpc.RpcError) as caught:
        call(channel, "UnaryUnary")
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_an_unknown_method_is_unimplemented(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/t/Nothing")(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_an_error_without_details_is_read_too() -> None:
    class Bare(grpc.RpcError):
        def code(self) -> grpc.StatusCode:
            return grpc.StatusCode.UNAVAILABLE

        def details(self) -> str:
            return "connection refused"

        def trailing_metadata(self) -> None:
            return None

    seen = refused_from(Bare())
    assert isinstance(seen, Unavailable)
    assert seen.message == "connection refused"
