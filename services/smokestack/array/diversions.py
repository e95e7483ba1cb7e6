"""Nexuses that lead to another volume than the one that they were made for.

The kernel follows the nexus's row, so a diversion is that row's volume; what was shown to whom
stays as it was.  Commands are counted for the volume that answered them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .usage import Responses

if TYPE_CHECKING:
    from .inventory import ArrayInventory

WRONG_VOLUME: Final = "WRONG_VOLUME"
_HELD: Final = ("going", "targets", "moved")


class Diversion(NamedTuple):
    """One nexus on the wrong way."""

    own: int  # rows of volumes
    to: int
    answered: int  # what it had answered when this began, and in how many nanoseconds
    sum_ns: int


class Diversions:
    """The nexuses of one array that lead astray."""

    def __init__(self, array: ArrayInventory) -> None:
        self._array = array
        self.going: dict[int, Diversion] = {}  # by ITL
        self.targets: dict[str, str] = {}  # export → volume
        # By volume's row: commands and nanoseconds that it has of others' nexuses, or lacks of its
        # own, from diversions that are over.
        self.moved: dict[int, tuple[int, int]] = {}

    def target(self, export_id: str) -> str:
        """Returns the volume that an export leads to instead of its own; empty: it does not."""
        return self.targets.get(export_id, "")

    def fit(self) -> None:
        """Brings all nexuses in line with the rules in force."""
        self._end()
        faults, array = self._array.faults, self._array
        for volume_id, host_id in sorted(array.exports):
            export = f"{volume_id}.{host_id}"
            to = self._next(volume_id)
            held = faults.holding(WRONG_VOLUME, f"{array.name}/exports/{export}")
            if held is None or not to:
                continue
            self.targets.setdefault(export, to)
            for itl in array.itls_by_volume.get(volume_id, ()):
                if itl not in self.going and array.itls[itl][1] == host_id:
                    self._begin(itl, self.targets[export])
        array.state.count_commands()

    def _begin(self, itl: int, volume_id: str) -> None:
        row = self._array.state["itl"][itl]
        own, to = int(row["volume"]), self._array.row_of("volumes", volume_id)
        self.going[itl] = Diversion(own, to, *self._answered(itl))
        self._array.state.make_unit(to)
        row["volume"] = to

    def _end(self) -> None:
        """Leads back what no rule diverts any more."""
        array = self._array
        for export in list(self.targets):
            if array.faults.holding(WRONG_VOLUME, f"{array.name}/exports/{export}") is None:
                del self.targets[export]
        for itl, diversion in list(self.going.items()):
            volume_id, host_id, _, _ = array.itls[itl]
            if f"{volume_id}.{host_id}" in self.targets:
                continue
            del self.going[itl]
            array.state["itl"][itl]["volume"] = diversion.own
            count, sum_ns = self._since(itl, diversion)
            self._move(diversion.own, -count, -sum_ns)
            self._move(diversion.to, count, sum_ns)

    def _move(self, row: int, count: int, sum_ns: int) -> None:
        had = self.moved.get(row, (0, 0))
        self.moved[row] = had[0] + count, had[1] + sum_ns

    def _next(self, volume_id: str) -> str:
        """Returns the next volume of the pool by name, after the last one the first, or nothing.

        Of the pool, for what is on its way to the media stays on its way.
        """
        volumes = self._array.volumes
        pool_id = volumes[volume_id].pool_id
        others = sorted(v for v in volumes if volumes[v].pool_id == pool_id and v != volume_id)
        return next((v for v in others if v > volume_id), others[0] if others else "")

    def owners(self) -> NDArray[np.uint32]:
        """Returns by ITL the row of the volume that it was made for."""
        rows = self._array.state.used("itl")["volume"].copy()
        for itl, diversion in self.going.items():
            rows[itl] = diversion.own
        return rows

    # --- what volumes have answered ---------------------------------------------------------

    def commanded(self, volume_id: str) -> bool:
        """Whether any command can ever have reached a volume, by a nexus of its own or another's"""
        return volume_id in self._array.itls_by_volume or bool(self.going or self.moved)

    def responses(self, volume_id: str) -> Responses:
        """Returns what a volume has answered, whichever nexus that came from."""
        array = self._array
        count = sum_ns = 0
        itls = array.itls_by_volume.get(volume_id)
        if itls:
            histograms = array.state["histogram"]
            count = sum(map(histograms["count"].item, itls))
            sum_ns = sum(map(histograms["sum"].item, itls))
        if self.going or self.moved:
            own = array.row_of("volumes", volume_id)
            moved = self.moved.get(own, (0, 0))
            count, sum_ns = count + moved[0], sum_ns + moved[1]
            for itl, diversion in self.going.items():
                since = self._since(itl, diversion)
                sign = (diversion.to == own) - (diversion.own == own)
                count, sum_ns = count + sign * since[0], sum_ns + sign * since[1]
        return Responses(count, sum_ns // count if count else 0)

    def _answered(self, itl: int) -> tuple[int, int]:
        number = self._array.state.number
        return number("histogram", "count", itl), number("histogram", "sum", itl)

    def _since(self, itl: int, diversion: Diversion) -> tuple[int, int]:
        count, sum_ns = self._answered(itl)
        return count - diversion.answered, sum_ns - diversion.sum_ns

    # --- snapshots --------------------------------------------------------------------------

    def save(self) -> Any:
        """Returns a copy of all of it."""
        going = {itl: tuple(diversion) for itl, diversion in self.going.items()}
        return {"going": going, "targets": self.targets.copy(), "moved": self.moved.copy()}

    def load(self, saved: Any) -> Callable[[], None]:
        """Returns what puts a copy in place."""
        held = {name: saved[name].copy() for name in _HELD}
        held["going"] = {itl: Diversion(*values) for itl, values in held["going"].items()}

        def put() -> None:
            for name, value in held.items():
                setattr(self, name, value)

        return put

    def repeat(self, saved: Any) -> None:
        """Puts a copy in place where nexuses still lead as they did before."""
        volumes = self._array.state["itl"]["volume"]
        for itl, diversion in self.going.items():
            volumes[itl] = diversion.own
        self.load(saved)()
        for itl, diversion in self.going.items():
            volumes[itl] = diversion.to

    def forget_answers(self) -> None:
        """Begins to count anew, as histograms do after a power-on."""
        self.moved = {}
        self.going = {
            itl: diversion._replace(answered=0, sum_ns=0) for itl, diversion in self.going.items()
        }
