"""`thin-families`: what must hold can fail, and pages are counted from the file's bytes alone."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from smokestack.experiments import Claim, find, plan
from smokestack.experiments.thin_families import _PAGE_BYTES, FAMILIES, _commands, _pages

EXPERIMENT = find("thin-families")
SMALL = EXPERIMENT.sizes["small"]


def rows(**changed: Any) -> list[dict[str, Any]]:
    made = [
        {
            "family": family,
            "part": part,
            "page_bytes": _PAGE_BYTES[family] << 10,
            "pages": 7,
            "counted_pages": 7 if part == "trace" else None,
            "errors": 0,
            "growth_events": family == "INSERV_3PAR",
            "steps": 0,
            "warning_ns": 5,
            "conserving_ns": None,
            "exhausted_ns": None if part == "trace" else 10**9 // _PAGE_BYTES[family],
            "volumes_offline": family == "SVC",
            "snapshots_stale": 0,
        }
        for part in ("trace", "demand")
        for family in FAMILIES
    ]
    made[0] |= changed
    return made


def claim(name: str, **changed: Any) -> Claim:
    claims = EXPERIMENT.claims(SMALL, rows(**changed))
    return next(claim for claim in claims if claim.id == name)


def test_one_page_too_many_an_error_or_another_page_size_breaks_the_claim() -> None:
    assert claim("page-accounting").holds
    assert not claim("page-accounting", pages=8).holds
    assert not claim("page-accounting", errors=1).holds
    assert not claim("page-accounting", page_bytes=4096).holds


def test_families_are_compared_by_their_pages() -> None:
    sooner = claim("runs-out-sooner-with-larger-pages")
    assert sooner.holds and sooner.figure < sooner.baseline


def test_pages_are_counted_from_a_traces_bytes(tmp_path: Path) -> None:
    record = struct.Struct("<IIIHHQQ")
    commands = [(0x2A, 0, 512), (0x2A, 31, 1024), (0x28, 99, 512), (0x8A, 64, 0), (0x8A, 63, 512)]
    data = b"".join(
        record.pack(n, length, 1, opcode, 0x0100, block, n)
        for n, (opcode, block, length) in enumerate(commands)
    )
    trace = tmp_path / "t.vscsi"
    trace.write_bytes(data)
    assert len(list(_commands(trace))) == 5
    assert _pages(trace, 16 << 10) == 2  # blocks 0 and 31; blocks 32 and 63
    assert _pages(trace, 4 << 10) == 4
    trace.write_bytes(data[:-1])
    with pytest.raises(ValueError, match="no trace of vscsiStats"):
        list(_commands(trace))


def test_each_family_has_the_trace_and_the_demand() -> None:
    cases = EXPERIMENT.cases(plan(EXPERIMENT, seed=1))
    assert [case.family for case in cases] == [*FAMILIES, *FAMILIES]
    assert all(case.volume_bytes > 0 for case in cases)
