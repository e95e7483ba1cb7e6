"""What a unary call costs beside an empty handler of the same server, taken in turns.

The empty handler has our message types, threads and options, and nothing else: no interceptor, no
border, no request_id to remember.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from statistics import median
from typing import Any, Final

import grpc

from smokestack.engine.clock import Stopwatch
from smokestack.v1 import array_pb2, array_pb2_grpc, hypervisor_pb2, hypervisor_pb2_grpc

from ..listen import SERVER_OPTIONS, SERVER_THREADS
from ..scenario import default_scenario
from ..stack import Stack

_GIB: Final = 1 << 30
_EMPTY: Final = "/smokestack.bench.v1.EmptyService/Get"

Call = Callable[[], Any]


def run(rounds: int = 21, calls: int = 150) -> dict[str, Any]:
    """Makes calls one after another, some of each kind in each round; a ratio is a median."""
    server, address = _empty_server()
    try:
        with Stack(default_scenario()) as stack:
            served = {endpoint.name: endpoint.address for endpoint in stack.serve()}
            with (
                grpc.insecure_channel(address) as empty,
                grpc.insecure_channel(served["arrays/a1"]) as array,
                grpc.insecure_channel(served["hypervisors/hv1"]) as hypervisor,
            ):
                reads, writes = _reads(array, hypervisor), _writes(array, hypervisor)
                took = _measured(rounds, calls, {"empty": _empty(empty), **reads, **writes})
    finally:
        server.stop(None).wait()
    ratio = {
        name: round(median(e / s for e, s in zip(took["empty"], seconds, strict=True)), 3)
        for name, seconds in took.items()
    }
    rows = [
        {
            "call": name,
            "calls_per_wall_second": round(calls / median(seconds)),
            "ratio_to_empty_handler": ratio[name],
        }
        for name, seconds in took.items()
    ]
    return {
        "ratio_to_empty_handler": min(ratio[name] for name in (*reads, *writes)),
        "read_ratio_to_empty_handler": min(ratio[name] for name in reads),
        "write_ratio_to_empty_handler": min(ratio[name] for name in writes),
        "rows": rows,
    }


def _measured(rounds: int, calls: int, kinds: dict[str, Call]) -> dict[str, list[float]]:
    """Returns the seconds that each kind of call took, by round; the first round is not counted."""
    took: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(rounds + 1):
        for name, call in kinds.items():
            with Stopwatch() as watch:
                for _ in range(calls):
                    call()
            took[name].append(watch.elapsed_seconds)
    return {name: seconds[1:] for name, seconds in took.items()}


def _reads(array: grpc.Channel, hypervisor: grpc.Channel) -> dict[str, Call]:
    volumes = array_pb2_grpc.ArrayServiceStub(array)
    vms = hypervisor_pb2_grpc.HypervisorServiceStub(hypervisor)
    return {
        "GetVolume": lambda: volumes.GetVolume(
            array_pb2.GetVolumeRequest(name="arrays/a1/volumes/v1")
        ),
        "GetVm": lambda: vms.GetVm(hypervisor_pb2.GetVmRequest(name="hosts/h1/vms/v1")),
    }


def _writes(array: grpc.Channel, hypervisor: grpc.Channel) -> dict[str, Call]:
    volumes = array_pb2_grpc.ArrayServiceStub(array)
    vms = hypervisor_pb2_grpc.HypervisorServiceStub(hypervisor)
    number = count()
    volume = array_pb2.Volume(pool="arrays/a1/pools/p1", capacity_bytes=_GIB)

    def create_volume() -> Any:
        n = next(number)
        return volumes.CreateVolume(
            array_pb2.CreateVolumeRequest(
                parent="arrays/a1", volume_id=f"b{n}", volume=volume, request_id=f"volume-{n}"
            )
        )

    def create_vm() -> Any:
        n = next(number)
        return vms.CreateVm(
            hypervisor_pb2.CreateVmRequest(parent="hosts/h1", vm_id=f"b{n}", request_id=f"vm-{n}")
        )

    return {"CreateVolume": create_volume, "CreateVm": create_vm}


def _empty(channel: grpc.Channel) -> Call:
    ask = channel.unary_unary(
        _EMPTY,
        request_serializer=array_pb2.GetVolumeRequest.SerializeToString,
        response_deserializer=array_pb2.Volume.FromString,
    )
    return lambda: ask(array_pb2.GetVolumeRequest())


def _empty_server() -> tuple[grpc.Server, str]:
    server = grpc.server(ThreadPoolExecutor(SERVER_THREADS), options=SERVER_OPTIONS)
    service, method = _EMPTY.strip("/").split("/")
    answer = grpc.unary_unary_rpc_method_handler(
        lambda _request, _context: array_pb2.Volume(),
        request_deserializer=array_pb2.GetVolumeRequest.FromString,
        response_serializer=array_pb2.Volume.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {method: answer}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, f"127.0.0.1:{port}"
