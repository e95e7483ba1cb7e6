"""What moves a service's time: a timekeeper where I/O is made, one step where it is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from smokestack.engine.errors import FailedPrecondition
from smokestack.engine.requests import Border
from smokestack.engine.timekeeper import ClockMode, ClockSettings, Timekeeper
from smokestack.hypervisor.model import HypervisorModel

__all__ = ["Clock", "ClockMode", "ClockSettings", "DriverClock", "FollowerClock"]


class Clock(Protocol):
    """What moves a service's time; a running advance ends early once ``stop()`` says so."""

    @property
    def settings(self) -> ClockSettings:
        """How time moves."""

    def change(self, settings: ClockSettings) -> None:
        """Changes how time moves."""

    def advance(self, target: Callable[[int], int], stop: Callable[[], bool]) -> None:
        """Advances to ``target(now_ns)``."""

    def advance_until_idle(self, limit_ns: int, stop: Callable[[], bool]) -> None:
        """Advances until nothing is left to do, or to a time."""

    def advance_until(
        self, reached: Callable[[], bool], limit_ns: int, stop: Callable[[], bool]
    ) -> None:
        """Advances to the first border at which something holds, or to a time."""

    def counts(self) -> tuple[int, int, int]:
        """Returns I/Os completed, I/Os failed and windows run since the start."""

    def close(self, why: str = ...) -> None:
        """Stops time for good; who waits for it is told why."""


class DriverClock(Timekeeper):
    """The clock of a hypervisor: it runs windows, and lets changes in between them."""

    def __init__(self, model: HypervisorModel) -> None:
        super().__init__(model, model.border)
        self.model = model

    def counts(self) -> tuple[int, int, int]:
        """Returns I/Os completed, I/Os failed and windows run since the start."""
        row = self.model.state.row
        return int(row["ios"]), int(row["errors"]), self.model.windows


class Follower(Protocol):
    """A model that makes no I/O of its own."""

    @property
    def name(self) -> str:
        """Full name of the service."""

    @property
    def now_ns(self) -> int:
        """Its virtual time."""

    @property
    def driver(self) -> str | None:
        """Full name of the service that drives it."""

    def advance(self, until_ns: int) -> None:
        """Advances to a time, or refuses and names the driver."""


class FollowerClock:
    """The clock of a service that makes no I/O of its own: time reaches it in one step."""

    settings = ClockSettings()

    def __init__(self, model: Follower, border: Border) -> None:
        self._model = model
        self._border = border

    def change(self, settings: ClockSettings) -> None:
        """Refuses: there is nothing here that could run by itself."""
        name, driver = self._model.name, self._model.driver
        why = f"is driven by {driver}" if driver else "makes no I/O: only Advance moves its time"
        raise FailedPrecondition(
            f"{name} {why}: change the clock of the hypervisor that drives it instead",
            reason="DRIVEN",
            resource=name,
        )

    def advance(self, target: Callable[[int], int], stop: Callable[[], bool]) -> None:
        """Advances to ``target(now_ns)``."""
        with self._border.change():
            self._model.advance(target(self._model.now_ns))

    def advance_until_idle(self, limit_ns: int, stop: Callable[[], bool]) -> None:
        """Stays where it is, for nothing is ever left to do; refuses if it is driven."""
        with self._border.change():
            self._model.advance(self._model.now_ns)

    def advance_until(
        self, reached: Callable[[], bool], limit_ns: int, stop: Callable[[], bool]
    ) -> None:
        """Stays where it is; refuses what does not hold already, for nothing here changes it."""
        self.advance_until_idle(limit_ns, stop)
        if not reached():
            raise FailedPrecondition(
                f"{self._model.name} makes no I/O: advance the hypervisor that drives it",
                reason="GOAL_OUT_OF_REACH",
                resource=self._model.name,
            )

    def counts(self) -> tuple[int, int, int]:
        """Returns nothing: I/Os and windows are counted where they are made."""
        return 0, 0, 0

    def close(self, why: str = "") -> None:
        """Does nothing: time here moves only while a call of its own runs."""
