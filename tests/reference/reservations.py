"""Persistent reservations in plain Python: a volume's registrations, its reservation, its rules."""

from __future__ import annotations

from smokestack.array.reservations import ReservationAction, ReservationType, ReserveOut
from smokestack.engine.records import Attention

Heard = dict[str, Attention]  # by host
_NAMES = {kind: kind.name for kind in ReservationType}


class Refused(Exception):
    """The volume answers RESERVATION CONFLICT, or calls the request invalid."""


class Reservation:
    """What one volume knows; hosts register with all their nexuses at once."""

    def __init__(self) -> None:
        self.keys: dict[str, int] = {}
        self.kind: ReservationType | None = None
        self.by: str | None = None  # the host that reserved it
        self.aptpl = False
        self.generation = 0

    def holders(self) -> set[str]:
        """The hosts that hold the reservation."""
        if self.kind is None:
            return set()
        if _NAMES[self.kind].endswith("ALL_REGISTRANTS"):
            return set(self.keys)
        return {self.by} if self.by is not None else set()

    def conflicts(self, host: str, *, writes: bool) -> bool:
        """Whether a host's command may not go on."""
        if self.kind is None or host in self.holders():
            return False
        if "REGISTRANTS" in _NAMES[self.kind] and host in self.keys:
            return False
        return writes or _NAMES[self.kind].startswith("EXCLUSIVE_ACCESS")

    def out(self, out: ReserveOut) -> Heard:
        """Carries out a host's PERSISTENT RESERVE OUT; returns who hears what of it."""
        host, action, kind = out.host_id, out.action, out.kind
        ignores = action is ReservationAction.REGISTER_AND_IGNORE_EXISTING_KEY
        if not ignores and out.key != self.keys.get(host, 0):
            raise Refused
        if ignores or action is ReservationAction.REGISTER:
            self.generation += 1
            if not out.service_key:
                return self.leave(host)
            self.keys[host], self.aptpl = out.service_key, out.aptpl
            return {}
        if host not in self.keys:
            raise Refused
        others = set(self.keys) - {host}
        if action is ReservationAction.CLEAR:
            self.keys, self.kind, self.by = {}, None, None
            self.generation += 1
            return dict.fromkeys(others, Attention.RESERVATIONS_PREEMPTED)
        if kind is None:
            raise Refused
        if action is ReservationAction.RESERVE:
            if self.kind is not None and not (host in self.holders() and self.kind is kind):
                raise Refused
            if self.kind is None:
                self.kind, self.by = kind, host
            return {}
        if action is ReservationAction.RELEASE:
            return self._release(host, kind, others)
        return self._preempt(host, out.service_key, kind, others)

    def leave(self, host: str) -> Heard:
        """Ends a host's registration."""
        self.keys.pop(host, None)
        return self._fit()

    def lose_power(self) -> None:
        """Forgets what does not persist."""
        if not self.aptpl:
            self.keys, self.kind, self.by, self.generation = {}, None, None, 0

    def _fit(self) -> Heard:
        """Ends a reservation that nobody holds any more."""
        if self.kind is None:
            return {}
        if self.keys and self.holders() <= set(self.keys) and self.holders():
            return {}
        told = set(self.keys) if "REGISTRANTS" in _NAMES[self.kind] else set()
        self.kind = self.by = None
        return dict.fromkeys(told, Attention.RESERVATIONS_RELEASED)

    def _release(self, host: str, kind: ReservationType, others: set[str]) -> Heard:
        if host not in self.holders():
            return {}
        if self.kind is not kind:
            raise Refused
        self.kind = self.by = None
        told = others if "REGISTRANTS" in _NAMES[kind] else set()
        return dict.fromkeys(told, Attention.RESERVATIONS_RELEASED)

    def _preempt(
        self, host: str, service_key: int, kind: ReservationType, others: set[str]
    ) -> Heard:
        was, all_hold = self.kind, self.kind and _NAMES[self.kind].endswith("ALL_REGISTRANTS")
        if not service_key and not all_hold:
            raise Refused
        victims = {other for other in others if not service_key or self.keys[other] == service_key}
        takes = bool(all_hold and not service_key)
        if was is not None and not all_hold:
            takes = {self.keys[held] for held in self.holders()} == {service_key}
        if not victims and not takes:
            raise Refused
        for victim in victims:
            del self.keys[victim]
        self.generation += 1
        told = dict.fromkeys(victims, Attention.REGISTRATIONS_PREEMPTED)
        if takes:
            self.kind, self.by = kind, host
            if kind is not was:
                told |= dict.fromkeys(others - victims, Attention.RESERVATIONS_RELEASED)
        return told
