"""What we ship is what the tree says: the sdist rebuilds, the wheel needs no compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.house import tree

OURS = ("smokestack/", "smokestack_emulator-", "smokestack_pytest.py")

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An sdist, and the wheel that is made from that sdist alone."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--outdir", str(out), str(tree.ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="module")
def in_wheel(built: Path) -> set[str]:
    [wheel] = built.glob("*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


@pytest.fixture(scope="module")
def in_sdist(built: Path) -> set[str]:
    [sdist] = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        return {"/".join(name.split("/")[1:]) for name in archive.getnames()}


def test_one_wheel_serves_every_later_python(built: Path) -> None:
    [wheel] = built.glob("*.whl")
    assert "-cp311-abi3-" in wheel.name


def test_the_wheel_has_every_module_and_its_types(in_wheel: set[str]) -> None:
    for path in tree.with_suffix(".py", ".pyi", ".typed", ".yaml", ".vscsi"):
        if path.parts[0] in tree.SOURCE_ROOTS and path.parts[1] == "smokestack":
            assert path.relative_to(path.parts[0]).as_posix() in in_wheel


def test_the_wheel_has_what_the_hook_makes(in_wheel: set[str]) -> None:
    for proto in tree.with_suffix(".proto"):
        for suffix in ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py"):
            made = proto.relative_to("protos").with_name(f"{proto.stem}{suffix}")
            assert made.as_posix() in in_wheel
    for source in tree.with_suffix(".c"):
        module = source.relative_to("services").with_suffix(".abi3.so").as_posix()
        assert module in in_wheel


def test_the_wheel_has_nothing_else(in_wheel: set[str]) -> None:
    for name in in_wheel:
        assert name.startswith(OURS), name
        assert not name.endswith((".c", ".h", ".o", ".partial")), name


def test_a_users_project_passes_against_the_wheel(built: Path, tmp_path: Path) -> None:
    project = tmp_path / "downstream"
    shutil.copytree(tree.ROOT / "clients" / "examples" / "downstream", project)
    venv = tmp_path / "venv"
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "SMOKESTACK"))
    }
    [wheel] = built.glob("*.whl")
    for command in (
        [sys.executable, "-m", "venv", venv],
        [venv / "bin" / "pip", "install", "-q", wheel, "pytest>=8.2"],
        [venv / "bin" / "python", "-m", "pytest", "-q"],
    ):
        done = subprocess.run(
            list(map(str, command)),
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_the_sdist_has_the_sources_and_nothing_built(in_sdist: set[str]) -> None:
    for path in tree.files():
        if path.parts[0] in tree.SOURCE_ROOTS or path.parts[0] in (".build", "tests"):
            assert path.as_posix() in in_sdist
    built = [name for name in in_sdist if name.endswith((".so", "_pb2.py", "_pb2_grpc.py"))]
    assert not built
