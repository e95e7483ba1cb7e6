"""Lanes of a kill run: arrays that are killed at the same time, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import shutil
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from .run import Lane, Summary


def lane(seed: str, kills: int, folder: str) -> Summary:
    """Runs one lane in this process."""
    return Lane(seed, Path(folder)).run(kills)


def run(kills: int, seed: int, lanes: int) -> Summary:
    """Runs so many kills in all; what is wrong leaves its directories where they are."""
    folder = tempfile.mkdtemp(prefix="smokestack-kill-")
    total = Summary()
    shares = [kills // lanes + (number < kills % lanes) for number in range(lanes)]
    with ProcessPoolExecutor(lanes, multiprocessing.get_context("spawn")) as pool:
        jobs = [
            pool.submit(lane, f"{seed} lane {number}", share, f"{folder}/{number}")
            for number, share in enumerate(shares)
            if share
        ]
        for job in jobs:
            total.add(job.result())
    if total.wrong:
        total.wrong.append(f"seed {seed}, {lanes} lanes; left in {folder}")
    else:
        shutil.rmtree(folder)
    return total
