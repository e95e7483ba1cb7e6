"""The recording: every call that has changed a service, with the virtual time at which it did.

Each service records its own calls; whoever asks the driver gets those of the whole stack, in
order, for they come up the tree as a snapshot's pieces do.  A recording belongs to the state that
its calls have led to: a restored snapshot brings its recording along.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from google.protobuf.json_format import MessageToDict

from smokestack.array.links import Settling
from smokestack.engine.clock import unix_ns
from smokestack.engine.errors import FailedPrecondition
from smokestack.engine.requests import Border, Recorder
from smokestack.hypervisor.upload import Upload
from smokestack.v1 import (
    array_pb2,
    hypervisor_pb2,
    multipath_pb2,
    scenario_pb2,
    simulation_pb2,
)
from smokestack.v1 import snapshots_pb2 as pb

from .snapshots import PART_BYTES, Driver

FORMAT: Final = 1
CALLS_MAX: Final = 1_000_000
BYTES_MAX: Final = 256 << 20

_SERVICES: Final = tuple(
    service
    for file in (array_pb2, multipath_pb2, hypervisor_pb2, simulation_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
)
# "ArrayService.CreateVolume" by the class of its request, and the other way round.
METHODS: Final[Mapping[type[Any], str]] = {
    method.input_type._concrete_class: f"{service.name}.{method.name}"
    for service in _SERVICES
    for method in service.methods
}
REQUESTS: Final[Mapping[str, Any]] = {
    f"{service.name}.{method.name}": method.input_type._concrete_class
    for service in _SERVICES
    for method in service.methods
}


class Call(NamedTuple):
    """One call that has changed a service."""

    time_ns: int  # virtual, of the border at which it was applied
    order: int  # says what was called first, among calls at one border
    attached: bool  # whether the service had a driver, or drove
    service: str
    method: str
    requests: tuple[bytes, ...]  # of a stream: its messages
    settled_ns: int | None = None  # the border at which what had to wait was carried out


@dataclass(frozen=True)
class Basis:
    """What a stack was built from."""

    scenario: str  # JSON, with sorted keys
    traces: tuple[tuple[str, str], ...]  # SHA-256 of each trace's commands, by identifier

    @property
    def sha256(self) -> str:
        """What two equal scenarios have in common, wherever their trace files lie."""
        known = json.loads(self.scenario)
        for trace in known.get("traces", []):
            trace.pop("file", None)
        text = json.dumps([known, self.traces], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


CLASSES: Final = (Call, Basis)


class Order:
    """Numbers calls as they come, over all services that share it.

    Those of one process count, so that the same calls leave the same state behind.  Where services
    have processes of their own, the calendar's time says whose call came first.
    """

    def __init__(self, *, by_calendar: bool = False) -> None:
        self._by_calendar = by_calendar
        self._last = 0

    def next(self) -> int:
        """Returns a number that is greater than all before."""
        self.pass_by(unix_ns() if self._by_calendar else 0)
        self._last += 1
        return self._last

    def pass_by(self, number: int) -> None:
        """Has all numbers to come be greater than this one, too."""
        self._last = max(self._last, number)


CALENDAR: Final = Order(by_calendar=True)


class Journaling(Protocol):
    """What keeps a service's calls where they survive it."""

    def begin(self) -> None:
        """Lets a change be made, at its border; Unavailable says that it could not be kept."""

    def note(self, call: Call) -> int:
        """Takes a call that has just been applied, at its border; returns its number."""

    def keep_time(self) -> int:
        """Takes what time has changed, at a border; returns its number."""

    def settle(self, number: int) -> None:
        """Returns once a call is safe; Unavailable says that it is not."""


class Recording(Recorder):
    """The calls of one service, as a part of it; handed on to its journal, if it has one."""

    def __init__(
        self, model: Any, settings: Mapping[str, int] | None = None, order: Order = CALENDAR
    ) -> None:
        """Takes the model, how its service was set when it was started, and what numbers calls."""
        self._model = model
        self._order = order
        self._settings = dict(settings or {})
        self._calls: list[tuple[Call, Settling | None]] = []
        self._bytes = 0
        self._incomplete_ns: int | None = None  # from when on calls are missing
        self.basis: Basis | None = None
        self.journal: Journaling | None = None

    def restart(self, basis: Basis | None = None) -> None:
        """Forgets all calls; what was built so far is the basis of those to come."""
        self._calls, self._bytes, self._incomplete_ns = [], 0, None
        self.basis = basis

    def break_off(self) -> None:
        """Says that from here on calls are missing: what happened before cannot be replayed."""
        self.restart(self.basis)
        self._incomplete_ns = self._model.now_ns

    def begin(self) -> None:
        """Lets a change be made; Unavailable says that it could not be kept."""
        if self.journal is not None:
            self.journal.begin()

    def record(self, request: Any) -> int:
        """Notes a call that has just been applied; the caller holds the border."""
        if self._incomplete_ns is not None and self.journal is None:
            return 0
        method, requests = _written(request)
        model = self._model
        attached = bool(model.driver or getattr(model, "attached", False))
        call = Call(model.now_ns, self._order.next(), attached, model.name, method, requests)
        self._append(call)
        return 0 if self.journal is None else self.journal.note(call)

    def settle(self, number: int) -> None:
        """Returns once a call is safe."""
        if self.journal is not None:
            self.journal.settle(number)

    def keep_time(self, border: Border) -> None:
        """Returns once the time that has been reached is safe."""
        if self.journal is not None:
            with border.change():
                number = self.journal.keep_time()
            self.journal.settle(number)

    def _append(self, call: Call) -> None:
        size = sum(map(len, call.requests))
        if self._incomplete_ns is not None:
            return
        if len(self._calls) >= CALLS_MAX or self._bytes + size > BYTES_MAX:
            self._incomplete_ns = call.time_ns
            return
        self._bytes += size
        self._calls.append((call, self._settling()))

    def _settling(self) -> Settling | None:
        links = getattr(self._model, "links", None)
        return links.settling if links is not None and links.waiting else None

    def save(self) -> Any:
        """Returns the calls, what they began with, and from when on some are missing."""
        calls = [
            call._replace(settled_ns=settling.at_ns) if settling else call
            for call, settling in self._calls
        ]
        return {
            "calls": calls,
            "waiting": sum(s is not None and s.at_ns is None for _, s in self._calls),
            "basis": self.basis,
            "incomplete_ns": self._incomplete_ns,
            "settings": self._settings,
        }

    def load(self, saved: Any) -> Callable[[], None]:
        """Returns what makes a snapshot's recording this one."""
        calls = list(saved["calls"])
        waiting = int(saved["waiting"])  # the last ones, which the next window's end carries out
        settled = len(calls) - waiting

        def put() -> None:
            self.restart(saved["basis"])
            self._order.pass_by(max((call.order for call in calls), default=0))
            self._calls = [(call, None) for call in calls[:settled]]
            self._calls += [(call, self._settling()) for call in calls[settled:]]
            self._bytes = sum(len(request) for call in calls for request in call.requests)
            self._incomplete_ns = saved["incomplete_ns"]

        return put


class RecordingDesk:
    """Serves the recording: of its own service to whoever starts it, of the stack to readers."""

    def __init__(
        self,
        recording: Recording,
        model: Any,
        border: Border,
        driver: Callable[[], Driver],
        traces: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        """Takes what returns the driver or refuses, and what returns the commands of traces."""
        self._recording = recording
        self._model = model
        self._border = border
        self._driver = driver
        self._traces = traces

    def start(self, request: pb.StartRecordingRequest) -> pb.StartRecordingResponse:
        """Begins anew."""
        with self._border.change():
            if self._model.now_ns:
                raise FailedPrecondition(
                    f"{self._model.name} stands at {self._model.now_ns} ns: only what begins at "
                    "time 0 can be replayed",
                    reason="TIME_HAS_MOVED",
                    resource=self._model.name,
                )
            given = request.HasField("scenario")
            basis = basis_of(request.scenario, self._traces()) if given else None
            self._recording.restart(basis)
        return pb.StartRecordingResponse()

    def read(self) -> Iterator[pb.GetRecordingResponse]:
        """Yields the parts of the whole stack's recording."""
        driver = self._driver()
        with self._border.change():
            pieces = driver.snapshot("recording", ("recording",))
            end = {
                "end_ns": driver.now_ns,
                "attached": self._model.attached,
                "digest": driver.digest(),
            }
        classes = {kind.__name__: kind for kind in CLASSES}
        recordings = {piece.service: piece.opened(classes)["recording"] for piece in pieces}
        basis = self._recording.basis or _empty(recordings, self._model.seed)
        part = ""
        for line in lines_of(recordings, basis, end):
            part += line
            if len(part) >= PART_BYTES:
                yield pb.GetRecordingResponse(data=part.encode())
                part = ""
        yield pb.GetRecordingResponse(data=part.encode())


def _empty(recordings: Mapping[str, Any], seed: int) -> Basis:
    """Returns a scenario of the same services, with nothing in them."""
    scenario = scenario_pb2.Scenario(seed=seed)
    for service, recording in sorted(recordings.items()):
        collection, _, name = service.partition("/")
        if collection == "arrays":
            scenario.arrays.add(name=name)
        elif collection == "multipaths":
            scenario.multipath.MergeFrom(
                multipath_pb2.Multipath(name=name, **recording["settings"])
            )
    return basis_of(scenario)


def basis_of(scenario: scenario_pb2.Scenario, traces: Mapping[str, Any] | None = None) -> Basis:
    """Returns what a stack was built from: a scenario, and the commands of its traces."""
    known = MessageToDict(scenario, preserving_proto_field_name=True)
    sums = {
        t: hashlib.sha256(records.tobytes()).hexdigest() for t, records in (traces or {}).items()
    }
    return Basis(json.dumps(known, sort_keys=True), tuple(sorted(sums.items())))


def lines_of(recordings: Mapping[str, Any], basis: Basis, end: Mapping[str, Any]) -> Iterator[str]:
    """Yields a recording's lines: what it begins with, every call in order, and its end."""
    missing = [r["incomplete_ns"] for r in recordings.values() if r["incomplete_ns"] is not None]
    yield _line(
        {
            "smokestack_recording": FORMAT,
            "services": list(recordings),
            "scenario": json.loads(basis.scenario),
            "traces": dict(basis.traces),
            "scenario_sha256": basis.sha256,
            **({"incomplete_from_ns": min(missing)} if missing else {}),
        }
    )
    calls = [call for recording in recordings.values() for call in recording["calls"]]
    for call in sorted(calls, key=lambda call: (call.time_ns, call.order)):
        yield _line(_call_json(call))
    yield _line(dict(end))


def _call_json(call: Call) -> dict[str, Any]:
    kind = REQUESTS[call.method]
    messages = [
        MessageToDict(kind.FromString(request), preserving_proto_field_name=True)
        for request in call.requests
    ]
    return {
        "time_ns": call.time_ns,
        **({} if call.settled_ns is None else {"settled_ns": call.settled_ns}),
        "attached": call.attached,
        "service": call.service,
        "method": call.method,
        **({"request": messages[0]} if len(messages) == 1 else {"requests": messages}),
    }


def _line(content: dict[str, Any]) -> str:
    return json.dumps(content, separators=(",", ":")) + "\n"


def _written(request: Any) -> tuple[str, tuple[bytes, ...]]:
    """Returns a call's method, and its messages as bytes."""
    if isinstance(request, Upload):
        kind = hypervisor_pb2.UploadTraceRequest
        parts = kind(description=request.description), kind(data=request.data)
        return METHODS[kind], tuple(part.SerializeToString(deterministic=True) for part in parts)
    return METHODS[type(request)], (request.SerializeToString(deterministic=True),)
