"""Persistent reservations: which hosts of a volume may read and write it, as clusters arrange.

A host registers a key, and a registered one may reserve the volume, for itself or for all that are
registered (SPC-4 5.13, from memory; FACTS 4.1 and 4.3 have the status and the attentions).  An
I_T nexus registers by the standard; here a host does, with all its nexuses at once, as tools do
that send the same key through every path.  Commands of nexuses that a reservation excludes are
answered RESERVATION CONFLICT (18h); the kernel knows only which nexuses that are.

PREEMPT AND ABORT is PREEMPT, and ends the commands of those who lose their registrations: they are
answered TASK ABORTED where the volume's TAS is set, else not at all (SAM-5 5.6).  The old
RESERVE(6) and RELEASE(6) are not modelled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

from smokestack.engine.checks import in_range
from smokestack.engine.errors import FailedPrecondition, InvalidArgument, NotFound
from smokestack.engine.event_kinds import EventKind
from smokestack.engine.records import Attention

if TYPE_CHECKING:
    from .inventory import ArrayInventory

KEY_MAX: Final = (1 << 63) - 1


class ReservationType(IntEnum):
    """Whom a reservation keeps from what; the numbers are the standard's."""

    WRITE_EXCLUSIVE = 1  # all but the holder from writing
    EXCLUSIVE_ACCESS = 3  # ... from anything
    WRITE_EXCLUSIVE_REGISTRANTS_ONLY = 5  # all who are not registered from writing
    EXCLUSIVE_ACCESS_REGISTRANTS_ONLY = 6
    WRITE_EXCLUSIVE_ALL_REGISTRANTS = 7  # the same, and all who are registered hold it
    EXCLUSIVE_ACCESS_ALL_REGISTRANTS = 8


class ReservationAction(IntEnum):
    """What PERSISTENT RESERVE OUT does; the standard's numbers plus 1."""

    REGISTER = 1
    RESERVE = 2
    RELEASE = 3
    CLEAR = 4
    PREEMPT = 5
    PREEMPT_AND_ABORT = 6
    REGISTER_AND_IGNORE_EXISTING_KEY = 7


_READS_TOO: Final = frozenset(
    {
        ReservationType.EXCLUSIVE_ACCESS,
        ReservationType.EXCLUSIVE_ACCESS_REGISTRANTS_ONLY,
        ReservationType.EXCLUSIVE_ACCESS_ALL_REGISTRANTS,
    }
)
_ALL_HOLD: Final = frozenset(
    {
        ReservationType.WRITE_EXCLUSIVE_ALL_REGISTRANTS,
        ReservationType.EXCLUSIVE_ACCESS_ALL_REGISTRANTS,
    }
)
_OF_REGISTRANTS: Final = _ALL_HOLD | {
    ReservationType.WRITE_EXCLUSIVE_REGISTRANTS_ONLY,
    ReservationType.EXCLUSIVE_ACCESS_REGISTRANTS_ONLY,
}
_REGISTERS: Final = (
    ReservationAction.REGISTER,
    ReservationAction.REGISTER_AND_IGNORE_EXISTING_KEY,
)
# What a nexus is kept from; the kernel has the same numbers.
FREE, NO_WRITES, NOTHING = 0, 1, 2
READ_ONLY: Final = 4  # beside these: its export says so


@dataclass(frozen=True)
class ReserveOut:
    """One PERSISTENT RESERVE OUT of a host."""

    host_id: str
    action: ReservationAction
    key: int = 0  # the host's, as it is registered
    service_key: int = 0  # to be registered, or to be preempted
    kind: ReservationType | None = None  # all but the REGISTER actions and CLEAR
    aptpl: bool = False  # REGISTER: activate persist through power loss


@dataclass(frozen=True)
class Reservations:
    """What a volume knows of registrations and its reservation."""

    keys: tuple[tuple[str, int], ...] = ()  # by host, sorted
    kind: ReservationType | None = None  # None: not reserved
    holder: str = ""  # a host; empty where all registered ones hold it
    generation: int = 0  # counts what registers, clears and preempts
    aptpl: bool = False  # it outlives a loss of power
    told: int = 0  # number of the event of the last change

    def excluded(self, host_id: str) -> int:
        """Returns what a host is kept from: FREE, NO_WRITES or NOTHING is left to it."""
        if self.kind is None or self.holder == host_id:
            return FREE
        if self.kind in _OF_REGISTRANTS and host_id in dict(self.keys):
            return FREE
        return NOTHING if self.kind in _READS_TOO else NO_WRITES

    def without(self, hosts: set[str]) -> Reservations:
        """Returns what is left when hosts are not registered any more."""
        keys = tuple(entry for entry in self.keys if entry[0] not in hosts)
        left = replace(self, keys=keys)
        if not keys or self.holder in hosts:
            left = replace(left, kind=None, holder="")
        return left


def carried_out(now: Reservations, out: ReserveOut) -> tuple[Reservations, Mapping[str, Attention]]:
    """Returns what a command makes of reservations, and what which hosts hear of it."""
    own = dict(now.keys).get(out.host_id, 0)
    if out.action is not ReservationAction.REGISTER_AND_IGNORE_EXISTING_KEY and out.key != own:
        raise _conflict(f"{out.host_id} is registered with key {own}, not {out.key}")
    if out.action in _REGISTERS:
        return _registered(now, out)
    if not own:
        raise _conflict(f"{out.host_id} is not registered: REGISTER a key first")
    others = [host for host, _ in now.keys if host != out.host_id]
    if out.action is ReservationAction.CLEAR:
        cleared = Reservations(generation=now.generation + 1, aptpl=now.aptpl)
        return cleared, dict.fromkeys(others, Attention.RESERVATIONS_PREEMPTED)
    if out.kind is None:
        raise InvalidArgument.at("type", f"is not set: {out.action.name} needs it")
    if out.action is ReservationAction.RESERVE:
        return _reserved(now, out, out.kind), {}
    if out.action is ReservationAction.RELEASE:
        return _released(now, out, others)
    return _preempted(now, out, others)


def _conflict(why: str) -> FailedPrecondition:
    return FailedPrecondition(f"RESERVATION CONFLICT: {why}", reason="RESERVATION_CONFLICT")


def _registered(now: Reservations, out: ReserveOut) -> tuple[Reservations, Mapping[str, Attention]]:
    if not out.service_key:
        left, told = unregistered(now, out.host_id)
        return replace(left, generation=now.generation + 1), told
    keys = tuple(sorted({**dict(now.keys), out.host_id: out.service_key}.items()))
    return replace(now, keys=keys, generation=now.generation + 1, aptpl=out.aptpl), {}


def unregistered(now: Reservations, host_id: str) -> tuple[Reservations, Mapping[str, Attention]]:
    """Returns what is left without a host; others hear if that ends their reservation."""
    left = now.without({host_id})
    ended = now.kind in _OF_REGISTRANTS and left.kind is None
    told = dict.fromkeys((host for host, _ in left.keys), Attention.RESERVATIONS_RELEASED)
    return left, told if ended else {}


def _holds(now: Reservations, host_id: str) -> bool:
    return now.kind is not None and (now.kind in _ALL_HOLD or now.holder == host_id)


def _held_by(host_id: str, kind: ReservationType) -> str:
    return "" if kind in _ALL_HOLD else host_id


def _reserved(now: Reservations, out: ReserveOut, kind: ReservationType) -> Reservations:
    if now.kind is None:
        return replace(now, kind=kind, holder=_held_by(out.host_id, kind))
    if _holds(now, out.host_id) and now.kind is kind:
        return now
    who = now.holder or "all registered hosts"
    raise _conflict(f"it is reserved as {now.kind.name} by {who}: RELEASE or PREEMPT that")


def _released(
    now: Reservations, out: ReserveOut, others: list[str]
) -> tuple[Reservations, Mapping[str, Attention]]:
    if not _holds(now, out.host_id):
        return now, {}
    if now.kind is not out.kind and now.kind is not None:
        raise InvalidArgument.at("type", f"the volume is reserved as {now.kind.name}: release that")
    told = others if now.kind in _OF_REGISTRANTS else []
    return replace(now, kind=None, holder=""), dict.fromkeys(told, Attention.RESERVATIONS_RELEASED)


def _preempted(
    now: Reservations, out: ReserveOut, others: list[str]
) -> tuple[Reservations, Mapping[str, Attention]]:
    keys, all_hold = dict(now.keys), now.kind in _ALL_HOLD
    victims = {host for host in others if keys[host] == out.service_key}
    if not out.service_key and not all_hold:
        raise InvalidArgument.at(
            "service_action_reservation_key", "is 0: give the key that is to be preempted"
        )
    if not out.service_key:
        victims = set(others)
    takes = all_hold and not out.service_key
    takes |= now.holder != "" and keys[now.holder] == out.service_key
    if not victims and not takes:
        raise _conflict(f"nobody else is registered with key {out.service_key}")
    left = replace(now.without(victims), generation=now.generation + 1)
    told = dict.fromkeys(victims, Attention.REGISTRATIONS_PREEMPTED)
    if takes and out.kind is not None:
        left = replace(left, kind=out.kind, holder=_held_by(out.host_id, out.kind))
        if out.kind is not now.kind:
            told |= dict.fromkeys(set(others) - victims, Attention.RESERVATIONS_RELEASED)
    return left, told


class ReservationBook:
    """The reservations of one array's volumes; they change at borders, and with the power."""

    def __init__(self, array: ArrayInventory) -> None:
        self._array = array
        self.held: dict[str, Reservations] = {}  # by volume; those that know of none are left out

    def of(self, volume_id: str) -> Reservations:
        """Returns a volume's."""
        return self.held.get(volume_id, Reservations())

    def carry_out(self, volume_id: str, out: ReserveOut) -> Reservations:
        """Does what a host wants, or refuses it as the volume would."""
        array = self._array
        if (volume_id, out.host_id) not in array.exports:
            raise NotFound.of(f"{array.name}/exports/{volume_id}.{out.host_id}")
        for field, key in (
            ("reservation_key", out.key),
            ("service_action_reservation_key", out.service_key),
        ):
            in_range(field, key, 0, KEY_MAX)
        new, told = carried_out(self.of(volume_id), out)
        done = self._put(volume_id, new, told, by=out.host_id, action=out.action.name)
        if out.action is ReservationAction.PREEMPT_AND_ABORT and array.driver is not None:
            for host_id, attention in sorted(told.items()):
                if attention is Attention.REGISTRATIONS_PREEMPTED:
                    array.links.change("abort", f"{volume_id}.{host_id}", enabled=False)
        return done

    def leave(self, volume_id: str, host_id: str) -> None:
        """Forgets a host that the volume is not shown to any more."""
        now = self.of(volume_id)
        if host_id in dict(now.keys):
            new, told = unregistered(now, host_id)
            self._put(volume_id, new, told, by=host_id, action="UNEXPORT")

    def lose_power(self, at_ns: int, cause: str) -> None:
        """Forgets all that does not persist through a loss of power."""
        for volume_id, now in sorted(self.held.items()):
            if not now.aptpl:
                self._put(volume_id, Reservations(), {}, at_ns, cause, action="POWER_LOSS")

    def forget(self, volume_id: str) -> None:
        """Forgets a volume that is deleted."""
        self.held.pop(volume_id, None)

    def fit(self, volume_id: str) -> None:
        """Tells the kernel which nexuses of a volume are kept from what."""
        array, now = self._array, self.of(volume_id)
        rows = array.state["itl"]
        for index in array.itls_by_volume.get(volume_id, ()):
            kept = int(rows[index]["excluded"]) & READ_ONLY
            rows[index]["excluded"] = kept | now.excluded(array.itls[index][1])
        unit = array.state["volume"][array.row_of("volumes", volume_id)]["unit"]
        if unit:
            array.state["unit"][unit]["reserved"] = now.told if now.kind is not None else 0

    def _put(
        self,
        volume_id: str,
        new: Reservations,
        told: Mapping[str, Attention],
        at_ns: int | None = None,
        cause: str = "",
        **detail: str,
    ) -> Reservations:
        array = self._array
        if new == self.of(volume_id):
            return new
        detail["type"] = "" if new.kind is None else new.kind.name
        event = array.events.add(
            array.acts_ns if at_ns is None else at_ns,
            EventKind.RESERVATIONS_CHANGED,
            f"{array.name}/volumes/{volume_id}",
            cause,
            detail={**detail, "holder": new.holder, "registered": len(new.keys)},
        )
        new = replace(new, told=event.number)
        self.held[volume_id] = new
        if new == Reservations(told=new.told):
            del self.held[volume_id]
        self.fit(volume_id)
        for host_id, attention in sorted(told.items()):
            array.establish_attention(attention, event.number, volume_id=volume_id, host_id=host_id)
        return new

    # --- snapshots --------------------------------------------------------------------------

    def save(self) -> Any:
        """Returns a copy of all of it."""
        return self.held.copy()

    def put(self, saved: Any) -> None:
        """Puts a copy in place, where the kernel's rows are of any time."""
        known = set(self.held) | set(saved)
        self.held = dict(saved)
        for volume_id in known & set(self._array.volumes):
            self.fit(volume_id)

    def load(self, saved: Any) -> Callable[[], None]:
        """Returns what puts a copy in place, where the kernel's rows are of the same time."""
        held = dict(saved)

        def put() -> None:
            self.held = held

        return put
