"""Tables of a kernel's state, and copies of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from smokestack.engine.tables import Tables
from smokestack.engine.tables_copy import Copying, copy_tables

PADDED = [("row", "count", "<u4", 0, 16), ("row", "time_ns", "<i8", 8, 16)]


def unbound(*_tables: Any) -> None:
    """Stands for a kernel."""


def test_a_copy_holds_nothing_of_the_memory_that_it_was_given() -> None:
    tables = Tables(unbound, PADDED, ("row",), {}, {"row": 3})
    tables["row"]["count"] = 7
    litter = [np.full(tables["row"].nbytes, 0xFF, np.uint8) for _ in range(100)]
    del litter
    copy = copy_tables(tables, Copying())["row"].content
    assert copy.tobytes() == tables["row"].tobytes()
