"""What an array tells its own vendor's host software with a GOOD answer, in a completion's `cause`.

``include/smokestack/hints.h`` has the same bits.
"""

from __future__ import annotations

from typing import Final

GIVEN: Final = 1 << 31
NOT_OWNER: Final = 1 << 30  # the port's controller does not own the logical unit
COUNT_MAX: Final = (1 << 20) - 1


def hint_of(count: int, *, owner: bool = True) -> int:
    """Returns the hint that so many commands are still at the port."""
    return GIVEN | (0 if owner else NOT_OWNER) | min(count, COUNT_MAX)
