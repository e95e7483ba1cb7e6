"""Compiles a job's description into a plan, or refuses it naming the field and what is right.

Numbers that people write as decimals (ratios, rates, scales) become exact integers here, so that
two machines never disagree about a random decision.
"""

from __future__ import annotations

import math
from enum import IntEnum
from fractions import Fraction
from typing import Any, Final

import numpy.typing as npt

from smokestack.engine.errors import InvalidArgument, Violation
from smokestack.engine.jobplan import (
    BLOCK_SIZES_MAX,
    SLOTS_PER_JOB_MAX,
    JobKind,
    JobPlan,
    Pattern,
)
from smokestack.engine.records import BLOCK_BYTES, SLOT_SHIFT, TRACE, Flag
from smokestack.engine.streams import job_uid
from smokestack.workload.job import Arrival, JobSpec, ThinkTime, TraceMode
from smokestack.workload.zipf import zipf_table

CLOSED_DEPTH_MAX: Final = 4096
OPEN_DEPTH_DEFAULT: Final = 4096
BLOCK_SIZE_BYTES_MAX: Final = 16 << 20
WEIGHT_MAX: Final = 1_000_000  # 8 such entries still give the rarest one a threshold of its own
RATE_IOPS_MAX: Final = 1_000_000_000  # one arrival a nanosecond
TIME_NS_MAX: Final = 1 << 62  # leaves room to add two times
ZIPF_THETA_MAX: Final = 5.0
TIME_SCALE_MAX: Final = 1000.0
_MILLI: Final = 1000


def compile_job(
    spec: JobSpec, full_name: str, trace_records: npt.NDArray[Any] | None = None
) -> JobPlan:
    """Returns the plan of a job; raises InvalidArgument with every field that is wrong.

    ``full_name`` ("hosts/h1/vms/v1/jobs/j1") alone decides the job's random streams.
    ``trace_records`` are the commands of the trace that ``spec.trace`` names.
    """
    kind = _kind(spec)
    _check(spec, kind, trace_records)
    scale = _thousandths(spec.time_scale) if kind is JobKind.TRACE_OPEN else Fraction(1)
    if kind is JobKind.TRACE_OPEN and trace_records is not None:
        _check_scaled_end(scale, trace_records, spec.start_ns)
    return JobPlan(
        host_id=spec.host_id,
        vm_id=spec.vm_id,
        disk_id=spec.disk_id,
        job_id=spec.job_id,
        kind=kind,
        uid=job_uid(full_name),
        slots=spec.iodepth or (OPEN_DEPTH_DEFAULT if _is_open(kind) else 1),
        start_ns=spec.start_ns,
        stop_ns=spec.stop_ns,
        io_limit=spec.io_limit,
        error_backoff_ns=spec.error_backoff_ns,
        think_ns=spec.think_ns,
        think_exponential=spec.think_time == ThinkTime.EXPONENTIAL,
        interval_ns=_interval_ns(spec) if kind is JobKind.RATE else 0,
        arrival_exponential=spec.arrival == Arrival.POISSON,
        pattern=Pattern(spec.pattern),
        read_threshold=_threshold(spec.read_ratio),
        read_always=spec.read_ratio == 1,
        write_flags=int(Flag.ZEROS) if spec.zero_ratio == 1 else 0,
        zero_threshold=_threshold(spec.zero_ratio) if spec.zero_ratio < 1 else 0,
        region_offset_bytes=spec.region_offset_bytes,
        region_bytes=spec.region_bytes,
        block_sizes=_thresholds(spec.block_sizes) if not spec.trace else (),
        zipf=zipf_table(float(spec.zipf_theta)) if _uses_zipf(spec) else None,
        trace=trace_records,
        scale_num=scale.numerator,
        scale_den=scale.denominator,
    )


class _Checks:
    """Gathers violations, so that one answer names every wrong field."""

    def __init__(self) -> None:
        self._violations: list[Violation] = []

    def need(self, right: bool, field: str, description: str) -> bool:
        """Notes a violation of ``job.<field>`` unless ``right``; returns ``right``."""
        if not right:
            self._violations.append(Violation(f"job.{field}", description))
        return right

    def integer(self, field: str, value: int, low: int, high: int, unit: str = "") -> bool:
        """Checks an integer and its range."""
        right = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        return self.need(
            right, field, f"{value!r} is not a whole number in {low:,}..{high:,}{unit}"
        )

    def number(self, field: str, value: float, low: float, high: float) -> bool:
        """Checks a finite number and its range."""
        right = isinstance(value, (int, float)) and not isinstance(value, bool)
        right = right and math.isfinite(value) and low <= value <= high
        return self.need(right, field, f"{value!r} is not in {low:g}..{high:g}")

    def blocks(self, field: str, value: int, low: int, high: int) -> bool:
        """Checks a size or an offset in bytes that must be whole blocks."""
        return self.integer(field, value, low, high, " bytes") and self.need(
            value % BLOCK_BYTES == 0, field, f"{value} is not a multiple of {BLOCK_BYTES} bytes"
        )

    def choice(self, field: str, value: int, of: type[IntEnum]) -> None:
        """Checks a member of an enumeration."""
        names = ", ".join(member.name for member in of)
        self.need(value in set(of), field, f"{value!r} is none of {names}")

    def refuse(self) -> None:
        """Raises what was noted, if anything."""
        if self._violations:
            message = "; ".join(f"{v.field}: {v.description}" for v in self._violations)
            raise InvalidArgument(message, violations=self._violations)


def _kind(spec: JobSpec) -> JobKind:
    if spec.trace:
        is_closed = spec.trace_mode == TraceMode.CLOSED
        return JobKind.TRACE_CLOSED if is_closed else JobKind.TRACE_OPEN
    return JobKind.CLOSED if spec.rate_iops == 0 else JobKind.RATE


def _is_open(kind: JobKind) -> bool:
    return kind in (JobKind.RATE, JobKind.TRACE_OPEN)


def _uses_zipf(spec: JobSpec) -> bool:
    return not spec.trace and spec.pattern == Pattern.ZIPF


def _thousandths(value: float) -> Fraction:
    """Returns the decimal that people see, to the nearest thousandth, exactly."""
    return Fraction(round(Fraction(repr(float(value))) * _MILLI), _MILLI)


def _check(spec: JobSpec, kind: JobKind, trace_records: npt.NDArray[Any] | None) -> None:
    """Raises InvalidArgument with every field that is wrong."""
    checks = _Checks()
    _check_choices(spec, checks)
    _check_times(spec, kind, checks)
    _check_rate(spec, kind, checks)
    if spec.trace:
        _check_trace(spec, trace_records, checks)
    else:
        _check_content(spec, checks)
        checks.need(trace_records is None, "trace", "'' names no trace, but records were given")
    checks.refuse()


def _check_choices(spec: JobSpec, checks: _Checks) -> None:
    checks.choice("pattern", spec.pattern, Pattern)
    checks.choice("arrival", spec.arrival, Arrival)
    checks.choice("think_time", spec.think_time, ThinkTime)
    checks.choice("trace_mode", spec.trace_mode, TraceMode)


def _check_times(spec: JobSpec, kind: JobKind, checks: _Checks) -> None:
    for field in ("start_ns", "stop_ns", "think_ns", "error_backoff_ns"):
        checks.integer(field, getattr(spec, field), 0, TIME_NS_MAX, " ns")
    checks.integer("io_limit", spec.io_limit, 0, (1 << SLOT_SHIFT) - 1)
    checks.need(
        spec.stop_ns == 0 or spec.stop_ns > spec.start_ns,
        "stop_ns",
        f"{spec.stop_ns} is not after start_ns, {spec.start_ns} (0: never stops)",
    )
    checks.need(
        spec.think_ns == 0 or not _is_open(kind),
        "think_ns",
        "only closed loops think; a rate or a trace at its times sets when I/Os are issued",
    )


def _check_rate(spec: JobSpec, kind: JobKind, checks: _Checks) -> None:
    depth_max = SLOTS_PER_JOB_MAX if _is_open(kind) else CLOSED_DEPTH_MAX
    checks.integer("iodepth", spec.iodepth, 0, depth_max)
    if spec.rate_iops != 0 and checks.number("rate_iops", spec.rate_iops, 0, RATE_IOPS_MAX):
        checks.need(not spec.trace, "rate_iops", "a trace brings its own times: use time_scale")
        at_least = _thousandths(spec.rate_iops) > 0
        checks.need(at_least, "rate_iops", f"{spec.rate_iops!r} is less than 0.001 a second")
    if checks.number("time_scale", spec.time_scale, 0, TIME_SCALE_MAX):
        at_least = _thousandths(spec.time_scale) > 0
        checks.need(at_least, "time_scale", f"{spec.time_scale!r} is not in 0.001..1000")
        checks.need(
            spec.time_scale == 1 or kind is JobKind.TRACE_OPEN,
            "time_scale",
            "only a trace in mode OPEN has times to scale",
        )


def _check_content(spec: JobSpec, checks: _Checks) -> None:
    checks.number("read_ratio", spec.read_ratio, 0, 1)
    checks.number("zero_ratio", spec.zero_ratio, 0, 1)
    if _uses_zipf(spec):
        checks.number("zipf_theta", spec.zipf_theta, 0, ZIPF_THETA_MAX)
    checks.blocks("region_offset_bytes", spec.region_offset_bytes, 0, TIME_NS_MAX)
    region_is_right = checks.blocks("region_bytes", spec.region_bytes, 0, TIME_NS_MAX)
    count = len(spec.block_sizes)
    checks.need(
        1 <= count <= BLOCK_SIZES_MAX,
        "block_sizes",
        f"{count} entries are not in 1..{BLOCK_SIZES_MAX}",
    )
    for index, (length, weight) in enumerate(spec.block_sizes):
        place = f"block_sizes[{index}]"
        checks.integer(f"{place}.weight", weight, 1, WEIGHT_MAX)
        if not checks.blocks(f"{place}.bytes", length, BLOCK_BYTES, BLOCK_SIZE_BYTES_MAX):
            continue
        fits = not region_is_right or spec.region_bytes == 0 or length <= spec.region_bytes
        checks.need(
            fits, f"{place}.bytes", f"{length} does not fit region_bytes, {spec.region_bytes}"
        )


def _check_trace(spec: JobSpec, records: npt.NDArray[Any] | None, checks: _Checks) -> None:
    for field in ("region_offset_bytes", "region_bytes"):
        checks.need(getattr(spec, field) == 0, field, "a trace brings its own addresses: use 0")
    if records is None:
        checks.need(False, "trace", f"{spec.trace!r} has not been loaded")
        return
    is_trace = records.dtype == TRACE and records.ndim == 1 and records.flags.c_contiguous
    checks.need(
        bool(is_trace and len(records)), "trace", f"{spec.trace!r} is not an array of commands"
    )


def _check_scaled_end(scale: Fraction, records: npt.NDArray[Any], start_ns: int) -> None:
    last_ns = int(records["time_ns"][-1])
    if start_ns + last_ns * scale.numerator // scale.denominator > TIME_NS_MAX:
        raise InvalidArgument.at(
            "job.time_scale",
            f"{float(scale):g} puts the trace's last command, at {last_ns / 1e9:,.0f} s, "
            "more than 146 years into virtual time",
        )


def _threshold(ratio: float) -> int:
    """Returns what a random u64 is below with such a probability."""
    return min((1 << 64) - 1, math.floor(Fraction(ratio) * (1 << 64)))


def _interval_ns(spec: JobSpec) -> int:
    return int(1_000_000_000 / _thousandths(spec.rate_iops))


def _thresholds(block_sizes: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """Returns the sizes with cumulative thresholds, the last of which is 2 ** 32."""
    total = sum(weight for _, weight in block_sizes)
    result: list[tuple[int, int]] = []
    cumulative = 0
    for length, weight in block_sizes:
        cumulative += weight
        result.append((length, (cumulative << 32) // total))
    return tuple(result)
