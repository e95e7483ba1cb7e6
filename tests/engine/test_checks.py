"""Checks that refuse with what would be right."""

from __future__ import annotations

import pytest

from smokestack.engine.checks import multiple_of, unused
from smokestack.engine.errors import FailedPrecondition, InvalidArgument


def test_what_others_use_is_refused_with_some_of_them_and_how_many_more() -> None:
    unused("arrays/a1/pools/p1", [], "is in use by volumes")
    with pytest.raises(FailedPrecondition, match=r"in use by volumes a, b: remove those first$"):
        unused("arrays/a1/pools/p1", ["b", "a", "b"], "is in use by volumes")
    with pytest.raises(FailedPrecondition, match=r"volumes v0, v1, v2 and 2 more: remove") as told:
        unused("arrays/a1/pools/p1", [f"v{n}" for n in range(5)], "is in use by volumes")
    assert (told.value.reason, told.value.resource) == ("IN_USE", "arrays/a1/pools/p1")


@pytest.mark.parametrize(
    ("value", "right"), [(1000, "512 or 1024"), (511, "512 or more"), (-1, "512 or more")]
)
def test_what_is_no_multiple_is_refused_with_those_near_it(value: int, right: str) -> None:
    with pytest.raises(InvalidArgument, match=f"{value} is not a positive .* 512: use {right}$"):
        multiple_of("volume.capacity_bytes", value, 512)
