"""FillPool on pools whose volumes grow in steps and keep what is left of them."""

from __future__ import annotations

import pytest

from smokestack.array.fill import fill_pool
from smokestack.array.model import ArrayModel
from smokestack.array.specs import PoolSpec, VolumeSpec
from smokestack.engine.errors import FailedPrecondition

PAGE = 16 << 10


def stepping(step_pages: int, *volume_pages: int, beyond_pages: int = 0) -> ArrayModel:
    """An array whose pool has 64 pages, and volumes of so many each."""
    array = ArrayModel("a1")
    size, beyond = step_pages * PAGE, beyond_pages * PAGE
    array.create_pool(
        PoolSpec(
            "p1", 64 * PAGE, step_bytes=size, step_bytes_max=size, limit_overdraft_bytes=beyond
        )
    )
    for number, pages in enumerate(volume_pages, start=1):
        array.create_volume(VolumeSpec(f"v{number}", "p1", pages * PAGE))
    return array


def allocated(array: ArrayModel) -> list[int]:
    return [int(row["allocated_pages"]) for row in array.state.used("volume")]


def test_a_step_that_leaves_nothing_for_the_next_volume_is_foreseen() -> None:
    array = stepping(64, 8, 64, beyond_pages=56)
    with pytest.raises(FailedPrecondition, match="volumes that grow in steps keep"):
        fill_pool(array, "p1", 0.5)
    assert allocated(array) == [0, 0]


def test_a_steps_end_at_the_end_of_its_volume_is_foreseen() -> None:
    array = stepping(64, 8, 64)
    fill_pool(array, "p1", 0.5)
    assert allocated(array) == [8, 24]
    assert [int(row["room_pages"]) for row in array.state.used("volume")] == [0, 32]


def test_what_is_left_of_a_step_is_filled_before_the_pool_gives_more() -> None:
    array = stepping(64, 64)
    fill_pool(array, "p1", 0.25)  # the step has taken all of the pool
    fill_pool(array, "p1", 1.0)
    assert allocated(array) == [64]


@pytest.mark.parametrize("step_pages", [1, 3, 16, 30])
def test_what_is_foreseen_is_what_happens(step_pages: int) -> None:
    for ratio in (0.1, 0.3, 0.6, 0.8, 1.0):
        array = stepping(step_pages, 10, 20, 40)
        try:
            fill_pool(array, "p1", ratio)
        except FailedPrecondition:
            assert allocated(array) == [0, 0, 0]
        else:
            assert sum(allocated(array)) == int(64 * ratio)
