"""Values as they are written on the command line: durations with a unit, addresses, seeds."""

from __future__ import annotations

import re
from fractions import Fraction

import click

_UNITS_NS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "min": 60 * 10**9}
_UNITS_NS |= {"h": 3600 * 10**9, "d": 86_400 * 10**9}
_TIME_NS_MAX = 1 << 62

SEED = click.IntRange(0, (1 << 63) - 1)


def duration(text: str) -> int:
    """Returns the nanoseconds of a number with its unit: 250ms, 1.5s, 2h."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([a-zµ]+)", text.strip())
    if match is None or match[2] not in _UNITS_NS:
        raise click.BadParameter(f"{text!r} is not a number with a unit, e.g. 250ms, 1.5s or 2h")
    exact = Fraction(match[1]) * _UNITS_NS[match[2]]
    if exact.denominator != 1 or exact >= _TIME_NS_MAX:
        raise click.BadParameter(f"{text!r} is not a whole number of nanoseconds below 146 years")
    return int(exact)


def reservation_key(text: str) -> int:
    """Returns a key, decimal or as clusters write it: 1234 or 0x4d2."""
    if not re.fullmatch(r"\d+|0x[0-9a-fA-F]+", text):
        raise click.BadParameter(f"{text!r} is no key: write a number, such as 1234 or 0x4d2")
    return int(text, 16 if text.startswith("0x") else 10)


def address(text: str) -> str:
    """Returns HOST:PORT as it is, an IPv6 host in brackets."""
    match = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^\s:/\[\]]+):(\d{1,5})", text)
    if match is None or not 0 < int(match[2]) < 1 << 16:
        raise click.BadParameter(f"{text!r} is not host:port, e.g. 127.0.0.1:50051")
    return text


def named_address(text: str) -> tuple[str, str]:
    """Returns the identifier and the address of ID=HOST:PORT."""
    name, equals, place = text.partition("=")
    if not (name and equals):
        raise click.BadParameter(f"{text!r} is not ID=HOST:PORT, e.g. a1=127.0.0.1:50053")
    return name, address(place)
