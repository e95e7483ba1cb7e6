"""The pytest plugin: the fixture ``smokestack``, a private stack at time 0 for each test.

Three options, each with an ini setting of the same name (``smokestack_seed`` …).  A test says what
it needs otherwise: ``@pytest.mark.smokestack(scenario="small.yaml", seed=7)``.  Nothing heavy is
imported until a test uses the fixture.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from .source import Source

if TYPE_CHECKING:
    from .servers import Servers
    from .view import Smokestack

_OPTIONS = {
    "address": "Address of a running stack's hypervisor to test against; default: start one.",
    "seed": "Seed of all random draws; default: the scenario's.",
    "scenario": "Scenario file; default: the stack that `smokestack init` writes.",
}
_SEED_MAX = (1 << 63) - 1


class _Used(NamedTuple):
    """What a test runs on, for its report."""

    view: Smokestack
    source: Source
    options: list[str]


_USED = pytest.StashKey[_Used]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options, on the command line and in ini files."""
    group = parser.getgroup("smokestack")
    for name, text in _OPTIONS.items():
        group.addoption(f"--smokestack-{name}", help=text)
        parser.addini(f"smokestack_{name}", help=text)


def pytest_configure(config: pytest.Config) -> None:
    """Makes the marker known, and refuses options that contradict one another."""
    config.addinivalue_line(
        "markers",
        "smokestack(scenario=None, seed=None): what the test's stack is built from (a file beside "
        "the test, or YAML text) and drawn from.",
    )
    address = _option(config, "address")
    _seed(_option(config, "seed"))
    if address and _option(config, "scenario"):
        raise pytest.UsageError(
            "--smokestack-scenario: the stack at --smokestack-address has its own scenario; "
            "give one of the two"
        )
    if address and getattr(config.option, "numprocesses", None):
        raise pytest.UsageError(
            "--smokestack-address: one stack cannot serve several workers at once; run without -n"
        )


def _option(config: pytest.Config, name: str) -> str:
    return str(config.getoption(f"smokestack_{name}") or config.getini(f"smokestack_{name}") or "")


def _seed(text: str) -> int | None:
    if not text:
        return None
    if not text.isdecimal() or int(text) > _SEED_MAX:
        raise pytest.UsageError(f"--smokestack-seed: {text!r} is not within 0 to 2^63 - 1")
    return int(text)


@pytest.fixture(scope="session")
def smokestack_servers(pytestconfig: pytest.Config) -> Iterator[Servers]:
    """The servers behind ``smokestack``: in this process, or the stack at --smokestack-address.

    Override it to have them elsewhere: ``with Servers(OwnProcess) as servers: yield servers``.
    """
    from .attached import Attached
    from .in_process import InProcess
    from .servers import Servers

    address = _option(pytestconfig, "address")
    with Servers((lambda source: Attached(address, source)) if address else InProcess) as servers:
        yield servers


@pytest.fixture
def smokestack(request: pytest.FixtureRequest, smokestack_servers: Servers) -> Iterator[Smokestack]:
    """A stack of the test's own, at virtual time 0; a client of it, with its addresses."""
    from .server import ServerRefused
    from .view import Smokestack

    asked = _marked(request.node)
    source, options = _source(request.config, request.path.parent, asked.get("scenario"))
    seed = asked.get("seed", _seed(_option(request.config, "seed")))
    try:
        view = Smokestack(smokestack_servers.of(source), seed)
    except ServerRefused as refused:
        raise _failed(str(refused)) from None
    with view:
        request.node.stash[_USED] = _Used(view, source, options)
        yield view
        del request.node.stash[_USED]


def _marked(node: Any) -> dict[str, Any]:
    """Returns what the markers say; of each word the closest one counts."""
    asked: dict[str, Any] = {}
    for marker in node.iter_markers("smokestack"):
        unknown = sorted(set(marker.kwargs) - {"scenario", "seed"})
        if marker.args or unknown:
            wrong = ", ".join(map(repr, (*marker.args, *unknown)))
            raise _failed(f"@pytest.mark.smokestack takes scenario= and seed=, not {wrong}")
        asked = marker.kwargs | asked
    return asked


def _source(
    config: pytest.Config, folder: Path, marked: str | Path | None
) -> tuple[Source, list[str]]:
    """Returns a test's scenario, and the options that another run needs to find it."""
    try:
        if marked:
            return Source.of(marked, folder, config.rootpath), []
        given = config.getoption("smokestack_scenario")
        if given:
            where = config.invocation_params.dir
            return Source.of(given, where), [f"--smokestack-scenario={given}"]
        return Source.of(config.getini("smokestack_scenario"), config.rootpath), []
    except (OSError, UnicodeDecodeError) as error:
        raise _failed(str(error)) from None


def _failed(why: str) -> BaseException:
    """Returns what fails a test in one line."""
    return pytest.fail.Exception(f"smokestack: {why}", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Adds what is known of the stack to the report of a test that failed on it."""
    made = yield
    used = item.stash.get(_USED, None)
    if used is not None and made.failed:
        from . import report

        text = report.section(used.view, used.source, item.nodeid, used.options)
        made.sections.append((report.TITLE, text))
    return made
