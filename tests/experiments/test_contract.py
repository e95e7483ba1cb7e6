"""Every registered experiment keeps the contract: JSON, claims that hold, any number of workers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Executor
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from smokestack.experiments import EXPERIMENTS, Claim, Result, find, plan, processes, run
from smokestack.experiments.experiment import FINDING, MUST_HOLD
from smokestack.experiments.traces import VARIABLE

FULL = pytest.mark.full
SMALL = [name if find(name).is_fast else pytest.param(name, marks=FULL) for name in EXPERIMENTS]
CLAIM = ["id", "kind", "says", "figure", "baseline", "holds"]
ALL = [pytest.param(name, marks=FULL) for name in EXPERIMENTS]


@pytest.fixture(scope="module")
def workers() -> Iterator[Executor]:
    with processes(2) as executor:
        yield executor


@cache
def ran(name: str, size: str = "small", executor: Executor | None = None) -> Result:
    experiment = find(name)
    return run(experiment, plan(experiment, seed=3, size=size), executor)


@pytest.mark.parametrize("name", SMALL)
def test_a_run_keeps_the_contract_and_workers_change_nothing(name: str, workers: Executor) -> None:
    result = ran(name)
    assert not breaches(result)
    assert as_text(ran(name, executor=workers)) == as_text(result)


@pytest.mark.parametrize("name", ALL)
def test_the_default_size_holds_what_must(name: str, workers: Executor) -> None:
    assert not breaches(ran(name, "default", workers))


@pytest.mark.parametrize("name", ALL)
def test_it_can_be_drawn(name: str, tmp_path: Path) -> None:
    from smokestack.experiments import plots

    experiment = find(name)
    plots.save(experiment, plan(experiment, seed=3, size="small"), ran(name), tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def breaches(result: Result) -> list[str]:
    """What of the contract a run does not keep, claims that must hold included."""
    shown: dict[str, Any] = json.loads(as_text(result))
    claims = shown["claims"]
    ids = [claim["id"] for claim in claims]
    kept = {
        "its parts": list(shown) == ["name", "seed", "parameters", "rows", "claims"],
        "some rows": bool(shown["rows"]),
        "rows of the same keys": len({tuple(row) for row in shown["rows"]}) == 1,
        "claims by identifier": len(set(ids)) == len(ids) > 0,
        "a claim that must hold": any(claim["kind"] == MUST_HOLD for claim in claims),
    }
    for claim in claims:
        kept[f"the parts of {claim['id']}"] = list(claim) == CLAIM
        kept[f"the kind of {claim['id']}"] = claim["kind"] in (MUST_HOLD, FINDING)
        kept[f"that {claim['id']} is decided"] = isinstance(claim["holds"], bool)
        kept[f"that {claim['id']} holds"] = claim["holds"] or claim["kind"] == FINDING
    return [what for what, is_so in kept.items() if not is_so]


def as_text(result: Result) -> str:
    return json.dumps(result.as_json(), allow_nan=False)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_it_says_what_it_is(name: str) -> None:
    experiment = find(name)
    assert experiment.name == name
    assert {"small", "default"} <= set(experiment.sizes)
    assert experiment.summary
    for size in experiment.sizes:
        cases = experiment.cases(plan(experiment, size=size))
        assert cases
    readme = Path(find.__code__.co_filename).with_name("README.md").read_text(encoding="utf-8")
    assert f"| `{name}` |" in readme


def test_the_registry_is_sorted() -> None:
    assert list(EXPERIMENTS) == sorted(EXPERIMENTS)


def test_a_result_is_right_if_all_holds_that_must() -> None:
    kept = Claim("a", MUST_HOLD, "", 1, 1, True)
    surprise = Claim("b", FINDING, "", 1, 2, False)
    broken = Claim("c", MUST_HOLD, "", 1, 2, False)
    assert Result("x", 1, {}, [], [kept, surprise]).is_right
    assert not Result("x", 1, {}, [], [kept, broken]).is_right


def test_what_cannot_be_run_is_refused_with_what_would_be_right(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    repeats = find("repeats")
    with pytest.raises(KeyError, match=r"no experiment is named 'x': there are .*repeats"):
        find("x")
    with pytest.raises(ValueError, match="no size 'huge': there are small, default"):
        plan(repeats, size="huge")
    with pytest.raises(ValueError, match="replays no trace"):
        plan(repeats, trace=tmp_path)
    monkeypatch.setenv(VARIABLE, "some/trace.csv")
    assert plan(repeats).trace == Path("some/trace.csv")
    monkeypatch.delenv(VARIABLE)
    assert plan(repeats).trace.name == "bundled.vscsi"
