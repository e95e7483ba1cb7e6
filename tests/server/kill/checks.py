"""What has to hold of a directory that a kill has left, looked at from the inside."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from smokestack.array.model import ArrayModel
from smokestack.array.state import BLOCK_NUMBER_BITS
from smokestack.server.recovery import kept_in
from smokestack.server.rooms import array_room
from tests.server.durable_array import check_sums

from .clients import Api, Client, holdings_of
from .driver import Lock, Written
from .ledger import Holdings

# Pages survive from half a second on, and one second is promised; a busy machine gets some more,
# for each of the few waits for it and for its disk that lie between.
LOST_SECONDS_MAX: Final = 1.5
_WAITS: Final = 4


@dataclass
class Checked:
    """What was found in one directory."""

    wrong: list[str] = field(default_factory=list)
    holdings: dict[str, Holdings] = field(default_factory=dict)
    now_ns: int = 0
    pages: int = 0
    lost_seconds: float = 0.0  # how long before the kill the oldest I/O was answered that is gone


def check(
    state: Path, clients: list[Client], written: Written, killed: float, beat_seconds: float
) -> Checked:
    """Brings an array back from a copy of its directory, and compares it with what was told.

    ``beat_seconds`` is the longest that the machine kept a small durable write waiting.
    """
    room = array_room("a1")
    with kept_in(room, state):
        found = Checked(holdings=holdings_of(Api(room.api, room.simulation), clients))
        with room.border.change():
            _check_inside(room.model, found)
            lost = LOST_SECONDS_MAX + _WAITS * beat_seconds
            safe = max([killed - lost, *(client.answered_from for client in clients)])
            _check_written(room.model, written, killed, safe, found)
            _check_locks(room.model, written, safe, found)
    return found


def _check_inside(model: ArrayModel, found: Checked) -> None:
    """Checks sums, references and LUN maps."""
    try:
        check_sums(model)
    except AssertionError as error:
        found.wrong.append(f"sums: {' '.join(str(error).split())}")
    luns = Counter((export.host_id, export.lun) for export in model.exports.values())
    found.wrong += [f"{at} is given {n} times" for at, n in luns.items() if n > 1]
    expected = {
        (volume, host, initiator.name, port.port_id)
        for volume, host in model.exports
        for initiator in model.hosts[host].initiators
        for port in model.ports.values()
        if port.fabric == initiator.fabric
    }
    valid = [
        (itl, row)
        for itl, row in zip(model.itls, model.state.used("itl"), strict=True)
        if row["valid"]
    ]
    if Counter(itl for itl, _ in valid) != Counter(expected):
        found.wrong.append("nexuses are not those of the exports")
    for (volume, _, _, port), row in valid:
        if (row["volume"], row["port"]) != (
            model.row_of("volumes", volume),
            model.row_of("ports", port),
        ):
            found.wrong.append(f"a nexus of {volume} leads elsewhere")
    newest = model.events.last
    while model.events.get(newest).kind == "RESERVATIONS_CHANGED":  # which a power-on ends
        newest -= 1
    if model.events.get(newest).kind != "RECOVERED":
        found.wrong.append("nothing was told of the recovery")


def _check_locks(model: ArrayModel, written: Written, safe: float, found: Checked) -> None:
    """Checks the values of blocks: the last one that was safe is there, or one asked for since."""
    names = {model.row_of("volumes", volume): volume for volume in model.volumes}
    values = {
        (names[(key >> BLOCK_NUMBER_BITS) - 1], key & ((1 << BLOCK_NUMBER_BITS) - 1)): value
        for key, value in model.state["block"].tolist()
        if key and (key >> BLOCK_NUMBER_BITS) - 1 in names  # else it is a snapshot's
    }
    of_io = {place for place in values if place[0].startswith("io-")}
    strange = of_io - written.locks.keys()
    found.wrong += [f"{len(strange)} blocks have values that nobody gave"] * bool(strange)
    found.wrong += [f"{written.missed} locks were not as they were told"] * bool(written.missed)
    for place, lock in written.locks.items():
        value = values.get(place, 0)
        if value not in lock.allowed(safe):
            found.wrong.append(f"block {place} has {value}, not of {lock}")
        written.locks[place] = Lock([value])


def _check_written(
    model: ArrayModel, written: Written, killed: float, safe: float, found: Checked
) -> None:
    """Checks time and pages: all up to a wall time are there, and none that nobody wrote."""
    found.now_ns = model.now_ns
    reached = max((ns for wall, ns in written.reached if wall <= safe), default=0)
    if model.now_ns < reached:
        found.wrong.append(f"it is {model.now_ns} ns, and {reached} ns had been reached in time")
    names = {model.row_of("volumes", volume): volume for volume in model.volumes}
    keys = model.state["page"]["key"]
    mapped = {
        (names[(key >> 40) - 1], key & ((1 << 40) - 1))
        for key in keys[keys != 0].tolist()
        if (key >> 40) - 1 in names  # else it is a snapshot's
    }
    found.pages = int((keys != 0).sum())
    strange = {
        page for page in mapped - written.asked if not model.volumes[page[0]].source_snapshot
    }
    if strange:
        found.wrong.append(f"{len(strange)} pages that nobody wrote, such as {min(strange)}")
    lost = {
        page: wall
        for page, wall in written.answered.items()
        if page not in mapped and page[0] in model.volumes
    }
    late = [page for page, wall in lost.items() if wall <= safe]
    if late:
        found.wrong.append(f"{len(late)} pages are gone that were safe, such as {min(late)}")
    found.lost_seconds = max((killed - wall for wall in lost.values()), default=0.0)
    written.answered = dict.fromkeys(mapped, 0.0)
    written.reached = [(0.0, model.now_ns)]
