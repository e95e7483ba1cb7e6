"""The border between windows: where changes and reads get in while time advances.

One window or one change runs at a time.  A plain lock would starve changes, for the thread that
runs windows takes it again at once; here a window yields to every change that waits.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class BorderLock:
    """Serialises windows and changes; a change waits for at most the window that is running."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._busy = False
        self._changes_waiting = 0

    @contextmanager
    def window(self) -> Iterator[None]:
        """Holds the border for one window, after every change that came before."""
        with self._condition:
            while self._busy or self._changes_waiting:
                self._condition.wait()
            self._busy = True
        try:
            yield
        finally:
            self._leave()

    @contextmanager
    def change(self) -> Iterator[None]:
        """Holds the border for a management call or a consistent read."""
        with self._condition:
            self._changes_waiting += 1
            try:
                while self._busy:
                    self._condition.wait()
            finally:
                self._changes_waiting -= 1
            self._busy = True
        try:
            yield
        finally:
            self._leave()

    def _leave(self) -> None:
        with self._condition:
            self._busy = False
            self._condition.notify_all()
