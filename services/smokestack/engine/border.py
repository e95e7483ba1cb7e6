"""The border between windows: where changes and reads get in while time advances.

A change waits for at most the window that runs and the changes that came before it.  A plain lock
would starve changes, for the thread that runs windows takes it again before a waiter wakes; here
whoever leaves hands the border over, to a change first.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import AbstractContextManager
from threading import get_ident


class BorderLock:
    """Serialises windows and changes.  Not reentrant: who holds it and asks again is told so."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._owner: int | None = None  # a thread's ident; with no owner nobody waits
        self._changes: deque[_Turn] = deque()
        self._windows: deque[_Turn] = deque()
        self._window = _Hold(self, self._windows)
        self._change = _Hold(self, self._changes)

    def window(self) -> AbstractContextManager[None]:
        """Holds the border for one window, after every change that waits."""
        return self._window

    def change(self) -> AbstractContextManager[None]:
        """Holds the border for a management call or a consistent read."""
        return self._change

    def _wait(self, queue: deque[_Turn], turn: _Turn) -> None:
        try:
            turn.come.acquire()
        except BaseException:  # Ctrl-C while waiting, perhaps just as the turn came
            self._withdraw(queue, turn)
            raise

    def _withdraw(self, queue: deque[_Turn], turn: _Turn) -> None:
        with self._mutex:
            if turn in queue:
                queue.remove(turn)
                return
            self._hand_over()

    def _hand_over(self) -> None:
        """Lets in who is next, if anybody waits; the caller holds the mutex."""
        queue = self._changes or self._windows
        if not queue:
            self._owner = None
            return
        turn = queue.popleft()
        self._owner = turn.thread
        turn.come.release()


class _Turn:
    """A thread's place in a queue; its lock opens when the border is handed to it."""

    __slots__ = ("come", "thread")

    def __init__(self, thread: int) -> None:
        self.thread = thread
        self.come = threading.Lock()
        self.come.acquire()


class _Hold:
    """The context manager of one queue; without state of its own, so all threads share it."""

    __slots__ = ("_border", "_queue")

    def __init__(self, border: BorderLock, queue: deque[_Turn]) -> None:
        self._border = border
        self._queue = queue

    def __enter__(self) -> None:
        border, me = self._border, get_ident()
        with border._mutex:
            if border._owner is None:
                border._owner = me
                return
            if border._owner == me:
                raise RuntimeError("this thread holds the border already")
            turn = _Turn(me)
            self._queue.append(turn)
        border._wait(self._queue, turn)

    def __exit__(self, *error: object) -> None:
        border = self._border
        with border._mutex:
            border._hand_over()
