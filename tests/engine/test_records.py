"""Records: Python and C have the same layout, and it is that of the wire."""

from __future__ import annotations

import numpy as np
import pytest

from smokestack.engine import _core, records
from smokestack.engine.histogram import HISTOGRAM
from smokestack.engine.tables import dtypes

C_TYPES = dtypes(_core.layout())
PAIRS = [
    ("submission_t", records.SUBMISSION, 40),
    ("completion_t", records.COMPLETION, 48),
    ("header_t", records.HEADER, 32),
    ("trace_record_t", records.TRACE, 24),
]


@pytest.mark.parametrize(("name", "dtype", "size"), PAIRS, ids=[pair[0] for pair in PAIRS])
def test_a_record_has_one_layout_in_python_and_c(
    name: str, dtype: np.dtype[np.void], size: int
) -> None:
    assert dtype.itemsize == size
    assert C_TYPES[name].itemsize == size
    assert C_TYPES[name].fields == dtype.fields


def test_a_histogram_row_has_one_layout_in_python_and_c() -> None:
    own = HISTOGRAM.fields
    c_fields = C_TYPES["hist_t"].fields
    assert own is not None and c_fields is not None
    assert C_TYPES["hist_t"].itemsize == HISTOGRAM.itemsize
    assert {name: own[name] for name in c_fields} == dict(c_fields)
