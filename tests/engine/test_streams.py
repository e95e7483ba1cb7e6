"""Draws: the C agrees with the reference word for word, and Philox with NumPy's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smokestack.engine import _core, exponential_table
from smokestack.engine.streams import job_uid
from tests.reference import draws as reference

ROOT = Path(__file__).resolve().parents[2]
HEADER = ROOT / "services/smokestack/engine/include/smokestack/exponential_table.h"
WORDS = st.integers(0, 2**64 - 1)


@given(st.tuples(WORDS, WORDS), st.tuples(WORDS, WORDS, WORDS, WORDS))
def test_philox_agrees_with_the_reference(
    key: tuple[int, int], counter: tuple[int, int, int, int]
) -> None:
    assert _core.philox(*key, *counter) == reference.philox(key, counter)


@given(st.tuples(WORDS, WORDS), st.integers(1, 2**64 - 1), WORDS, WORDS)
def test_philox_is_numpys_with_the_counter_one_lower(
    key: tuple[int, int], c0: int, c1: int, c2: int
) -> None:
    numpys = np.random.Philox(
        key=np.array(key, dtype=np.uint64), counter=np.array([c0 - 1, c1, c2, 0], dtype=np.uint64)
    )
    assert list(_core.philox(*key, c0, c1, c2, 0)) == numpys.random_raw(4).tolist()


@given(WORDS, st.integers(0, 2**64 - 8), WORDS, WORDS)
def test_a_block_does_not_depend_on_the_batch_it_is_drawn_in(
    seed: int, c0: int, c1: int, c2: int
) -> None:
    blocks = np.zeros((8, 4), dtype=np.uint64)
    _core.philox_fill(seed, 1, c0, c1, c2, blocks)
    alone = [_core.philox(seed, 1, c0 + n, c1, c2, 0) for n in range(8)]
    assert [tuple(row) for row in blocks.tolist()] == alone


@given(WORDS, st.integers(1, 2**64 - 1))
def test_mulhi_is_below_n(word: int, n: int) -> None:
    assert _core.mulhi(word, n) == reference.mulhi(word, n) < n


@given(WORDS)
@example(0)
@example(1)
@example(2**64 - 1)
@example(2**58 - 1)
@example(2**58)
def test_exponential_agrees_with_the_reference(word: int) -> None:
    assert _core.exponential(word) == reference.exponential_q32(word)


@given(st.integers(0, 64), WORDS)
def test_exponential_of_rare_small_words_agrees(shift: int, word: int) -> None:
    assert _core.exponential(word >> shift) == reference.exponential_q32(word >> shift)


@given(st.integers(0, 10**12), WORDS)
def test_exponential_scales_to_a_mean(mean_ns: int, word: int) -> None:
    assert _core.exponential_ns(mean_ns, word) == reference.exponential_ns(mean_ns, word)


@given(st.integers(2**10, 2**64 - 1), st.integers(2**10, 2**64 - 1))
def test_a_larger_word_never_waits_longer(a: int, b: int) -> None:
    # Below 2^10 the scalings are used up, and words share the lowest cell.
    low, high = sorted((a, b))
    assert _core.exponential(high) <= _core.exponential(low)


def test_the_words_of_a_fine_grid_have_mean_one() -> None:
    words = 1 << 16
    step = (1 << 64) // words
    total = sum(_core.exponential(n * step + step // 2) for n in range(words))
    assert total / words / 2**32 == pytest.approx(1.0, abs=1e-4)


def test_drawn_exponentials_have_the_moments_of_an_exponential() -> None:
    blocks = np.zeros((25_000, 4), dtype=np.uint64)
    _core.philox_fill(7, 4, 0, 0, 0, blocks)
    drawn = np.array([_core.exponential(int(word)) for word in blocks.ravel()]) / 2**32
    # 100,000 draws: the mean's standard error is 0.0032, the variance's 0.009.
    assert drawn.mean() == pytest.approx(1.0, abs=0.013)
    assert drawn.var() == pytest.approx(1.0, abs=0.036)
    assert (drawn > 3).mean() == pytest.approx(np.exp(-3), abs=0.003)


def test_the_committed_table_is_what_its_generator_prints() -> None:
    assert HEADER.read_text(encoding="utf-8") == exponential_table.render()


@pytest.mark.parametrize("offset", [0, -1])
def test_exponential_agrees_at_both_ends_of_every_cell(offset: int) -> None:
    for cell in range(1, exponential_table.CELLS):
        word = (cell << 54) + offset
        assert _core.exponential(word) == reference.exponential_q32(word)


def test_a_negative_mean_is_refused() -> None:
    with pytest.raises(ValueError, match="mean_ns"):
        _core.exponential_ns(-1, 0)


def test_a_job_draws_by_its_name() -> None:
    assert job_uid("hosts/h1/vms/v1/jobs/j0") != job_uid("hosts/h1/vms/v1/jobs/j1")
    assert 0 <= job_uid("hosts/h1/vms/v1/jobs/j0") < 2**64
