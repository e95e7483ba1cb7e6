"""csi-sanity, the conformance suite of CSI's own community, against what we serve.

`.ci/run` installs it; CSI_SANITY names another one.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from smokestack.server.scenario import default_scenario
from smokestack.server.stack import Stack
from tests.house import tree

pytestmark = pytest.mark.full

VOLUMES_PER_NODE = 8
PASSED_MIN = 93  # what the suite's reference driver passes
TOOL = Path(os.environ.get("CSI_SANITY", tree.ROOT / ".ci/tools/bin/csi-sanity"))


def sanity(address: str, folder: Path, access: str) -> str:
    """Runs all of it; returns what it says."""
    assert TOOL.is_file(), (
        f"{TOOL} is missing: GOBIN={TOOL.parent} go install "
        "github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity@v5.6.0"
    )
    command = [
        TOOL,
        f"--csi.endpoint={address}",
        f"--csi.mountdir={folder}/mount",
        f"--csi.stagingdir={folder}/staging",
        f"--csi.testvolumeaccesstype={access}",
        "--csi.testnodevolumeattachlimit",
        "--ginkgo.no-color",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    return done.stdout + done.stderr


@pytest.mark.parametrize("access", ["mount", "block"])
def test_the_conformance_suite_passes(
    tmp_path: Path, access: str, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = default_scenario()
    for host in scenario.hosts:  # nodes that have nothing yet
        host.ClearField("vms")
    scenario.arrays[0].ClearField("exports")
    with Stack(scenario) as stack:
        *_, array = stack.serve(metrics_ports=None)
        address = array.address  # an array's own port, and a socket
        if access == "mount":
            address = stack.serve_csi(
                f"unix://{tmp_path}/csi.sock", volumes_per_node=VOLUMES_PER_NODE
            ).address
        output = sanity(address, tmp_path, access)
    found = re.search(r"(\d+) Passed \| (\d+) Failed \| (\d+) Pending \| (\d+) Skipped", output)
    assert found, output
    with capsys.disabled():
        print(f"\ncsi-sanity, {access}, at {address.partition(':')[0]}: {found[0]}")
    assert found[2] == "0", output
    assert int(found[1]) >= PASSED_MIN, output
