"""Makes the cumulative table of a zipf distribution over 1,024 ranks, the same on every machine.

Rank i has weight (i + 1) ** -theta.  Binary floating-point powers differ in their last bit between
C libraries, and one different bit moves an I/O, so the table is made in decimal arithmetic, whose
every operation is specified.
"""

from __future__ import annotations

from decimal import Context, Decimal
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from smokestack.engine.jobplan import ZIPF_RANKS

_DIGITS = 40  # 2 ** -32 needs 10; the rest keeps every rounding far away from an integer


@lru_cache(maxsize=64)
def zipf_table(theta: float) -> npt.NDArray[np.uint32]:
    """Returns the ascending thresholds: a rank is the first whose threshold exceeds a random u32.

    The true last threshold, 2 ** 32, does not fit; the last rank takes every word above the one
    before the last.  The table is read-only: jobs of the same theta share it.
    """
    context = Context(prec=_DIGITS)
    exponent = Decimal(repr(theta)).copy_negate()
    sums: list[Decimal] = []
    total = Decimal(0)
    for rank in range(1, ZIPF_RANKS + 1):
        log = context.ln(Decimal(rank))
        total = context.add(total, context.exp(context.multiply(exponent, log)))
        sums.append(total)
    scale = context.divide(Decimal(1 << 32), total)
    thresholds = [int(context.multiply(value, scale)) for value in sums]
    thresholds[-1] = (1 << 32) - 1
    table = np.array(thresholds, dtype="<u4")
    table.setflags(write=False)
    return table
