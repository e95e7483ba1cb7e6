"""Experiments: scripted clients that show a behaviour with figures, and say what they show.

Each is one file.  It builds a private stack, works it, reads figures over the public API, and
computes claims from them.  `README.md` says how to add one.
"""

from __future__ import annotations

from .experiment import Case, Claim, Experiment, Plan, Row
from .registry import EXPERIMENTS, find
from .runner import Result, plan, run
from .sweep import processes

__all__ = [
    "EXPERIMENTS",
    "Case",
    "Claim",
    "Experiment",
    "Plan",
    "Result",
    "Row",
    "find",
    "plan",
    "processes",
    "run",
]
