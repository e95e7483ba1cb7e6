"""csi-sanity, the conformance suite of CSI's own community, against what we serve.

`.ci/run` installs it; CSI_SANITY_TOOLS names another folder.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from smokestack.dialects.csi import Plugin, Settings
from smokestack.server.csi import Elsewhere, csi_room
from smokestack.server.listen import Listener
from smokestack.server.processes import Processes
from smokestack.server.scenario import default_scenario
from smokestack.server.stack import Stack
from tests.house import tree

pytestmark = pytest.mark.full

TOOLS = Path(os.environ.get("CSI_SANITY_TOOLS", tree.ROOT / ".ci/tools"))
# Of 5.5.0's 96 specs its reference driver passes 93; 5.6.0 has 103, with CSI 1.13's health.
PASSED_MIN = {"v5.5.0": 93, "v5.6.0": 99}


def sanity(version: str, address: str, folder: Path, access: str) -> str:
    """Runs all of it; returns what it says."""
    tool = TOOLS / f"csi-sanity-{version}" / "csi-sanity"
    assert tool.is_file(), (
        f"{tool} is missing: GOBIN={tool.parent} go install "
        f"github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity@{version}"
    )
    command = [
        tool,
        f"--csi.endpoint={address}",
        f"--csi.mountdir={folder}/mount",
        f"--csi.stagingdir={folder}/staging",
        f"--csi.testvolumeaccesstype={access}",
        "--csi.testnodevolumeattachlimit",
        "--ginkgo.no-color",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    return done.stdout + done.stderr


@pytest.mark.parametrize("version", PASSED_MIN)
@pytest.mark.parametrize("access", ["mount", "block"])
def test_the_conformance_suite_passes(
    tmp_path: Path, version: str, access: str, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = default_scenario()
    for host in scenario.hosts:  # nodes that have nothing yet
        host.ClearField("vms")
    scenario.arrays[0].ClearField("exports")
    with Stack(scenario) as stack:
        *_, array = stack.serve(metrics_ports=None)
        address = array.address  # an array's own port, and a socket
        if access == "mount" or version == "v5.6.0":
            settings = Settings(volumes_per_node=8, announce_health=version == "v5.6.0")
            address = stack.serve_csi(f"unix://{tmp_path}/csi.sock", settings=settings).address
        output = sanity(version, address, tmp_path, access)
    what = f"{access}, at {address.partition(':')[0]}"
    passed, failed = summary(version, what, output, capsys)
    assert failed == 0 and passed >= PASSED_MIN[version], output


def test_it_passes_over_services_of_other_processes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Processes(default_scenario()) as processes:
        array = Elsewhere("arrays", processes.arrays["a1"].endpoint.address)
        multipath = Elsewhere("multipaths", processes.multipath.endpoint.address)
        plugin = Plugin(array, "arrays/a1", multipath)
        listener = Listener(csi_room(plugin), f"unix://{tmp_path}/csi.sock")
        listener.start()
        try:
            output = sanity("v5.5.0", listener.endpoint.address, tmp_path, "mount")
        finally:
            listener.stop()
    passed, failed = summary("v5.5.0", "mount, over processes", output, capsys)
    assert failed == 0 and passed >= PASSED_MIN["v5.5.0"], output


def summary(
    version: str, what: str, output: str, capsys: pytest.CaptureFixture[str]
) -> tuple[int, int]:
    """Prints the suite's summary; returns how many cases passed, and how many failed."""
    found = re.search(r"(\d+) Passed \| (\d+) Failed \| (\d+) Pending \| (\d+) Skipped", output)
    assert found, output
    with capsys.disabled():
        print(f"\ncsi-sanity {version}, {what}: {found[0]}")
    return int(found[1]), int(found[2])
