"""Links that go down and come up: the paths that cross them hear of it one lookahead later.

What arrays have answered until then has been told to whoever submitted, so a path cannot die
before.  The submitter has been promised when anything else can come, too: a rule that begins
unforeseen acts at the end of the next window, when the promise is made anew.

A link that comes up while logins across it are refused (LOGIN_REJECTED) is barred: its paths stay
as they are until the rule ends.  That hosts log in again at once then is ours: real ones retry
PLOGI by a timer, or when the fabric tells them of a change (RSCN).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from smokestack.engine.event_kinds import EventKind
from smokestack.engine.records import EventCode

from .fabrics import Link
from .selection import set_path_state
from .specs import PathState

if TYPE_CHECKING:
    from smokestack.engine.events import Detail, Event

    from .inventory import Device, Path
    from .model import MultipathModel

LINK_DOWN: Final = "LINK_DOWN"
LOGIN_REJECTED: Final = "LOGIN_REJECTED"
_RECORD_IDS: Final = 3 << 62  # of EVENT records; those of arrays' come before


class Wires:
    """Which links of one multipath layer are down."""

    def __init__(self, model: MultipathModel) -> None:
        self._model = model
        self.down: set[tuple[str, str]] = set()  # (fabric, link)
        self.downs: dict[tuple[str, str], int] = {}  # how often each link that ever did went down
        self.barred: set[tuple[str, str]] = set()  # they are up, and nobody has logged in
        self.rejects: dict[tuple[str, str], int] = {}  # logins refused, of links that had any
        self.records = 0  # EVENT records made so far
        self._is_open = False  # a window runs: what rules do now was foreseen
        self._stale = False

    @property
    def waiting(self) -> bool:
        """Whether links are to be moved at the end of the next window."""
        return self._stale

    def saved(self) -> dict[str, Any]:
        """Returns what a snapshot holds."""
        downs = [(*key, count) for key, count in sorted(self.downs.items())]
        return {
            "down": sorted(self.down),
            "downs": downs,
            "barred": sorted(self.barred),
            "rejects": [(*key, count) for key, count in sorted(self.rejects.items())],
            "records": self.records,
        }

    def restore(self, saved: Any) -> None:
        """Takes over what a snapshot holds."""
        self.down = {(fabric, link) for fabric, link in saved["down"]}
        self.downs = {(fabric, link): count for fabric, link, count in saved["downs"]}
        self.barred = {(fabric, link) for fabric, link in saved["barred"]}
        self.rejects = {(fabric, link): count for fabric, link, count in saved["rejects"]}
        self.records, self._stale = saved["records"], False

    def open(self) -> None:
        """Begins an exchange."""
        self._is_open = not self._stale

    def close(self) -> None:
        """Ends an exchange."""
        self._is_open = False

    def fit(self, at_ns: int) -> bool:
        """Brings links in line with the rules, now or at the next window's end; True: now."""
        if self._model.driver is not None and not self._is_open:
            self._stale = True
            return False
        return self._fit(at_ns)

    def settle(self, at_ns: int) -> None:
        """Ends a window: moves the links that wait for it."""
        if self._stale:
            self._stale = False
            self._fit(at_ns)
        self._is_open = True

    def join(self, path: Path) -> None:
        """Has a new path know which of its links are down or barred."""
        ends = (path.initiator, f"{path.array_id}.{path.port}", "trunk")
        trunk = "trunk" in self._model.fabrics.fabrics[path.fabric].links
        shut = self.down | self.barred
        down = [(path.fabric, end) in shut and (end != "trunk" or trunk) for end in ends]
        row = self._model.state["path"][path.row]
        row["links_down"] = sum(down)
        if row["links_down"] and row["state"] != PathState.DEAD:
            set_path_state(self._model.state, path.row, PathState.DEAD)

    def empty(self) -> None:
        """Lets go of events on their way: paths know at once what they would have heard."""
        for device in self._model.all_devices():
            for path in device.paths.values():
                self.join(path)

    def _fit(self, at_ns: int) -> bool:
        fabrics, faults, moved = self._model.fabrics, self._model.faults, False
        for fabric, link in fabrics.all_links():
            name, key = fabrics.name(fabric, link), (fabric.fabric_id, link.link_id)
            held, refused = faults.holding(LINK_DOWN, name), faults.holding(LOGIN_REJECTED, name)
            if (held is not None) != (key in self.down):
                self.down ^= {key}
                self.downs[key] = self.downs.get(key, 0) + (held is not None)
                cause = held.told if held else faults.freed(LINK_DOWN, name)
                kind = EventKind.LINK_DOWN if held else EventKind.LINK_UP
                told = self._model.events.add(at_ns, kind, name, cause)
                if held and key in self.barred:
                    self.barred.remove(key)
                elif not held and refused:
                    self._refuse(link, key, at_ns, refused.told)
                else:
                    self._move(link, held is not None, at_ns, told)
                moved = True
            elif key in self.barred and not refused:
                self.barred.remove(key)
                cause = faults.freed(LOGIN_REJECTED, name)
                told = self._model.events.add(at_ns, EventKind.LOGIN_ACCEPTED, name, cause)
                self._move(link, False, at_ns, told)
                moved = True
        faults.acted()
        return moved

    def _refuse(self, link: Link, key: tuple[str, str], at_ns: int, cause: str) -> None:
        """Bars a link that comes up: each nexus that crosses it is refused one login."""
        nexuses = {(p.initiator, p.array_id, p.port) for _, p in self._crossing(link)}
        self.barred.add(key)
        self.rejects[key] = self.rejects.get(key, 0) + len(nexuses)
        subject = f"{self._model.name}/fabrics/{key[0]}/links/{key[1]}"
        detail: Detail = {"logins": len(nexuses)}
        self._model.events.add(at_ns, EventKind.LOGIN_REJECTED, subject, cause, detail)

    def _move(self, link: Link, down: bool, at_ns: int, told: Event) -> None:
        model = self._model
        for device, path in self._crossing(link):
            if model.driver is None:
                self._move_now(device, path, 1 if down else -1, told)
            else:
                model.state.fit_hand(int(model.state.row["hand_count"]) + 1)
                model.state.kernel.link_event(
                    at_ns + model.lookahead_ns,
                    _RECORD_IDS + self.records,
                    told.number,
                    path.row,
                    int(EventCode.LINK_DOWN if down else EventCode.LINK_UP),
                )
                self.records += 1

    def _move_now(self, device: Device, path: Path, step: int, cause: Event) -> None:
        """The same while time stands still and nothing is under way."""
        state = self._model.state
        row = state["path"][path.row]
        row["links_down"] += step
        found = PathState.DISABLED if row["disabled"] else PathState.ACTIVE
        dead = row["links_down"] or row["target_down"] or row["gone"] or row["lost"]
        set_path_state(state, path.row, PathState.DEAD if dead else found)
        self._model.events.judge(device, cause)

    def _crossing(self, link: Link) -> list[tuple[Device, Path]]:
        """Returns the paths that cross a link, in the order of their rows."""
        rows = self._model.state["path"]
        found = [
            (device, path)
            for device in self._model.all_devices()
            for path in device.paths.values()
            if link.row
            in (rows[path.row][end] for end in ("host_link", "trunk_link", "target_link"))
        ]
        return sorted(found, key=lambda pair: pair[1].row)
