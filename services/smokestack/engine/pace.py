"""In step with the wall clock: how far virtual time should be by now, at so many times real time.

Who falls behind catches up, but never by more than the arrears of one wall second: a machine that
slept overnight goes on from where it was, and one that is too slow runs slower than asked.
"""

from __future__ import annotations

from typing import Final

from .clock import monotonic_ns
from .records import TIME_NS_MAX

ARREARS_NS: Final = 1_000_000_000  # of wall time; what is owed beyond that is let go
FACTOR_MAX: Final = 1_000_000


class Pace:
    """One stretch of paced time, from a virtual time and a moment of wall time on."""

    def __init__(self, factor: float, now_ns: int, wall_ns: int | None = None) -> None:
        self.factor = factor
        self._wall_ns = monotonic_ns() if wall_ns is None else wall_ns
        self._virtual_ns = now_ns

    def due_ns(self, now_ns: int, wall_ns: int | None = None) -> int:
        """Returns the virtual time that is due; ``now_ns`` is what has been reached."""
        wall_ns = monotonic_ns() if wall_ns is None else wall_ns
        due_ns = self._virtual_ns + int((wall_ns - self._wall_ns) * self.factor)
        owed_ns = int(ARREARS_NS * self.factor)
        if due_ns - now_ns > owed_ns:
            due_ns = now_ns + owed_ns
            self._wall_ns, self._virtual_ns = wall_ns, due_ns
        return min(max(due_ns, now_ns), TIME_NS_MAX)
