"""Events in the SDK: listed, followed to their cause, watched over broken connections, awaited."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import aclosing, contextmanager, suppress
from typing import Any

import pytest

from smokestack.client import GiB, Patience, Stack, aio, connect_array, errors
from smokestack.client.hypervisor import Job

QUICK = Patience(timeout_seconds=60, attempts=20, wait_seconds=0.02, wait_seconds_max=0.1)


class Cable:
    """A TCP connection to an address, for those who connect here; it can be cut at any time."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self.connections = 0
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Breaks what is connected; who connects again is connected again."""
        ends, self._ends = self._ends, []
        for end in ends:
            _close(end)

    def close(self) -> None:
        """Breaks it for good."""
        _close(self._listener)
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
            except OSError:
                return
            self.connections += 1
            self._ends += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=_carry, args=(one, other), daemon=True).start()


def _carry(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
    _close(one)
    _close(other)


def _close(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@contextmanager
def cable(address: str) -> Iterator[Cable]:
    made = Cable(address)
    try:
        yield made
    finally:
        made.close()


def flap(stack: Stack, port: str = "p0") -> None:
    """Takes a port down and up again: two events of the array, and those of its paths."""
    for enabled in (False, True):
        stack.array("a1").ports[port].update(enabled=enabled)
        stack.advance(seconds=0.001)


@contextmanager
def flapping_soon(stack: Stack) -> Iterator[None]:
    """Has a port flap again and again while something waits; all of it is over afterwards."""
    heard = threading.Event()

    def flap_on() -> None:
        while not heard.wait(0.05):  # who comes to wait late hears of the next time
            flap(stack)

    flapping = threading.Thread(target=flap_on)
    flapping.start()
    try:
        yield
    finally:
        heard.set()
        flapping.join()


def test_events_of_all_services_are_listed_by_time(stack: Stack) -> None:
    flap(stack)
    found = stack.events.find(kinds=["PORT_DOWN", "PATH_DOWN"])
    assert [event.time_ns for event in found] == sorted(event.time_ns for event in found)
    assert {event.kind for event in found} == {"PORT_DOWN", "PATH_DOWN"}
    assert found[0].subject == "arrays/a1/ports/p0"
    newest = stack.events.find(kinds=["PORT_DOWN", "PORT_UP"], newest_first=True, limit=1)
    assert [event.kind for event in newest] == ["PORT_UP"]


def test_an_event_leads_to_its_first_cause_over_services(stack: Stack) -> None:
    stack.array("a1").faults.inject("PORT_DOWN", "arrays/a1/ports/p0")
    stack.advance(seconds=0.001)
    [path] = stack.multipath.events.find(kinds=["PATH_DOWN"], limit=1)
    chain = stack.events.why(path)
    assert [event.kind for event in chain] == ["PATH_DOWN", "PORT_DOWN", "FAULT_STARTED"]
    assert chain[-1].cause == ""
    assert stack.events.why(path.name)[1].name == chain[1].name
    with pytest.raises(errors.NotFound, match="arrays/a9 is known here, but"):
        stack.events.why("arrays/a9/events/1")


def test_details_of_an_event_are_a_mapping(stack: Stack) -> None:
    pool = stack.array("a1").pools["p1"]
    pool.update(capacity_bytes=pool.capacity_bytes + GiB)
    [event] = stack.array("a1").events.find(kinds="POOL_RESIZED")
    assert (event.subject, event.number) == (pool.name, int(event.id))
    assert event.detail["capacity_bytes"] == pool.capacity_bytes


def test_a_watch_without_following_ends_with_the_newest_event(stack: Stack) -> None:
    flap(stack)
    events = stack.array("a1").events
    watched = [event.name for event in events.watch(follow=False)]
    assert watched == [event.name for event in events]


def test_a_watch_goes_on_after_any_event_without_gap_or_repeat(stack: Stack) -> None:
    flap(stack)
    events = stack.array("a1").events
    every = [event.name for event in events]
    for taken in range(len(every)):
        watch = events.watch(follow=False)
        first = [event.name for event, _ in zip(watch, range(taken), strict=False)]
        rest = [e.name for e in events.watch(follow=False, resume_token=watch.resume_token)]
        # zip asks for one more than it pairs, which counts as given
        assert first == every[:taken]
        assert rest == every[min(taken + 1, len(every)) :]


def test_the_same_watch_is_iterated_further(stack: Stack) -> None:
    flap(stack)
    events = stack.array("a1").events
    watch = events.watch(follow=False)
    first = [next(iter(watch)).name for _ in range(3)]
    assert [*first, *(event.name for event in watch)] == [event.name for event in events]


def test_a_watch_survives_broken_connections(stack: Stack) -> None:
    array = stack.array("a1")
    with (
        cable(stack.addresses["arrays/a1"]) as line,
        connect_array(line.address, QUICK) as client,
    ):
        start = array.events.token()
        flap(stack)
        seen: list[str] = []
        watch = client.events.watch(kinds=["PORT_DOWN", "PORT_UP"], resume_token=start)
        for event in watch:
            seen.append(event.kind)
            if len(seen) == 8:
                break
            line.cut()
            if len(seen) % 2 == 0:
                flap(stack)
        assert line.connections > 1
    assert seen == ["PORT_DOWN", "PORT_UP"] * 4


def test_a_watch_whose_service_is_gone_says_so_in_the_end(stack: Stack) -> None:
    impatient = Patience(timeout_seconds=60, attempts=2, wait_seconds=0.01)
    with (
        cable(stack.addresses["arrays/a1"]) as line,
        connect_array(line.address, impatient) as client,
    ):
        watch = iter(client.events.watch())
        next(watch)
        line.close()
        with pytest.raises(errors.Unavailable):
            for _ in watch:
                pass


def test_an_event_to_come_is_waited_for(stack: Stack) -> None:
    events = stack.array("a1").events
    token = events.token()
    with flapping_soon(stack):
        event = events.wait_for("PORT_UP", "arrays/a1/ports/p0", timeout_seconds=120)
    assert event.kind == "PORT_UP"
    assert events.wait_for("PORT_DOWN", resume_token=token, timeout_seconds=120).kind == "PORT_DOWN"
    with pytest.raises(errors.DeadlineExceeded):
        events.wait_for("PORT_UP", timeout_seconds=0.05)


def test_a_stack_is_watched_as_a_whole_and_resumed(stack: Stack) -> None:
    flap(stack)
    every = {e.name for e in stack.events.find()}
    watch = stack.events.watch(follow=False)
    first = [event.name for event, _ in zip(watch, range(5), strict=False)]
    rest = stack.events.watch(follow=False, resume_tokens=watch.resume_tokens)
    last = [event.name for event in rest]
    assert len(first) == 5
    assert len(first) + len(last) in (len(every), len(every) - 1)
    assert not set(first) & set(last)


def test_a_watch_of_a_stack_follows_and_can_be_left(stack: Stack) -> None:
    tokens = {name: stack.events.of(name).token() for name in stack.addresses}
    seen = set()
    with flapping_soon(stack):
        for event in stack.events.watch(kinds=["PORT_DOWN", "PATH_UP"], resume_tokens=tokens):
            seen.add(event.kind)
            if len(seen) == 2:
                break
    assert seen == {"PORT_DOWN", "PATH_UP"}


def test_a_job_is_waited_for(stack: Stack) -> None:
    vm = stack.hypervisor.hosts["h1"].vms["v1"]
    job: Job = vm.jobs.create("j0", disk="d0", io_limit=50)
    stack.set_clock(mode="FLAT_OUT")
    assert job.wait(timeout_seconds=120).completed_count == 50
    assert job.wait(timeout_seconds=120).state == "FINISHED"  # at once: it is over already
    stack.set_clock(mode="MANUAL")


def test_the_topology_comes_whole(stack: Stack) -> None:
    array = stack.array("a1")
    names = [f"n{number}" for number in range(5)]
    array.volumes.batch_create({name: {"pool": "p1", "capacity_bytes": GiB} for name in names})
    whole = stack.topology()
    assert [part.service for part in whole.parts][-1] == "arrays/a1"
    assert {chain.volume.name.rpartition("/")[2] for chain in whole.chains} >= set(names)
    [chain] = stack.topology(vm=stack.hypervisor.hosts["h1"].vms["v1"]).chains
    assert (chain.host, chain.device.name) == ("hosts/h1", "multipaths/m1/hosts/h1/devices/a1.v1")
    with pytest.raises(errors.NotFound):
        stack.topology(volume="arrays/a1/volumes/v99")


def test_the_same_is_awaited(stack: Stack, address: str) -> None:
    async def scene() -> None:
        async with aio.connect(address) as awaited:
            events = awaited.array("a1").events
            token = await events.token()
            flap(stack)
            event = await events.wait_for("PORT_UP", resume_token=token, timeout_seconds=120)
            [*chain] = await awaited.events.why(event)
            assert chain[0].name == event.name
            watched = [e.name async for e in events.watch(follow=False)]
            assert watched == [e.name async for e in events]
            whole = awaited.events.watch(follow=False)
            assert len([e async for e in whole]) == len(await awaited.events.find())
            async with aclosing(aiter(awaited.events.watch())) as following:
                await anext(following)
            assert (await awaited.topology(host="hosts/h1")).chains[0].host == "hosts/h1"
            with pytest.raises(TypeError, match="async for"):
                iter(events.watch()).__next__()
            waiting = asyncio.create_task(events.wait_for("PORT_DOWN", timeout_seconds=120))
            while not waiting.done():
                await asyncio.to_thread(flap, stack)
            assert (await waiting).subject == "arrays/a1/ports/p0"

    asyncio.run(scene())


def test_a_watch_survives_broken_connections_when_awaited(stack: Stack) -> None:
    async def scene(line: Cable) -> list[str]:
        seen = []
        async with aio.connect_array(line.address, QUICK) as client:
            watch: Any = client.events.watch(kinds=["PORT_DOWN", "PORT_UP"])
            async for event in watch:
                seen.append(event.kind)
                if len(seen) == 6:
                    break
                line.cut()
                if len(seen) % 2 == 0:
                    await asyncio.to_thread(flap, stack)
        return seen

    flap(stack)
    with cable(stack.addresses["arrays/a1"]) as line:
        assert asyncio.run(scene(line)) == ["PORT_DOWN", "PORT_UP"] * 3
        assert line.connections > 1
