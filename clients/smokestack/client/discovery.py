"""Discovery: from one address to the addresses of all services that can be heard of from there.

Each service is asked who it is and which others it knows: in one process all of them, in processes
of their own those below.  So the hypervisor's address leads to the whole stack.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable
from typing import NamedTuple

from smokestack.v1 import simulation_pb2 as pb

from .errors import NotFound

ADDRESS_DEFAULT = "127.0.0.1:50051"  # where `smokestack up` serves the hypervisor
_ANYWHERE = ("0.0.0.0", "[::]")


class Question(NamedTuple):
    """An address to ask; whoever was only heard of need not answer."""

    address: str
    must_answer: bool


Walk = Generator[Question, pb.Simulation | None, dict[str, str]]


def walk(addresses: str | Iterable[str] | None) -> Walk:
    """Yields each address to be asked and is sent the answer; returns all addresses by name."""
    given = _listed(addresses)
    known: dict[str, str] = {}
    heard_of: list[str] = []
    asked: set[str] = set()
    while given or heard_of:
        question = Question(given.pop(0), True) if given else Question(heard_of.pop(0), False)
        if question.address in asked:
            continue
        asked.add(question.address)
        simulation = yield question
        if simulation is None:
            continue
        known[simulation.name] = question.address
        for service in simulation.services:
            place = _reachable(service.address, question.address)
            if known.setdefault(service.name, place) == place:
                heard_of.append(place)
    return known


def checked(simulation: pb.Simulation, collection: str, address: str) -> str:
    """Returns the name of a service of this kind; NotFound says what is served there instead."""
    if not simulation.name.startswith(f"{collection}/"):
        raise NotFound(f"{address} serves {simulation.name}, which is none of {collection}/…")
    return simulation.name


def _listed(addresses: str | Iterable[str] | None) -> list[str]:
    if addresses is None:
        addresses = os.environ.get("SMOKESTACK_ADDRESS", ADDRESS_DEFAULT)
    return [addresses] if isinstance(addresses, str) else list(addresses)


def _reachable(told: str, asked: str) -> str:
    """Returns an address as seen from here: who listens everywhere listens where it was asked."""
    host, _, port = told.rpartition(":")
    return f"{asked.rpartition(':')[0]}:{port}" if host in _ANYWHERE else told
