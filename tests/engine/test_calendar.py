"""The calendar queue pops what a heap pops, in any order of pushes, tunings and rebuildings."""

from __future__ import annotations

import heapq

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smokestack.engine import _core

PUSH, POP, FIRST, TUNE, REBUILD = range(5)
FAR_NS = 1 << 62
NEVER_NS = (1 << 63) - 1
NODES = 4_096

Step = tuple[int, int]  # what to do, and a time

# Close together, so that there are ties; far apart, so that whole laps are empty.
TIMES = st.one_of(st.integers(0, 40), st.integers(0, 10**6), st.integers(0, FAR_NS))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just(PUSH), TIMES),
        st.tuples(st.just(PUSH), TIMES),
        st.tuples(st.just(POP), st.one_of(st.just(NEVER_NS), TIMES)),
        st.tuples(st.just(FIRST), st.just(NEVER_NS)),
        st.tuples(st.just(TUNE), st.just(0)),
        st.tuples(st.just(REBUILD), st.integers(0, 47)),
    ),
    max_size=150,
)


def play(steps: list[Step], buckets: int = 256) -> list[tuple[int, int]]:
    """Plays steps on the C calendar; pushes number the nodes. Returns answers (node, time)."""
    script = np.zeros((len(steps), 3), dtype=np.int64)
    pushed = 0
    for row, (op, time) in zip(script, steps, strict=True):
        row[:] = (op, pushed, time)
        pushed += op == PUSH
    _core.calendar_script(script, NODES, np.zeros(buckets, dtype="V8"))
    return [(int(node), int(time)) for op, node, time in script if op in (POP, FIRST)]


def play_heap(steps: list[Step]) -> list[tuple[int, int]]:
    heap: list[tuple[int, int]] = []
    answers = []
    pushed = 0
    for op, time in steps:
        if op == PUSH:
            heapq.heappush(heap, (time, pushed))
            pushed += 1
        elif op == POP:
            due = bool(heap) and heap[0][0] < time
            popped, node = heapq.heappop(heap) if due else (time, -1)
            answers.append((node, popped))
        elif op == FIRST:
            answers.append((pushed, heap[0][0] if heap else time))
    return answers


@given(STEPS)
@example([(PUSH, FAR_NS), (POP, NEVER_NS)])
@example([(PUSH, 5), (POP, 5), (PUSH, 3), (POP, 6), (POP, 6), (POP, 6)])
@example([(PUSH, 100), (FIRST, NEVER_NS), (PUSH, 7), (POP, NEVER_NS), (POP, NEVER_NS)])
def test_any_script_pops_as_a_heap_does(steps: list[Step]) -> None:
    assert play(steps) == play_heap(steps)


def test_ties_pop_by_their_index() -> None:
    steps = [(PUSH, 9)] * 100 + [(POP, NEVER_NS)] * 100
    assert [node for node, _ in play(steps)] == list(range(100))


@given(st.integers(0, 2**64 - 1), st.sampled_from([1, 1_000, 10**9]), st.booleans())
def test_a_queue_that_grows_and_shrinks_stays_in_order(seed: int, gap: int, tune: bool) -> None:
    words = np.zeros((500, 4), dtype=np.uint64)
    _core.philox_fill(seed, 0, 0, 0, 0, words)
    ahead = [_core.exponential_ns(500 * gap, int(word)) for word in words.ravel()]
    steps: list[Step] = [(PUSH, time) for time in ahead[:1500]]
    for n, time in enumerate(ahead[1500:]):
        steps += [(POP, NEVER_NS), (PUSH, n * gap + time)]
        if tune and n % 100 == 0:
            steps.append((TUNE, 0))
    steps += [(POP, NEVER_NS)] * 1501 + [(TUNE, 0)]
    assert play(steps, 2048) == play_heap(steps)


def test_a_script_that_makes_no_sense_is_refused() -> None:
    for row in ([PUSH, NODES, 0], [PUSH, -1, 0], [9, 0, 0]):
        with pytest.raises(ValueError, match="script: row 0"):
            _core.calendar_script(np.array([row]), NODES, np.zeros(64, dtype="V8"))
    with pytest.raises(ValueError, match="power of two"):
        _core.calendar_script(np.zeros((0, 3), "i8"), NODES, np.zeros(65, dtype="V8"))
