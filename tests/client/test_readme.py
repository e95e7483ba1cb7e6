"""The README's examples run, against a stack on other ports, and do what they say."""

from __future__ import annotations

import re
from typing import Any

import pytest

from smokestack.client import connect
from smokestack.server.stack import Stack as Served
from smokestack.testing import Smokestack
from tests.house import tree

README = (tree.ROOT / "clients" / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
SCRIPTS = [example for example in EXAMPLES if "connect()" in example]
TESTS = [example for example in EXAMPLES if "def test_" in example]


def capacities(address: str) -> dict[str, int]:
    with connect(address) as stack:
        return {volume.id: volume.capacity_bytes for volume in stack.array("a1").volumes}


def ran(example: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(example, "clients/README.md", "exec"), names)
    return names


@pytest.mark.parametrize("script", SCRIPTS, ids=range(len(SCRIPTS)))
def test_a_script_changes_the_stack(
    script: str, server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = server.endpoints[0].address
    monkeypatch.setenv("SMOKESTACK_ADDRESS", address)
    before = capacities(address)
    ran(script)
    after = capacities(address)
    assert "v9" in after.keys() - before or after == {k: 2 * v for k, v in before.items()}


@pytest.mark.parametrize("example", TESTS, ids=range(len(TESTS)))
def test_an_example_of_a_test_fills_the_pool(example: str, smokestack: Smokestack) -> None:
    [test] = [value for name, value in ran(example).items() if name.startswith("test_")]
    test(smokestack)
    pool = smokestack.pools["p1"]
    assert pool.allocated_bytes == pool.capacity_bytes


def test_there_are_examples_of_both_ways() -> None:
    assert any("async with" in script for script in SCRIPTS) and len(SCRIPTS) >= 2
    assert len(SCRIPTS) + len(TESTS) == len(EXAMPLES)
