"""Errors on the wire: refusals become rich statuses, everything else INTERNAL without a traceback.

A refusal carries google.rpc's ErrorInfo always, BadRequest when fields are wrong, and ResourceInfo
when a resource is in question.  What a client may see of a failure of ours is its kind; where it
happened goes to the log, in one line.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status

from smokestack.engine.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    OutOfRange,
    Refused,
    ResourceExhausted,
    Unavailable,
    Violation,
)

DOMAIN: Final = "smokestack"

_LOG = logging.getLogger(__name__)
_CLASSES: Final[dict[str, type[Refused]]] = {
    refusal.code: refusal
    for refusal in (
        Aborted,
        InvalidArgument,
        NotFound,
        AlreadyExists,
        FailedPrecondition,
        ResourceExhausted,
        OutOfRange,
        Unavailable,
    )
}
_Handler = Callable[[Any, grpc.ServicerContext], Any]


def status_of(refused: Refused) -> status_pb2.Status:
    """Returns the rich status that a refusal becomes on the wire."""
    details: list[Message] = [error_details_pb2.ErrorInfo(reason=refused.reason, domain=DOMAIN)]
    if refused.violations:
        bad = error_details_pb2.BadRequest()
        for violation in refused.violations:
            bad.field_violations.add(field=violation.field, description=violation.description)
        details.append(bad)
    if refused.resource:
        details.append(
            error_details_pb2.ResourceInfo(
                resource_name=refused.resource, description=refused.message
            )
        )
    return _status(refused.code, refused.message, details)


def refused_from(error: Any) -> Refused:
    """Returns the refusal that a client's grpc.RpcError stands for: status_of, read backwards."""
    code = error.code().name
    status = rpc_status.from_call(error)
    reason, resource, violations = "", "", []
    for detail in status.details if status else ():
        info, bad, about = (
            error_details_pb2.ErrorInfo(),
            error_details_pb2.BadRequest(),
            error_details_pb2.ResourceInfo(),
        )
        if detail.Unpack(info):
            reason = info.reason
        elif detail.Unpack(about):
            resource = about.resource_name
        elif detail.Unpack(bad):
            violations = [Violation(v.field, v.description) for v in bad.field_violations]
    return refusal_of(
        code, error.details() or code, reason=reason, resource=resource, violations=violations
    )


def refusal_of(
    code: str,
    message: str,
    *,
    reason: str = "",
    resource: str = "",
    violations: Sequence[Violation] = (),
) -> Refused:
    """Returns the refusal of a status code; one that none has counts as UNAVAILABLE."""
    refusal = _CLASSES.get(code, Unavailable)
    return refusal(message, reason=reason, resource=resource, violations=violations)


def refusing(method: str, handler: Any) -> Any:
    """Returns a method's handler, of whichever of the four kinds, that tells refusals as statuses.

    It is made once for each method: an interceptor would make one for every call.
    """
    coding = {
        "request_deserializer": handler.request_deserializer,
        "response_serializer": handler.response_serializer,
    }
    if handler.unary_unary:
        return grpc.unary_unary_rpc_method_handler(
            _answering(method, handler.unary_unary), **coding
        )
    if handler.stream_unary:
        return grpc.stream_unary_rpc_method_handler(
            _answering(method, handler.stream_unary), **coding
        )
    if handler.unary_stream:
        return grpc.unary_stream_rpc_method_handler(
            _streaming(method, handler.unary_stream), **coding
        )
    return grpc.stream_stream_rpc_method_handler(
        _streaming(method, handler.stream_stream), **coding
    )


def _answering(method: str, handler: _Handler) -> _Handler:
    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return handler(request, context)
        except Exception as error:
            _abort(method, error, context)

    return answer


def _streaming(method: str, handler: _Handler) -> _Handler:
    def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        try:
            yield from handler(request, context)
        except Exception as error:
            _abort(method, error, context)

    return stream


def _abort(method: str, error: Exception, context: Any) -> None:
    """Ends a call with the status of an error; one that the handler has set itself stays."""
    if context.code() is not None or not context.is_active():
        raise error
    if isinstance(error, Refused):
        status = status_of(error)
    else:
        kind = type(error).__name__
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "nowhere"
        _LOG.error("%s failed at %s: %s: %s", method, place, kind, " ".join(str(error).split()))
        message = f"{method} failed inside the service ({kind}); its log says where"
        info = error_details_pb2.ErrorInfo(reason="INTERNAL", domain=DOMAIN)
        status = _status("INTERNAL", message, [info])
    context.abort_with_status(rpc_status.to_status(status))


def _status(code: str, message: str, details: list[Message]) -> status_pb2.Status:
    status = status_pb2.Status(code=grpc.StatusCode[code].value[0], message=message)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status
