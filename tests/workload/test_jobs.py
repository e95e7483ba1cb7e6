"""A job's description becomes exact integers, or is refused by the field that is wrong."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smokestack.engine.errors import InvalidArgument
from smokestack.engine.jobplan import JobKind, Pattern
from smokestack.engine.records import TRACE, Flag
from smokestack.engine.streams import job_uid
from smokestack.workload import Arrival, JobSpec, ThinkTime, TraceMode, compile_job
from smokestack.workload.zipf import zipf_table

NAME = "hosts/h1/vms/v1/jobs/j1"
SPEC = JobSpec(host_id="h1", vm_id="v1", disk_id="d1", job_id="j1")
RECORDS = np.array([(0, 8, 4096, 0x28), (10**12, 16, 512, 0x2A)], dtype=TRACE)


def violations(records: Any = None, **fields: Any) -> dict[str, str]:
    with pytest.raises(InvalidArgument) as refusal:
        compile_job(replace(SPEC, **fields), NAME, records)
    return {v.field: v.description for v in refusal.value.violations}


def test_defaults_are_a_closed_loop_of_one_random_4k_read() -> None:
    plan = compile_job(SPEC, NAME)
    assert (plan.kind, plan.slots, plan.pattern) == (JobKind.CLOSED, 1, Pattern.RANDOM)
    assert plan.read_always
    assert plan.block_sizes == ((4096, 1 << 32),)
    assert plan.error_backoff_ns == 10_000_000
    assert plan.uid == job_uid(NAME)
    assert plan.name == NAME
    assert plan.zipf is None
    assert plan.trace is None


@pytest.mark.parametrize(
    ("fields", "kind", "slots"),
    [
        ({}, JobKind.CLOSED, 1),
        ({"iodepth": 4096}, JobKind.CLOSED, 4096),
        ({"rate_iops": 100}, JobKind.RATE, 4096),
        ({"rate_iops": 100, "iodepth": 65536}, JobKind.RATE, 65536),
        ({"trace": "t"}, JobKind.TRACE_OPEN, 4096),
        ({"trace": "t", "trace_mode": TraceMode.CLOSED}, JobKind.TRACE_CLOSED, 1),
    ],
)
def test_kind_and_depth(fields: dict[str, Any], kind: JobKind, slots: int) -> None:
    records = RECORDS if "trace" in fields else None
    plan = compile_job(replace(SPEC, **fields), NAME, records)
    assert (plan.kind, plan.slots) == (kind, slots)
    if records is not None:
        assert plan.trace is records
        assert plan.block_sizes == ()


@pytest.mark.parametrize(
    ("rate", "interval_ns"),
    [(1, 10**9), (3, 333_333_333), (0.001, 10**12), (0.3, 3_333_333_333), (1e9, 1)],
)
def test_rate_becomes_an_interval_rounded_down(rate: float, interval_ns: int) -> None:
    plan = compile_job(replace(SPEC, rate_iops=rate, arrival=Arrival.POISSON), NAME)
    assert plan.interval_ns == interval_ns
    assert plan.arrival_exponential


@given(st.floats(0, 1))
def test_read_threshold_is_the_exact_share_of_all_words(ratio: float) -> None:
    plan = compile_job(replace(SPEC, read_ratio=ratio), NAME)
    exact = int(Decimal(ratio) * (1 << 64)) if ratio < 1 else (1 << 64) - 1
    assert abs(plan.read_threshold - exact) <= (0 if ratio in (0, 0.5, 1) else 1 << 12)
    assert 0 <= plan.read_threshold < 1 << 64
    assert plan.read_always is (ratio == 1)


def test_writes_of_zeros_are_a_share_or_all_of_them() -> None:
    shares = {0.0: (0, 0), 0.5: (0, 1 << 63), 1.0: (int(Flag.ZEROS), 0)}
    for ratio, wanted in shares.items():
        plan = compile_job(replace(SPEC, zero_ratio=ratio), NAME)
        assert (plan.write_flags, plan.zero_threshold) == wanted
    assert "zero_ratio" in str(violations(zero_ratio=1.1))


@given(
    st.lists(
        st.tuples(st.integers(1, 32768).map(lambda n: n * 512), st.integers(1, 1_000_000)),
        min_size=1,
        max_size=8,
    )
)
def test_block_size_thresholds_ascend_to_the_whole(sizes: list[tuple[int, int]]) -> None:
    plan = compile_job(replace(SPEC, block_sizes=tuple(sizes)), NAME)
    thresholds = [threshold for _, threshold in plan.block_sizes]
    total = sum(weight for _, weight in sizes)
    assert thresholds[-1] == 1 << 32
    steps = np.diff([0, *thresholds])
    for step, (_, weight) in zip(steps, sizes, strict=True):
        assert step > 0
        assert abs(step - weight * 2**32 / total) <= 1


def test_think_time_and_window_pass_through() -> None:
    fields: dict[str, Any] = {"think_ns": 5, "start_ns": 7, "stop_ns": 9, "io_limit": 11}
    plan = compile_job(replace(SPEC, think_time=ThinkTime.EXPONENTIAL, **fields), NAME)
    assert plan.think_exponential
    assert {field: getattr(plan, field) for field in fields} == fields


@pytest.mark.parametrize(
    ("scale", "num", "den"), [(1.0, 1, 1), (2.0, 2, 1), (0.1, 1, 10), (0.333, 333, 1000)]
)
def test_time_scale_multiplies_recorded_times(scale: float, num: int, den: int) -> None:
    plan = compile_job(replace(SPEC, trace="t", time_scale=scale), NAME, RECORDS)
    assert (plan.scale_num, plan.scale_den) == (num, den)


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"read_ratio": 1.4}, "read_ratio", "1.4 is not in 0..1"),
        ({"read_ratio": float("nan")}, "read_ratio", "nan is not in 0..1"),
        ({"iodepth": 4097}, "iodepth", "4097 is not a whole number in 0..4,096"),
        ({"iodepth": 65537, "rate_iops": 1}, "iodepth", "in 0..65,536"),
        ({"iodepth": True}, "iodepth", "True"),
        ({"rate_iops": -1}, "rate_iops", "-1 is not in 0..1e+09"),
        ({"rate_iops": 0.0001}, "rate_iops", "less than 0.001"),
        ({"rate_iops": float("inf")}, "rate_iops", "inf"),
        ({"think_ns": -1}, "think_ns", "-1"),
        ({"think_ns": 1, "rate_iops": 1}, "think_ns", "only closed loops"),
        ({"stop_ns": 5, "start_ns": 5}, "stop_ns", "5 is not after start_ns, 5"),
        ({"io_limit": 1 << 40}, "io_limit", "1099511627776"),
        ({"block_sizes": ()}, "block_sizes", "0 entries are not in 1..8"),
        ({"block_sizes": ((4096, 1),) * 9}, "block_sizes", "9 entries"),
        ({"block_sizes": ((4096, 1), (1000, 1))}, "block_sizes[1].bytes", "multiple of 512"),
        ({"block_sizes": ((4096, 0),)}, "block_sizes[0].weight", "0 is not a whole number"),
        ({"block_sizes": ((0, 1),)}, "block_sizes[0].bytes", "in 512..16,777,216 bytes"),
        ({"region_bytes": 2048}, "block_sizes[0].bytes", "4096 does not fit region_bytes, 2048"),
        ({"region_bytes": 1000}, "region_bytes", "multiple of 512"),
        ({"region_offset_bytes": 1}, "region_offset_bytes", "multiple of 512"),
        ({"pattern": 9}, "pattern", "9 is none of RANDOM, SEQUENTIAL, ZIPF"),
        ({"arrival": 0}, "arrival", "0 is none of CONSTANT, POISSON"),
        ({"pattern": Pattern.ZIPF, "zipf_theta": -0.5}, "zipf_theta", "-0.5 is not in 0..5"),
        ({"time_scale": 2.0}, "time_scale", "only a trace in mode OPEN"),
        ({"trace": "t1"}, "trace", "'t1' has not been loaded"),
    ],
)
def test_wrong_fields_are_named(fields: dict[str, Any], field: str, says: str) -> None:
    assert says in violations(**fields)[f"job.{field}"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"rate_iops": 5}, "rate_iops"),
        ({"region_bytes": 512}, "region_bytes"),
        ({"trace_mode": TraceMode.CLOSED, "time_scale": 2.0}, "time_scale"),
        ({"trace_mode": 7}, "trace_mode"),
        ({"time_scale": 0.0}, "time_scale"),
        ({"time_scale": -1.0}, "time_scale"),
        ({"time_scale": 1001.0}, "time_scale"),
    ],
)
def test_trace_forbids_what_it_brings_itself_or_cannot_use(
    fields: dict[str, Any], field: str
) -> None:
    assert f"job.{field}" in violations(RECORDS, trace="t", **fields)


def test_trace_must_be_records() -> None:
    assert "job.trace" in violations(RECORDS[:0], trace="t")
    assert "job.trace" in violations(np.zeros(3), trace="t")
    assert "job.trace" in violations(RECORDS)


def test_scaled_times_that_overflow_are_refused() -> None:
    late = np.array([(1 << 61, 8, 4096, 0x28)], dtype=TRACE)
    assert "146 years" in violations(late, trace="t", time_scale=999.999)["job.time_scale"]


def test_all_wrong_fields_are_told_at_once() -> None:
    assert set(violations(read_ratio=2, iodepth=-1, stop_ns=-1)) >= {
        "job.read_ratio",
        "job.iodepth",
        "job.stop_ns",
    }


@settings(max_examples=15)
@given(st.integers(0, 5000).map(lambda milli: milli / 1000))
def test_zipf_table_follows_the_power_law(theta: float) -> None:
    table = zipf_table(theta).astype(np.int64)
    weights = np.arange(1, 1025, dtype=float) ** -theta
    expected = np.cumsum(weights) / weights.sum() * 2**32
    assert np.all(np.diff(table) >= 0)
    assert table[-1] == (1 << 32) - 1
    assert np.abs(table - expected).max() <= 2


def test_zipf_table_is_the_same_on_every_machine() -> None:
    table = zipf_table(1.1)
    assert table[:4].tolist() == [769060650, 1127840130, 1357522262, 1524898808]
    assert table.dtype == np.dtype("<u4")
    assert not table.flags.writeable
