"""Errors: what a service refuses, or why it does not answer, with all that it said about it.

Each gRPC status has its exception, so that ``except NotFound`` says what it means.  The message
reads alone; ``reason`` is the stable word for programs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import grpc
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status


class Violation(NamedTuple):
    """One field that is wrong: its path in the request, and what would be right."""

    field: str
    description: str


class Error(Exception):
    """Base of all errors that a call ends with."""

    code: ClassVar[str] = "UNKNOWN"

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        resource: str = "",
        violations: Sequence[Violation] = (),
        rpc: str = "",
    ) -> None:
        """Takes what is known; ``rpc`` is the method that ended so, e.g. ArrayService.GetPool."""
        super().__init__(message)
        self.message = message
        self.reason = reason or self.code
        self.resource = resource
        self.violations = tuple(violations)
        self.rpc = rpc


class InvalidArgument(Error):
    """A field is wrong whatever the state; ``violations`` say which, and what would be right."""

    code = "INVALID_ARGUMENT"

    @classmethod
    def at(cls, field: str, description: str) -> InvalidArgument:
        """Returns the refusal of one field, before it is sent."""
        return cls(f"{field}: {description}", violations=[Violation(field, description)])


class NotFound(Error):
    """The resource named by ``resource`` does not exist."""

    code = "NOT_FOUND"


class AlreadyExists(Error):
    """The name is taken by ``resource``."""

    code = "ALREADY_EXISTS"


class FailedPrecondition(Error):
    """The state forbids it now; ``reason`` says why in a word, e.g. IN_USE or DRIVEN."""

    code = "FAILED_PRECONDITION"


class ResourceExhausted(Error):
    """The request is more than the service takes."""

    code = "RESOURCE_EXHAUSTED"


class OutOfRange(Error):
    """What is asked for lies outside what is kept."""

    code = "OUT_OF_RANGE"


class Unavailable(Error):
    """The service, or one that it needs, cannot be reached."""

    code = "UNAVAILABLE"


class DeadlineExceeded(Error):
    """The service has not answered in time; what was asked may have happened or not."""

    code = "DEADLINE_EXCEEDED"


class Cancelled(Error):
    """The call was cancelled before its answer came."""

    code = "CANCELLED"


class Aborted(Error):
    """Something else came in between."""

    code = "ABORTED"


class Unimplemented(Error):
    """The service does not have this method: perhaps it is another service, or an older one."""

    code = "UNIMPLEMENTED"


class PermissionDenied(Error):
    """The caller may not do this."""

    code = "PERMISSION_DENIED"


class Unauthenticated(Error):
    """The caller did not say who it is, or not so that it could be believed."""

    code = "UNAUTHENTICATED"


class Internal(Error):
    """The service has failed; its log says where."""

    code = "INTERNAL"


_CLASSES = {error.code: error for error in Error.__subclasses__()}


def error_from(failure: Any, rpc: str, address: str) -> Error:
    """Returns the error that a grpc.RpcError of a call to ``address`` stands for."""
    code = failure.code().name
    reason, resource, violations = "", "", []
    status = rpc_status.from_call(failure)
    for detail in status.details if status else ():
        info = error_details_pb2.ErrorInfo()
        bad = error_details_pb2.BadRequest()
        about = error_details_pb2.ResourceInfo()
        if detail.Unpack(info):
            reason = info.reason
        elif detail.Unpack(about):
            resource = about.resource_name
        elif detail.Unpack(bad):
            violations = [Violation(v.field, v.description) for v in bad.field_violations]
    message = failure.details() or code
    if not reason:  # then it was not one of our services that said so
        message = _plain(code, message, rpc, address)
    return _CLASSES.get(code, Error)(
        message, reason=reason, resource=resource, violations=violations, rpc=rpc
    )


def _plain(code: str, details: str, rpc: str, address: str) -> str:
    """Returns in plain words what gRPC itself says."""
    if code == grpc.StatusCode.UNAVAILABLE.name:
        why = " ".join(details.split()).rpartition(": ")[2].lower()
        why = re.sub(r" \(\d+\)$", "", why)  # older gRPC adds the number of the error
        return f"nothing answers at {address}: {why}"
    if code == grpc.StatusCode.DEADLINE_EXCEEDED.name:
        return f"{rpc} at {address} has not answered in time"
    if code == grpc.StatusCode.UNIMPLEMENTED.name:
        return f"{address} does not serve {rpc}"
    return f"{rpc} at {address}: {details}"
