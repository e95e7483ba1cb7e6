"""`smokestack dark-storage` and `reclaim`: shown, planned, asked, done."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from smokestack.cli.main import main
from smokestack.client import connect
from smokestack.server.scenario import parse_scenario
from smokestack.server.stack import Stack
from tests.server.test_dark_storage import SCENARIO


@pytest.fixture
def address() -> Iterator[str]:
    with Stack(parse_scenario(SCENARIO)) as stack:
        yield stack.serve(metrics_ports=None)[0].address


def invoke(address: str, *words: str, answer: str = "") -> Result:
    return CliRunner().invoke(main, [*words, "--address", address], input=answer)


def test_where_space_is(address: str) -> None:
    shown = invoke(address, "dark-storage", "--array", "a1", "--volumes")
    assert shown.exit_code == 0, shown.output
    assert "claimed no fs" in shown.output
    assert "dark: 0 B of 96 MiB (0.0%); 22 MiB of 30 MiB promised (73.3%)" in shown.output
    assert "arrays/a1/volumes/lost" in shown.output
    report = json.loads(invoke(address, "dark-storage", "-o", "json").output)
    assert report["arrays"][0]["raw_bytes"] == 96 << 20
    assert {volume["category"] for volume in report["volumes"]} == {"UNASSIGNED", "CLAIMED_NO_FS"}


def test_nothing_goes_before_somebody_says_so(address: str) -> None:
    asked = invoke(address, "reclaim", answer="n\n")
    assert asked.exit_code != 0
    assert "arrays/a1/volumes/lost" in asked.output
    with connect(address) as stack:
        assert "lost" in stack.array("a1").volumes
        done = invoke(address, "reclaim", "a1/lost", "--yes")
        assert done.exit_code == 0, done.output
        assert "deleted 1 volumes, freed 0 B" in done.output
        assert "lost" not in stack.array("a1").volumes
    assert "nothing to reclaim" in invoke(address, "reclaim").output
