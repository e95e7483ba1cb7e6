"""Large inventories through the SDK: what takes a call each elsewhere takes one here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from smokestack.client import Stack, connect
from tests.client import served

VM_COUNT = 10_000


@pytest.fixture
def stack() -> Iterator[Stack]:
    with served.stack() as server, connect(server.endpoints[0].address) as client:
        yield client


def test_ten_thousand_vms_in_one_call(stack: Stack, benchmark: Any) -> None:
    vms = stack.hypervisor.hosts["h1"].vms

    def create() -> int:
        return len(vms.batch_create({f"n{index}": {} for index in range(VM_COUNT)}))

    assert benchmark.pedantic(create, rounds=1) == VM_COUNT


def test_ten_thousand_vms_over_pages(stack: Stack, benchmark: Any) -> None:
    vms = stack.hypervisor.hosts["h1"].vms
    vms.batch_create({f"n{index}": {} for index in range(VM_COUNT)})
    assert benchmark.pedantic(lambda: sum(1 for _ in vms), rounds=1) == VM_COUNT + 2
