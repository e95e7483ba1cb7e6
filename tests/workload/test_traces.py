"""A production VM's trace, the bundled trace and what is said about them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from smokestack.engine.records import TRACE
from smokestack.workload.traces import bundled, parse, trace_info
from smokestack.workload.traces.make_bundled import make

GIB = 1 << 30
REPOSITORY = Path(__file__).parents[2]
NEIGHBOUR = REPOSITORY.parent / "shared" / "data" / "cloudphysics-w00.vscsi"


def trace_at_hand() -> tuple[bytes, dict[str, int]]:
    """Returns the real trace where it is present, otherwise the bundled one, and its counts."""
    path = Path(os.environ.get("SMOKESTACK_TRACE", NEIGHBOUR))
    if path.name == NEIGHBOUR.name and path.is_file():
        return path.read_bytes(), {"commands": 113_872, "writes": 66_898, "reads": 46_974}
    return bundled(), {"commands": 5140, "writes": 2008, "reads": 3132}


def test_trace_loads_whole() -> None:
    data, counts = trace_at_hand()
    records = parse(data)
    info = trace_info(records)
    assert {name: info[name] for name in counts} == counts
    assert len(data) == 32 * info["commands"]
    assert records["time_ns"][0] == 0
    assert np.all(np.diff(records["time_ns"]) >= 0)
    assert info["end_bytes"] <= 40 * GIB
    assert json.loads(json.dumps(info)) == info


def test_bundled_trace_is_what_its_maker_makes() -> None:
    assert make() == bundled()


def test_bundled_trace_fits_the_default_volumes_and_the_repository() -> None:
    info = trace_info(parse(bundled()))
    assert len(bundled()) <= 200_000
    assert 60 <= info["duration_seconds"] <= 120
    assert info["end_bytes"] <= 40 * GIB
    # Written before it is read: a thin volume answers other reads without its media.
    assert info["pages_touched"] == info["pages_written"]


def test_info_counts() -> None:
    records = np.array(
        [(0, 0, 4096, 0x28), (5, 4095, 1024, 0x2A), (2_500_000_000, 8, 4096, 0x2A)], TRACE
    )
    assert trace_info(records) == {
        "commands": 3,
        "reads": 1,
        "writes": 2,
        "read_bytes": 4096,
        "write_bytes": 5120,
        "duration_seconds": 2.5,
        "end_bytes": 4097 * 512,
        "sizes": [{"bytes": 4096, "commands": 2}, {"bytes": 1024, "commands": 1}],
        "page_bytes": 2 << 20,
        "pages_touched": 2,
        "pages_written": 2,
    }


@given(
    st.lists(st.tuples(st.integers(0, 200_000), st.integers(1, 40_000)), min_size=1, max_size=30)
)
def test_info_pages_are_the_set_of_pages(ranges: list[tuple[int, int]]) -> None:
    records: Any = np.zeros(len(ranges), TRACE)
    records["op"] = 0x2A
    pages: set[int] = set()
    for record, (block, blocks) in zip(records, ranges, strict=True):
        record["lba"], record["length"] = block, blocks * 512
        pages.update(range(block // 4096, (block + blocks - 1) // 4096 + 1))
    assert trace_info(records)["pages_touched"] == len(pages)


def test_info_of_nothing() -> None:
    info = trace_info(np.zeros(0, TRACE))
    assert info["commands"] == info["pages_touched"] == info["end_bytes"] == 0
    assert info["sizes"] == []


def test_info_of_overlapping_gigabytes_counts_each_page_once() -> None:
    records = np.zeros(1000, TRACE)
    records["length"] = (1 << 32) - 512
    assert trace_info(records)["pages_touched"] == 2048
