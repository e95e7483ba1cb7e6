"""`smokestack audit`: what is not what it is said to be, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from smokestack.cli.main import main
from smokestack.client import connect
from smokestack.server.stack import Stack
from tests.server.scenarios import small_scenario


@pytest.fixture
def address() -> Iterator[str]:
    with Stack(small_scenario(io_limit=0)) as stack:
        yield stack.serve(metrics_ports=None)[0].address


def audit(address: str, *options: str) -> Result:
    done = CliRunner().invoke(main, ["audit", "--address", address, *options])
    assert done.exit_code == 0, done.output
    return done


def test_an_honest_stack_and_one_that_lies(address: str) -> None:
    with connect(address) as stack:
        stack.advance(seconds=0.01)
        assert "findings: none" in audit(address).output
        stack.array("a1").faults.inject(
            "LATENCY_UNDERSTATED", "arrays/a1/volumes/v1", factor_per_mille=8_000
        )
        stack.advance(seconds=0.01)
        [finding] = stack.audit().findings
        assert finding.resource == "arrays/a1/volumes/v1"
    shown = audit(address).output
    assert "LATENCY" in shown
    assert "less the fabric's latency" in shown
    [listed] = json.loads(audit(address, "-o", "json").output)["findings"]
    assert listed["views"] == ["JOINED"]
