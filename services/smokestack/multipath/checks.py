"""What multipath refuses before anything changes, field by field."""

from __future__ import annotations

from typing import Final

from smokestack.engine.checks import identifier, in_range
from smokestack.engine.errors import InvalidArgument

from .inventory import Device
from .specs import MultipathHostSpec, MultipathSpec, Selector

_DELAY_NS_MAX: Final = 60 * 10**9


def check_multipath(spec: MultipathSpec) -> None:
    """Refuses settings of the whole layer that are out of range."""
    identifier("multipath.name", spec.name)
    in_range("multipath.qfull_retry_delay_ns", spec.qfull_retry_delay_ns, 0, _DELAY_NS_MAX)
    in_range("multipath.not_ready_retry_delay_ns", spec.not_ready_retry_delay_ns, 0, _DELAY_NS_MAX)


def check_host(spec: MultipathHostSpec) -> None:
    """Refuses a host without initiators, or with settings that no device takes."""
    identifier("host.host_id", spec.host_id)
    if not spec.initiators:
        raise InvalidArgument.at("host.initiators", "is empty: give at least one")
    for index, initiator in enumerate(spec.initiators):
        identifier(f"host.initiators[{index}]", initiator)
    _check_selector("host.selector", spec.selector)
    in_range("host.lun_queue_depth", spec.lun_queue_depth, 1, 4096)
    in_range("host.ios_per_path", spec.ios_per_path, 1, 1 << 30)


def check_update(
    device: Device,
    lun_queue_depth: int | None,
    selector: Selector | None,
    ios_per_path: int | None,
    preferred_path: str | None,
) -> None:
    """Refuses settings that a device cannot take; None leaves a setting as it is."""
    if lun_queue_depth is not None:
        in_range("device.lun_queue_depth", lun_queue_depth, 1, 4096)
    if selector is not None:
        _check_selector("device.selector", selector)
    if ios_per_path is not None:
        in_range("device.ios_per_path", ios_per_path, 1, 1 << 30)
    if preferred_path and preferred_path not in device.paths:
        raise InvalidArgument.at(
            "device.preferred_path",
            f"{preferred_path!r} is no path of {device.name}: use one of {', '.join(device.paths)}",
        )


def _check_selector(field: str, selector: Selector) -> None:
    if selector not in tuple(Selector):
        raise InvalidArgument.at(field, "is none of " + ", ".join(s.name for s in Selector))
