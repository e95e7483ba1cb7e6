"""SHA-256 as the kernels keep it, against the one that everybody trusts."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from smokestack.engine import _core

BLOCK = 64


@given(st.binary(max_size=700), st.integers(1, 200))
def test_any_bytes_in_pieces_of_any_size_give_the_known_digest(data: bytes, step: int) -> None:
    assert _core.sha256(data, step) == hashlib.sha256(data).digest()


@given(st.binary(max_size=5 * BLOCK))
def test_the_plain_rounds_agree_with_those_of_the_processor(data: bytes) -> None:
    whole = data + b"\x80" + bytes(-(len(data) + 9) % BLOCK) + (8 * len(data)).to_bytes(8, "big")
    state = _core.sha256_plain(whole)
    words = [int.from_bytes(state[at : at + 4], "little") for at in range(0, 32, 4)]
    digest = b"".join(word.to_bytes(4, "big") for word in words)
    assert digest == hashlib.sha256(data).digest()


def test_a_long_stream_gives_the_known_digest() -> None:
    data = bytes(range(256)) * 4_099
    assert _core.sha256(data, 48 * 80) == hashlib.sha256(data).digest()
