"""Random draws as functions of what they are for, in plain integers.

Philox4x64-10 turns a key (seed, stream) and a counter into four 64-bit words; nothing that happened
before matters.  An exponential comes from a table of logarithms made here, in decimal.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, localcontext

WORKLOAD, THINK, ARRIVAL, MEDIA, FAULT = 1, 2, 3, 4, 5  # the streams

_MASK = (1 << 64) - 1
_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_ROUNDS = 10

_CELLS = 1024  # of the interval (0, 1] in the table of logarithms
_CELL_MIN = 16  # below, the logarithm bends too much: scale the word up by 64 first
_SCALINGS_MAX = 8


def philox(key: tuple[int, int], counter: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Returns the four words of one Philox4x64-10 block."""
    k0, k1 = key
    c0, c1, c2, c3 = counter
    for _ in range(_ROUNDS):
        p0 = _MULTIPLIERS[0] * c0
        p1 = _MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (p1 >> 64) ^ c1 ^ k0, p1 & _MASK, (p0 >> 64) ^ c3 ^ k1, p0 & _MASK
        k0 = (k0 + _WEYL[0]) & _MASK
        k1 = (k1 + _WEYL[1]) & _MASK
    return c0, c1, c2, c3


def words(seed: int, stream: int, c0: int, c1: int) -> tuple[int, int, int, int]:
    """Returns the words of one draw of the stack, whose counters have two parts."""
    return philox((seed, stream), (c0, c1, 0, 0))


def mulhi(word: int, n: int) -> int:
    """Maps a uniform word to [0, n)."""
    return (word * n) >> 64


def _minus_ln_q32(numerator: int, denominator: int) -> int:
    with localcontext() as context:
        context.prec = 40
        value = -(Decimal(numerator) / Decimal(denominator)).ln() * (1 << 32)
        return int(value.to_integral_value(rounding=ROUND_HALF_EVEN))


_TABLE = [_minus_ln_q32(max(cell, _CELL_MIN), _CELLS) for cell in range(_CELLS + 1)]
_LN64 = _minus_ln_q32(1, 64)


def exponential_q32(word: int) -> int:
    """Returns a standard exponential in units of 2 ** -32: -ln of the word as a fraction of one."""
    scaled = 0
    for _ in range(_SCALINGS_MAX):
        if word >> 54 >= _CELL_MIN:
            break
        scaled += _LN64
        word = (word << 6) & _MASK
    cell = max(word >> 54, _CELL_MIN)
    fraction = (word >> 22) & 0xFFFFFFFF
    here, following = _TABLE[cell], _TABLE[cell + 1]
    return scaled + here - (((here - following) * fraction) >> 32)


def exponential_ns(mean_ns: int, word: int) -> int:
    """Returns an exponential time of the given mean."""
    return (mean_ns * exponential_q32(word)) >> 32
