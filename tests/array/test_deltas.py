"""What I/O changes in the page map is noted, and the notes make the same map elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smokestack.array.model import ArrayModel
from smokestack.engine.records import Op
from tests.array.test_array import PAGE, attach, make_array, serve


def pages_of(array: ArrayModel) -> set[tuple[int, int]]:
    table = array.state["page"]
    return set(table[table["key"] != 0].tolist())


def sums_of(array: ArrayModel) -> dict[str, Any]:
    pool, volume = array.state.used("pool"), array.state.used("volume")
    return {
        "pools": pool[["allocated_pages", "next_page"]].tolist(),
        "volumes": volume["allocated_pages"].tolist(),
        "pages": int(array.state.row["page_count"]),
    }


def test_notes_repeated_in_order_make_the_same_map_and_the_same_sums() -> None:
    array, other = make_array(pages=4096), make_array(pages=4096)
    array.state.keep_deltas(True)
    attach(array)
    for turn in range(3):
        ios = [
            (array.now_ns + n, turn << 40 | n, Op.WRITE, n * 7 % 1000 * PAGE + 512, 2 * PAGE)
            for n in range(500)
        ]
        serve(array, *ios)
        noted = array.state.take_deltas()
        assert len(noted) == len(set(noted["key"].tolist()))
        other.state.repeat_deltas(noted)
    assert pages_of(other) == pages_of(array)
    assert sums_of(other) == sums_of(array)
    assert array.state.row["delta_count"] == 0


def test_an_array_whose_notes_nobody_takes_makes_none() -> None:
    array = attach(make_array())
    serve(array, (0, 1, Op.WRITE, 0, PAGE))
    assert array.state.row["delta_count"] == 0
    assert len(pages_of(array)) == 1


@pytest.mark.parametrize("key", [1, (1 << 40) - 1, 9 << 40])
def test_notes_of_no_volume_change_nothing(key: int) -> None:
    array = make_array()
    before = sums_of(array)
    wrong = np.zeros(2, array.state["delta"].dtype)
    wrong["key"] = [1 << 40, key]
    with pytest.raises(ValueError, match="no such volume"):
        array.state.repeat_deltas(wrong)
    assert sums_of(array) == before
    assert not pages_of(array)
