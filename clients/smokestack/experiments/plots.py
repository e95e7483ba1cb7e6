"""Draws a run to a file; matplotlib (`pip install 'smokestack-emulator[plot]'`) only for that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .experiment import FINDING, Experiment, Plan
from .runner import Result

_SIZE_INCHES = (10, 6)
_DOTS_PER_INCH = 120


def save(experiment: Experiment[Any, Any], plan: Plan[Any], result: Result, file: Path) -> None:
    """Writes the plot; the suffix says as what.  ImportError: matplotlib is not there.

    ValueError: it knows no such suffix.
    """
    from matplotlib.figure import Figure  # without pyplot: no window, no state left behind

    figure = Figure(figsize=_SIZE_INCHES, dpi=_DOTS_PER_INCH, layout="constrained")
    experiment.plot(figure, plan.parameters, result.rows)
    figure.suptitle(f"{experiment.summary}  (seed {plan.seed})", fontsize="medium")
    failed = [claim.id for claim in result.claims if not claim.holds and claim.kind != FINDING]
    if failed:
        figure.text(0.5, 0.5, f"does not hold: {', '.join(failed)}", color="red", ha="center")
    figure.savefig(file)
