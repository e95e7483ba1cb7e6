"""Events on the wire: pages, filters, and watchers that resume without gap or repeat."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import grpc
import pytest

from smokestack.engine.errors import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    OutOfRange,
    ResourceExhausted,
)
from smokestack.engine.event_kinds import EventKind
from smokestack.engine.events import EventLog
from smokestack.server.events import SILENT_EVENTS_MAX, WATCHERS_MAX, EventFeed
from smokestack.server.stack import Stack
from smokestack.v1 import simulation_pb2 as pb
from smokestack.v1 import simulation_pb2_grpc
from tests.server.scenarios import small_scenario

KINDS = (EventKind.PORT_DOWN, EventKind.PORT_UP, EventKind.VOLUME_CREATED)


def filled(count: int = 30, kept: int = 1_000) -> EventLog:
    """Every third event is of port p1 and down, the next of p10 and up, the third of a volume."""
    log = EventLog("arrays/a1", kept)
    for number in range(count):
        add(log, number)
    return log


def add(log: EventLog, number: int) -> None:
    subject = ("ports/p1", "ports/p10", "volumes/v1")[number % 3]
    log.add(number, KINDS[number % 3], f"arrays/a1/{subject}", detail={"number": number})


def numbers(events: Sequence[pb.Event]) -> list[int]:
    return [int(event.name.rpartition("/")[2]) for event in events]


def listed(feed: EventFeed, **fields: Any) -> tuple[list[list[int]], str]:
    """The numbers of each page, and the last page's resume token."""
    answer = feed.page(pb.ListEventsRequest(**fields))
    pages = [numbers(answer.events)]
    while answer.next_page_token:
        fields["page_token"] = answer.next_page_token
        answer = feed.page(pb.ListEventsRequest(**fields))
        pages.append(numbers(answer.events))
    return pages, answer.resume_token


def watched(feed: EventFeed, **fields: Any) -> list[int]:
    """What a watcher that does not follow hears."""
    stream = feed.watch(pb.WatchEventsRequest(**fields))
    return [number for answer in stream for number in numbers(answer.events)]


class Call:
    """A call whose client can leave."""

    def __init__(self) -> None:
        self.leave = lambda: None

    def add_callback(self, callback: Any) -> bool:
        self.leave = callback
        return True


# --- single events and lists ---------------------------------------------------------------------


def test_an_event_travels_whole() -> None:
    log = EventLog("arrays/a1")
    cause = log.add(4, EventKind.POOL_RESIZED, "arrays/a1/pools/p1", detail={"capacity_bytes": 9})
    log.add(5, EventKind.POOL_SPACE_AVAILABLE, "arrays/a1/pools/p1", cause.name, {"by": "hand"})
    feed = EventFeed(log)
    assert feed.get(pb.GetEventRequest(name="arrays/a1/events/2")) == pb.Event(
        name="arrays/a1/events/2",
        time_ns=5,
        kind="POOL_SPACE_AVAILABLE",
        subject="arrays/a1/pools/p1",
        cause="arrays/a1/events/1",
        details=[pb.EventDetail(key="by", text="hand")],
    )
    [detail] = feed.get(pb.GetEventRequest(name=cause.name)).details
    assert (detail.key, detail.WhichOneof("value"), detail.number) == (
        "capacity_bytes",
        "number",
        9,
    )


@pytest.mark.parametrize(
    "name", ["", "arrays/a1", "arrays/a1/events/", "arrays/a1/events/x", "arrays/a2/events/1"]
)
def test_a_name_that_is_not_of_this_service_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        EventFeed(filled()).get(pb.GetEventRequest(name=name))
    assert [v.field for v in caught.value.violations] == ["name"]
    with pytest.raises(NotFound):
        EventFeed(filled()).get(pb.GetEventRequest(name="arrays/a1/events/31"))


def test_lists_come_in_pages_in_either_order() -> None:
    feed = EventFeed(filled(7))
    assert listed(feed, page_size=3)[0] == [[1, 2, 3], [4, 5, 6], [7]]
    assert listed(feed, page_size=3, newest_first=True)[0] == [[7, 6, 5], [4, 3, 2], [1]]
    assert listed(feed)[0] == [[1, 2, 3, 4, 5, 6, 7]]
    assert listed(EventFeed(EventLog("arrays/a1")))[0] == [[]]


def test_filters_find_kinds_and_what_lies_below_a_resource() -> None:
    feed = EventFeed(filled(9))
    assert listed(feed, kinds=["PORT_DOWN", "PORT_UP"])[0] == [[1, 2, 4, 5, 7, 8]]
    assert listed(feed, kinds=["PORT_UP"], page_size=2)[0] == [[2, 5], [8]]
    assert listed(feed, subject="arrays/a1/ports/p1")[0] == [[1, 4, 7]]
    assert listed(feed, subject="arrays/a1/ports")[0] == [[1, 2, 4, 5, 7, 8]]
    assert listed(feed, subject="arrays/a1")[0] == [list(range(1, 10))]
    assert listed(feed, subject="arrays/a1/ports/p1", kinds=["PORT_UP"])[0] == [[]]
    assert watched(feed, kinds=["VOLUME_CREATED"]) == [3, 6, 9]
    with pytest.raises(InvalidArgument, match=r"kinds: 'PORT_GONE' is none of .*PORT_DOWN"):
        feed.page(pb.ListEventsRequest(kinds=["PORT_GONE"]))


def test_pages_of_other_lists_are_refused() -> None:
    feed = EventFeed(filled(9))
    down = feed.page(pb.ListEventsRequest(page_size=2, newest_first=True)).next_page_token
    up = feed.page(pb.ListEventsRequest(page_size=2)).next_page_token
    for request in (
        pb.ListEventsRequest(page_token=down),
        pb.ListEventsRequest(page_token=up, newest_first=True),
        pb.ListEventsRequest(page_token="nonsense"),
        pb.ListEventsRequest(page_size=-1),
    ):
        with pytest.raises(InvalidArgument):
            feed.page(request)
    with pytest.raises(InvalidArgument, match="page_token of a list"):
        watched(feed, resume_token=down)
    with pytest.raises(FailedPrecondition, match="earlier run"):
        EventFeed(filled(9)).page(pb.ListEventsRequest(page_token=up))


def test_a_page_whose_events_are_gone_says_so() -> None:
    log = filled(9, kept=10)
    feed = EventFeed(log)
    token = feed.page(pb.ListEventsRequest(page_size=2)).next_page_token
    for number in range(9):
        add(log, number)
    with pytest.raises(OutOfRange, match="dropped its events 3 to 8: it keeps the newest 10"):
        feed.page(pb.ListEventsRequest(page_token=token))


@pytest.mark.parametrize("newest_first", [False, True])
def test_a_watch_goes_on_where_a_list_ended(newest_first: bool) -> None:
    log = filled(5)
    feed = EventFeed(log)
    _, token = listed(feed, page_size=2, newest_first=newest_first, kinds=["PORT_UP"])
    for number in range(5, 8):
        add(log, number)
    assert watched(feed, resume_token=token) == [6, 7, 8]


# --- watching ------------------------------------------------------------------------------------


def test_a_watch_that_does_not_follow_ends_with_the_newest() -> None:
    feed = EventFeed(filled(600))
    answers = list(feed.watch(pb.WatchEventsRequest()))
    assert [len(answer.events) for answer in answers] == [256, 256, 88]
    assert watched(feed, resume_token=answers[0].resume_token) == list(range(257, 601))
    assert watched(feed, resume_token=answers[-1].resume_token) == []
    assert watched(feed, only_new=True) == []


def test_the_first_answer_comes_before_any_event() -> None:
    log = EventLog("arrays/a1")
    call = Call()
    stream = EventFeed(log).watch(pb.WatchEventsRequest(follow=True, only_new=True), call)
    first = next(stream)
    assert not first.events and first.resume_token
    add(log, 0)
    assert numbers(next(stream).events) == [1]
    call.leave()
    assert list(stream) == []


def test_a_filter_that_finds_nothing_still_moves_the_token() -> None:
    log = filled(3, kept=20_000)
    feed = EventFeed(log)
    call = Call()
    stream = feed.watch(pb.WatchEventsRequest(follow=True, kinds=["POOL_EXHAUSTED"]), call)
    first = next(stream)
    for number in range(2 * SILENT_EVENTS_MAX):
        add(log, number)
    later = next(stream)
    assert not later.events
    assert later.resume_token != first.resume_token
    assert min(watched(feed, resume_token=later.resume_token)) > SILENT_EVENTS_MAX
    call.leave()


def test_a_slow_watcher_is_told_how_to_resume() -> None:
    log = filled(300, kept=400)
    feed = EventFeed(log)
    call = Call()
    stream = feed.watch(pb.WatchEventsRequest(follow=True), call)
    heard = numbers(next(stream).events)
    for number in range(500):
        add(log, number)
    with pytest.raises(OutOfRange, match="dropped its events 257 to 400") as caught:
        next(stream)
    token = re.findall(r"resume with (\S+)", caught.value.message)[0]
    assert caught.value.reason == "EVENTS_DROPPED"
    assert watched(feed, resume_token=token) == list(range(401, 801))
    assert heard == list(range(1, 257))


def test_watchers_are_bounded_and_those_that_leave_make_room() -> None:
    feed = EventFeed(filled(), watchers_max=2)
    calls = [Call(), Call()]
    streams = [feed.watch(pb.WatchEventsRequest(follow=True), call) for call in calls]
    for stream in streams:
        next(stream)
    with pytest.raises(ResourceExhausted, match="has 2 watchers already") as caught:
        watched(feed)
    assert caught.value.reason == "WATCHERS"
    calls[0].leave()
    assert list(streams[0]) == []
    assert len(watched(feed)) == 30
    streams[1].close()


# --- over gRPC -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[EventLog, str]]:
    with Stack(small_scenario()) as stack:
        stack.serve(metrics_ports=None)
        address = {e.name: e.address for e in stack.endpoints}["arrays/a1"]
        yield stack.arrays["a1"].model.events, address


def test_watchers_that_come_and_go_miss_nothing_and_hear_nothing_twice(
    served: tuple[EventLog, str],
) -> None:
    log, address = served
    start, count, patience = log.last, 6_000, (1, 2, 5, 17)
    heard: list[list[int]] = [[] for _ in patience]
    failures: list[BaseException] = []

    def watch(mine: list[int], answers: int) -> None:
        """Watches, leaves after some answers, and resumes with the last one's token."""
        try:
            with grpc.insecure_channel(address) as channel:
                stub = simulation_pb2_grpc.SimulationServiceStub(channel)
                token = ""
                while not mine or mine[-1] < start + count:
                    request = pb.WatchEventsRequest(resume_token=token, follow=True)
                    call = stub.WatchEvents(request)
                    try:
                        for answer in islice(call, answers + 1):  # the first may have no events
                            mine += numbers(answer.events)
                            token = answer.resume_token
                            if mine and mine[-1] >= start + count:
                                break
                    except grpc.RpcError as error:
                        # The server may not know yet that who left has left.
                        if error.code() != grpc.StatusCode.RESOURCE_EXHAUSTED:
                            raise
                        threading.Event().wait(0.01)
                    call.cancel()
        except BaseException as error:
            failures.append(error)

    watchers = [
        threading.Thread(target=watch, args=(mine, answers))
        for mine, answers in zip(heard, patience, strict=True)
    ]
    for watcher in watchers:
        watcher.start()
    for number in range(count):
        add(log, number)
        if number % 50 == 0:
            threading.Event().wait(0.002)
    for watcher in watchers:
        watcher.join(300)
    assert not failures
    assert heard == [list(range(1, start + count + 1))] * len(patience)


def test_refusals_reach_clients_with_their_codes(served: tuple[EventLog, str]) -> None:
    _, address = served
    with grpc.insecure_channel(address) as channel:
        stub = simulation_pb2_grpc.SimulationServiceStub(channel)
        calls = [seated(stub) for _ in range(WATCHERS_MAX)]
        with pytest.raises(grpc.RpcError) as full:
            next(stub.WatchEvents(pb.WatchEventsRequest()))
        assert full.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        for call in calls:
            call.cancel()
        with pytest.raises(grpc.RpcError) as damaged:
            stub.ListEvents(pb.ListEventsRequest(page_token="x"))
        assert damaged.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_client_that_leaves_gives_its_seat_back(served: tuple[EventLog, str]) -> None:
    _, address = served
    with grpc.insecure_channel(address) as channel:
        stub = simulation_pb2_grpc.SimulationServiceStub(channel)
        for _ in range(3 * WATCHERS_MAX):
            call = seated(stub)
            assert call.is_active()
            call.cancel()


def seated(stub: Any) -> Any:
    """A watch that runs; a seat is given back only a moment after its client has left."""
    for _ in range(2400):  # two minutes, for a busy machine
        call = stub.WatchEvents(pb.WatchEventsRequest(follow=True))
        try:
            next(call)
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            threading.Event().wait(0.05)
        else:
            return call
    raise AssertionError("no seat has become free for two minutes")
