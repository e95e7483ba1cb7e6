"""The border between processes: a link is the device itself, and nonsense never reaches a model."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
import pytest

from smokestack.engine.blockdevice import NOTHING, Attachment, IoBatch, PeerLost
from smokestack.engine.errors import FailedPrecondition, InvalidArgument, Unavailable
from smokestack.engine.records import HEADER, SUBMISSION, Op
from smokestack.server import frames
from smokestack.server.link import GrpcDevice
from smokestack.server.listen import Listener
from smokestack.server.rooms import Room
from smokestack.server.stack import Stack
from smokestack.v1 import blockdevice_pb2 as pb
from smokestack.v1 import blockdevice_pb2_grpc
from tests.server.scenarios import small_scenario

L = 100_000
TAKE = Attachment(driver="tests/t1", epoch=3, seed=5, start_ns=0, lookahead_ns=L)


@pytest.fixture
def array() -> Room[Any]:
    """An array with two volumes exported, driven by nobody."""
    return Stack(small_scenario()).arrays["a1"]


@pytest.fixture
def address(array: Room[Any]) -> Iterator[str]:
    listener = Listener(array)
    listener.start()
    yield listener.endpoint.address
    listener.stop()


@pytest.fixture
def device(address: str) -> Iterator[GrpcDevice]:
    device = GrpcDevice(address)
    yield device
    device.close()


def reads(count: int, *, first_ns: int = 0, step_ns: int = 1, **fields: int) -> IoBatch:
    records = np.zeros(count, SUBMISSION)
    records["time"] = first_ns + np.arange(count) * step_ns
    records["id"] = np.arange(count, dtype=np.uint64) << np.uint64(40)
    records["length"], records["op"] = 4096, Op.READ
    for field, value in fields.items():
        records[field] = value
    return IoBatch(records, count)


def windows(device: Any, count: int = 2_000) -> bytes:
    """Drives a device through a few windows; returns every completion's bytes."""
    found = b""
    reply = device.exchange(50_000, reads(count))
    for until_ns in (50_000, 100_000, 400_000, 50_000_000):
        found += bytes(reply.records[: reply.count].tobytes())
        reply = device.exchange(until_ns, NOTHING)
    return found + bytes(reply.records[: reply.count].tobytes())


def test_a_link_is_the_device_that_it_leads_to(array: Room[Any], device: GrpcDevice) -> None:
    assert device.name == array.name
    assert device.lookahead_ns == array.model.lookahead_ns == L
    initiators = ["h1-a", "h2-b", "unknown"]
    assert device.report_luns(initiators) == array.model.report_luns(initiators) != ()
    assert device.report_luns([]) == ()


@pytest.mark.parametrize("part_bytes", [frames.PART_BYTES, 4_000])
def test_windows_give_the_same_bytes_whole_or_in_parts(
    device: GrpcDevice, part_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "PART_BYTES", part_bytes)
    local = Stack(small_scenario()).arrays["a1"].model
    local.attach(TAKE)
    device.attach(TAKE)
    found = windows(device)
    assert found == windows(local)
    assert len(found) == 2_000 * 48


def test_a_second_driver_is_refused_until_the_first_lets_go(
    device: GrpcDevice, address: str
) -> None:
    device.attach(TAKE)
    second = GrpcDevice(address)
    with pytest.raises(FailedPrecondition, match="driven by tests/t1") as refusal:
        second.attach(TAKE)
    assert refusal.value.reason == "DRIVEN"
    device.detach()
    second.attach(TAKE)
    second.close()


def test_the_end_of_a_stream_gives_the_device_back(array: Room[Any], address: str) -> None:
    first = GrpcDevice(address)
    first.attach(TAKE)
    first.close()
    for _ in range(2400):  # two minutes, for a busy machine
        with array.border.change():
            if array.model.driver is None:
                return
        threading.Event().wait(0.05)
    pytest.fail("the array still has a driver whose stream has ended")


def test_a_device_that_is_ahead_refuses_its_driver(device: GrpcDevice, array: Room[Any]) -> None:
    array.model.advance(1_000_000)
    with pytest.raises(FailedPrecondition, match="ahead of tests/t1"):
        device.attach(TAKE)


def header(
    until_ns: int = 1_000, *, next_ns: int = 0, epoch: int = 3, sequence: int = 0, **fields: int
) -> bytes:
    row = np.zeros(1, HEADER)
    row["until"], row["next"], row["epoch"], row["sequence"] = until_ns, next_ns, epoch, sequence
    for field, value in fields.items():
        row[field] = value
    return bytes(row.tobytes())


def window(batch: IoBatch = NOTHING, **fields: int) -> pb.Window:
    fields.setdefault("count", batch.count)
    return pb.Window(header=header(**fields), records=batch.records.tobytes())


MALFORMED = {
    "a short header": (pb.Window(header=b"x"), "1 bytes instead of 32"),
    "no header": (pb.Window(), "0 bytes instead of 32"),
    "half a record": (
        pb.Window(header=header(count=1), records=bytes(20)),
        "20 bytes instead of 1 records of 40",
    ),
    "a wrong count": (window(reads(2), count=3), "80 bytes instead of 3 records"),
    "unknown flags": (window(flags=2), "flags 0x2"),
    "an answer's field": (window(next_ns=7), "next is not 0"),
    "an old epoch": (window(epoch=2), "epoch 3: a window of epoch 2"),
    "a window twice": (window(sequence=7), "expects window 0, not 7"),
    "time that goes back": (window(until_ns=-1), "until -1 is not within 0"),
    "the end of time": (window(until_ns=(1 << 63) - 1), "is not within 0"),
    "an I/O of the past": (window(reads(1, first_ns=-5)), "not within 0 to 1000"),
    "an I/O of the next window": (window(reads(2, step_ns=1_000)), "not within 0 to 1000"),
    "disorder in time": (window(reads(9, first_ns=8, step_ns=-1)), "not sorted"),
    "disorder in ids": (window(reads(2, step_ns=0, id=7)), "not sorted"),
    "an unknown nexus": (window(reads(1, nexus=4)), "nexus 4 has never been reported"),
    "an unknown operation": (window(reads(1, op=0x12)), "op 0x12 is none of"),
    "flags of records": (window(reads(1, flags=1)), "flags 0x1 do not go with opcode 0x28"),
    "an address out of reach": (window(reads(1, lba=1 << 60)), "lba"),
}


class Raw:
    """A stream without the link's manners."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address)
        self._pending: list[pb.ExchangeRequest] = []
        self._more = threading.Semaphore(0)
        stub = blockdevice_pb2_grpc.BlockDeviceServiceStub(self._channel)
        self._call = stub.Exchange(self._requests())

    def _requests(self) -> Iterator[pb.ExchangeRequest]:
        while True:
            self._more.acquire()
            if not self._pending:
                return
            yield self._pending.pop(0)

    def ask(self, **request: Any) -> pb.ExchangeResponse:
        self.tell(**request)
        return next(self._call)

    def tell(self, **request: Any) -> None:
        self._pending.append(pb.ExchangeRequest(**request))
        self._more.release()

    def close(self) -> None:
        self._more.release()
        self._call.cancel()
        self._channel.close()


@pytest.fixture
def raw(address: str) -> Iterator[Raw]:
    raw = Raw(address)
    yield raw
    raw.close()


def attached(raw: Raw) -> Raw:
    assert raw.ask(hello=pb.Hello(protocol_version=1)).welcome.name == "arrays/a1"
    raw.ask(attach=pb.Attach(driver="tests/t1", epoch=3, lookahead_ns=L))
    return raw


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_window_is_refused_and_changes_nothing(
    raw: Raw, array: Room[Any], case: str
) -> None:
    bad, why = MALFORMED[case]
    attached(raw)
    refusal = raw.ask(window=bad).refusal
    assert why in refusal.message
    assert refusal.code in ("INVALID_ARGUMENT", "FAILED_PRECONDITION")
    assert array.model.now_ns == 0
    good = raw.ask(window=window(reads(3))).window  # the stream goes on as if nothing had come
    assert frames.frame_of(good, 48).until_ns == array.model.now_ns == 1_000


def test_what_is_wrong_with_a_part_is_told_when_the_last_one_is_here(raw: Raw) -> None:
    attached(raw)
    raw.tell(window=window(epoch=1, flags=1))
    refusal = raw.ask(window=window()).refusal
    assert "epoch 1" in refusal.message
    assert raw.ask(window=window()).HasField("window")


def test_requests_out_of_turn_are_refused(raw: Raw) -> None:
    assert "hello first" in raw.ask(report_luns=pb.ReportLuns()).refusal.message
    assert "version 1" in raw.ask(hello=pb.Hello(protocol_version=2)).refusal.message
    assert raw.ask(hello=pb.Hello(protocol_version=1)).HasField("welcome")
    assert raw.ask(window=window()).refusal.reason == "NOT_ATTACHED"
    assert raw.ask(detach=pb.Detach()).refusal.reason == "NOT_ATTACHED"
    assert "is none" in raw.ask().refusal.message


@pytest.mark.parametrize(
    ("field", "value"),
    [("epoch", 0), ("seed", -1), ("start_ns", -1), ("lookahead_ns", 0), ("driver", "")],
)
def test_an_attachment_out_of_range_is_refused(raw: Raw, field: str, value: Any) -> None:
    raw.ask(hello=pb.Hello(protocol_version=1))
    good: dict[str, Any] = {"driver": "tests/t1", "epoch": 3, "lookahead_ns": L}
    refusal = raw.ask(attach=pb.Attach(**{**good, field: value})).refusal
    assert refusal.message.startswith(f"attach.{field}")
    assert raw.ask(attach=pb.Attach(**good)).HasField("attached")


def test_a_lookahead_beyond_the_devices_own_is_refused(device: GrpcDevice) -> None:
    with pytest.raises(InvalidArgument, match="lookahead_ns"):
        device.attach(Attachment("tests/t1", 1, 1, 0, L + 1))


def test_nobody_at_an_address_is_said_in_one_line() -> None:
    with pytest.raises(Unavailable, match=r"nothing answers at 127.0.0.1:1: .*refused") as refusal:
        GrpcDevice("127.0.0.1:1")
    assert "\n" not in str(refusal.value)


def test_a_peer_whose_stream_breaks_is_lost_for_good(address: str, array: Room[Any]) -> None:
    listener = Listener(array)
    listener.start()
    device = GrpcDevice(listener.endpoint.address)
    device.attach(TAKE)
    device.exchange(1_000, NOTHING)
    listener.stop()
    for _ in range(2):
        with pytest.raises(PeerLost, match="arrays/a1"):
            device.exchange(1_000, NOTHING)
    with pytest.raises(Unavailable):
        device.report_luns(["h1-a"])
    device.detach()
    device.close()


def test_an_empty_window_before_anything_can_arrive_takes_no_round_trip(
    address: str, array: Room[Any]
) -> None:
    device = GrpcDevice(address)
    device.attach(TAKE)
    promised = device.exchange(1_000, NOTHING).next_ns
    windows = device.windows
    assert device.exchange(5_000, NOTHING).next_ns == promised
    assert (device.windows, array.model.now_ns) == (windows, 1_000)
    device.exchange(5_000, NOTHING)  # time stands still: the clock follows
    assert array.model.now_ns == 5_000
    device.close()


class Silent(blockdevice_pb2_grpc.BlockDeviceServiceServicer):
    """Welcomes and attaches, and then says nothing, or something else."""

    def __init__(self, answer: pb.ExchangeResponse | None) -> None:
        self._answer = answer
        self.over = threading.Event()

    def Exchange(self, request_iterator: Any, context: Any) -> Iterator[pb.ExchangeResponse]:
        for request in request_iterator:
            if request.HasField("hello"):
                yield pb.ExchangeResponse(welcome=pb.Welcome(name="arrays/a9", lookahead_ns=L))
            elif request.HasField("attach"):
                yield pb.ExchangeResponse(attached=pb.Attached())
            elif self._answer is not None:
                yield self._answer
            else:
                self.over.wait(30)


@pytest.mark.parametrize(
    ("answer", "deadline_seconds", "why"),
    [
        (None, 1, "has not answered for 1 s"),
        (pb.ExchangeResponse(detached=pb.Detached()), 60, "answers detached where window was due"),
        (pb.ExchangeResponse(window=pb.Window(header=b"no")), 60, "nonsense"),
        (pb.ExchangeResponse(window=pb.Window(header=header(sequence=9))), 60, "another window"),
    ],
)
def test_a_peer_that_is_silent_or_wrong_is_lost(
    answer: pb.ExchangeResponse | None, deadline_seconds: float, why: str
) -> None:
    service = Silent(answer)
    server = grpc.server(ThreadPoolExecutor(2))
    blockdevice_pb2_grpc.add_BlockDeviceServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    device = GrpcDevice(f"127.0.0.1:{port}", deadline_seconds=deadline_seconds)
    device.attach(TAKE)
    with pytest.raises(PeerLost, match=why):
        device.exchange(1_000, NOTHING)
    service.over.set()
    device.close()
    server.stop(None).wait()
