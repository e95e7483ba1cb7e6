"""Every method of every service, given nonsense: what is refused is refused as its comment says.

A refusal changes nothing, and no request brings out a failure of ours.  What a request does change
is taken back, which must lead to the very same state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from google.protobuf import descriptor_pool

from smokestack.client.kinds import is_repeated
from smokestack.engine.errors import Refused
from smokestack.engine.timekeeper import ClockSettings
from smokestack.server.scenario import parse_scenario
from smokestack.server.stack import Stack
from smokestack.v1 import array_pb2 as pb
from tests.server.nonsense import Nonsense, documented

REQUESTS = 8  # for each method
CLOCK = ClockSettings(autojump=True)
SERVICES = (
    *(f"smokestack.v1.{name}Service" for name in ("Array", "Multipath", "Hypervisor", "Estate")),
    *("smokestack.v1.SimulationService", "csi.v1.Identity", "csi.v1.Controller"),
    *("csi.v1.GroupController", "csi.v1.Node"),
)
ELSEWHERE = {  # tested in places of their own
    "Advance": "moves time up to where a goal turns out to be out of reach",
    "Reset": "leaves nothing that could be compared",
    "NodeStageVolume": "rescans first, which stays, to see what it is asked for",
}
A1 = "arrays/a1"
SCENARIO = """
fabrics: [a, b]
arrays:
  - name: a1
    controllers: [{name: c0, reboot_ns: 1 ms}, {name: c1}]
    ports: [{name: p0, controller: c0, fabric: a}, {name: p1, controller: c1, fabric: b}]
    pools: [{name: p1, capacity_bytes: 1 GiB, page_bytes: 64 KiB}]
    volumes:
      - {name: v1, pool: p1, capacity_bytes: 1 GiB}
      - {name: v2, pool: p1, capacity_bytes: 1 MiB}
    exports: [{volume: v1, host: h1}]
hosts:
  - name: h1
    initiators: [{name: h1-a, fabric: a}, {name: h1-b, fabric: b}]
    vms: [{name: v1, disks: [{name: d0, device: a1.v1}]}]
"""


class Handlers:
    """Takes what a server would be given: the handlers by method."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        """Takes nothing: the same come by name."""

    def add_registered_method_handlers(self, service: str, methods: dict[str, Any]) -> None:
        self.found |= {f"{service}.{name}": handler for name, handler in methods.items()}


class Served:
    """A stack of everything, and its handlers."""

    def __init__(self) -> None:
        self.stack = Stack(parse_scenario(SCENARIO), CLOCK)
        array = self.stack.arrays["a1"].api
        snapshot = pb.VolumeSnapshot(volume=f"{A1}/volumes/v1")
        array.CreateVolumeSnapshot(
            pb.CreateVolumeSnapshotRequest(
                parent=A1, volume_snapshot_id="s1", volume_snapshot=snapshot
            )
        )
        hosts, ports = pb.HostSet(hosts=[f"{A1}/hosts/h1"]), pb.PortSet(ports=[f"{A1}/ports/p0"])
        array.CreateHostSet(pb.CreateHostSetRequest(parent=A1, host_set_id="hs1", host_set=hosts))
        array.CreatePortSet(pb.CreatePortSetRequest(parent=A1, port_set_id="ps1", port_set=ports))
        self.stack.attach()
        handlers = Handlers()
        for room in reversed(self.stack.rooms):  # of those that all have, the hypervisor's stay
            room.add_services(handlers)  # type: ignore[arg-type]
        self.handlers = handlers.found
        self._pieces = {p.service: p for p in self.stack.hypervisor.model.snapshot("before")}
        self.before = self.state()

    def state(self) -> dict[str, str]:
        """Returns sums over all that a snapshot holds."""
        pieces = self.stack.hypervisor.model.snapshot("before")
        return {p.service: hashlib.sha256(p.sealed()).hexdigest() for p in pieces}

    def go_back(self) -> None:
        """Undoes whatever has changed."""
        self.stack.set_clock(CLOCK)
        self.stack.hypervisor.model.restore(self._pieces)

    def names(self) -> set[str]:
        """Returns the full names of all that can be listed."""
        found, parents = {"snapshots/s1"}, {"", *(room.name for room in self.stack.rooms)}
        while parents:
            parent = parents.pop()
            for name in sorted(self.handlers):
                if not name.startswith("smokestack.") or ".List" not in name:
                    continue
                kind = method_of(name).input_type
                if bool(parent) == ("parent" in kind.fields_by_name):
                    more = self._listed(name, {"parent": parent} if parent else {}) - found
                    found |= more
                    parents |= more
        return found

    def _listed(self, method: str, fields: dict[str, str]) -> set[str]:
        request = request_class(method)(**fields)
        try:
            answer = self.handlers[method].unary_unary(request, CONTEXT)
        except Refused:
            return set()
        [(_, listed)] = [x for x in answer.ListFields() if is_repeated(x[0])] or [(None, ())]
        return {one.name for one in listed if "name" in one.DESCRIPTOR.fields_by_name}


CONTEXT: Any = SimpleNamespace(add_callback=lambda _: True, is_active=lambda: True)


def method_of(name: str) -> Any:
    return descriptor_pool.Default().FindMethodByName(name)  # type: ignore[no-untyped-call]


def request_class(method: str) -> Any:
    return method_of(method).input_type._concrete_class


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    served = Served()
    yield served
    served.stack.close()


@pytest.fixture(scope="module")
def nonsense(served: Served) -> Nonsense:
    return Nonsense(sorted(served.names()))


def call(handler: Any, request: Any) -> Any:
    if handler.unary_unary:
        return handler.unary_unary(request, CONTEXT)
    if handler.unary_stream:
        return list(handler.unary_stream(request, CONTEXT))
    return handler.stream_unary(iter([request]), CONTEXT)


def test_all_services_are_here(served: Served) -> None:
    found = {name.rpartition(".")[0] for name in served.handlers}
    assert found == {*SERVICES, "smokestack.v1.BlockDeviceService"}


@pytest.mark.parametrize("service", SERVICES)
def test_refusals_are_those_of_the_comment_and_change_nothing(
    served: Served, nonsense: Nonsense, service: str
) -> None:
    for name, handler in sorted(served.handlers.items()):
        if name.rpartition(".")[0] != service or name.rpartition(".")[2] in ELSEWHERE:
            continue
        method = method_of(name)
        codes = documented(method)
        for number in range(REQUESTS):
            request = nonsense.request(method, number)
            outcome = "OK"
            try:
                call(handler, request)
            except Refused as refused:
                outcome = f"{refused.code}: {refused}"
                assert refused.code in codes, f"{name} {outcome}\n{request}"
            except Exception as error:
                raise AssertionError(f"{name} failed inside\n{request}") from error
            else:
                served.go_back()
            assert served.state() == served.before, f"{name} {outcome}\n{request}"
