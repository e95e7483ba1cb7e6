"""Servers for tests without pytest: started once a scenario, reset, and ended."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

import smokestack.testing
from smokestack.client import errors
from smokestack.server.scenario import default_scenario_text
from smokestack.testing import InProcess, ServerRefused, Smokestack, Source
from smokestack.testing.servers import Servers


class Fake:
    """A server that only counts."""

    metrics_urls: Mapping[str, str] = {}
    addresses: Mapping[str, str] = {}

    def __init__(self, source: Source) -> None:
        self.source = source
        self.closed = False

    def reset(self, seed: int | None = None) -> int:
        return seed or 0

    def close(self) -> None:
        self.closed = True


def test_a_scenario_has_one_server_and_the_oldest_makes_room() -> None:
    sources = [Source(str(n)) for n in range(3)]
    with Servers(Fake, most=2) as servers:
        first, second = (servers.of(source) for source in sources[:2])
        assert servers.of(sources[0]) is first
        third = servers.of(sources[2])
        assert [s.closed for s in (first, second, third)] == [False, True, False]
        assert servers.of(Source("2")) is third
    assert first.closed and third.closed


def test_a_source_is_a_file_beside_the_test_or_a_text(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("seed: 3\n", encoding="utf-8")
    found = Source.of("a.yaml", tmp_path / "elsewhere", tmp_path)
    assert (found.text, found.base, found.path) == ("seed: 3\n", tmp_path, file)
    assert str(found) == str(file)
    assert Source.of("seed: 3\n", tmp_path) == Source("seed: 3\n", tmp_path)
    assert Source.of(None) == Source.of("") == Source()
    with pytest.raises(FileNotFoundError, match=r"elsewhere.b\.yaml or .*b\.yaml"):
        Source.of("b.yaml", tmp_path / "elsewhere", tmp_path)


def test_without_pytest_a_server_and_its_view_are_context_managers() -> None:
    with InProcess() as server, Smokestack(server, seed=9) as view:
        assert (view.seed, view.simulation().seed, view.now_ns) == (9, 9, 0)
        assert view.address == view.addresses["hypervisors/hv1"]
        view.advance(seconds=1)
        assert [event.kind for event in view.last_events(1)]
        with Smokestack(server) as other:
            assert (other.seed, other.now_ns) == (1, 0)


def test_shortcuts_need_one_array() -> None:
    more = (
        "  - name: a2\n    controllers: [{name: c0}]\n"
        "    ports: [{name: p0, controller: c0, fabric: fabric-a}]\nmultipath:\n"
    )
    both = default_scenario_text().replace("multipath:\n", more, 1)
    with InProcess(Source(both)) as server, Smokestack(server) as view:
        assert view.array("a1").pools["p1"].page_bytes == 16384
        with pytest.raises(errors.NotFound, match="2 arrays"):
            view.pools  # noqa: B018


def test_a_scenario_that_is_wrong_says_where() -> None:
    with pytest.raises(ServerRefused, match="arrays"):
        InProcess(Source("arrays: [{name: A}]\n"))


def test_every_name_is_there_and_no_other() -> None:
    for name in smokestack.testing.__all__:
        assert getattr(smokestack.testing, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        smokestack.testing.Nothing  # noqa: B018
