"""Prometheus text from tables: exact buckets, exact sums, labels that cannot break a line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from smokestack.engine import _core
from smokestack.engine.exposition import Family, Level, Samples, virtual_time
from tests.engine.sparse import octaves

GAUGE = Family("smokestack_example", "gauge", "An example.")
LATENCY = Family("smokestack_example_seconds", "histogram", "An example.")
nanoseconds = st.one_of(
    st.integers(0, 1 << 45),
    st.integers(0, 44).flatmap(lambda k: st.sampled_from([(1 << k) - 1, 1 << k, (1 << k) + 1])),
)


def parsed(samples: Samples) -> list[Any]:
    text = (samples.family.header + b"".join(samples.pieces)).decode()
    [family] = text_string_to_metric_families(text)
    assert family.documentation == samples.family.help
    return family.samples


@given(st.lists(nanoseconds, max_size=40))
def test_a_bucket_counts_exactly_what_is_at_most_its_bound(values: list[int]) -> None:
    rows = Level("host").rows([("h1",)])
    samples = parsed(rows.latencies(LATENCY, octaves([values])))
    by_name = {s.name.removeprefix(LATENCY.name): s.value for s in samples if "le" not in s.labels}
    assert by_name == {"_count": len(values), "_sum": float(f"{sum(values)}e-9")}
    for sample in samples:
        if "le" in sample.labels:
            bound = float(sample.labels["le"])
            assert sample.value == sum(value / 10**9 <= bound for value in values)


@given(st.lists(st.lists(nanoseconds, max_size=8), min_size=1, max_size=6))
def test_octaves_of_parts_add_up_to_that_of_the_whole(parts: list[list[int]]) -> None:
    each = octaves(parts)
    whole = octaves([[value for part in parts for value in part]])
    assert (each.sum(axis=0) == whole[0]).all()


@given(st.lists(st.tuples(st.text(), st.text()), unique=True, min_size=1, max_size=5))
def test_any_label_value_comes_back_as_it_was(keys: list[tuple[str, str]]) -> None:
    # str.splitlines, which the parser uses, knows more line ends than the format does.
    keys = [tuple("".join(c for c in v if c.isprintable() or c == "\n") for v in k) for k in keys]
    keys = list(dict.fromkeys(keys))
    samples = parsed(Level("a", "b").rows(keys).counts(GAUGE, range(len(keys))))
    assert [(s.labels["a"], s.labels["b"]) for s in samples] == keys
    assert [s.value for s in samples] == list(range(len(keys)))


def test_numbers_come_back_bit_for_bit_and_nothing_is_nan() -> None:
    values = [0.1, 1 / 3, 1e-300, 1e300, 2.0, -1.5, float("inf"), float("nan")]
    rows = Level("n").rows([(str(n),) for n in range(len(values))])
    samples = rows.numbers(GAUGE, np.array(values))
    assert [s.value for s in parsed(samples)][:-1] == values[:-1]
    assert samples.pieces[-1].endswith(b'{n="7"} NaN\n')


def test_more_rows_than_a_piece_holds_stay_in_order() -> None:
    keys = [(f"r{n}",) for n in range(10_001)]
    samples = Level("row").rows(keys).split(GAUGE, "half", ("left", "right"), range(20_002))
    assert len(samples.pieces) > 1
    lines = b"".join(samples.pieces).decode().splitlines()
    assert lines[20_001] == 'smokestack_example{row="r10000",half="right"} 20001'
    assert len(lines) == 20_002


def test_a_state_is_one_of_its_set() -> None:
    rows = Level("path").rows([("p",), ("q",)])
    samples = parsed(rows.states(GAUGE, ("active", "dead"), [1, 0]))
    assert [(s.labels["state"], s.value) for s in samples] == [
        ("active", 0),
        ("dead", 1),
        ("active", 1),
        ("dead", 0),
    ]


def test_rows_stay_prepared_until_their_labels_differ() -> None:
    level = Level("port")
    rows = level.rows([("p0",), ("p1",)])
    assert level.rows([("p0",), ("p1",)]) is rows
    assert level.rows([("p1",), ("p0",)]) is not rows
    assert not level.rows([]).counts(GAUGE, []).pieces


def test_two_rows_with_the_same_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="same host, lun"):
        Level("host", "lun").rows([("h1", "a1.v1"), ("h1", "a1.v1")])


def test_values_that_do_not_match_their_rows_are_refused() -> None:
    rows = Level("port").rows([("p0",), ("p1",)])
    for values in ([1], [1, 2, 3]):
        with pytest.raises(ValueError, match="for 2 rows"):
            rows.counts(GAUGE, values)


def test_virtual_time_is_exact() -> None:
    samples = virtual_time("arrays/a1", 86_400_000_000_001)
    assert b"".join(samples.pieces).endswith(b'{service="arrays/a1"} 86400.000000001\n')


def test_text_is_written_when_it_is_asked_for() -> None:
    keys = [(f"r{n}",) for n in range(9_000)]
    pieces = Level("row").rows(keys).counts(GAUGE, range(9_000)).pieces
    assert len(pieces) == 2
    assert pieces[-1].startswith(b'smokestack_example{row="r8192"} 8192\n')
    assert pieces[0:2] == [pieces[0], pieces[1]]


def test_numbers_are_those_of_the_time_of_the_scrape() -> None:
    table = np.array([1, -2], np.int64)
    samples = Level("n").rows([("a",), ("b",)]).counts(GAUGE, table)
    table[:] = 7
    assert [s.value for s in parsed(samples)] == [1, -2]


def test_what_does_not_fit_is_refused_before_anything_is_written() -> None:
    line, ends, values = ((b"a{", b"} "),), np.array([0, 1]), np.array([5])
    assert _core.render(line, b"d", b"x", ends, values, b"", 0, 1) == b"a{x} 5\n"
    for bad in (
        (line, b"dd", b"x", ends, values, b"", 0, 1),
        (line, b"d", b"", ends, values, b"", 0, 1),
        (line, b"d", b"x", ends, values, b"", 0, 2),
        (line, b"d", b"x", ends, values, b"", -1, 1),
        (line, b"d", b"x", np.array([1, 0]), values, b"", 0, 1),
        (line, b"d", b"x", ends, values[:0], b"", 0, 1),
        (line, b"t", b"x", ends, values, b"1234", 0, 1),
        (line, b"t", b"x", ends, -values, b"1234", 0, 1),
    ):
        with pytest.raises(ValueError, match="do not match"):
            _core.render(*bad)
