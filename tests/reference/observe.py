"""Runs a stack and tells what its guests, or its hosts, heard."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from smokestack.engine.records import TRACE, Op
from tests.reference.array import Array
from tests.reference.config import StackConfig
from tests.reference.digest import Completion
from tests.reference.world import World


def ran(config: StackConfig) -> World:
    """A stack in which nothing will happen any more."""
    world = World(config)
    world.run()
    return world


def times(config: StackConfig) -> list[tuple[int, int]]:
    """When which slot's I/O completed."""
    return [(record.time, record.ident >> 40) for record in ran(config).completions]


def trace(*commands: tuple[int, int, int, Op]) -> npt.NDArray[Any]:
    """A trace of (time, lba, length, op)."""
    return np.array(list(commands), TRACE)


def answers(config: StackConfig) -> list[Completion]:
    """What the arrays answered, as multipath hears it."""
    world = World(config)
    heard: list[Completion] = []
    for each in world.arrays.values():
        each.listener = _Spy(world, heard)
    world.run()
    return heard


class _Spy:
    """Listens before multipath does."""

    def __init__(self, world: World, heard: list[Completion]) -> None:
        self.world = world
        self.heard = heard

    def hear(self, array: Array, record: Completion) -> None:
        self.heard.append(record)
        self.world.multipath.hear(array, record)
