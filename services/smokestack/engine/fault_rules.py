"""Fault rules: what is to break, when, how often; checked whole before anything breaks.

A room's catalogue says which kinds it models and what each of them breaks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from .checks import in_range
from .errors import InvalidArgument, Violation
from .records import TIME_NS_MAX

FACTOR_PER_MILLE_MAX: Final = 1_000_000
_FLAP_NS: Final = (1_000, 86_400 * 10**9)  # the shortest and longest time down, or up
_COUNT_MAX: Final = 1 << 62
_TARGET_LENGTH_MAX: Final = 500
_SHOWN_MAX: Final = 5  # resources that a refusal lists
_U64: Final = 1 << 64


@dataclass(frozen=True)
class FaultKind:
    """One way to break that a room models."""

    name: str
    subject: str  # an example of what it breaks, as a full name
    sentence: str
    per_io: bool = True  # it hits single I/Os, so it takes a probability and a count
    takes_factor: bool = False
    takes_count: bool = True
    flaps: bool = False  # it may come and go while it lasts


@dataclass(frozen=True)
class FaultRule:
    """What somebody asks to break."""

    kind: str
    target: str  # full name of what it breaks; * stands for any characters of one part
    fault_id: str = ""  # default: the kind and the first number that is free
    probability: float = 1.0
    count: int = 0  # most hits, or of what flaps, times down; 0: no limit
    start_ns: int = 0  # 0: at once
    duration_ns: int = 0  # 0: until it is cleared
    factor_per_mille: int = 0
    down_ns: int = 0  # of what flaps: how long it is broken each time; 0: it does not flap
    up_ns: int = 0  # and how long it is whole between

    @property
    def threshold(self) -> int:
        """A draw of 64 bits below it is a hit; with a probability of 1 every I/O is one."""
        return min(int(Fraction(self.probability) * _U64), _U64 - 1)


def pattern_of(target: str) -> re.Pattern[str]:
    """Returns what a target matches: * stands for any characters but the slash."""
    return re.compile("[^/]*".join(re.escape(part) for part in target.split("*")))


def check_numbers(rule: FaultRule, kind: FaultKind, now_ns: int) -> None:
    """Refuses numbers out of range, and those that the kind does not take."""
    in_range("fault.probability", rule.probability, 0, 1)
    in_range("fault.count", rule.count, 0, _COUNT_MAX)
    in_range("fault.start_ns", rule.start_ns, 0, TIME_NS_MAX)
    in_range("fault.duration_ns", rule.duration_ns, 0, TIME_NS_MAX)
    wrong = []
    if 0 < rule.start_ns < now_ns:
        wrong.append(("start_ns", f"{rule.start_ns} is before now, {now_ns}: 0 starts it at once"))
    if not kind.per_io:
        because = f"{kind.name} lasts from its start to its end and hits no single I/Os"
        if rule.probability != 1:
            wrong.append(("probability", f"{because}: leave it out"))
        if rule.count and not rule.down_ns:
            wrong.append(("count", f"{because}: give it a duration_ns instead"))
    wrong += _wrong_flap(rule, kind)
    if kind.per_io and not kind.takes_count and rule.count:
        wrong.append(("count", f"is nothing that {kind.name} takes: give it a duration_ns instead"))
    if not kind.takes_factor and rule.factor_per_mille:
        wrong.append(("factor_per_mille", f"is nothing that {kind.name} takes: leave it out"))
    if kind.takes_factor and not 1_000 <= rule.factor_per_mille <= FACTOR_PER_MILLE_MAX:
        wrong.append(
            (
                "factor_per_mille",
                f"{rule.factor_per_mille} is not within 1000, as fast as ever, to "
                f"{FACTOR_PER_MILLE_MAX}, a thousand times as slow",
            )
        )
    if wrong:
        raise InvalidArgument(
            "; ".join(f"fault.{name}: {description}" for name, description in wrong),
            violations=[Violation(f"fault.{name}", description) for name, description in wrong],
        )


def _wrong_flap(rule: FaultRule, kind: FaultKind) -> list[tuple[str, str]]:
    """Returns what is wrong with the times of a rule that comes and goes."""
    wrong, times = [], {"down_ns": rule.down_ns, "up_ns": rule.up_ns}
    for name, value in times.items():
        if value and not kind.flaps:
            wrong.append((name, f"is nothing that {kind.name} takes: leave it out"))
        elif kind.flaps and any(times.values()) and not _FLAP_NS[0] <= value <= _FLAP_NS[1]:
            wrong.append(
                (
                    name,
                    f"{value} is not within {_FLAP_NS[0]} to {_FLAP_NS[1]}: what flaps is down "
                    "and up for so long in turn; leave both out if it does not",
                )
            )
    return wrong


def check_target(rule: FaultRule, kind: FaultKind, service: str, subjects: Sequence[str]) -> None:
    """Refuses a target that names nothing of the service that the kind could break."""
    form, parts = kind.subject.split("/"), rule.target.split("/")
    if len(rule.target) > _TARGET_LENGTH_MAX:
        raise InvalidArgument.at(
            "fault.target", f"has {len(rule.target)} characters: use up to {_TARGET_LENGTH_MAX}"
        )
    if parts[::2] != form[::2] or len(parts) != len(form):
        raise InvalidArgument.at(
            "fault.target",
            f"{rule.target!r} does not name what {kind.name} breaks: give a full name "
            f"such as {kind.subject!r}, in which * stands for any characters of one part",
        )
    pattern = pattern_of(rule.target)
    if not any(pattern.fullmatch(subject) for subject in subjects):
        known = ", ".join(subjects[:_SHOWN_MAX]) or "none yet"
        more = f" and {len(subjects) - _SHOWN_MAX} more" if len(subjects) > _SHOWN_MAX else ""
        raise InvalidArgument.at(
            "fault.target", f"{rule.target!r} matches nothing of {service}, which has {known}{more}"
        )
