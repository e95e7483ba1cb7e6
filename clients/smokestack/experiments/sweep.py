"""Carries out cases, here or by an Executor's workers; each worker has a private stack.

A case is known by its experiment's name and its own fields, so any Executor can carry it: processes
of this machine, or those of a cluster.  What it returns depends on the case alone, and the order
is that of the cases: how many workers there are, and who is quicker, changes nothing.
"""

from __future__ import annotations

import atexit
import functools
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from typing import TYPE_CHECKING

from .experiment import Case, Row
from .registry import find

if TYPE_CHECKING:
    from smokestack.testing.servers import Servers

Progress = Callable[[int, int], None]  # cases done, cases in all


def processes(workers: int) -> Executor:
    """Returns an Executor of so many processes of this machine.

    They are started anew instead of forked: gRPC's threads do not survive a fork.
    """
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_leave_interrupts)


def carry_out(
    name: str, cases: Sequence[Case], executor: Executor | None, progress: Progress
) -> list[Row]:
    """Returns the rows of all cases, in the order of the cases; without an Executor here."""
    rows: list[list[Row]] = [[] for _ in cases]
    progress(0, len(cases))
    for done, (index, found) in enumerate(_carried_out(name, cases, executor), start=1):
        rows[index] = found
        progress(done, len(cases))
    return [row for found in rows for row in found]


def _carried_out(
    name: str, cases: Sequence[Case], executor: Executor | None
) -> Iterator[tuple[int, list[Row]]]:
    if executor is None:
        for index, case in enumerate(cases):
            yield index, measure(name, case)
        return
    order: dict[Future[list[Row]], int] = {
        executor.submit(measure, name, case): index for index, case in enumerate(cases)
    }
    try:
        for future in as_completed(order):
            yield order[future], future.result()
    finally:
        for future in order:
            future.cancel()


def measure(name: str, case: Case) -> list[Row]:
    """Runs one case on a stack of its own, and returns its rows."""
    import yaml

    from smokestack.testing import Smokestack, Source

    experiment = find(name)
    text = yaml.safe_dump(dict(experiment.system(case)), sort_keys=False)
    try:
        with Smokestack(_servers().of(Source(text)), case.seed) as stack:
            experiment.workload(stack, case)
            return experiment.run(stack, case)
    except Exception as error:
        error.add_note(f"experiment {name}, {case}")
        raise


@functools.cache
def _servers() -> Servers:
    """Returns this process's private stack: cases of one scenario take turns on it, reset."""
    from smokestack.testing import InProcess
    from smokestack.testing.servers import Servers

    servers = Servers(InProcess, most=1)
    atexit.register(servers.close)
    return servers


def _leave_interrupts() -> None:
    """Leaves Ctrl-C to the process that asked for the work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
