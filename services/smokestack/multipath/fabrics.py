"""The fabrics that join hosts and arrays: their links, found by rescans, and what limits them.

A fabric is one switch, or two with a trunk (an inter-switch link) between hosts and arrays.  By
itself no link is ever a bottleneck; one that is given a rate, or drains slowly, makes answers wait
for buffer credits (``fabric.h``).  What changes on a link at t is felt by what comes from t plus
the lookahead on, for answers until then are known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from smokestack.engine.checks import in_range
from smokestack.engine.errors import NotFound

from .inventory import Device, Path
from .state import NIL, MultipathState

FRAME_BYTES: Final = 2048  # fabric.h has the same
BB_CREDITS_DEFAULT: Final = 16  # ours; switches have from 2 to hundreds a port
BB_CREDITS_MAX: Final = 65_535
RATE_BYTES_PER_SECOND_MAX: Final = 1 << 50
HOLD_TIME_NS_MIN: Final = 1_000
HOLD_TIME_NS_MAX: Final = 10 * 10**9
NOMINAL_BYTES_PER_SECOND: Final = 800_000_000  # of 8GFC: what a slow link without a rate slows from
TRUNK: Final = "trunk"
ENDS: Final = ("host_link", "trunk_link", "target_link")  # a path's


class LinkKind(StrEnum):
    """Which part of the way a link is."""

    HOST = "HOST"  # a switch to an initiator
    TRUNK = "TRUNK"  # the arrays' switch to the hosts'
    TARGET = "TARGET"  # an array's port to a switch


@dataclass(frozen=True)
class Link:
    """One link, and what an administrator has set."""

    link_id: str  # "h1-a", "a1.p0" or "trunk"
    kind: LinkKind
    row: int
    bandwidth_bytes_per_second: int = 0  # 0: never a bottleneck by itself
    bb_credits: int = BB_CREDITS_DEFAULT

    def frame_ns(self, slow_per_mille: int = 0) -> int:
        """Returns what a frame takes, drained so many thousandths as slowly as it could be."""
        rate = self.bandwidth_bytes_per_second
        if not slow_per_mille:
            return FRAME_BYTES * 10**9 // rate if rate else 0
        return FRAME_BYTES * 10**9 // (rate or NOMINAL_BYTES_PER_SECOND) * slow_per_mille // 1000


@dataclass
class Fabric:
    """A fabric's links, by identifier, and what its switches do."""

    fabric_id: str
    links: dict[str, Link] = field(default_factory=dict)
    hold_time_ns: int = 0  # after which switches drop frames that they hold; 0: never

    def copy(self) -> Fabric:
        """Returns what can be changed without changing this."""
        return Fabric(self.fabric_id, self.links.copy(), self.hold_time_ns)


class Fabrics:
    """All fabrics of one multipath layer."""

    def __init__(self, state: MultipathState, service: str) -> None:
        self._state = state
        self._service = service
        self.fabrics: dict[str, Fabric] = {}

    def all_links(self) -> Iterator[tuple[Fabric, Link]]:
        """Returns every link with its fabric, by name."""
        for _, fabric in sorted(self.fabrics.items()):
            for _, link in sorted(fabric.links.items()):
                yield fabric, link

    def name(self, fabric: Fabric, link: Link) -> str:
        """Returns a link's full name."""
        return f"{self._service}/fabrics/{fabric.fabric_id}/links/{link.link_id}"

    def fabric(self, fabric_id: str) -> Fabric:
        """Returns a fabric."""
        if fabric_id not in self.fabrics:
            raise NotFound.of(f"{self._service}/fabrics/{fabric_id}")
        return self.fabrics[fabric_id]

    def link(self, fabric_id: str, link_id: str) -> Link:
        """Returns a link."""
        links = self.fabric(fabric_id).links
        if link_id not in links:
            raise NotFound.of(f"{self._service}/fabrics/{fabric_id}/links/{link_id}")
        return links[link_id]

    def join(self, device: Device) -> None:
        """Finds the links that a device's paths cross."""
        for path in device.paths.values():
            fabric = self.fabrics.setdefault(path.fabric, Fabric(path.fabric))
            self._link(fabric, path.initiator, LinkKind.HOST)
            self._link(fabric, f"{path.array_id}.{path.port}", LinkKind.TARGET)
            self._write_path(fabric, path)

    def set_trunk(self, fabric_id: str, bandwidth_bytes_per_second: int) -> None:
        """Puts the arrays of a fabric behind a trunk of this rate; 0: one switch joins all."""
        fabric = self.fabric(fabric_id)
        _check_rate("fabric.trunk_bandwidth_bytes_per_second", bandwidth_bytes_per_second)
        if not bandwidth_bytes_per_second:
            fabric.links.pop(TRUNK, None)
        else:
            trunk = self._link(fabric, TRUNK, LinkKind.TRUNK)
            fabric.links[TRUNK] = replace(
                trunk, bandwidth_bytes_per_second=bandwidth_bytes_per_second
            )

    def set_hold_time(self, fabric_id: str, hold_time_ns: int) -> None:
        """Has a fabric's switches drop what they have held so long; 0: they hold without end."""
        self.fabric(fabric_id).hold_time_ns = hold_time_ns

    def set_link(
        self,
        fabric_id: str,
        link_id: str,
        *,
        bandwidth_bytes_per_second: int | None = None,
        bb_credits: int | None = None,
    ) -> None:
        """Changes a link's rate or its buffers; all is checked before anything changes."""
        link = self.link(fabric_id, link_id)
        if bandwidth_bytes_per_second is not None:
            _check_rate("fabric_link.bandwidth_bytes_per_second", bandwidth_bytes_per_second)
            link = replace(link, bandwidth_bytes_per_second=bandwidth_bytes_per_second)
        if bb_credits is not None:
            in_range("fabric_link.bb_credits", bb_credits, 1, BB_CREDITS_MAX)
            link = replace(link, bb_credits=bb_credits)
        self.fabrics[fabric_id].links[link_id] = link

    def write(self, fabric: Fabric, link: Link, slow_per_mille: int) -> None:
        """Has the kernel know a link as it is now."""
        row = self._state["link"][link.row]
        row["frame_ns"], row["credits"] = link.frame_ns(slow_per_mille), link.bb_credits
        row["hold_ns"] = fabric.hold_time_ns if link.kind is not LinkKind.TARGET else 0
        if row["frame_ns"]:
            self._state.row["fabric_limits"] = 1

    def rewire(self, devices: list[Device]) -> None:
        """Writes anew which links paths cross, after a trunk came or went."""
        for device in devices:
            for path in device.paths.values():
                self._write_path(self.fabrics[path.fabric], path)

    def _link(self, fabric: Fabric, link_id: str, kind: LinkKind) -> Link:
        if link_id not in fabric.links:
            fabric.links[link_id] = Link(link_id, kind, self._state.append("link"))
            self.write(fabric, fabric.links[link_id], 0)
        return fabric.links[link_id]

    def _write_path(self, fabric: Fabric, path: Path) -> None:
        row: Any = self._state["path"][path.row]
        crossed = [row[end] for end in ENDS if row[end] != NIL]
        self._state["link"]["frames"][crossed] += row["frames"]  # before it crosses others
        row["frames"] = 0
        trunk = fabric.links.get(TRUNK)
        row["host_link"] = fabric.links[path.initiator].row
        row["trunk_link"] = trunk.row if trunk else NIL
        row["target_link"] = fabric.links[f"{path.array_id}.{path.port}"].row


def frames(state: MultipathState) -> NDArray[np.uint64]:
    """Returns the frames that each link has carried; while none has limits paths count them."""
    paths = state.used("path")
    found: NDArray[np.uint64] = state.used("link")["frames"].copy()
    for end in ENDS:
        known = paths[end] != NIL
        np.add.at(found, paths[end][known], paths["frames"][known])
    return found


def frames_on(state: MultipathState, link: int) -> int:
    """Returns the same of one link."""
    paths = state.used("path")
    crossing = np.logical_or.reduce([paths[end] == link for end in ENDS])
    return int(state["link"]["frames"][link]) + int(paths["frames"][crossing].sum())


def check_hold_time(hold_time_ns: int) -> None:
    """Refuses a hold time that is out of range."""
    if hold_time_ns:
        in_range("fabric.hold_time_ns", hold_time_ns, HOLD_TIME_NS_MIN, HOLD_TIME_NS_MAX)


def _check_rate(name: str, rate: int) -> None:
    if rate:
        in_range(name, rate, 1_000, RATE_BYTES_PER_SECOND_MAX)
