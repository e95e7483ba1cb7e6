"""The experiments by name; a module is imported when its experiment is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from .experiment import Experiment

# Name → module, sorted; the module's `EXPERIMENT` is it.
EXPERIMENTS: Final = {
    "consolidation": "consolidation",
    "dark-storage": "dark_storage",
    "guilty-layer": "guilty_layer",
    "misadvertised": "misadvertised",
    "path-selection": "path_selection",
    "queue-depth": "queue_depth",
    "repeats": "repeats",
    "stovepipe": "stovepipe",
    "thin-families": "thin_families",
}


def find(name: str) -> Experiment[Any, Any]:
    """Returns the experiment of a name; KeyError names those that exist."""
    if name not in EXPERIMENTS:
        raise KeyError(f"no experiment is named {name!r}: there are {', '.join(EXPERIMENTS)}")
    module = import_module(f".{EXPERIMENTS[name]}", __package__)
    experiment: Experiment[Any, Any] = module.EXPERIMENT
    return experiment
