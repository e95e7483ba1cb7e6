"""What all tests share: the two tiers, and hypothesis without wall-clock deadlines.

The fast tier needs Python and a C compiler. Tests marked `full` need more (Prometheus, a built
wheel) and are chosen with SMOKESTACK_TIER=full; there a missing tool fails, it never skips.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.internal.conjecture import providers

# Each run draws the same examples: a change is not refused for what another one brought in. New
# ones are looked for on purpose: pytest --hypothesis-profile=hunt
AS_DRAWN = [phase for phase in Phase if phase is not Phase.shrink]  # shrinking takes minutes
settings.register_profile(
    "house",
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=True,
    phases=AS_DRAWN,
    suppress_health_check=[HealthCheck.too_slow],  # which a busy machine is
)
settings.register_profile("hunt", deadline=None, print_blob=True)
settings.load_profile("house")
if hasattr(providers, "_get_local_constants"):
    # It also draws numbers that it finds in whatever modules have been imported by then: which
    # these are depends on the tests that ran before, and with workers on chance.
    providers._get_local_constants = providers.Constants


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-golden",
        action="store_true",
        help="write tests/golden anew from what is; read the difference before committing it",
    )


FULL = os.environ.get("SMOKESTACK_TIER", "fast") == "full"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if FULL and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"the full tier never skips: {item.nodeid}: {report.longrepr}"
    return report


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if FULL:
        return
    full = [item for item in items if item.get_closest_marker("full")]
    if full:
        config.hook.pytest_deselected(items=full)
        items[:] = [item for item in items if item not in set(full)]
