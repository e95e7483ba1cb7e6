"""Fault rules on the wire: requests become rules of a room's book, what stands becomes messages."""

from __future__ import annotations

from smokestack.engine.errors import InvalidArgument
from smokestack.engine.fault_rules import FaultKind, FaultRule
from smokestack.engine.faults import Fault, FaultBook
from smokestack.engine.names import NameForm
from smokestack.engine.paging import page
from smokestack.engine.records import NEVER_NS
from smokestack.engine.requests import UNRECORDED, Border, Recorder, Requests
from smokestack.v1 import faults_pb2 as pb


class FaultDesk:
    """Serves the fault rules of one service."""

    def __init__(self, book: FaultBook, border: Border, recorder: Recorder = UNRECORDED) -> None:
        self._book = book
        self._requests = Requests(border, recorder=recorder)
        self._name = NameForm(f"{book.service}/faults/slow")

    @property
    def requests(self) -> Requests:
        """What carries out its requests, and remembers the answers."""
        return self._requests

    def inject(self, request: pb.InjectFaultRequest) -> pb.FaultRule:
        """Adds a rule at a border."""
        rule = rule_of(request.fault, request.fault_id)
        return self._requests.change(request, lambda: message_of(self._book.inject(rule)))

    def get(self, request: pb.GetFaultRequest) -> pb.FaultRule:
        """Returns a rule as it stands."""
        fault_id = self._fault_id(request.name)
        with self._requests.read():
            return message_of(self._book.get(fault_id))

    def list(self, request: pb.ListFaultsRequest) -> pb.ListFaultsResponse:
        """Returns a page of the rules."""
        with self._requests.read():
            rules = self._book.all()
            listing = f"faults {self._book.service}"
            found, token = page(rules, request.page_size, request.page_token, listing)
            faults = [message_of(rules[fault_id]) for fault_id in found]
        return pb.ListFaultsResponse(faults=faults, next_page_token=token)

    def clear(self, request: pb.ClearFaultRequest) -> pb.FaultRule:
        """Takes a rule out at a border."""
        fault_id = self._fault_id(request.name)
        return self._requests.change(request, lambda: message_of(self._book.clear(fault_id)))

    def kinds(self, request: pb.ListFaultKindsRequest) -> pb.ListFaultKindsResponse:
        """Returns a page of the kinds that the service models."""
        kinds = self._book.kinds
        found, token = page(kinds, request.page_size, request.page_token, "fault kinds")
        return pb.ListFaultKindsResponse(
            fault_kinds=[self._kind(kinds[name]) for name in found], next_page_token=token
        )

    def _kind(self, kind: FaultKind) -> pb.FaultKind:
        parts = kind.subject.split("/")
        if parts[0] != "hosts":  # the hypervisor's own resources do not begin with its name
            parts[:2] = self._book.service.split("/")
        return pb.FaultKind(
            name=kind.name,
            description=kind.sentence,
            target_example="/".join(parts),
            per_io=kind.per_io,
            parameters=["factor_per_mille"] * kind.takes_factor + ["down_ns", "up_ns"] * kind.flaps,
        )

    def _fault_id(self, name: str) -> str:
        fault_id = self._name.parse(name)[-1]
        if name != f"{self._book.service}/faults/{fault_id}":
            raise InvalidArgument.at(
                "name", f"{name!r} is no rule of {self._book.service}: ask its own service"
            )
        return fault_id


def rule_of(message: pb.FaultRule, fault_id: str = "") -> FaultRule:
    """Returns a message's rule; what a service reports is ignored."""
    return FaultRule(
        kind=message.kind,
        target=message.target,
        fault_id=fault_id,
        probability=message.probability if message.HasField("probability") else 1.0,
        count=message.count,
        start_ns=message.start_ns,
        duration_ns=message.duration_ns,
        factor_per_mille=message.factor_per_mille,
        down_ns=message.down_ns,
        up_ns=message.up_ns,
    )


def message_of(fault: Fault) -> pb.FaultRule:
    """Returns a rule as it stands."""
    rule = fault.rule
    return pb.FaultRule(
        name=fault.name,
        kind=rule.kind,
        target=rule.target,
        probability=rule.probability,
        count=rule.count,
        start_ns=rule.start_ns,
        duration_ns=rule.duration_ns,
        factor_per_mille=rule.factor_per_mille,
        down_ns=rule.down_ns,
        up_ns=rule.up_ns,
        state=pb.FaultState.Name(int(fault.state)),
        hit_count=fault.hits,
        begin_ns=fault.begin_ns,
        end_ns=0 if fault.end_ns == NEVER_NS else fault.end_ns,
    )
