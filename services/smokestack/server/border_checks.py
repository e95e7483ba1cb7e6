"""What a window must be to reach a model: malformed input is refused whole at the border."""

from __future__ import annotations

from typing import Any, Final

from numpy.typing import NDArray

from smokestack.engine import _core
from smokestack.engine.errors import InvalidArgument
from smokestack.engine.records import Op, Task

TIME_NS_MAX: Final = 1 << 62  # leaves room to add latencies

# By what _core.check_submissions returns, from 1 on (submissions.h).
_WRONG: Final = (
    "time {record[time]} is not within {from_ns} to {until_ns}",
    "is not sorted by (time, id, attempt)",
    "nexus {record[nexus]} has never been reported: there are {nexus_count}",
    "op {record[op]:#x} is none of {ops}",
    "flags {record[flags]:#x} do not go with opcode {record[op]:#x}",
    "lba {record[lba]} is beyond 2^54",
    "length {record[length]} of a COMPARE_AND_WRITE is not 512",
    "vm {record[vm]:#x} of a COPY reads from a nexus that has never been reported: there are "
    "{nexus_count}",
)


def check_submissions(
    records: NDArray[Any], from_ns: int, until_ns: int, nexus_count: int, takes_tasks: bool
) -> None:
    """Refuses a batch that is out of order, out of its window, or says what means nothing.

    Task management is for arrays: multipath makes it itself.
    """
    wrong, index = _core.check_submissions(records, from_ns, until_ns, nexus_count, takes_tasks)
    if wrong:
        taken = (*Op, *Task) if takes_tasks else (*Op,)
        why = _WRONG[wrong - 1].format(
            record=records[index],
            from_ns=from_ns,
            until_ns=until_ns,
            nexus_count=nexus_count,
            ops=", ".join(f"{int(op):#x} ({op.name})" for op in taken),
        )
        raise InvalidArgument.at(f"window.records[{index}]", why)


def check_until(until_ns: int, from_ns: int) -> None:
    """Refuses a window that ends before the one before it, or after the end of time."""
    if not from_ns <= until_ns <= TIME_NS_MAX:
        raise InvalidArgument.at(
            "window.header", f"until {until_ns} is not within {from_ns} to {TIME_NS_MAX}"
        )
