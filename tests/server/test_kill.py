"""An array that is killed under calls and I/O has all that it acknowledged, and nothing half."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.server.kill.lanes import run
from tests.server.kill.run import Lane


def test_a_few_kills(tmp_path: Path) -> None:
    summary = Lane("a few", tmp_path).run(3)
    assert not summary.wrong
    assert summary.kills == 3
    assert summary.acknowledged_calls > 0
    assert summary.answered_writes > 0


@pytest.mark.full
def test_two_hundred_kills() -> None:
    summary = run(kills=200, seed=1, lanes=4)
    print(summary)
    assert not summary.wrong
    assert summary.kills == 200
    assert summary.kills_of_a_start > 0
    assert summary.acknowledged_calls > 2_000
    assert summary.unanswered_calls > 200
    assert summary.answered_locks > 200
