"""`smokestack attribute`: whom a disk's I/O waits for, for people and for programs."""

from __future__ import annotations

import json

from click.testing import CliRunner

from smokestack.cli.main import main
from smokestack.server.stack import Stack
from tests.server.scenarios import small_scenario

DEVICE = "multipaths/m1/hosts/h1/devices/a1.v1"


def test_the_split_and_the_verdict() -> None:
    with Stack(small_scenario(io_limit=0)) as stack:
        address = stack.serve(metrics_ports=None)[0].address
        words = ["attribute", DEVICE, "--over", "20ms", "--address", address]
        shown = CliRunner().invoke(main, words)
        told = CliRunner().invoke(main, [*words, "--output", "json"])
        by_disk = CliRunner().invoke(main, ["attribute", "h1/on-a1/d0", *words[2:]])
        by_device = CliRunner().invoke(main, ["attribute", "h1/a1.v1", *words[2:]])
        nobody = CliRunner().invoke(main, ["attribute", "h1/on-a1/d9", *words[2:]])
    assert shown.exit_code == 0, shown.output
    assert all(layer in shown.output for layer in ("host", "fabric", "array", "guilty"))
    found = json.loads(told.output)
    layers = ("host_total_ns", "fabric_total_ns", "array_total_ns")
    assert sum(int(found[layer]) for layer in layers) == int(found["guest_total_ns"])
    for short in (by_disk, by_device):
        assert short.exit_code == 0, short.output
    assert nobody.exit_code != 0
    assert "hosts/h1/vms/on-a1/disks/d9 does not exist" in nobody.output
