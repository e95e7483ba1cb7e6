"""The dashboard asks only for what a scrape has, and is what its program writes."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.house import tree

DASHBOARD = tree.ROOT / "grafana" / "dashboards" / "overview.json"
GOLDEN = tree.ROOT / "tests" / "golden" / "exposition.txt"


def loaded() -> Any:
    return json.loads(DASHBOARD.read_text(encoding="utf-8"))


def queries() -> Iterator[tuple[str, str]]:
    """Every panel's title and each of its queries."""
    for panel in loaded()["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


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


def test_variables_list_labels_that_there_are() -> None:
    have = series_names()
    for variable in loaded()["templating"]["list"]:
        if variable["type"] == "query":
            name, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]).groups()
            assert label in have[name] and label == variable["name"]


def test_every_room_has_a_row_and_every_panel_says_what_it_shows() -> None:
    panels = loaded()["panels"]
    rows = [panel["title"] for panel in panels if panel["type"] == "row"]
    assert rows == ["Stack", "Hypervisor", "Multipath", "Array"]
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
def test_the_dashboard_is_what_its_program_writes() -> None:
    program = runpy.run_path(str(tree.ROOT / "grafana" / "overview.py"))
    assert program["text"]() == DASHBOARD.read_text(encoding="utf-8")
