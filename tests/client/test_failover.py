"""The failover example: every path is pulled under load, and no I/O that had another is lost."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest

import smokestack.client
from smokestack.server.stack import Stack as Served
from tests.house import tree

FILE = tree.ROOT / "clients" / "examples" / "failover.py"


@pytest.fixture(scope="module")
def failover() -> ModuleType:
    spec = importlib.util.spec_from_file_location("failover", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_io_is_lost_that_has_a_live_path(
    failover: ModuleType, server: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failover.main(server.endpoints[0].address) == 0
    lines = capsys.readouterr().out.splitlines()
    pulls = [line for line in lines if " live at least" in line]
    with smokestack.client.connect(server.endpoints[0].address) as stack:
        devices = [device for host in stack.multipath.hosts for device in host.devices]
        paths = [path for device in devices for path in device.paths]
        assert {path.state for path in paths} == {"ACTIVE"}
        assert len(pulls) == len(list(stack.array("a1").ports)) + len(paths)
        assert min(path.io_count for path in paths) > 0  # each one was used, pulled or not
    assert all(line.endswith(", 0 lost") for line in pulls)
    assert not any(" 0 I/Os done" in line for line in pulls)


def test_a_loss_is_told(failover: ModuleType, server: Served) -> None:
    with smokestack.client.connect(server.endpoints[0].address) as stack:
        faults = stack.array("a1").faults
        faults.inject("COMMAND_FAILED", "arrays/a1/volumes/v1", probability=0.01)
    assert failover.main(server.endpoints[0].address) == 1
