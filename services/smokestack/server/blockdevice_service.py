"""The device's side of a border between processes: one stream carries one driver.

Every request has one answer, in order.  What is malformed or cannot be is refused, changes nothing,
and leaves the stream usable; the end of the stream gives the device back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from smokestack.engine.blockdevice import Attachment, BlockDevice, IoBatch, PeerLost
from smokestack.engine.border import BorderLock
from smokestack.engine.errors import (
    FailedPrecondition,
    InvalidArgument,
    Refused,
    ResourceExhausted,
    Unavailable,
)
from smokestack.engine.records import SUBMISSION
from smokestack.v1 import blockdevice_pb2 as pb
from smokestack.v1 import blockdevice_pb2_grpc

from .border_checks import TIME_NS_MAX, check_submissions, check_until
from .frames import PROTOCOL_VERSION, U32, Frame, frame_of, parts_of, records_of
from .pieces import SnapshotSession

STREAMS_MAX: Final = 4  # one drives, others are refused one by one; each holds a thread
_BATCH_BYTES_MAX: Final = 1 << 30
_INT64_MAX: Final = (1 << 63) - 1


class BlockDeviceService(blockdevice_pb2_grpc.BlockDeviceServiceServicer):
    """Serves any BlockDevice; ``nexus_count`` says how many indices it has given out."""

    def __init__(
        self,
        device: BlockDevice,
        border: BorderLock,
        nexus_count: Callable[[], int],
        takes_tasks: bool,
    ) -> None:
        self._name = device.name
        self._begin = partial(_Session, device, border, nexus_count, takes_tasks)
        self._streams = threading.BoundedSemaphore(STREAMS_MAX)

    def Exchange(
        self, request_iterator: Iterable[pb.ExchangeRequest], context: Any = None
    ) -> Iterator[pb.ExchangeResponse]:
        if not self._streams.acquire(blocking=False):
            raise ResourceExhausted(
                f"{self._name} has {STREAMS_MAX} streams already: close one first"
            )
        session = self._begin()
        try:
            for request in request_iterator:
                yield from session.answer(request)
        finally:
            session.end()
            self._streams.release()


class _Session:
    """One stream: whether it has the device, and which window comes next."""

    def __init__(
        self,
        device: BlockDevice,
        border: BorderLock,
        nexus_count: Callable[[], int],
        takes_tasks: bool,
    ) -> None:
        self._device = device
        self._border = border
        self._nexus_count = nexus_count
        self._takes_tasks = takes_tasks
        self._welcomed = False
        self._attached = False
        self._epoch = 0
        self._sequence = 0
        self._until_ns = 0
        self._parts: list[bytes] = []
        self._parts_bytes = 0
        self._wrong: Refused | None = None  # of a part that is not the last one
        self._snapshots = SnapshotSession(device, border)

    def answer(self, request: pb.ExchangeRequest) -> list[pb.ExchangeResponse]:
        """Returns the answer to one message, in parts; nothing while a batch continues."""
        try:
            kind = request.WhichOneof("request")
            if kind == "window":
                return self._window(request.window)
            self._forget_parts()
            if kind == "hello":
                return [self._hello(request.hello)]
            if kind == "attach":
                return [self._attach(request.attach)]
            if kind == "report_luns":
                return [self._report_luns(request.report_luns)]
            if kind == "detach":
                return [self._detach()]
            if kind in SnapshotSession.KINDS:
                return self._snapshot(request)
            raise InvalidArgument.at("request", "is none that this version knows")
        except Refused as refused:
            return [_refusal(refused)]
        except PeerLost as lost:
            return [_refusal(Unavailable(str(lost), resource=self._device.name))]

    def end(self) -> None:
        """Gives the device back, if this stream has it."""
        if self._attached:
            self._attached = False
            with self._border.window():
                self._device.detach()

    # --- requests ---------------------------------------------------------------------------

    def _hello(self, hello: pb.Hello) -> pb.ExchangeResponse:
        if hello.protocol_version != PROTOCOL_VERSION:
            raise FailedPrecondition(
                f"{self._device.name} speaks version {PROTOCOL_VERSION} of this protocol, not "
                f"{hello.protocol_version}: update the older side",
                reason="PROTOCOL_VERSION",
            )
        self._welcomed = True
        with self._border.window():
            lookahead_ns, reached_ns = self._device.lookahead_ns, self._device.reached_ns
        return pb.ExchangeResponse(
            welcome=pb.Welcome(
                protocol_version=PROTOCOL_VERSION,
                name=self._device.name,
                lookahead_ns=lookahead_ns,
                reached_ns=reached_ns,
            )
        )

    def _attach(self, attach: pb.Attach) -> pb.ExchangeResponse:
        self._check_welcomed()
        for field, value, least, most in (
            ("epoch", attach.epoch, 1, U32),
            ("seed", attach.seed, 0, _INT64_MAX),
            ("start_ns", attach.start_ns, 0, TIME_NS_MAX),
            ("lookahead_ns", attach.lookahead_ns, 1, TIME_NS_MAX),
        ):
            if not least <= value <= most:
                raise InvalidArgument.at(
                    f"attach.{field}", f"{value} is not within {least} to {most}"
                )
        if not attach.driver:
            raise InvalidArgument.at("attach.driver", "is missing: give the driver's full name")
        attachment = Attachment(
            attach.driver,
            attach.epoch,
            attach.seed,
            attach.start_ns,
            attach.lookahead_ns,
            attach.power_on,
        )
        with self._border.window():
            self._device.attach(attachment)
        self._attached = True
        self._epoch, self._sequence, self._until_ns = attach.epoch, 0, attach.start_ns
        return pb.ExchangeResponse(attached=pb.Attached())

    def _report_luns(self, request: pb.ReportLuns) -> pb.ExchangeResponse:
        self._check_welcomed()
        with self._border.window():
            found = self._device.report_luns(request.initiators, request.volume)
        return pb.ExchangeResponse(
            nexuses=pb.Nexuses(nexuses=[pb.Nexus(**nexus.__dict__) for nexus in found])
        )

    def _detach(self) -> pb.ExchangeResponse:
        self._check_attached()
        self.end()
        return pb.ExchangeResponse(detached=pb.Detached())

    def _snapshot(self, request: pb.ExchangeRequest) -> list[pb.ExchangeResponse]:
        self._check_welcomed()
        if not self._attached and self._device.driver is not None:
            raise FailedPrecondition(
                f"{self._device.name} is driven by {self._device.driver}: it takes and restores "
                "the snapshots",
                reason="DRIVEN",
                resource=self._device.name,
            )
        answer = self._snapshots.answer(request)
        if self._snapshots.restored_ns is not None:
            self._until_ns, self._snapshots.restored_ns = self._snapshots.restored_ns, None
        return answer

    # --- windows ----------------------------------------------------------------------------

    def _window(self, window: pb.Window) -> list[pb.ExchangeResponse]:
        try:
            frame = frame_of(window, SUBMISSION.itemsize)
        except Refused:
            self._forget_parts()
            raise
        if not frame.continues and not self._parts and self._wrong is None:
            self._check_frame(frame)  # what nearly every window is: one message
            return self._exchange(frame, np.frombuffer(window.records, SUBMISSION))
        self._keep(window.records, frame)
        if frame.continues:
            return []
        parts, wrong = self._parts, self._wrong
        self._forget_parts()
        if wrong is not None:
            raise wrong
        return self._exchange(frame, records_of(parts, SUBMISSION))

    def _keep(self, records: bytes, frame: Frame) -> None:
        """Adds a part; what is wrong with it is told when the last one is here."""
        try:
            self._check_frame(frame)
            self._parts_bytes += len(records)
            if self._parts_bytes > _BATCH_BYTES_MAX:
                raise ResourceExhausted(f"a batch has more than {_BATCH_BYTES_MAX} bytes")
            self._parts.append(records)
        except Refused as refused:
            self._wrong = self._wrong or refused
            self._parts = []

    def _check_frame(self, frame: Frame) -> None:
        self._check_attached()
        if frame.epoch != self._epoch:
            raise FailedPrecondition(
                f"{self._device.name} is in epoch {self._epoch}: a window of epoch {frame.epoch} "
                "is not its driver's",
                reason="EPOCH",
            )
        if frame.sequence != self._sequence:
            raise FailedPrecondition(
                f"{self._device.name} expects window {self._sequence}, not {frame.sequence}",
                reason="SEQUENCE",
            )
        if frame.next_ns:
            raise InvalidArgument.at("window.header", "next is not 0")
        check_until(frame.until_ns, self._until_ns)

    def _exchange(self, frame: Frame, records: NDArray[Any]) -> list[pb.ExchangeResponse]:
        with self._border.window():
            check_submissions(
                records, self._until_ns, frame.until_ns, self._nexus_count(), self._takes_tasks
            )
            reply = self._device.exchange(frame.until_ns, IoBatch(records, len(records)))
            until_ns, _, epoch, sequence, *_ = frame
            answer = Frame(until_ns, reply.next_ns, epoch, sequence, reply.count)
            parts = [pb.ExchangeResponse(window=w) for w in parts_of(reply.records, answer)]
        self._until_ns = frame.until_ns
        self._sequence = (self._sequence + 1) & U32
        return parts

    def _forget_parts(self) -> None:
        self._parts, self._parts_bytes, self._wrong = [], 0, None

    def _check_welcomed(self) -> None:
        if not self._welcomed:
            raise FailedPrecondition("say hello first", reason="NO_HELLO")

    def _check_attached(self) -> None:
        if not self._attached:
            raise FailedPrecondition(
                f"{self._device.name} is not attached by this stream: attach first",
                reason="NOT_ATTACHED",
            )


def _refusal(refused: Refused) -> pb.ExchangeResponse:
    return pb.ExchangeResponse(
        refusal=pb.Refusal(
            code=refused.code,
            message=refused.message,
            reason=refused.reason,
            resource=refused.resource,
        )
    )
