"""Replays a recording: builds the stack from its scenario, and makes every call again at its time.

The same calls at the same borders give the same digest; anything else is told, with the line where
the two histories part.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.json_format import ParseDict, ParseError

from smokestack.engine.errors import FailedPrecondition, InvalidArgument, Refused
from smokestack.v1 import scenario_pb2

from .recording import FORMAT, REQUESTS, basis_of
from .stack import Stack

_LINE_SHOWN: Final = 60


@dataclass(frozen=True)
class Line:
    """One call of a recording, checked."""

    number: int  # from 1, as people count lines
    time_ns: int
    settled_ns: int
    attached: bool
    service: str
    method: str
    requests: tuple[Any, ...]


@dataclass(frozen=True)
class Recorded:
    """A recording that has been read and checked whole."""

    scenario: scenario_pb2.Scenario
    scenario_sha256: str
    services: tuple[str, ...]
    lines: tuple[Line, ...]
    end_ns: int
    attached: bool
    digest: str


@dataclass(frozen=True)
class Replayed:
    """What came of a replay; ``stack`` stands where the recording ends."""

    stack: Stack
    recorded: Recorded
    digest: str

    @property
    def same(self) -> bool:
        """Whether the digest is the recording's."""
        return self.digest == self.recorded.digest


def replay(
    data: bytes,
    scenario: scenario_pb2.Scenario | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Replayed:
    """Replays a recording's bytes, on its own scenario or on an equal one that is given.

    ``progress`` is told of each line that is done, and of how many there are.
    """
    recorded = read_recording(data)
    stack = Stack(scenario or recorded.scenario)
    try:
        _check_basis(stack, recorded)
        settled_ns = 0
        for done, line in enumerate(recorded.lines):
            _settle(stack, line, settled_ns)
            _repeat(stack, line)
            settled_ns = max(settled_ns, line.settled_ns)
            if progress is not None:
                progress(done + 1, len(recorded.lines))
        _attach(stack, recorded.attached)
        if settled_ns > stack.hypervisor.model.now_ns:
            stack.hypervisor.model.go_on(settled_ns)
        if recorded.end_ns > stack.hypervisor.model.now_ns:
            stack.hypervisor.model.advance(recorded.end_ns)
    except BaseException:
        stack.close()
        raise
    return Replayed(stack, recorded, stack.hypervisor.model.digest())


def _check_basis(stack: Stack, recorded: Recorded) -> None:
    """Refuses a stack that does not begin as the recorded one did."""
    traces = stack.hypervisor.api.trace_records()
    found = basis_of(stack.scenario, traces).sha256
    if found != recorded.scenario_sha256:
        raise FailedPrecondition(
            "the recording is of another scenario (or other trace files): its hash is "
            f"{recorded.scenario_sha256[:16]}…, this one's is {found[:16]}…; replay it on the "
            "scenario that it was made with, or without one, on the one that it holds",
            reason="ANOTHER_SCENARIO",
        )
    have = {room.name for room in stack.rooms}
    if have != set(recorded.services):
        raise FailedPrecondition(
            f"the recording is of {', '.join(recorded.services)}; its scenario makes "
            f"{', '.join(sorted(have))}",
            reason="ANOTHER_SCENARIO",
        )


def _repeat(stack: Stack, line: Line) -> None:
    """Goes to a call's time and makes it again."""
    model = stack.hypervisor.model
    _attach(stack, line.attached)
    if line.time_ns > model.now_ns:
        model.advance(line.time_ns)
    service, _, method = line.method.partition(".")
    api = stack.api.simulations[line.service]
    if service != "SimulationService":
        api = {room.name: room.api for room in stack.rooms}[line.service]
    try:
        if method == "SubmitIo":
            api.submit_unseen(line.requests[0])
        elif method == "UploadTrace":
            api.UploadTrace(iter(line.requests))
        else:
            getattr(api, method)(line.requests[0])
    except Refused as refused:
        raise FailedPrecondition(
            f"line {line.number}: {line.service} refuses what it did in the recording: "
            f"{refused.message}",
            reason="REPLAY_DIVERGED",
            resource=line.service,
        ) from refused


def _settle(stack: Stack, line: Line, settled_ns: int) -> None:
    """Runs the windows whose ends carried out what calls before this one had left to them.

    Calls of one time may have been made with a window between them that took no time.
    """
    model = stack.hypervisor.model
    if line.time_ns > model.now_ns:
        if settled_ns > model.now_ns:
            model.go_on(settled_ns)
    elif line.settled_ns > line.time_ns and settled_ns <= model.now_ns:
        model.advance(model.now_ns)


def _attach(stack: Stack, attached: bool) -> None:
    model = stack.hypervisor.model
    if attached and not model.attached:
        model.advance(model.now_ns)


# --- reading -----------------------------------------------------------------------------------


def read_recording(data: bytes) -> Recorded:
    """Reads and checks a whole recording; InvalidArgument names the line that is wrong."""
    lines = list(_json_lines(data))
    if not lines or lines[0][1].get("smokestack_recording") != FORMAT:
        found = lines[0][1].get("smokestack_recording") if lines else None
        raise _wrong(
            1,
            f"has format {found!r}, this version reads {FORMAT}"
            if found is not None
            else "does not begin a recording: give a file that GetRecording wrote",
        )
    head, (last, end) = lines[0][1], lines[-1]
    if len(lines) < 2 or "end_ns" not in end:
        raise _wrong(last, "does not end a recording: the file is cut short, download it again")
    if "incomplete_from_ns" in head:
        raise _wrong(
            1,
            f"says that calls are missing from {head['incomplete_from_ns']} ns on, for there were "
            "more than are kept: it cannot be replayed",
        )
    try:
        scenario = ParseDict(head["scenario"], scenario_pb2.Scenario())
        recorded = Recorded(
            scenario=scenario,
            scenario_sha256=str(head["scenario_sha256"]),
            services=tuple(map(str, head["services"])),
            lines=tuple(_call(number, line) for number, line in lines[1:-1]),
            end_ns=_time(end, "end_ns"),
            attached=bool(end["attached"]),
            digest=str(end["digest"]),
        )
    except (KeyError, TypeError, ParseError) as error:
        raise _wrong(1, f"or the last one lacks or misspells something: {error}") from None
    _check_order(recorded)
    return recorded


def _json_lines(data: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, text in enumerate(data.splitlines(), start=1):
        if not text.strip():
            continue
        try:
            content = json.loads(text)
        except (ValueError, RecursionError):
            shown = text[:_LINE_SHOWN].decode(errors="replace")
            raise _wrong(number, f"is no JSON: {shown!r}") from None
        if not isinstance(content, dict):
            raise _wrong(number, "is no JSON object")
        yield number, content


def _call(number: int, line: dict[str, Any]) -> Line:
    try:
        kind = REQUESTS[line["method"]]
        given = line["requests"] if "requests" in line else [line["request"]]
        time_ns = _time(line, "time_ns")
        return Line(
            number=number,
            time_ns=time_ns,
            settled_ns=_time(line, "settled_ns") if "settled_ns" in line else time_ns,
            attached=bool(line["attached"]),
            service=str(line["service"]),
            method=line["method"],
            requests=tuple(ParseDict(request, kind()) for request in given),
        )
    except (KeyError, TypeError, ParseError) as error:
        raise _wrong(number, f"is no call of this version's API: {error}") from None


def _time(line: dict[str, Any], field: str) -> int:
    value = line[field]
    if type(value) is not int or not 0 <= value < 1 << 62:
        raise TypeError(f"{field} is {value!r}, not a virtual time in ns")
    return value


def _check_order(recorded: Recorded) -> None:
    reached = 0
    for line in recorded.lines:
        if line.time_ns < reached or line.time_ns > recorded.end_ns:
            raise _wrong(
                line.number, f"is of {line.time_ns} ns, which is not within what is around it"
            )
        if line.service not in recorded.services:
            raise _wrong(line.number, f"is of {line.service!r}, which the first line does not name")
        reached = line.time_ns


def _wrong(number: int, description: str) -> InvalidArgument:
    return InvalidArgument(
        f"line {number} of the recording {description}", reason="RECORDING_DAMAGED"
    )
