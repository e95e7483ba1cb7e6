"""Runs an experiment from its plan to its claims."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .experiment import MUST_HOLD, Claim, Experiment, Plan, Row
from .sweep import Progress, carry_out
from .traces import trace_file


@dataclass(frozen=True)
class Result:
    """What a run has shown; the same seed, size and trace give the same, byte for byte."""

    name: str
    seed: int
    parameters: dict[str, Any]
    rows: Sequence[Row]
    claims: Sequence[Claim]

    @property
    def is_right(self) -> bool:
        """Whether all holds that must."""
        return all(claim.holds for claim in self.claims if claim.kind == MUST_HOLD)

    def as_json(self) -> dict[str, Any]:
        """Returns it as JSON has it."""
        return asdict(self)


def plan(
    experiment: Experiment[Any, Any],
    *,
    seed: int = 1,
    size: str = "default",
    trace: Path | None = None,
) -> Plan[Any]:
    """Returns what is to be run; ValueError says what is wrong and what would be right."""
    if size not in experiment.sizes:
        known = ", ".join(experiment.sizes)
        raise ValueError(f"{experiment.name} has no size {size!r}: there are {known}")
    if trace is not None and not experiment.replays:
        raise ValueError(f"{experiment.name} replays no trace")
    return Plan(seed, size, experiment.sizes[size], trace_file(trace))


def run(
    experiment: Experiment[Any, Any],
    planned: Plan[Any],
    executor: Executor | None = None,
    progress: Progress = lambda done, cases: None,
) -> Result:
    """Runs all cases, by the workers of an Executor if one is given, and draws the conclusions."""
    parameters = {"size": planned.size, **asdict(planned.parameters)}
    if experiment.replays:
        parameters["trace"] = planned.trace.name
    rows = carry_out(experiment.name, experiment.cases(planned), executor, progress)
    claims = experiment.claims(planned.parameters, rows)
    return Result(experiment.name, planned.seed, parameters, rows, claims)
