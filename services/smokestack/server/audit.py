"""Compares what is advertised with what is observed, as an array, as its hosts, and as both see it.

Every check is of figures that cannot be so in an honest stack, not of thresholds:

- What hosts have had answered, an array must have answered, in no more time than they waited.
- No command is sent beyond a device's size, so none can be out of range.
- A logical unit has one identifier, and never another.
- A path is dead as long as its port's link is down, and no longer.
- A write is refused only if fewer pages are free than it needs, or than are kept back.

What travels or waits for a rescan is no lie: a volume only grows, and a link event takes the return
latency.  Counts of an array that has been started anew are not compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from smokestack.engine.paging import page
from smokestack.v1 import estate_pb2 as pb

from .observations import ArrayView, HostView, Joined, Seen, joined
from .topology import Part

CAPACITY: Final = pb.AUDIT_KIND_CAPACITY
LATENCY: Final = pb.AUDIT_KIND_LATENCY
PATH_STATE: Final = pb.AUDIT_KIND_PATH_STATE
IDENTITY: Final = pb.AUDIT_KIND_IDENTITY
RESPONSES_MIN: Final = 100  # from so many on a mean is held against a service level
_ACTIVE, _DEAD = "ACTIVE", "DEAD"


class Finding(NamedTuple):
    """What does not fit; a message but for who sees it."""

    kind: pb.AuditKind
    resource: str
    advertised: str
    observed: str
    evidence: str


def audit(request: pb.AuditAdvertisedRequest, parts: list[Part]) -> pb.AuditAdvertisedResponse:
    """Reads all parts and returns the page that was asked for."""
    seen = Seen(parts)
    found: dict[str, pb.AuditFinding] = {}
    for view, findings in (
        (pb.AUDIT_VIEW_ARRAY, [f for array in seen.arrays for f in array_alone(array)]),
        (pb.AUDIT_VIEW_HOST, list(hosts_alone(seen.hosts, seen.offline()))),
        (pb.AUDIT_VIEW_JOINED, [f for array in seen.arrays for f in both(joined(seen, array))]),
    ):
        for finding in findings:
            key = f"{finding.kind} {finding.resource}"
            message = found.setdefault(key, pb.AuditFinding(**finding._asdict()))
            if view not in message.views:
                message.views.append(view)
    for message in found.values():
        if pb.AUDIT_VIEW_JOINED not in message.views:
            message.views.append(pb.AUDIT_VIEW_JOINED)
    chosen, token = page(found, request.page_size, request.page_token, "AuditAdvertised")
    return pb.AuditAdvertisedResponse(
        findings=[found[key] for key in chosen],
        parts=[part.message_of() for part in parts],
        next_page_token=token,
    )


# --- one array alone ----------------------------------------------------------------------------


def array_alone(array: ArrayView) -> Iterator[Finding]:
    """Yields where an array contradicts itself."""
    for pool, missing_bytes in array.refusals():
        free_bytes = pool.free_bytes
        if missing_bytes <= free_bytes and free_bytes > pool.emergency_bytes:
            yield Finding(
                CAPACITY,
                pool.name,
                f"{_size(free_bytes)} free of {_size(pool.capacity_bytes)}",
                f"a write that needed {_size(missing_bytes)} was refused",
                f"{array.name} has told POOL_EXHAUSTED and no space gained since; its pool says "
                f"that {free_bytes} bytes are free and {pool.allocated_bytes} allocated",
            )
    for volume in array.volumes.values():
        if volume.response_count >= RESPONSES_MIN:
            yield from _broken_promise(
                volume, volume.mean_response_ns, f"as {array.name} itself says"
            )


def _broken_promise(volume: Any, mean_ns: int, who: str) -> Iterator[Finding]:
    if 0 < volume.service_level_ns < mean_ns:
        yield Finding(
            LATENCY,
            volume.name,
            f"a mean of {_time(volume.service_level_ns)} is promised",
            f"a mean of {_time(mean_ns)}",
            f"service_level_ns is {volume.service_level_ns}, the mean is {mean_ns} ns {who}",
        )


# --- hosts alone --------------------------------------------------------------------------------


def hosts_alone(hosts: HostView, offline: set[str]) -> Iterator[Finding]:
    """Yields what no host can take for true, but for what arrays admit: volumes that are offline.

    That is no figure of a host's; but what is admitted is no lie.
    """
    for device in hosts.devices.values():
        if device.identifier != device.found_identifier:
            yield Finding(
                IDENTITY,
                device.name,
                device.found_identifier,
                device.identifier,
                "the last rescan found another identifier than the one that the device had when "
                "it was found",
            )
        beyond = [path for path in hosts.paths[device.name] if path.out_of_range_count]
        if beyond:
            count = sum(path.out_of_range_count for path in beyond)
            yield Finding(
                CAPACITY,
                device.volume,
                _size(device.capacity_bytes),
                "smaller",
                f"{count} commands within that size were answered LBA OUT OF RANGE (5/21/00) on "
                f"{device.name}",
            )
        for path in hosts.paths[device.name]:
            admitted = device.volume in offline
            if path.not_ready_ns and _state(path) == _ACTIVE and not admitted:
                yield Finding(
                    PATH_STATE,
                    path.name,
                    _ACTIVE,
                    "NOT READY",
                    f"the path is said to be ACTIVE; the last answer on it, at {path.not_ready_ns} "
                    "ns, was NOT READY (2/04/0A to 0C)",
                )


# --- both ---------------------------------------------------------------------------------------


def both(seen: Joined) -> Iterator[Finding]:
    """Yields where an array and its hosts contradict one another."""
    for device in seen.devices:
        volume = seen.array.volumes.get(device.volume)
        if volume is not None:
            yield from _of_device(device, volume)
    for volume in seen.array.volumes.values():
        yield from _of_counts(seen, volume)
    for device in seen.devices:
        if seen.is_exported(device):
            for path in seen.paths(device):
                yield from _of_path(seen, path)


def _of_device(device: Any, volume: Any) -> Iterator[Finding]:
    if device.capacity_bytes > volume.capacity_bytes:
        yield Finding(
            CAPACITY,
            volume.name,
            _size(device.capacity_bytes),
            _size(volume.capacity_bytes),
            f"{device.name} was told {device.capacity_bytes} bytes, the array's volume has "
            f"{volume.capacity_bytes}, and volumes never shrink",
        )
    if device.identifier != volume.identifier:
        yield Finding(
            IDENTITY,
            device.name,
            volume.identifier,
            device.identifier,
            f"{volume.name} has the one identifier, its logical unit has told the other",
        )


def _of_counts(seen: Joined, volume: Any) -> Iterator[Finding]:
    """Compares what hosts had answered with what the volume has answered."""
    heard = seen.heard(volume.name)
    if heard is None:
        return
    if heard.count > volume.response_count:
        yield Finding(
            IDENTITY,
            volume.name,
            f"{heard.count} commands answered",
            f"{volume.response_count} commands answered",
            f"hosts had {heard.count} commands to it answered, it has answered "
            f"{volume.response_count}: the others went elsewhere",
        )
        return
    said_ns = volume.response_count * (volume.mean_response_ns + 1)  # means are rounded down
    if heard.array_ns > said_ns:
        mean_ns = heard.array_ns // heard.count
        yield Finding(
            LATENCY,
            volume.name,
            f"a mean of {_time(volume.mean_response_ns)}",
            f"a mean of {_time(mean_ns)} within the array",
            f"{heard.count} commands took hosts {heard.array_ns} ns less the fabric's latency; the "
            f"array says that {volume.response_count} took it {said_ns} ns",
        )
    elif heard.count >= RESPONSES_MIN:
        mean_ns = heard.array_ns // heard.count
        yield from _broken_promise(volume, mean_ns, "as hosts have seen, less the fabric's latency")


def _of_path(seen: Joined, path: Any) -> Iterator[Finding]:
    port = seen.array.ports.get(path.port)
    if port is None or not seen.is_heard(port):
        return
    link, state = "up" if port.link_up else "down", _state(path)
    if (state, link) in ((_DEAD, "up"), (_ACTIVE, "down")):
        yield Finding(
            PATH_STATE,
            path.name,
            state,
            f"its port's link is {link}",
            f"{port.name} has its link {link}, and exports the volume to this host",
        )


# --- words --------------------------------------------------------------------------------------


def _state(path: Any) -> str:
    field = path.DESCRIPTOR.fields_by_name["state"]
    name: str = field.enum_type.values_by_number[path.state].name
    return name.removeprefix("PATH_STATE_")


def _size(count: int) -> str:
    return _scaled(count, 1024, ("B", "KiB", "MiB", "GiB", "TiB", "PiB"))


def _time(ns: int) -> str:
    return _scaled(ns, 1000, ("ns", "µs", "ms", "s"))


def _scaled(value: float, step: int, units: Iterable[str]) -> str:
    shown = ""
    for unit in units:
        shown = f"{value:.4g} {unit}"
        if value < step:
            break
        value /= step
    return shown
