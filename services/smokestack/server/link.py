"""A device in another process: each request is one round trip on a stream.

One stream carries one border.  A stream that breaks has lost its peer at once; a peer that is
silent loses itself after a deadline of wall time.  The link stays lost until it is told to connect
again, which is a new stream: what the old one had in hand is gone.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Final

import grpc
import numpy as np
from numpy.typing import NDArray

from smokestack.engine.blockdevice import NOTHING, Attachment, IoBatch, Nexus, PeerLost, Reply
from smokestack.engine.errors import Refused, Unavailable
from smokestack.engine.records import COMPLETION
from smokestack.engine.snapshot import Piece, Pieces
from smokestack.v1 import blockdevice_pb2 as pb
from smokestack.v1 import blockdevice_pb2_grpc

from . import pieces as snapshots
from .errors import refusal_of
from .frames import PROTOCOL_VERSION, U32, Frame, frame_of, parts_of, records_of

DEADLINE_SECONDS: Final = 30.0
_KNOCK_SECONDS: Final = 5.0
_TICKS: Final = 20  # how finely the deadline is watched
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", 16 << 20),
    ("grpc.enable_http_proxy", 0),
    # A new stream is a new connection: of a shared one, gRPC would tell how the last attempt ended.
    ("grpc.use_local_subchannel_pool", 1),
)
_NONE: Final = np.zeros(0, COMPLETION)


class LinkLost(PeerLost, Unavailable):
    """The peer is gone: PeerLost to who drives it, UNAVAILABLE to who asks for something else."""

    def __init__(self, message: str, resource: str) -> None:
        Unavailable.__init__(self, message, resource=resource)


class GrpcDevice:
    """A BlockDevice behind an address."""

    def __init__(self, address: str, *, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        """Connects and asks who answers; Unavailable says that nobody does."""
        self.address = address
        self.name = f"the device at {address}"
        self.windows = 0
        self._deadline_seconds = deadline_seconds
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._connect()
        try:
            self.name = self._welcome().name
        except Exception:
            self.close()
            raise

    def _connect(self) -> None:
        """Opens a stream on which nothing has been said."""
        _knock(self.address)
        self._attachment: Attachment | None = None
        self._sequence = 0
        self._until_ns: int = 0  # of the last window, and what its answer promised
        self._next_ns: int = 0
        self._behind = False
        self._lost = ""
        self._asked = self._answered = 0
        self._requests: SimpleQueue[pb.ExchangeRequest | None] = SimpleQueue()
        self._channel = grpc.insecure_channel(self.address, options=_OPTIONS)
        stub = blockdevice_pb2_grpc.BlockDeviceServiceStub(self._channel)
        self._call: Any = stub.Exchange(_until_none(self._requests))
        watch = threading.Thread(
            target=self._watch, args=(self._call,), name=f"watch {self.address}", daemon=True
        )
        watch.start()

    def reconnect(self) -> None:
        """Finds a peer that was lost again, on a new stream; it must be the one that it was."""
        if not self._lost and self._call.is_active():
            return
        lost = self._lost or f"{self.name} has closed the stream"
        before = self._channel, self._requests
        self._connect()
        before[1].put(None)
        before[0].close()
        try:
            name = self._welcome().name
        except Refused as refused:
            self._lost = self._lost or lost
            raise Unavailable(refused.message, resource=self.name) from None
        if name != self.name:
            self._lose(f"{self.name} is gone: {name} answers at {self.address}")
            raise Unavailable(self._lost, resource=self.name)

    # --- BlockDevice ------------------------------------------------------------------------

    @property
    def driver(self) -> str | None:
        """Who drives it through this link."""
        return self._attachment.driver if self._attachment else None

    @property
    def lookahead_ns(self) -> int:
        """Its least there and back; asked anew until it is attached and fixed."""
        return int(self._welcome().lookahead_ns)

    @property
    def reached_ns(self) -> int:
        """The latest border that it, or anything below it, has run to; asked anew each time."""
        return int(self._welcome().reached_ns)

    def attach(self, attachment: Attachment) -> None:
        """Takes the device; it refuses a second driver by name."""
        self._ask(pb.ExchangeRequest(attach=pb.Attach(**attachment.__dict__)), "attached")
        self._attachment, self._sequence = attachment, 0
        self._forget()

    def detach(self) -> None:
        """Gives the device back, if it is still there."""
        if self._attachment is None or self._lost:
            return
        with suppress(LinkLost):  # in which case nobody has it
            self._ask(pb.ExchangeRequest(detach=pb.Detach()), "detached")
        self._attachment = None

    def snapshot(self, snapshot: str, only: Sequence[str] = ()) -> tuple[Piece, ...]:
        """Returns the pieces of a new snapshot, of the peer and of all below it."""
        if self._behind:
            self.exchange(self._until_ns, NOTHING)
        request = pb.ExchangeRequest(take_snapshot=pb.TakeSnapshot(snapshot=snapshot, only=only))
        gathering = snapshots.Gathering()
        with self._lock:
            self._begin()
            self._requests.put(request)
            pieces = None
            while pieces is None:
                part = self._next("piece").piece
                self._asked += 1  # it answers: each part has a deadline of its own
                try:
                    pieces = gathering.add(part)
                except Refused as refused:
                    raise self._lose(f"{self.name} answers nonsense: {refused.message}") from None
            self._answered = self._asked
        return tuple(pieces.values())

    def stage(self, pieces: Pieces) -> None:
        """Has the peer, and all below it, check their pieces and keep them ready."""
        with self._lock:
            self._begin()
            for part in snapshots.parts_of(pieces.values()):
                self._requests.put(pb.ExchangeRequest(stage=part))
            self._next("staged")
            self._answered = self._asked

    def unstage(self) -> None:
        """Has the peer forget what it keeps ready."""
        self._ask(pb.ExchangeRequest(settle=pb.Settle(forget=True)), "settled")

    def restore(self) -> None:
        """Has the peer put what it keeps ready in place."""
        self._ask(pb.ExchangeRequest(settle=pb.Settle()), "settled")
        self._forget()

    def report_luns(self, initiators: Sequence[str], volume: str = "") -> tuple[Nexus, ...]:
        """Returns what the initiators reach, or what of one volume, in index order."""
        request = pb.ExchangeRequest(
            report_luns=pb.ReportLuns(initiators=initiators, volume=volume)
        )
        nexuses = self._ask(request, "nexuses").nexuses.nexuses
        return tuple(
            Nexus(**{field: getattr(n, field) for field in Nexus.__dataclass_fields__})
            for n in nexuses
        )

    def exchange(self, until_ns: int, submissions: IoBatch) -> Reply:
        """Runs one window; the reply's records are valid until the next one.

        An empty window before anything can arrive has an answer that is known: it takes no round
        trip, and the device's clock follows in the next window, or when time stands still.  Then
        there are two: in the first, time moves for the device, which may let what is below it wait.
        """
        if self._attachment is None:
            raise Unavailable(f"{self.name} is not attached", resource=self.name)
        since_ns, self._until_ns = self._until_ns, until_ns
        known_ns = until_ns + self._attachment.lookahead_ns
        known = not submissions.count and since_ns < until_ns and known_ns <= self._next_ns
        if known and not self._lost and self._call.is_active():
            self._behind = True
            return Reply(_NONE, 0, self._next_ns)
        if self._behind and since_ns == until_ns:
            self._window(until_ns, NOTHING)
        return self._window(until_ns, submissions)

    def _window(self, until_ns: int, submissions: IoBatch) -> Reply:
        """Runs one window in one round trip."""
        assert self._attachment is not None
        frame = Frame(until_ns, 0, self._attachment.epoch, self._sequence, submissions.count)
        with self._lock:
            self._begin()
            for part in parts_of(submissions.records, frame):
                self._requests.put(pb.ExchangeRequest(window=part))
            parts: list[bytes] = []
            answer = self._window_part(frame, parts)
            while answer.continues:
                answer = self._window_part(frame, parts)
            self._answered = self._asked
        self._sequence = (self._sequence + 1) & U32
        self.windows += 1
        self._behind, self._next_ns = False, answer.next_ns
        return _reply(parts, answer.next_ns)

    def _forget(self) -> None:
        """Knows nothing of what is to come: the next window is a round trip."""
        self._until_ns = self._next_ns = 0
        self._behind = False

    def close(self) -> None:
        """Ends the stream, which gives the device back."""
        self._closed.set()
        self._requests.put(None)
        self._call.cancel()
        self._channel.close()

    # --- the stream -------------------------------------------------------------------------

    def _welcome(self) -> pb.Welcome:
        request = pb.ExchangeRequest(hello=pb.Hello(protocol_version=PROTOCOL_VERSION))
        welcome: pb.Welcome = self._ask(request, "welcome").welcome
        return welcome

    def _ask(self, request: pb.ExchangeRequest, answer: str) -> pb.ExchangeResponse:
        with self._lock:
            self._begin()
            self._requests.put(request)
            response = self._next(answer)
            self._answered = self._asked
        return response

    def _begin(self) -> None:
        if self._lost:
            raise LinkLost(self._lost, self.name)
        self._asked += 1

    def _window_part(self, frame: Frame, parts: list[bytes]) -> Frame:
        window = self._next("window").window
        try:
            answer = frame_of(window, COMPLETION.itemsize)
        except Refused as refused:
            raise self._lose(f"{self.name} answers nonsense: {refused.message}") from None
        if (answer.until_ns, answer.epoch, answer.sequence) != (
            frame.until_ns,
            frame.epoch,
            frame.sequence,
        ):
            raise self._lose(f"{self.name} answers another window: {answer}, not {frame}")
        parts.append(window.records)
        return answer

    def _next(self, kind: str) -> pb.ExchangeResponse:
        """Waits for the next message; a refusal is raised, silence and nonsense lose the peer."""
        try:
            response: pb.ExchangeResponse = next(self._call)
        except StopIteration:
            raise self._lose(f"{self.name} has closed the stream") from None
        except grpc.RpcError as error:
            raise self._lose(f"{self.name} is gone: {_reason(error)}") from None
        except BaseException:  # an interrupt: the answer that is under way would be taken for
            self._lose(f"the exchange with {self.name} was interrupted")  # that of another request
            raise
        found = response.WhichOneof("response")
        if found == kind:
            return response
        if found == "refusal":
            self._answered = self._asked
            refusal = response.refusal
            raise refusal_of(
                refusal.code, refusal.message, reason=refusal.reason, resource=refusal.resource
            )
        raise self._lose(f"{self.name} answers {found} where {kind} was due")

    def _lose(self, why: str) -> LinkLost:
        """Marks the peer as gone for good; the first reason stands."""
        self._lost = self._lost or why
        self._answered = self._asked
        self._call.cancel()
        return LinkLost(self._lost, self.name)

    def _watch(self, call: Any) -> None:
        """Cancels the stream once an answer has been due for longer than the deadline."""
        overdue = since = 0
        while not self._closed.wait(self._deadline_seconds / _TICKS):
            if self._call is not call:
                return
            asked = self._asked
            overdue = overdue + 1 if asked == since and asked != self._answered else 0
            since = asked
            if overdue >= _TICKS:
                self._lost = f"{self.name} has not answered for {self._deadline_seconds:g} s"
                self._call.cancel()
                return


def _knock(address: str) -> None:
    """Finds out whether anyone listens: of a failed connection gRPC does not always say why."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _KNOCK_SECONDS).close()
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise Unavailable(f"nothing answers at {address}: {why}", resource=address) from None


def _until_none(
    requests: SimpleQueue[pb.ExchangeRequest | None],
) -> Iterator[pb.ExchangeRequest]:
    return iter(requests.get, None)


def _reply(parts: list[bytes], next_ns: int) -> Reply:
    records: NDArray[Any] = records_of(parts, COMPLETION) if any(parts) else _NONE
    return Reply(records, len(records), next_ns)


def _reason(error: grpc.RpcError) -> str:
    """Returns the last and shortest part of what gRPC says, e.g. "connection refused"."""
    details = error.details() or error.code().name
    why = " ".join(details.split()).rpartition(": ")[2].lower()
    return re.sub(r" \(\d+\)$", "", why)  # older gRPC adds the number of the error
