"""The fixture's benchmarks: a stack for the next test, and for the first one of a session.

They run once as tests; ``--benchmark-enable`` measures.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from smokestack.server.bench import reset
from smokestack.testing import InProcess, Smokestack

COLD = (
    "from smokestack.testing import *\nwith InProcess() as s, Smokestack(s) as v: print(v.now_ns)"
)


@pytest.fixture(scope="module")
def server() -> Iterator[InProcess]:
    with InProcess() as server:
        yield server


def test_a_stack_for_the_next_test(server: InProcess, benchmark: Any) -> None:
    def ready() -> None:
        with Smokestack(server) as view:
            assert view.now_ns == 0

    benchmark(ready)


def test_a_stack_for_the_first_test_interpreter_and_all(benchmark: Any) -> None:
    command = [sys.executable, "-c", COLD]
    done = benchmark.pedantic(subprocess.run, (command,), {"capture_output": True}, rounds=3)
    assert (done.returncode, done.stdout) == (0, b"0\n"), done.stderr


def test_the_figures_are_of_as_many_turns_as_wanted() -> None:
    result = reset.run(turns=2)
    assert 0 < result["reset_ms"] <= result["reset_ms_max"]
    assert result["turns"] == 2
