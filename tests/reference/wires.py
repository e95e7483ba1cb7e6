"""Multipath's fabrics in plain Python: links that are found, limited, damaged, down."""

from __future__ import annotations

from collections.abc import Callable

from smokestack.engine.records import Op, Status
from tests.reference.agenda import MULTIPATH, Agenda
from tests.reference.array import Array
from tests.reference.config import FabricChange, HoldTimeSet, TrunkSet
from tests.reference.devices import Adapter, Device, HostIo, Path
from tests.reference.digest import Completion
from tests.reference.fabric import FRAME_BYTES, Fabric, Link
from tests.reference.faults import Rules

LINK = -1  # of one time: links change before events, answers, retries


class Wires:
    """The part of multipath that is about fabrics."""

    _agenda: Agenda
    _paths: dict[tuple[Array, int], tuple[Device, Path]]
    _service: str
    fabrics: dict[str, Fabric]
    lookahead_ns: int
    rules: Rules
    _moves = 0  # of links
    _turn: Callable[[Device], None]
    _take_back: Callable[[Device, Path], None]
    _serve: Callable[[Adapter], None]
    _pump: Callable[[Device], None]
    cut: Callable[[Device, Path, bool], None]
    mended: Callable[[Device, Path], None]
    _lost: set[Array]
    _recovery_lost: Callable[[Device, Path], None]

    def _join(self, path: Path) -> None:
        """Finds the links that a path crosses."""
        port = path.itl.port.spec
        base = f"{self._service}/fabrics/{port.fabric}/links"
        fabric = self.fabrics.setdefault(
            port.fabric, Fabric(Link(f"{base}/trunk", slow=self._slow))
        )
        for link in (f"{path.array.array_id}.{port.port_id}", path.itl.initiator):
            fabric.links.setdefault(link, Link(f"{base}/{link}", slow=self._slow))
        path.born = self._agenda.now
        path.links_down = sum(
            (link.down or link.barred) and link.since < (path.born, 0) for link in self._hops(path)
        )

    def _slow(self, link: str, now: int) -> int:
        """How slowly a link drains; what changes is felt one lookahead later."""
        return self.rules.factor("SLOW_DRAIN", link, now - self.lookahead_ns)

    def update_fabric(self, change: FabricChange) -> None:
        """Puts arrays behind a trunk or one switch in its place; gives a link rate and buffers."""
        fabric = self.fabrics[change.fabric]
        if isinstance(change, TrunkSet):
            if not change.bandwidth_bytes_per_second:  # the next one has sent nothing yet
                self._later(setattr, fabric.trunk, "free", 0)
            self._later(setattr, fabric, "has_trunk", change.bandwidth_bytes_per_second > 0)
            self._later(setattr, fabric.trunk, "rate", change.bandwidth_bytes_per_second)
        elif isinstance(change, HoldTimeSet):
            fabric.holds = change.hold_time_ns > 0
            self._later(setattr, fabric, "hold", change.hold_time_ns)
        else:
            link = fabric.links[change.link]
            self._later(setattr, link, "rate", change.bandwidth_bytes_per_second)
            self._later(setattr, link, "credits", change.bb_credits)

    def _later(self, action: Callable[..., None], *arguments: object) -> None:
        key = (self._agenda.now + self.lookahead_ns, MULTIPATH, LINK, 0, 0)
        self._agenda.add(key, action, *arguments)

    def _move_links(self, phase: int) -> None:
        """Finds links that rules take down or let come up; their paths hear a lookahead later."""
        now = self._agenda.now
        for _, fabric in sorted(self.fabrics.items()):
            links = {**fabric.links, **({"trunk": fabric.trunk} if fabric.has_trunk else {})}
            for _, link in sorted(links.items()):
                down = self.rules.holds("LINK_DOWN", link.name, now, phase)
                refused = self.rules.holds("LOGIN_REJECTED", link.name, now, phase)
                barred = refused and not down and (link.down or link.barred)
                was_shut = link.down or link.barred
                link.down, link.barred = down, barred
                down = down or barred
                if down == was_shut:
                    continue
                link.since = (now, phase)
                key = (now + self.lookahead_ns, MULTIPATH, 0, (3 << 62) + self._moves, 0)
                self._moves += 1
                self._agenda.add(key, self._link_moved, fabric, link, down, link.since)

    def _link_moved(self, fabric: Fabric, link: Link, down: bool, since: tuple[int, int]) -> None:
        for device, path in list(self._paths.values()):
            if path not in device.paths or link not in self._hops(path):
                continue
            if (path.born, 0) > since:
                continue  # it knew when it was found
            was_dead = path.dead
            path.links_down += 1 if down else -1
            if down and path.array not in self._lost:
                self.cut(device, path, was_dead)
            elif not path.silent:
                self.mended(device, path)
            self._pump(device)
            if down and path.array not in self._lost:
                self._recovery_lost(device, path)

    def _hops(self, path: Path) -> list[Link]:
        port = path.itl.port.spec
        target = f"{path.array.array_id}.{port.port_id}"
        return self.fabrics[port.fabric].hops(target, path.itl.initiator)

    def _damaged(self, path: Path, record: Completion) -> bool:
        """Whether a rule damages a frame of an answer on its way."""
        since = self._agenda.now - self.lookahead_ns
        return any(
            self.rules.hit("FRAME_DAMAGED", link.name, record.ident, record.attempt, since)
            for link in self._hops(path)
        )

    @staticmethod
    def _frames(io: HostIo, record: Completion) -> int:
        """How many frames an answer has."""
        carries = io.op == Op.READ and record.status == Status.GOOD
        return max(1, -(-io.length // FRAME_BYTES)) if carries else 1

    def _cross(self, path: Path, frames: int) -> int | None:
        """When an answer that comes now from a port has crossed the fabric; None: it is lost."""
        return self._cross_at(path, frames, self._agenda.now)

    def _cross_at(self, path: Path, frames: int, time: int) -> int | None:
        itl = path.itl
        fabric = self.fabrics[itl.port.spec.fabric]
        target = f"{path.array.array_id}.{itl.port.spec.port_id}"
        return fabric.cross(target, itl.initiator, frames, time)
