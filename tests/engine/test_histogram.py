"""Histograms: bounded relative error, merging, and agreement of C, Python and the reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smokestack.engine import _core, histogram
from smokestack.engine.sparse_histogram import dense, merged
from tests.engine import sparse
from tests.reference import histogram as reference

# Every magnitude is as likely as any other, not only the huge ones.
LATENCIES = st.integers(0, 43).flatmap(lambda bits: st.integers(0, (2 << bits) - 1))
VALUES = st.one_of(LATENCIES, st.integers(0, 2**64 - 1))
RATIOS = st.sampled_from([0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0])


def filled(values: list[int]) -> np.ndarray:
    row = np.zeros(1, dtype=histogram.HISTOGRAM)
    _core.hist_add(row, np.array(values, dtype=np.uint64))
    return row


@given(VALUES)
@example(2**44 - 1)
@example(2**44)
@example(31)
@example(32)
def test_a_value_goes_into_the_references_bucket(value: int) -> None:
    assert _core.hist_index(value) == reference.bucket_of(value)


def test_every_bucket_begins_where_the_one_before_ends() -> None:
    bounds = histogram.lower_bounds().tolist()
    assert [_core.hist_index(low) for low in bounds] == list(range(histogram.BUCKETS))
    assert [_core.hist_index(low - 1) for low in bounds[1:]] == list(range(histogram.BUCKETS - 1))


@given(st.lists(VALUES, max_size=60))
def test_counts_agree_with_the_reference(values: list[int]) -> None:
    row = filled(values)[0]
    assert int(row["count"]) == len(values)
    assert int(row["sum"]) == sum(values) % 2**64
    held = {int(n): int(row["bucket"][n]) for n in np.flatnonzero(row["bucket"])}
    assert held == reference.buckets(values)
    if values:
        assert (int(row["min"]), int(row["max"])) == (min(values), max(values))


@given(st.lists(LATENCIES, min_size=1, max_size=60), RATIOS)
def test_a_percentile_is_off_by_less_than_a_64th(values: list[int], ratio: float) -> None:
    given_ns = histogram.percentile_ns(filled(values)[0], ratio)
    true_ns = reference.nearest_rank(values, ratio)
    assert abs(given_ns - true_ns) <= true_ns / 64


@given(st.lists(LATENCIES, min_size=1, max_size=60))
def test_percentiles_ascend_from_the_least_to_the_greatest(values: list[int]) -> None:
    row = filled(values)[0]
    found = [histogram.percentile_ns(row, n / 20) for n in range(21)]
    assert found == sorted(found)
    assert (found[0], found[-1]) == (min(values), max(values))


def test_a_rank_is_taken_in_decimals_as_the_ratio_is_written() -> None:
    values = [n << 10 for n in range(1, 101)]
    assert abs(histogram.percentile_ns(filled(values)[0], 0.07) - (7 << 10)) <= (7 << 10) / 64


@given(st.lists(st.lists(VALUES, max_size=20), max_size=5))
def test_histograms_of_parts_merge_into_that_of_the_whole(parts: list[list[int]]) -> None:
    whole = filled([value for part in parts for value in part])
    assert merged(*sparse.filled(parts)) == whole
    assert dense(*sparse.filled([[value for part in parts for value in part]])) == whole


def test_an_empty_histogram_has_percentiles_of_nought() -> None:
    assert histogram.percentile_ns(filled([])[0], 0.99) == 0


def test_prometheus_bounds_are_borders_of_buckets() -> None:
    borders = set(histogram.lower_bounds().tolist())
    assert all(1 << exponent in borders for exponent in histogram.PROMETHEUS_EXPONENTS)


def test_a_wrong_buffer_is_refused_by_name() -> None:
    row = filled([])
    with pytest.raises(ValueError, match="values: want items of 8 bytes"):
        _core.hist_add(row, np.zeros(3, dtype="V12"))
    with pytest.raises(ValueError, match="histogram: want one row"):
        _core.hist_add(np.concatenate([row, row]), np.zeros(1, dtype=np.uint64))
    with pytest.raises(ValueError, match="values: want memory aligned"):
        _core.hist_add(row, np.zeros(17, dtype=np.uint8)[1:])
    with pytest.raises(TypeError, match="values: want a C-contiguous buffer"):
        _core.hist_add(row, np.zeros(4, dtype=np.uint64)[::2])
    row.setflags(write=False)
    with pytest.raises(TypeError, match="histogram: want a writable C-contiguous buffer"):
        _core.hist_add(row, np.zeros(1, dtype=np.uint64))
