"""Servers: where they may listen, what they say when they cannot, what they serve besides."""

from __future__ import annotations

from urllib.request import ProxyHandler, build_opener

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from smokestack.engine.errors import FailedPrecondition, InvalidArgument
from smokestack.server.errors import refused_from
from smokestack.server.listen import Listener, checked_address
from smokestack.server.rooms import array_room
from smokestack.server.stack import Stack
from smokestack.v1 import array_pb2, array_pb2_grpc
from tests.server.scenarios import small_scenario


def test_a_stack_serves_each_room_on_a_port_of_its_own() -> None:
    with Stack(small_scenario(2)) as stack:
        endpoints = stack.serve()
        assert [e.name for e in endpoints] == [
            "hypervisors/hv1",
            "multipaths/m1",
            "arrays/a1",
            "arrays/a2",
        ]
        assert len({e.address for e in endpoints}) == 4
        for endpoint in endpoints:
            with grpc.insecure_channel(endpoint.address) as channel:
                check = health_pb2_grpc.HealthStub(channel).Check
                answer = check(health_pb2.HealthCheckRequest())
                assert answer.status == health_pb2.HealthCheckResponse.SERVING
                names = _reflected(channel)
            assert "smokestack.v1.SimulationService" in names
            assert ("smokestack.v1.HypervisorService" in names) == ("hyper" in endpoint.name)
            scrape = build_opener(ProxyHandler({})).open(endpoint.metrics_url).read()
            assert b"smokestack_" in scrape


def _reflected(channel: grpc.Channel) -> set[str]:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    [answer] = stub.ServerReflectionInfo(iter([request]))
    return {service.name for service in answer.list_services_response.service}


def test_refusals_of_a_served_room_are_rich() -> None:
    listener = Listener(array_room("a1"))
    listener.start()
    with grpc.insecure_channel(listener.endpoint.address) as channel:
        stub = array_pb2_grpc.ArrayServiceStub(channel)
        with pytest.raises(grpc.RpcError) as error:
            stub.CreatePool(
                array_pb2.CreatePoolRequest(
                    parent="arrays/a1",
                    pool_id="p1",
                    pool=array_pb2.Pool(capacity_bytes=1 << 30, page_bytes=5_000),
                )
            )
    listener.stop()
    assert [v.field for v in refused_from(error.value).violations] == ["pool.page_bytes"]


def test_a_port_in_use_is_said_in_one_line() -> None:
    first = Listener(array_room("a1"), metrics_listen="127.0.0.1:0")
    taken = first.endpoint.address
    metrics = first.endpoint.metrics_url.split("/")[2]
    for listen, metrics_listen in ((taken, None), ("127.0.0.1:0", taken), (metrics, None)):
        with pytest.raises(FailedPrecondition, match=r"cannot listen on 127.0.0.1:.* in use"):
            Listener(array_room("a2"), listen, metrics_listen)
    first.stop()


@pytest.mark.parametrize("address", ["localhost:0", "127.0.0.1:0", "127.9.9.9:0", "[::1]:0"])
def test_loopback_needs_no_leave(address: str) -> None:
    host, port = checked_address("listen", address, insecure=False)
    assert (host in address, port) == (True, 0)


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "192.0.2.1:80", "example.test:1"])
def test_elsewhere_must_be_called_insecure(address: str) -> None:
    with pytest.raises(InvalidArgument, match=r"listen: .*open to other machines"):
        checked_address("listen", address, insecure=False)
    checked_address("listen", address, insecure=True)


@pytest.mark.parametrize("address", ["", "here", "127.0.0.1", "127.0.0.1:65536", ":80", "a b:1"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(InvalidArgument, match="is not host:port"):
        checked_address("listen", address, insecure=True)


def test_an_address_that_is_not_ours_is_said_in_one_line() -> None:
    with pytest.raises(FailedPrecondition, match=r"cannot listen on 192.0.2.1:80: cannot"):
        Listener(array_room("a1"), "192.0.2.1:80", insecure=True)
