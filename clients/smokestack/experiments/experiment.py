"""What an experiment is: cases, each a system with a workload that is run; and claims about it.

A case is one stack from its start to its end, so it can run anywhere: all that it needs is in it,
and nothing of it is left when it is done.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

if TYPE_CHECKING:
    from smokestack.testing import Smokestack

Row = dict[str, Any]  # what JSON can hold; units are in the names: p99_ns, allocated_bytes
Kind = Literal["must_hold", "finding"]

MUST_HOLD: Kind = "must_hold"
FINDING: Kind = "finding"


@dataclass(frozen=True)
class Claim:
    """A statement about a run, with the figure that decides it.

    What must hold is correctness: its baseline comes from an independent computation or was
    planted.  A finding is what is learned: whether it comes out as was expected, it is reported.
    """

    id: str
    kind: Kind
    says: str  # the statement in a sentence
    figure: Any  # as measured
    baseline: Any  # what it is compared with
    holds: bool


@dataclass(frozen=True, kw_only=True)
class Case:
    """One point of a sweep; a subclass adds what sets it apart.  It must pickle."""

    seed: int


P = TypeVar("P")  # the parameters: a frozen dataclass of plain values
C = TypeVar("C", bound=Case)


@dataclass(frozen=True)
class Plan(Generic[P]):
    """What is asked for."""

    seed: int
    size: str
    parameters: P
    trace: Path  # of those that replay one: the file that was given, or the bundled trace


class Experiment(ABC, Generic[P, C]):
    """One experiment: system, workload, run, and what is to be learned from it."""

    name: ClassVar[str]
    summary: ClassVar[str]  # one line
    sizes: ClassVar[Mapping[str, Any]]  # parameters by size; "small" and "default" at least
    is_fast: ClassVar[bool] = True  # small takes a few seconds at most: tests always run it
    replays: ClassVar[bool] = False  # true: it takes a trace

    @abstractmethod
    def cases(self, plan: Plan[P]) -> Sequence[C]:
        """Returns the points of the sweep, in the order of their rows."""

    @abstractmethod
    def system(self, case: C) -> Mapping[str, Any]:
        """Returns the scenario of a case's stack, as its YAML would read."""

    def workload(self, stack: Smokestack, case: C) -> None:
        """Puts to work what the scenario does not; virtual time is 0 and stands still."""

    @abstractmethod
    def run(self, stack: Smokestack, case: C) -> list[Row]:
        """Moves time and returns what is seen: rows that have the same keys in all cases."""

    @abstractmethod
    def claims(self, parameters: P, rows: Sequence[Row]) -> Sequence[Claim]:
        """Returns what the rows say, computed from them alone."""

    @abstractmethod
    def plot(self, figure: Any, parameters: P, rows: Sequence[Row]) -> None:
        """Draws the rows on an empty figure of matplotlib's."""
