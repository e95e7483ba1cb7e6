"""Connecting with calls that block: to a whole stack by any of its addresses, or to one service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from smokestack.v1 import simulation_pb2 as pb

from .array import Array
from .clock import get_simulation
from .discovery import Question, checked, walk
from .errors import Error
from .hypervisor import Hypervisor
from .multipath import Multipath
from .operations import Session
from .sessions import GLANCE, BlockingSession, Patience
from .stack import Stack

PATIENCE = Patience()


def connect(
    addresses: str | Iterable[str] | Mapping[str, str] | None = None,
    patience: Patience = PATIENCE,
) -> Stack:
    """Connects to a stack.

    By one address or several, the other services' are found out; a mapping of full names, such as
    "arrays/a1", to addresses is taken as it is.  Default: $SMOKESTACK_ADDRESS, or 127.0.0.1:50051.
    """
    if not isinstance(addresses, Mapping):
        addresses = _discovered(addresses, patience)
    return Stack({n: BlockingSession(address, patience) for n, address in addresses.items()})


def connect_hypervisor(address: str, patience: Patience = PATIENCE) -> Hypervisor:
    """Connects to a hypervisor alone."""
    return Hypervisor(*_service(address, patience, "hypervisors"))


def connect_multipath(address: str, patience: Patience = PATIENCE) -> Multipath:
    """Connects to a multipath layer alone."""
    return Multipath(*_service(address, patience, "multipaths"))


def connect_array(address: str, patience: Patience = PATIENCE) -> Array:
    """Connects to an array alone."""
    return Array(*_service(address, patience, "arrays"))


def _service(address: str, patience: Patience, collection: str) -> tuple[Session, str]:
    session = BlockingSession(address, patience)
    try:
        return session, checked(session.run(get_simulation()), collection, address)
    except BaseException:
        session.close()
        raise


def _discovered(addresses: str | Iterable[str] | None, patience: Patience) -> dict[str, str]:
    steps = walk(addresses)
    try:
        question = next(steps)
        while True:
            question = steps.send(_answer(question, patience))
    except StopIteration as found:
        names: dict[str, str] = found.value
        return names


def _answer(question: Question, patience: Patience) -> pb.Simulation | None:
    session = BlockingSession(question.address, patience if question.must_answer else GLANCE)
    try:
        return session.run(get_simulation())
    except Error:
        if question.must_answer:
            raise
        return None
    finally:
        session.close()
