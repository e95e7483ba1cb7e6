"""Dashboards ask only for what a scrape has, and are what their programs write."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
import yaml

from tests.house import tree

DASHBOARDS = tree.ROOT / "grafana" / "dashboards"
ROWS = {
    "overview": ["Stack", "Hypervisor", "Multipath", "Array"],
    "multipath": ["Hosts", "Paths", "Fabrics"],
    "array": ["Front end", "Back end", "Space"],
}
GOLDEN = tree.ROOT / "tests" / "golden" / "exposition.txt"


def loaded(name: str) -> Any:
    return json.loads((DASHBOARDS / f"{name}.json").read_text(encoding="utf-8"))


def queries() -> Iterator[tuple[str, str]]:
    """Every panel's title and each of its queries."""
    for name in ROWS:
        for panel in loaded(name)["panels"]:
            for target in panel.get("targets", []):
                yield f"{name}: {panel['title']}", target["expr"]


def series_names() -> dict[str, set[str]]:
    """Each name that the golden exposition has samples of, and their labels."""
    found: dict[str, set[str]] = {}
    for line in GOLDEN.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            name, _, labels = line.partition("{")
            found.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    return found


@pytest.mark.parametrize(("title", "expr"), list(queries()))
def test_a_query_asks_for_metrics_and_labels_that_there_are(title: str, expr: str) -> None:
    have = series_names()
    asked = set(re.findall(r"\bsmokestack_\w+", expr))
    assert asked and asked <= have.keys(), title
    for selected in re.findall(r"(smokestack_\w+)\{([^}]*)\}", expr):
        assert set(re.findall(r"(\w+)[=!]", selected[1])) <= have[selected[0]], title
    labels = set().union(*(have[name] for name in asked))
    for grouped in re.findall(r"\bby \(([^)]*)\)", expr):
        assert set(grouped.split(", ")) <= labels, title


@pytest.mark.parametrize("name", ROWS)
def test_variables_list_labels_that_there_are(name: str) -> None:
    have = series_names()
    for variable in loaded(name)["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = re.fullmatch(
                r"label_values\((\w+), (\w+)\)", variable["query"]
            ).groups()
            assert label in have[metric] and label == variable["name"]


def test_dashboards_are_known_by_names_of_their_own() -> None:
    assert {path.stem for path in DASHBOARDS.iterdir()} == ROWS.keys()
    assert set(Counter(loaded(name)["uid"] for name in ROWS).values()) == {1}


@pytest.mark.parametrize("name", ROWS)
def test_every_part_has_a_row_and_every_panel_says_what_it_shows(name: str) -> None:
    panels = loaded(name)["panels"]
    rows = [panel["title"] for panel in panels if panel["type"] == "row"]
    assert rows == ROWS[name]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        if panel["type"] != "row":
            assert panel["description"].endswith(".") and panel["targets"], panel["title"]
            refs = [target["refId"] for target in panel["targets"]]
            assert len(set(refs)) == len(refs) and all(refs), panel["title"]


def test_grafana_finds_the_dashboards_where_compose_mounts_them() -> None:
    provisioned = yaml.safe_load((tree.ROOT / "grafana/provisioning/dashboards.yaml").read_text())
    path = provisioned["providers"][0]["options"]["path"]
    compose = yaml.safe_load((tree.ROOT / "docker/compose.yaml").read_text())
    assert f"../grafana/dashboards:{path}:ro" in compose["services"]["grafana"]["volumes"]


@pytest.mark.full
def test_the_dashboards_are_what_their_programs_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tree.ROOT / "grafana")
    panels, *programs = (import_module(name) for name in ("panels", "overview", "rooms"))
    pages = {name: page for program in programs for name, page in program.pages().items()}
    assert pages.keys() == ROWS.keys()
    for name, page in pages.items():
        assert panels.text(page) == (DASHBOARDS / f"{name}.json").read_text(encoding="utf-8"), name
