"""Failback in plain Python: when a host has a volume moved back to where it should be."""

from __future__ import annotations

from collections.abc import Callable

from smokestack.engine.records import AccessState
from smokestack.multipath.specs import Failback
from tests.reference.agenda import MULTIPATH, Agenda
from tests.reference.devices import Device

TIMER = -2
GONE, HOME, MOVING, AWAY = range(4)
_SEEN = {AccessState.OPTIMIZED: HOME, AccessState.TRANSITIONING: MOVING}


class Failbacks:
    """The part of multipath that moves volumes back."""

    _agenda: Agenda
    _turn: Callable[[Device], None]

    def judge_failback(self, device: Device) -> None:
        """Acts on what has changed of the preferred group's paths."""
        there = [p for p in device.paths if p.access and p.preferred_group and p.alive]
        was = device.back_seen
        seen = max((_SEEN.get(AccessState(p.access), AWAY) for p in there), default=GONE)
        device.back_seen = seen
        if seen == was:
            return
        device.back_owed |= was == GONE
        if seen <= HOME:
            device.back_owed, device.back_due = False, None
            self._go_back(device, False)
        policy, goes = device.handling.failback, any(p.goes_back for p in device.paths)
        if seen != AWAY or policy is Failback.MANUAL or goes or device.back_due is not None:
            return
        if policy is Failback.FOLLOWOVER and not device.back_owed:
            return
        if policy is not Failback.DELAYED:
            self._go_back(device, True)
            return
        device.back_due = self._agenda.now + device.handling.failback_delay_ns
        key = (device.back_due, MULTIPATH, TIMER, 0, device.index)
        self._agenda.add(key, self._back_due, device, device.back_due)

    def _back_due(self, device: Device, due: int) -> None:
        if device.back_due == due:
            device.back_due = None
            self._go_back(device, True)
            self._turn(device)

    @staticmethod
    def _go_back(device: Device, goes: bool) -> None:
        for path in device.paths:
            path.goes_back = goes
