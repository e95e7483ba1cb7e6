"""The border: windows never starve a change, and nothing that goes wrong keeps it held."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from smokestack.engine.border import BorderLock

PATIENCE_SECONDS = 120.0  # only what hangs takes that long


class Windows(threading.Thread):
    """Runs windows in a tight loop and counts them."""

    def __init__(self, border: BorderLock) -> None:
        super().__init__(daemon=True)
        self.count = 0
        self.stopping = False
        self._border = border

    def run(self) -> None:
        while not self.stopping:
            with self._border.window():
                self.count += 1


@contextmanager
def windows_over(border: BorderLock) -> Iterator[Windows]:
    windows = Windows(border)
    windows.start()
    try:
        yield windows
    finally:
        windows.stopping = True
        windows.join(PATIENCE_SECONDS)
        assert not windows.is_alive()


def wait_until_queued(border: BorderLock, changes: int) -> None:
    """Returns when so many changes wait at the border."""
    pause = threading.Event()
    for _ in range(3_000):
        if len(border._changes) >= changes:
            return
        pause.wait(0.01)
    raise AssertionError("the change never came to the border")


def test_a_change_gets_in_while_windows_run_in_a_tight_loop() -> None:
    border = BorderLock()
    with windows_over(border) as windows:
        for _ in range(200):
            with border.change():
                before = windows.count
                assert windows.count == before  # and no window runs meanwhile


def test_a_change_that_waits_comes_before_the_next_window() -> None:
    border = BorderLock()
    order: list[str] = []

    def change() -> None:
        with border.change():
            order.append("change")

    with border.window():
        waiting = threading.Thread(target=change)
        waiting.start()
        wait_until_queued(border, 1)
        order.append("window")
    with border.window():
        order.append("window")
    waiting.join(PATIENCE_SECONDS)
    assert order == ["window", "change", "window"]


def test_changes_run_one_at_a_time_in_the_order_in_which_they_came() -> None:
    border = BorderLock()
    order: list[int] = []

    def change(number: int) -> None:
        with border.change():
            order.append(number)

    threads = [threading.Thread(target=change, args=(number,)) for number in range(8)]
    with border.change():
        for number, thread in enumerate(threads, start=1):
            thread.start()
            wait_until_queued(border, number)
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert order == list(range(8))


def test_nothing_is_lost_when_many_threads_meet() -> None:
    border = BorderLock()
    total = 0

    def work(hold_window: bool) -> None:
        nonlocal total
        for _ in range(300):
            with border.window() if hold_window else border.change():
                seen = total
                total = seen + 1

    threads = [threading.Thread(target=work, args=(n % 2 == 0,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert total == 1_800


@pytest.mark.parametrize("hold", ["window", "change"])
def test_an_exception_releases_the_border(hold: str) -> None:
    border = BorderLock()
    with pytest.raises(KeyError), getattr(border, hold)():
        raise KeyError("refused")
    for again in (border.window, border.change):
        with again():
            pass


class InterruptedTurn:
    """A turn whose wait ends in Ctrl-C: at once, or only when the border has been handed over."""

    def __init__(self, thread: int, patient: bool) -> None:
        self.thread = thread
        self.come = self
        self._patient = patient
        self._came = threading.Event()

    def acquire(self) -> None:
        if self._patient:
            assert self._came.wait(PATIENCE_SECONDS)
        raise KeyboardInterrupt

    def release(self) -> None:
        self._came.set()


@pytest.mark.parametrize("patient", [False, True])
def test_an_interrupted_wait_leaves_the_border_to_the_others(
    patient: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    border = BorderLock()
    outcomes: list[str] = []

    def interrupted_change() -> None:
        try:
            with border.change():
                outcomes.append("got in")
        except KeyboardInterrupt:
            outcomes.append("interrupted")

    waiter = threading.Thread(target=interrupted_change)
    with border.window():
        monkeypatch.setattr(
            "smokestack.engine.border._Turn", lambda thread: InterruptedTurn(thread, patient)
        )
        waiter.start()
        if patient:
            wait_until_queued(border, 1)
        else:
            waiter.join(PATIENCE_SECONDS)
    waiter.join(PATIENCE_SECONDS)
    assert outcomes == ["interrupted"]
    monkeypatch.undo()
    for hold in (border.change, border.window):
        with hold():
            pass


def test_asking_again_while_holding_it_is_an_error_not_a_deadlock() -> None:
    border = BorderLock()
    with (
        border.change(),
        pytest.raises(RuntimeError, match="holds the border already"),
        border.window(),
    ):
        pass
    with border.window():
        pass
