"""Whose time it was that I/O spent on attempts which came to nothing, before it was sent again.

A command that times out has taken its time-out, and the attempts that failed otherwise share the
rest evenly.  An array says what it sent back (TASK SET FULL, BUSY, NOT READY), what its ports lost,
which they had taken when they hung or went down, or which still came, and what it still had when it
was to abort it.  It counts so for all hosts together: of a device's it may be all.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SentAgain:
    """Nanoseconds of all attempts that failed, by what became of them."""

    total_ns: int
    sent_back_ns: int  # the array's
    lost_ns: int  # the array's ports'
    held_ns: int  # of what timed out in the array

    @property
    def array_ns(self) -> int:
        """What the array has to answer for."""
        return self.sent_back_ns + self.lost_ns + self.held_ns

    @property
    def fabric_ns(self) -> int:
        """What is left to the fabrics."""
        return self.total_ns - self.array_ns

    @classmethod
    def split(
        cls,
        *,
        total_ns: int,
        count: int,
        sent_back: int,
        timed_out: int,
        timeout_ns: int,
        lost: int,
        held: int,
    ) -> SentAgain:
        """Splits the time of `count` failed attempts."""
        timed_out = min(timed_out, count)
        others = count - timed_out
        slow_ns = min(total_ns, timed_out * timeout_ns) if others else total_ns * bool(timed_out)
        quick_ns = total_ns - slow_ns
        hung = min(lost, timed_out)
        sent_back = min(sent_back, others)
        cut_off = min(lost - hung, others - sent_back)
        held = min(held, timed_out - hung)
        hung_ns = slow_ns * hung // max(timed_out, 1)
        return cls(
            total_ns=total_ns,
            sent_back_ns=quick_ns * sent_back // max(others, 1),
            lost_ns=hung_ns + quick_ns * cut_off // max(others, 1),
            held_ns=slow_ns * held // max(timed_out, 1),
        )
