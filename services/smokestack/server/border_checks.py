"""What a window must be to reach a model: malformed input is refused whole at the border."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from smokestack.engine.errors import InvalidArgument
from smokestack.engine.records import Op

TIME_NS_MAX: Final = 1 << 62  # leaves room to add latencies
_LBA_MAX: Final = 1 << 54  # byte addresses stay below 2 ** 63


def check_submissions(records: NDArray[Any], from_ns: int, until_ns: int, nexus_count: int) -> None:
    """Refuses a batch that is out of order, out of its window, or says what means nothing."""
    if not len(records):
        return
    times = records["time"]
    if int(times[0]) < from_ns or int(times[-1]) >= until_ns:
        raise _refusal(f"times {times[0]} to {times[-1]} are not within {from_ns} to {until_ns}")
    if not _sorted(records):
        raise _refusal("are not sorted by (time, id, attempt), each once")
    most = int(records["nexus"].max())
    if most >= nexus_count:
        raise _refusal(f"nexus {most} has never been reported: there are {nexus_count}")
    ops = records["op"]
    if not ((ops == int(Op.READ)) | (ops == int(Op.WRITE))).all():
        raise _refusal(f"op is neither {Op.READ:#x} (READ) nor {Op.WRITE:#x} (WRITE)")
    if records["flags"].any():
        raise _refusal("flags are not 0")
    if int(records["lba"].max()) > _LBA_MAX:
        raise _refusal(f"lba {records['lba'].max()} is beyond {_LBA_MAX}")


def check_until(until_ns: int, from_ns: int) -> None:
    """Refuses a window that ends before the one before it, or after the end of time."""
    if not from_ns <= until_ns <= TIME_NS_MAX:
        raise InvalidArgument.at(
            "window.header", f"until {until_ns} is not within {from_ns} to {TIME_NS_MAX}"
        )


def _sorted(records: NDArray[Any]) -> bool:
    times, ids = records["time"], records["id"]
    steps = np.diff(times)
    if (steps < 0).any():
        return False
    same = np.flatnonzero(steps == 0)
    if not len(same):
        return True
    before, after = ids[same], ids[same + 1]
    attempts = records["attempt"]
    ordered = (before < after) | ((before == after) & (attempts[same] < attempts[same + 1]))
    return bool(ordered.all())


def _refusal(description: str) -> InvalidArgument:
    return InvalidArgument.at("window.records", description)
