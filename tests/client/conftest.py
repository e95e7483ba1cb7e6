"""A served stack and a client of it, fresh for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import smokestack.client
from smokestack.server.stack import Stack as Served
from tests.client import served


@pytest.fixture
def server() -> Iterator[Served]:
    with served.stack() as stack:
        yield stack


@pytest.fixture
def address(server: Served) -> str:
    """The hypervisor's address."""
    return server.endpoints[0].address


@pytest.fixture
def stack(address: str) -> Iterator[smokestack.client.Stack]:
    with smokestack.client.connect(address) as client:
        yield client
