"""What can break in multipath: paths out of use, rightly or by mistake; links that are slow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from smokestack.engine.event_kinds import EventKind
from smokestack.engine.fault_chains import FaultChains
from smokestack.engine.fault_rules import FaultKind
from smokestack.engine.faults import Fault, FaultBook

from .inventory import Device, Path
from .selection import set_path_state
from .specs import DisabledBy, PathState
from .wires import LINK_DOWN, LOGIN_REJECTED

if TYPE_CHECKING:
    from .model import MultipathModel

PATH_DISABLED: Final = "PATH_DISABLED"
PATH_FALSELY_DEAD: Final = "PATH_FALSELY_DEAD"
SLOW_DRAIN: Final = "SLOW_DRAIN"
FRAME_DAMAGED: Final = "FRAME_DAMAGED"
KINDS: Final = (
    FaultKind(
        PATH_DISABLED,
        "multipaths/m1/hosts/h1/devices/a1.v1/paths/h1-a.p0",
        "The path is out of use: nothing more is sent on it; what is in flight stays in flight.",
        per_io=False,
    ),
    FaultKind(
        PATH_FALSELY_DEAD,
        "multipaths/m1/hosts/h1/devices/a1.v1/paths/h1-a.p0",
        "The path is said to be dead, though all of it works: nothing more is sent on it.",
        per_io=False,
    ),
    FaultKind(
        SLOW_DRAIN,
        "multipaths/m1/fabrics/fabric-a/links/h1-a",
        "The link's receiver gives buffer credits back late: a frame takes factor_per_mille / 1000 "
        "times as long, and what waits behind it holds up other links of the fabric.",
        per_io=False,
        takes_factor=True,
    ),
    FaultKind(
        LINK_DOWN,
        "multipaths/m1/fabrics/fabric-a/links/h1-a",
        "The link is down: the paths that cross it die, what is in flight on them is sent again. "
        "With down_ns and up_ns it flaps: down and up for so long in turn, count times at most.",
        per_io=False,
        flaps=True,
    ),
    FaultKind(
        LOGIN_REJECTED,
        "multipaths/m1/fabrics/fabric-a/links/h1-a",
        "Logins across the link are refused (LS_RJT): once it has been down, its paths stay dead "
        "until the rule ends. Paths that are logged in stay so until then.",
        per_io=False,
    ),
    FaultKind(
        FRAME_DAMAGED,
        "multipaths/m1/fabrics/fabric-a/links/h1-a",
        "A frame of an answer fails its checksum (CRC) on the link: the command is sent again.",
        takes_count=False,
    ),
)
_OF_LINKS: Final = (SLOW_DRAIN, LINK_DOWN, LOGIN_REJECTED, FRAME_DAMAGED)
_CODES: Final = {FRAME_DAMAGED: 1}  # as in tables.h
_BY: Final = {PATH_DISABLED: DisabledBy.FAULT, PATH_FALSELY_DEAD: DisabledBy.LIE}


class MultipathFaults(FaultBook):
    """The fault rules of one multipath layer."""

    def __init__(self, model: MultipathModel) -> None:
        super().__init__(model.name, KINDS, model.events)
        self._model = model
        self.chains = FaultChains(model.state, _CODES)
        self._ended: list[Fault] = []  # those whose end links have not acted on yet

    @property
    def now_ns(self) -> int:
        """The layer's virtual time."""
        return self._model.now_ns

    def subjects(self, kind: FaultKind) -> Sequence[str]:
        """Returns the full names of all paths, or of all links."""
        if kind.name in _OF_LINKS:
            fabrics = self._model.fabrics
            return [fabrics.name(*found) for found in fabrics.all_links()]
        return [
            self._name(device, path)
            for device in self._model.all_devices()
            for path in device.paths.values()
        ]

    def count(self) -> None:
        """Brings hits up to date; those of rules that last are counted when they begin."""
        self.chains.count()

    def freed(self, kind: str, link: str) -> str:
        """Returns the event that let a link be as it was, if the end of a rule of a kind did."""
        ended = (fault for fault in reversed(self._ended) if fault.rule.kind == kind)
        return next((fault.told for fault in ended if fault.matches(link)), "")

    def acted(self) -> None:
        """Forgets rules that have ended, now that links are as those in force want them."""
        self._ended = []

    def rescanned(self) -> None:
        """Puts paths that a rescan has found under the rules in force."""
        if self.active():
            self.apply(self.now_ns, [])

    def apply(self, at_ns: int, changed: Sequence[Fault]) -> None:
        """Takes paths out of use and back, and makes links slow, from a time on."""
        for fault in changed:
            if fault.holds and not fault.kind.per_io and not fault.flaps:
                fault.hits = sum(map(fault.matches, self.subjects(fault.kind)))
        self.fit_links()
        if any(fault.rule.kind in (LINK_DOWN, LOGIN_REJECTED) for fault in changed):
            self._ended += [fault for fault in changed if not fault.holds]
            self._model.wires.fit(at_ns)
        for device in self._model.all_devices():
            for path in device.paths.values():
                name = self._name(device, path)
                for kind, by in _BY.items():
                    held = self.holding(kind, name)
                    ended = (f for f in changed if f.rule.kind == kind and f.matches(name))
                    because = held or next(ended, None)
                    cause = because.told if because else ""
                    disable(self._model, device, path, by, held is not None, cause=cause)

    def fit_links(self) -> None:
        """Has the kernel know all links as settings and rules in force want them."""
        fabrics, state = self._model.fabrics, self._model.state
        damaging = self.active(FRAME_DAMAGED)
        if damaging or self.chains.linked:
            self.chains.write(damaging)
            state.row["fabric_limits"] = 1
        for fabric, link in fabrics.all_links():
            heads = state["link"]["faults"]
            self.chains.chain(heads, link.row, fabrics.name(fabric, link), _CODES)
            slow = self.holding(SLOW_DRAIN, fabrics.name(fabric, link))
            fabrics.write(fabric, link, slow.rule.factor_per_mille if slow else 0)

    def _look_ahead(self) -> None:
        super()._look_ahead()
        self._model.look_ahead()

    def _name(self, device: Device, path: Path) -> str:
        return f"{self.service}/hosts/{device.host_id}/devices/{device.name}/paths/{path.name}"


def disable(
    model: MultipathModel,
    device: Device,
    path: Path,
    by: DisabledBy,
    out_of_use: bool,
    *,
    cause: str = "",
) -> None:
    """Takes a path out of use or back; what is in flight on it stays in flight."""
    row = model.state["path"][path.row]
    before = DisabledBy(int(row["disabled"]))
    after = before | by if out_of_use else before & ~by
    row["disabled"] = int(after)
    if bool(after) == bool(before):
        return
    if not after and row["state"] == PathState.DISABLED:
        set_path_state(model.state, path.row, PathState.ACTIVE)
    elif after and row["state"] in (PathState.ACTIVE, PathState.STANDBY):
        set_path_state(model.state, path.row, PathState.DISABLED)
    if by is DisabledBy.LIE:
        kind = EventKind.PATH_DOWN if after else EventKind.PATH_UP
    else:
        kind = EventKind.PATH_DISABLED if after else EventKind.PATH_ENABLED
    subject = f"hosts/{device.host_id}/devices/{device.name}/paths/{path.name}"
    told = model.events.tell(kind, subject, cause)
    model.events.judge(device, told)
