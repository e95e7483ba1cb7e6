"""A call whose answer is lost is made again, and happens once."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from smokestack.client import GiB, Patience, connect, connect_array, connect_hypervisor, errors
from smokestack.server.stack import Stack as Served
from tests.client.served import Meddler, gone, meddled

QUICK = Patience(timeout_seconds=60, attempts=4, wait_seconds=0.01)


def test_a_creation_whose_answer_is_lost_happens_once(server: Served) -> None:
    meddler = Meddler("CreateVolume", gone, gone)
    with (
        meddled(server.arrays["a1"], meddler) as address,
        connect_array(address, QUICK) as array,
    ):
        volume = array.volumes.create("v9", pool="p1", capacity_bytes=GiB)
        assert volume.capacity_bytes == GiB
    sent = {request.request_id for request in meddler.requests}
    assert len(meddler.requests) == 3
    assert len(sent) == 1 and len(sent.pop()) == 32


def test_two_creations_are_two_requests(server: Served) -> None:
    meddler = Meddler("CreateVolume")
    with (
        meddled(server.arrays["a1"], meddler) as address,
        connect_array(address, QUICK) as array,
    ):
        array.volumes.create("v9", pool="p1", capacity_bytes=GiB)
        with pytest.raises(errors.AlreadyExists):
            array.volumes.create("v9", pool="p1", capacity_bytes=GiB)
    assert len({request.request_id for request in meddler.requests}) == 2


def test_a_batch_whose_answer_is_lost_happens_once(server: Served) -> None:
    meddler = Meddler("BatchCreateVms", gone)
    with (
        meddled(server.hypervisor, meddler) as address,
        connect_hypervisor(address, QUICK) as hypervisor,
    ):
        made = hypervisor.hosts["h1"].vms.batch_create({"n1": {}, "n2": {"broker_ns": 0}})
        assert [(vm.id, vm.broker_ns) for vm in made] == [("n1", 2500), ("n2", 0)]
    assert len(meddler.requests) == 2


def test_silence_is_broken_by_asking_again(server: Served) -> None:
    def dawdle(_answer: Any, _context: grpc.ServicerContext) -> None:
        while len(meddler.requests) < 2:
            time.sleep(0.01)

    meddler = Meddler("DeleteVolume", dawdle)
    patience = Patience(timeout_seconds=0.5, attempts=10, wait_seconds=0.01)
    with (
        meddled(server.arrays["a1"], meddler) as address,
        connect_array(address, patience) as array,
    ):
        array.volumes.create("v9", pool="p1", capacity_bytes=GiB).delete()
        assert "v9" not in array.volumes
    assert len(meddler.requests) >= 2


def test_patience_ends(server: Served) -> None:
    meddler = Meddler("GetVolume", *[gone] * 10)
    with (
        meddled(server.arrays["a1"], meddler) as address,
        connect_array(address, QUICK) as array,
        pytest.raises(errors.Unavailable, match="socket closed"),
    ):
        array.volumes.get("v1")
    assert len(meddler.requests) == QUICK.attempts


def test_waits_double_up_to_a_bound() -> None:
    patience = Patience(attempts=6, wait_seconds=0.1, wait_seconds_max=0.5)
    assert list(patience.waits()) == [0.1, 0.2, 0.4, 0.5, 0.5]
    assert list(Patience(attempts=1).waits()) == []


def test_what_is_refused_is_not_repeated(server: Served) -> None:
    meddler = Meddler("CreateVolume")
    with (
        meddled(server.arrays["a1"], meddler) as address,
        connect_array(address, QUICK) as array,
        pytest.raises(errors.InvalidArgument),
    ):
        array.volumes.create("v9", pool="p1", capacity_bytes=1)
    assert len(meddler.requests) == 1


def test_time_is_never_moved_twice(server: Served) -> None:
    meddler = Meddler("Advance", gone)
    with (
        meddled(server.hypervisor, meddler) as address,
        connect_hypervisor(address, QUICK) as hypervisor,
    ):
        with pytest.raises(errors.Unavailable):
            hypervisor.advance(seconds=1)
        assert hypervisor.simulation().now_ns == 10**9
    assert len(meddler.requests) == 1


def test_a_service_that_comes_back_is_found_again(server: Served) -> None:
    room = server.arrays["a1"]
    with meddled(room, Meddler("none")) as address:
        patience = Patience(attempts=8, wait_seconds=0.05)
        client = connect({room.name: address}, patience)
        assert client.array("a1").reload().name == room.name
    again = grpc.server(ThreadPoolExecutor(2))
    room.add_services(again)
    timer = threading.Timer(0.3, lambda: (again.add_insecure_port(address), again.start()))
    timer.start()
    try:
        assert client.array("a1").volumes.get("v1").capacity_bytes == 64 * GiB
    finally:
        timer.join()
        client.close()
        again.stop(None).wait()
