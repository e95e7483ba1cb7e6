"""Devices without a usable path in plain Python: what waits, and when all is lost for good."""

from __future__ import annotations

from collections.abc import Callable

from smokestack.multipath.specs import ApdHandling, DeviceState, MultipathSpec, NoPathRetry
from tests.reference.agenda import CHANGE, MULTIPATH, Agenda
from tests.reference.devices import Device

TIMER = -2  # of one time: before links, events, answers
WAITS = {
    NoPathRetry.FAIL: ApdHandling.FAIL,
    NoPathRetry.COUNT: ApdHandling.UNTIL_TIMEOUT,
    NoPathRetry.QUEUE: ApdHandling.HOLD,
}


class Losses:
    """The part of multipath that is about all paths down."""

    _agenda: Agenda
    _spec: MultipathSpec
    _pump: Callable[[Device], None]

    def _waits(self, device: Device) -> bool:
        """Whether I/O without a path waits for one."""
        handling = WAITS.get(device.handling.no_path_retry, self._spec.apd_handling)
        if not device.paths or handling is ApdHandling.FAIL:
            return False
        if device.state is DeviceState.APD_TIMEOUT:
            return handling is ApdHandling.HOLD
        return device.state is DeviceState.APD

    def _judge(self, device: Device) -> None:
        """Finds out whether a device has just lost its last usable path, or got one back."""
        if not device.paths:
            return
        is_on = device.state is DeviceState.ON
        if any(path.usable for path in device.paths):
            device.state = DeviceState.ON
            if not is_on:
                self._agenda.add((self._agenda.now, CHANGE, 2, 0, 0), self._pump, device)
        elif all(path.gone for path in device.paths):
            device.state = DeviceState.PDL
        elif is_on:
            device.state = DeviceState.APD
            lasts = self._spec.apd_timeout_ns
            if device.handling.no_path_retry is NoPathRetry.COUNT:
                lasts = device.handling.no_path_retry_count * device.handling.polling_interval_ns
            device.apd_ends = self._agenda.now + lasts
            key = (device.apd_ends, MULTIPATH, TIMER, 0, 0)
            self._agenda.add(key, self._times_out, device)

    def _times_out(self, device: Device) -> None:
        if device.state is DeviceState.APD and device.apd_ends == self._agenda.now:
            device.state = DeviceState.APD_TIMEOUT
            self._pump(device)
