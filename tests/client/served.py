"""Stacks behind ports, as clients meet them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc

from smokestack.server.rooms import Room
from smokestack.server.scenario import default_scenario
from smokestack.server.stack import Stack
from smokestack.server.switch import Switch


@contextmanager
def stack() -> Iterator[Stack]:
    """Serves the default stack on free ports."""
    with Stack(default_scenario()) as served:
        served.hypervisor.model.advance(0)
        served.serve(metrics_ports=None)
        yield served


class Meddler(grpc.ServerInterceptor):
    """Does something to the first calls of a method, and counts them all."""

    def __init__(self, method: str, *tricks: Callable[[Any, grpc.ServicerContext], Any]) -> None:
        self.requests: list[Any] = []
        self._method = method
        self._tricks = list(tricks)

    def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        handler = continuation(details)
        if handler is None or not details.method.endswith(f"/{self._method}"):
            return handler

        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            self.requests.append(request)
            made = handler.unary_unary(request, context)
            if self._tricks:
                self._tricks.pop(0)(made, context)
            return made

        return grpc.unary_unary_rpc_method_handler(
            answer, handler.request_deserializer, handler.response_serializer
        )


def gone(_answer: Any, context: grpc.ServicerContext) -> None:
    """Ends the call as a connection that breaks before the answer does."""
    context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")


@contextmanager
def meddled(room: Room[Any], meddler: Meddler) -> Iterator[str]:
    """Serves one room with something in between; yields its address."""
    server = grpc.server(ThreadPoolExecutor(4), [Switch(room)], interceptors=[meddler])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
