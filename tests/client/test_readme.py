"""The README's examples run, against a stack on other ports."""

from __future__ import annotations

import re

import pytest

from smokestack.server.stack import Stack as Served
from tests.house import tree

README = (tree.ROOT / "clients" / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_runs(example: str, server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMOKESTACK_ADDRESS", server.endpoints[0].address)
    exec(compile(example, "clients/README.md", "exec"), {})


def test_there_are_examples_of_both_ways() -> None:
    assert any("async with" in example for example in EXAMPLES) and len(EXAMPLES) >= 2
