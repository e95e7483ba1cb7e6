"""Values of a snapshot as JSON and back: one by one, and many of a kind field by field."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smokestack.engine.errors import InvalidArgument
from smokestack.engine.plain import Reader, Writer


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Box:
    name: str
    size: int
    inside: Any = None


@dataclass(frozen=True, kw_only=True)
class Named:
    one: int
    other: str


@dataclass(frozen=True)
class Alone:
    one: int


class Step(NamedTuple):
    at: int
    colour: Colour
    detail: Any


CLASSES = {kind.__name__: kind for kind in (Colour, Box, Named, Alone, Step)}

scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
colours = st.sampled_from(Colour)
details = st.dictionaries(st.sampled_from("abc"), scalars, max_size=3)


def values(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Values made of others, among them long lists of one kind."""
    kinds: list[st.SearchStrategy[Any]] = [
        st.builds(Box, st.text(max_size=3), st.integers(), inner),
        st.builds(Alone, st.integers()),
        st.builds(Named, one=st.integers(), other=st.text(max_size=2)),
        st.builds(Step, st.integers(), colours, details),
        st.tuples(inner, inner),
        details,
        colours,
        st.binary(max_size=3),
        inner,
    ]
    lists = [st.lists(kind, max_size=12) for kind in kinds]
    many = st.one_of(lists)
    keys = st.text(max_size=2) | st.tuples(st.text(max_size=1), st.integers(0, 9))
    return st.one_of(*kinds, many, many.map(tuple), st.dictionaries(keys, inner, max_size=12))


def written(value: Any) -> tuple[Any, Writer]:
    writer = Writer()
    return json.loads(json.dumps(writer.json(value))), writer


@given(st.recursive(scalars, values, max_leaves=20))
def test_what_is_read_is_what_was_written(value: Any) -> None:
    made, writer = written(value)
    assert Reader(writer.blobs, CLASSES, writer.classes).value(made) == value


def test_many_of_a_kind_name_their_fields_once() -> None:
    boxes = [Box(f"b{n}", n) for n in range(1000)]
    made, _ = written(boxes)
    assert json.dumps(made).count("Box") == 1


def test_a_mapping_that_cannot_be_changed_is_one_like_any_other() -> None:
    made, writer = written([MappingProxyType({"n": n}) for n in range(20)])
    found = Reader(writer.blobs, CLASSES, writer.classes).value(made)
    assert found == [{"n": n} for n in range(20)]


def shorten(made: Any) -> None:
    made[1][3].pop()


def retype(made: Any) -> None:
    made[1][2][1] = 7


def unlist(made: Any) -> None:
    made[1][1] = "Alone"


def rename(made: Any) -> None:
    made[1][0] = "swarm"


@pytest.mark.parametrize("damage", [shorten, retype, unlist, rename])
def test_many_that_were_never_written_so_are_refused(damage: Callable[[Any], None]) -> None:
    made, writer = written([Box(f"b{n}", n) for n in range(20)])
    damage(made)
    with pytest.raises(InvalidArgument, match="was never written"):
        Reader(writer.blobs, CLASSES, writer.classes).value(made)
