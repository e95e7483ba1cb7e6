"""How slow the machine is while arrays are killed on it: what a small durable write takes.

That pages survive from some time on is a promise in wall time, and holds as far as the machine
lets a process run and its disk answers.  A beat measures both, beside the array and all the while.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Final

_EVERY_SECONDS: Final = 0.05


class Beat:
    """Rests, writes and syncs, over and over; a context manager that ends it."""

    def __init__(self, file: Path) -> None:
        self.slowest_seconds = 0.0  # of the beats so far: how much longer than its rest one took
        self._file = file
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        with self._file.open("wb") as file:
            while not self._over.is_set():
                began = time.monotonic()
                self._over.wait(_EVERY_SECONDS)
                file.write(b".")
                file.flush()
                os.fsync(file.fileno())
                late = time.monotonic() - began - _EVERY_SECONDS
                self.slowest_seconds = max(self.slowest_seconds, late)

    def __enter__(self) -> Beat:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
