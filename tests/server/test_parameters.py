"""Each parameter is moved by a cause that is modelled, and by how much is checked.

A parameter counts when a cause moves it that also changes some I/O's outcome or timing: every
cause here is a load, or changes what the same load gets.  No environmental sensor is exported, so
none is exempt.  The list with units, levels and causes is `tests/golden/parameters.csv`.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from smokestack.multipath.parameters import PARAMETERS
from tests.server.parameter_causes import CAUSES, Cause

GOLDEN = Path(__file__).parents[1] / "golden"
# One fault moves these under several of the list's names: a link's loss of light is its failure,
# its NOS and a port's logout, and its return the OLS, LR and login.  Each number counts once.
REPEATS: frozenset[str] = frozenset(
    f"smokestack_port_{name}_total"
    for name in (
        "loss_of_signal",
        "loss_of_sync",
        "not_operational",
        "logouts",
        "offline_sequences",
        "logins",
    )
)
EXEMPT: frozenset[str] = frozenset()  # environmental sensors: at most ten, and there are none
ADAPTERS = {
    "smokestack_adapter_active_commands": ("gauge", "commands", "host,hba"),
    "smokestack_adapter_queued_commands": ("gauge", "commands", "host,hba"),
}
LEVELS = (
    "link",
    "fabric",
    "port",
    "path",
    "itl",
    "lun",
    "host,lun",
    "host,hba",
    "vm,lun",
    "datastore",
)


def named(series: str) -> str:
    """The parameter that a series is of."""
    name = re.sub(r"\[.*\]$", "", f"smokestack_{series}")
    return re.sub(r"_(seconds|bytes)_(sum|count)$", r"_\1", name)


def table() -> dict[str, tuple[str, str, str]]:
    with (GOLDEN / "metrics.csv").open(encoding="utf-8") as file:
        rows = {r["name"]: (r["type"], r["unit"], r["level"]) for r in csv.DictReader(file)}
    return rows | ADAPTERS


@pytest.mark.parametrize("cause", CAUSES, ids=[cause.says for cause in CAUSES])
def test_a_cause_moves_what_it_should_by_as_much_as_it_should(cause: Cause) -> None:
    differences, noticed = cause.differences()
    assert noticed, "no guest's I/O went another way, or took another time"
    for series, wanted in cause.moves.items():
        least, most = wanted if isinstance(wanted, tuple) else (wanted, wanted)
        found = differences[f"smokestack_{series}"]
        assert least <= found <= most, f"{series} moved by {found}, not {wanted}"


def causes() -> dict[str, list[str]]:
    """By parameter, what moves it; what a cause leaves alone is no cause of it."""
    found: dict[str, list[str]] = {}
    for cause in CAUSES:
        for series, wanted in cause.moves.items():
            if wanted != 0:
                found.setdefault(named(series), []).append(cause.says)
    return {name: list(dict.fromkeys(says)) for name, says in found.items()}


def test_at_least_95_parameters_are_moved_and_each_is_listed(pytestconfig: pytest.Config) -> None:
    rows, moved = table(), causes()
    assert moved.keys() <= rows.keys(), moved.keys() - rows.keys()
    counted = {name for name in moved if rows[name][2] in LEVELS}
    assert counted >= REPEATS
    assert len(counted - EXEMPT - REPEATS) >= 95
    lines = ["name,type,unit,level,cause"]
    for name in sorted(counted, key=lambda each: (LEVELS.index(rows[each][2]), each)):
        kind, unit, level = rows[name]
        level = f'"{level}"' if "," in level else level
        lines.append(f'{name},{kind},{unit},{level},"{"; ".join(moved[name])}"')
    text = "\n".join(lines) + "\n"
    path = GOLDEN / "parameters.csv"
    if pytestconfig.getoption("--write-golden"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_every_parameter_of_multipath_is_moved() -> None:
    """One that nothing moves is not to be exported."""
    names = [parameter.name for some in PARAMETERS.values() for parameter in some]
    assert len(set(names)) == len(names)
    assert set(names) <= causes().keys(), set(names) - causes().keys()


def test_units_and_levels_are_those_of_the_table() -> None:
    rows = table()
    for at, parameters in PARAMETERS.items():
        for parameter in parameters:
            assert (parameter.kind, parameter.unit) == rows[parameter.name][:2], parameter.name
            level = rows[parameter.name][2]
            assert at.level == level or level in ("lun", "datastore"), parameter.name
