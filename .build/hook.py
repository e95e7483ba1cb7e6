"""Builds what is not committed, in place: the gRPC code from protos/, the kernels from their C.

Hatchling runs this for wheels and editable installs alike, so `pip install -e .` after a change of
a .proto or .c file brings the tree up to date. Everything is first made under .build/cache and then
moved into the tree in one step each, and only when its bytes differ: a reader never sees half a
file, and two builds of one tree take turns.
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

EXTENSIONS = {
    "smokestack.engine._core": "services/smokestack/engine/_core.c",
    "smokestack.hypervisor._kernel": "services/smokestack/hypervisor/_kernel.c",
    "smokestack.multipath._kernel": "services/smokestack/multipath/_kernel.c",
    "smokestack.array._kernel": "services/smokestack/array/_kernel.c",
}
INCLUDE = "services/smokestack/engine/include"
PROTOS = ("protos/smokestack/csi/v1", "protos/smokestack/v1")
# Results may not depend on the machine: no contraction of a*b+c into one rounding.
WARNINGS = ["-std=c11", "-Wall", "-Wextra", "-ffp-contract=off", "-fvisibility=hidden"]
PLAIN = ["-O3"]
SANITIZE = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
SANITIZE += ["-fno-omit-frame-pointer"]


class BuildHook(BuildHookInterface[Any]):
    """Makes the generated code and the kernels, and names the wheel for what is in it."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Builds in place before hatchling collects files."""
        del version
        root = Path(self.root)
        with _turn(root / ".build" / "cache"):
            generate(root)
            compile_kernels(root)
        build_data["pure_python"] = False
        build_data["tag"] = _wheel_tag()


def generate(root: Path) -> None:
    """Runs protoc over every .proto, and removes generated files whose .proto is gone."""
    from grpc_tools import protoc

    out = root / ".build" / "cache" / "protos"
    sources = []
    for folder in PROTOS:
        found = sorted((root / folder).glob("*.proto"))
        if not found:
            raise FileNotFoundError(f"no .proto file in {root / folder}")
        sources += found
        made = _made(out, folder)
        made.mkdir(parents=True, exist_ok=True)
        for stale in made.glob("*_pb2*"):
            stale.unlink()
    well_known = Path(protoc.__file__).parent / "_proto"
    arguments = ["protoc", f"-I{root / 'protos'}", f"-I{well_known}"]
    arguments += [f"--{kind}_out={out}" for kind in ("python", "pyi", "grpc_python")]
    if protoc.main(arguments + [str(source) for source in sources]) != 0:
        raise RuntimeError("protoc refused the protos; its messages are above")
    for folder in PROTOS:
        fresh = {path.name for path in _made(out, folder).glob("*_pb2*")}
        for old in (root / folder).glob("*_pb2*"):
            if old.name not in fresh:
                old.unlink()
        for name in sorted(fresh):
            _place(_made(out, folder) / name, root / folder / name)


def _made(out: Path, folder: str) -> Path:
    """Where protoc puts the code of a folder's protos."""
    return out / Path(folder).relative_to("protos")


def compile_kernels(root: Path) -> None:
    """Compiles each extension whose C or headers are newer than its last build."""
    from setuptools import Distribution, Extension
    from setuptools.command.build_ext import build_ext

    missing = [source for source in EXTENSIONS.values() if not (root / source).is_file()]
    if missing:
        raise FileNotFoundError(f"C source missing: {', '.join(missing)}")
    sanitize = os.environ.get("SMOKESTACK_SANITIZE") == "1"
    cache = root / ".build" / "cache" / ("sanitize" if sanitize else "plain")
    flags = SANITIZE if sanitize else PLAIN
    headers = sorted(str(path) for path in (root / "services").rglob("*.h"))
    distribution = Distribution(
        {
            "name": "smokestack",
            "ext_modules": [
                Extension(
                    name,
                    [source],
                    include_dirs=[str(root / INCLUDE)],
                    define_macros=[("Py_LIMITED_API", "0x030B0000")],
                    extra_compile_args=WARNINGS + flags,
                    extra_link_args=flags if sanitize else [],
                    depends=[*headers, __file__],
                    py_limited_api=True,
                )
                for name, source in EXTENSIONS.items()
            ],
        }
    )
    command = build_ext(distribution)
    command.build_lib = str(cache / "lib")
    command.build_temp = str(cache / "objects")
    command.parallel = os.cpu_count()
    command.ensure_finalized()
    with chdir(root):  # sources are relative, so that objects land under build_temp
        command.run()
    for name in EXTENSIONS:
        built = Path(command.get_ext_fullpath(name))
        _place(built, root / "services" / built.relative_to(cache / "lib"))


@contextmanager
def _turn(cache: Path) -> Iterator[None]:
    """Lets one build of this tree run at a time."""
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _place(made: Path, target: Path) -> None:
    """Puts a made file into the tree whole, or leaves an equal one untouched."""
    content = made.read_bytes()
    if target.is_file() and target.read_bytes() == content:
        return
    partial = target.with_name(f".{target.name}.partial")
    partial.write_bytes(content)
    partial.chmod(made.stat().st_mode & 0o777)
    partial.replace(target)


def _wheel_tag() -> str:
    """The stable ABI since 3.11 serves every later Python, so users need no compiler."""
    from packaging.tags import sys_tags

    platform = next(
        tag.platform for tag in sys_tags() if not tag.platform.startswith(("many", "musl"))
    )
    return f"cp311-abi3-{platform}"


if __name__ == "__main__":
    # `python .build/hook.py` rebuilds without pip: the tools must be in this environment.
    here = Path(__file__).resolve().parent.parent
    with _turn(here / ".build" / "cache"):
        generate(here)
        compile_kernels(here)
    sys.stdout.write("built in place\n")
